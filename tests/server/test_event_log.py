"""The log of events: one order for all workers, nothing acknowledged is lost, half records are cut off."""

import multiprocessing
import os
import signal

import pytest

from tradewind.errors import VerificationFailed
from tradewind.server.event_log import EventLog


def _read(log):
    with log.turn() as news:
        return list(news.payloads)


def _write(log, *payloads):
    with log.turn():
        for payload in payloads:
            log.append(payload)


def test_each_reader_gets_what_others_wrote_once_and_in_order(tmp_path):
    one, other = EventLog(tmp_path), EventLog(tmp_path)
    _write(one, b"a", b"b")
    assert _read(other) == [b"a", b"b"]
    _write(other, b"c")
    assert _read(one) == [b"c"]
    assert _read(one) == _read(other) == []


def test_a_half_record_is_cut_off_by_the_next_one(tmp_path):
    log = EventLog(tmp_path)
    _write(log, b"whole", b"half")
    with (tmp_path / "events.0").open("r+b") as file:
        file.truncate(log.size - 2)
    after = EventLog(tmp_path)
    assert _read(after) == [b"whole"]
    _write(after, b"next")
    assert _read(EventLog(tmp_path)) == [b"whole", b"next"]


def test_damage_in_the_middle_is_told(tmp_path):
    log = EventLog(tmp_path)
    _write(log, b"first", b"second")
    with (tmp_path / "events.0").open("r+b") as file:
        file.seek(16 + 8)
        file.write(b"X")
    with pytest.raises(VerificationFailed, match="damaged"):
        _read(EventLog(tmp_path))


def test_compacting_keeps_what_is_wanted_and_who_was_away_learns_all(tmp_path):
    writer, up_to_date, away = (EventLog(tmp_path) for _ in range(3))
    _write(writer, b"old", b"new")
    assert _read(up_to_date) == _read(away) == [b"old", b"new"]
    writer.compact(lambda payload: payload != b"old")
    _write(writer, b"newer")
    assert _read(up_to_date) == [b"newer"]
    writer.compact(lambda payload: True)
    _write(writer, b"newest")
    assert _read(up_to_date) == [b"newest"]
    with away.turn() as news:
        assert (list(news.payloads), news.anew) == ([b"new", b"newer", b"newest"], True)
    assert _read(EventLog(tmp_path)) == [b"new", b"newer", b"newest"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.2", "lock"]


def test_what_came_behind_a_compaction_is_kept_and_told_with_the_next_turn(tmp_path):
    compacting, other = EventLog(tmp_path), EventLog(tmp_path)
    seen = set()

    def follow():
        fresh = _read(compacting)
        seen.update(fresh)
        return fresh

    _write(other, b"old")
    follow()
    for number in range(2):  # again, while what the first one met still waits to be read
        _write(other, b"fresh %d" % number)
        compacting.compact(lambda payload: payload in seen)
    assert follow() == [b"fresh 0", b"fresh 1"]
    compacting.compact(lambda payload: payload in seen)
    assert _read(EventLog(tmp_path)) == [b"old", b"fresh 0", b"fresh 1"]


def test_two_that_compact_at_once_leave_one_whole_file(tmp_path):
    one, other = EventLog(tmp_path), EventLog(tmp_path)
    _write(one, b"old", b"new")
    _read(other)

    def meanwhile(payload):
        if payload == b"old":
            other.compact(lambda payload: payload != b"old")
        return True

    one.compact(meanwhile)
    _write(one, b"newer")
    assert _read(other) == [b"newer"]
    assert _read(EventLog(tmp_path)) == [b"new", b"newer"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.1", "lock"]


def _hammer(folder, name, told):
    log = EventLog(folder)
    number = 0
    while True:
        _write(log, f"{name} {number}".encode())
        os.write(told, f"{name} {number}\n".encode())
        number += 1
        if number == 300 and name == "b":
            log.compact(lambda payload: True)


def test_writers_killed_at_any_moment_lose_nothing_they_acknowledged(tmp_path):
    reading, told = os.pipe()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_hammer, args=(tmp_path, name, told)) for name in "abc"]
    for worker in workers:
        worker.start()
    heard = b""
    while heard.count(b"\n") < 3000:
        heard += os.read(reading, 1 << 16)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    os.close(told)
    while more := os.read(reading, 1 << 16):
        heard += more
    acknowledged = [line.encode() for line in heard.decode().splitlines()]
    found = _read(EventLog(tmp_path))
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    for name in (b"a", b"b", b"c"):
        own = [payload for payload in found if payload.startswith(name)]
        assert own == [name + b" %d" % number for number in range(len(own))]
