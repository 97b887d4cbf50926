"""A topic as a source: committed behind what was decided, and what comes again is passed over. Against a fake in memory, and
against the cluster that librdkafka itself plays for tests."""

import time

import pytest

from tradewind.cli.stream_kafka import FakeTopic, KafkaRows, open_topic
from tradewind.errors import EnvironmentFailure, InputError


def rows(topic, *, position=None, decided=(), said=None):
    source = KafkaRows(topic, once=True, pause=lambda s: True, say=(said if said is not None else []).append)
    source.resume(position, decided)
    return source, source.rows()


def texts(taken):
    return [one.text for one in taken if one is not None]


def test_records_are_rows_with_their_places():
    _, taken = rows(FakeTopic([[b'{"a": 1}', b""], [b'{"a": 2}']]))
    found = [one for one in taken if one is not None]
    assert [(one.where, one.at["offset"]) for one in found] == [("payments[0]@0", 0), ("payments[1]@0", 0)]
    assert len({one.name for one in found}) == 2


def test_a_row_at_hand_is_not_committed():
    topic = FakeTopic([[b"1", b"2", b"3"]])
    source, taken = rows(topic)
    next(taken)
    source.kept()
    assert topic.committed == {}
    next(taken)
    source.kept()
    assert topic.committed == {0: 1}


def test_what_was_decided_and_not_committed_is_passed_over_and_then_committed():
    topic = FakeTopic([[b"1", b"2", b"3", b"4"]], committed={0: 1})
    said = []
    source, taken = rows(topic, decided=[{"partition": 0, "offset": 1}, {"partition": 0, "offset": 2}], said=said)
    assert texts(taken) == [b"4"]
    source.kept()
    assert (topic.committed, "decided before" in said[0]) == ({0: 4}, True)


def test_a_kept_position_goes_before_a_commit_that_failed():
    source, taken = rows(FakeTopic([[b"1"], [b"2"]]))
    assert texts(taken) == [b"1", b"2"]
    _, again = rows(FakeTopic([[b"1", b"5"], [b"2"]]), position=source.position)
    assert texts(again) == [b"5"]


def test_what_is_done_is_kept_before_partitions_go_to_another_reader():
    topic = FakeTopic([[b"1", b"2"]])
    source, taken = rows(topic)
    source.leaving(source.kept)
    next(taken), next(taken)
    topic.leaving()
    assert topic.committed == {0: 1}


@pytest.mark.parametrize("url", ["kafka://host:9092", "kafka:///topic", "kafka://host/a/b"])
def test_an_address_without_a_topic_is_refused(url):
    with pytest.raises(InputError) as caught:
        open_topic(url, once=True, pause=lambda s: True, say=print)
    assert caught.value.code == "input.stream_url"


def test_the_real_client_reads_and_commits():
    kafka = pytest.importorskip("confluent_kafka")
    cluster = kafka.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=5).brokers.values()
    address = f"{broker.host}:{broker.port}"
    producer = kafka.Producer({"bootstrap.servers": address})

    for number in range(3):
        producer.produce("payments", str(number).encode(), partition=0)
    assert producer.flush(5) == 0
    source = open_topic(f"kafka://{address}/payments?group=desk", once=True, pause=lambda s: True, say=print)
    found, taken, deadline = [], source.rows(), time.monotonic() + 30
    while len(found) < 3 and time.monotonic() < deadline:
        found += texts([next(taken)])
    source.kept()  # the last row is at hand yet
    source.close()
    assert found == [b"0", b"1", b"2"]
    desk = kafka.Consumer({"bootstrap.servers": address, "group.id": "desk"})
    (place,) = desk.committed([kafka.TopicPartition("payments", 0)], timeout=5)
    desk.close()
    assert place.offset == 2


def test_a_broker_that_is_not_there_is_told_by_us_alone(monkeypatch, capfd):
    pytest.importorskip("confluent_kafka")
    monkeypatch.setattr("tradewind.cli.stream_kafka._ANSWER_S", 0.2)
    with pytest.raises(EnvironmentFailure) as caught:
        open_topic("kafka://127.0.0.1:9/payments", once=True, pause=lambda s: True, say=print)
    assert caught.value.code == "environment.kafka_unreachable"
    assert "rdkafka" not in capfd.readouterr().err
