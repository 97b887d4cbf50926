"""Rows from a topic of Kafka: read as a group, committed only when what was decided is on the disk.

    kafka://HOST:9092,HOST2:9092/TOPIC?group=NAME&security.protocol=SASL_SSL…     further settings are librdkafka's

What was decided and not yet committed comes again after a kill; the books (`stream_books.py`) know it, and it is passed over.
Not here: what becomes of a row (`stream.py`). The client is confluent-kafka; `FakeTopic` stands in its place in tests.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from tradewind.cli.stream_source import At, Pause, Say, Taken
from tradewind.errors import EnvironmentFailure, InputError

_POLL_S = 0.2
_ANSWER_S = 10.0
_QUIET = 10  # polls that find nothing, one after the other, are the end with --once
_PASSWORD = "KAFKA_PASSWORD"


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    value: bytes


class Topic(Protocol):
    """A consumer of one topic. `ready`: it has been told its partitions. `leaving` is called before some go to another reader."""

    name: str
    ready: bool
    leaving: Callable[[], None]

    def take(self, timeout_s: float) -> Record | None: ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """By partition, the offset of the next record to be read. Durable when it returns."""
        ...

    def close(self) -> None: ...


class KafkaRows:
    """A topic as a source of rows. `once`: until nothing has come for two seconds."""

    def __init__(self, topic: Topic, *, once: bool, pause: Pause, say: Say) -> None:
        self._topic, self._once, self._pause, self._say = topic, once, pause, say
        self._next: dict[int, int] = {}  # by partition, behind what is done with
        self._committed: dict[int, int] = {}
        self._known: dict[int, int] = {}  # by partition, behind what was decided before this start
        self._passed: set[int] = set()

    @property
    def position(self) -> At | None:
        offsets = {**self._known, **self._next}
        return {
            "topic": self._topic.name,
            "next": {str(partition): offset for partition, offset in sorted(offsets.items())},
        }

    def resume(self, position: At | None, decided: Sequence[At]) -> None:
        for partition, offset in (position or {"next": {}})["next"].items():
            self._known[int(partition)] = offset
        for at in decided:
            self._known[at["partition"]] = max(self._known.get(at["partition"], 0), at["offset"] + 1)

    def leaving(self, keep: Callable[[], None]) -> None:
        """What is done before another reader gets partitions of this one."""
        self._topic.leaving = keep

    def rows(self) -> Iterator[Taken | None]:
        quiet = 0
        while self._pause(0):
            record = self._topic.take(_POLL_S)
            if record is None:
                quiet += self._topic.ready
                yield None
                if self._once and quiet >= _QUIET:
                    return
                continue
            quiet = 0
            partition, offset = record.partition, record.offset
            if offset < self._known.get(partition, 0):
                if partition not in self._passed:
                    self._say(
                        f"{self._topic.name}[{partition}]: offset {offset} and on were decided before; they are passed over."
                    )
                    self._passed.add(partition)
            elif text := record.value.strip():
                at = {"topic": self._topic.name, "partition": partition, "offset": offset}
                name = f"kafka:{self._topic.name}:{partition}:{offset}"
                yield Taken(text, f"{self._topic.name}[{partition}]@{offset}", at, name)
            self._next[partition] = offset + 1

    def kept(self) -> None:
        news = {
            partition: offset for partition, offset in self._next.items() if self._committed.get(partition) != offset
        }
        if news:  # of a partition that another reader has now there are none
            self._topic.commit(news)
            self._committed |= news

    def close(self) -> None:
        self._topic.close()


def open_topic(url: str, *, once: bool, pause: Pause, say: Say) -> KafkaRows:
    """Raises InputError stream_url, EnvironmentFailure package_missing, kafka_unreachable."""
    parts = urlsplit(url)
    topic, settings = parts.path.strip("/"), dict(parse_qsl(parts.query))
    if not parts.netloc or not topic or "/" in topic:
        raise InputError(
            "This names no topic.", code="stream_url", where=url, hint="Write kafka://HOST:9092/TOPIC?group=NAME."
        )  # fmt: skip
    try:
        client = importlib.import_module("confluent_kafka")
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            "Kafka is read with the package confluent-kafka, which is not installed.", code="package_missing",
            hint="Install it with: pip install 'tradewind[kafka]'.",
        ) from error  # fmt: skip
    if _PASSWORD in os.environ:
        settings["sasl.password"] = os.environ[_PASSWORD]
    group = settings.pop("group", "tradewind")
    return KafkaRows(ConfluentTopic(client, parts.netloc, topic, group, settings, say), once=once, pause=pause, say=say)


class ConfluentTopic:
    """By librdkafka. Nothing is committed but by `commit`; a group that is new begins with the oldest record."""

    def __init__(self, client: Any, hosts: str, topic: str, group: str, settings: Mapping[str, str], say: Say) -> None:
        self.name, self.ready = topic, False
        self.leaving: Callable[[], None] = lambda: None
        self._client, self._say, self._told = client, say, ""
        given = {
            "bootstrap.servers": hosts, "group.id": group, "auto.offset.reset": "earliest", "log_level": "0", **settings,
            "enable.auto.commit": False, "enable.auto.offset.store": False, "error_cb": self._tell,
        }  # fmt: skip
        try:
            self._consumer = client.Consumer(given)
            self._check(hosts)
        except client.KafkaException as error:
            raise EnvironmentFailure(
                f"Kafka cannot be read: {error.args[0]}.", code="kafka_unreachable", where=f"kafka://{hosts}/{topic}",
                hint="Check the address and the settings.",
            ) from error  # fmt: skip
        self._consumer.subscribe(
            [topic], on_assign=self._assigned, on_revoke=lambda consumer, partitions: self.leaving()
        )

    def take(self, timeout_s: float) -> Record | None:
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is None:
            return Record(message.partition(), message.offset(), message.value() or b"")
        if error.fatal() or not error.retriable():
            raise EnvironmentFailure(f"Kafka cannot be read on: {error.str()}.", code="kafka_failed", where=self.name)
        self._tell(error)
        return None

    def commit(self, offsets: Mapping[int, int]) -> None:
        places = [self._client.TopicPartition(self.name, partition, offset) for partition, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except self._client.KafkaException as error:  # a later commit says the same; until then the books know it
            self._tell(error.args[0])

    def close(self) -> None:
        self._consumer.close()

    def _assigned(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self.ready = True

    def _check(self, hosts: str) -> None:
        """Whether the topic is there at all: a consumer alone would wait for it in silence."""
        found = self._consumer.list_topics(self.name, timeout=_ANSWER_S).topics[self.name]
        if found.error is not None:
            raise InputError(
                f"There is no topic {self.name}: {found.error.str()}.", code="stream_missing", where=f"kafka://{hosts}/{self.name}"
            )  # fmt: skip

    def _tell(self, error: Any) -> None:
        """Once for each kind of trouble in a row."""
        if (text := f"! Kafka: {error.str()}") != self._told:
            self._told = text
            self._say(text)


@dataclass
class FakeTopic:
    """A topic in memory. `committed` outlives a consumer, as with a broker: a new one begins there."""

    partitions: Sequence[Sequence[bytes]]
    committed: dict[int, int] = field(default_factory=dict)
    name: str = "payments"
    ready: bool = True
    leaving: Callable[[], None] = lambda: None
    _at: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self._at = {partition: self.committed.get(partition, 0) for partition in range(len(self.partitions))}

    def take(self, timeout_s: float) -> Record | None:
        for partition, offset in sorted(self._at.items(), key=lambda one: one[1]):
            if offset < len(self.partitions[partition]):
                self._at[partition] += 1
                return Record(partition, offset, self.partitions[partition][offset])
        return None

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.update(offsets)

    def close(self) -> None:
        pass
