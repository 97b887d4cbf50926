"""Events of one product that wait to be told, on this machine's disk: written before anything goes on, gone when they were heard.

All processes of a machine add to one log (`event_log.py`); one of them at a time tells, the one that holds the lock `teller`,
which the operating system lets go with a process that is killed. An event whose id is known is not added again, for a day
after it was heard. Not here: who is told, and when again (`outgoing.py`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from tradewind.errors import writing
from tradewind.server.event_log import EventLog

FOLDER = "outgoing"  # of the workspace: the logs by product
MOST_WAITING = 1000
_KNOWN_S = 86_400.0
_COMPACT_BYTES = 1 << 20


class Record(msgspec.Struct, array_like=True, omit_defaults=True):
    """A line of the log: an event (`body` is what is sent), a try that failed (`tries`, `due_s`), or with `ended_s` its end."""

    id: str
    kind: str = ""
    body: bytes = b""
    tries: int = 0
    due_s: float = 0.0
    ended_s: float = 0.0


@dataclass(frozen=True)
class Waiting:
    """An event, how often it was tried, and when it is due again, in seconds since 1970."""

    id: str
    kind: str
    body: bytes
    tries: int = 0
    due_s: float = 0.0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class Outbox:
    """Safe for threads and processes. Raises EnvironmentFailure (disk_full, permission, read_only)."""

    def __init__(self, folder: Path, *, most: int = MOST_WAITING) -> None:
        self._log, self._most = EventLog(folder), most
        self._waiting: dict[str, Waiting] = {}
        self._ended: dict[str, float] = {}
        self._least_bytes = _COMPACT_BYTES
        self._teller = -1

    def add(self, id: str, *, kind: str, body: bytes) -> bool:
        """False where too many wait already. On the disk when it returns."""
        with self._turn():
            if id in self._waiting or id in self._ended:
                return True
            if len(self._waiting) >= self._most:
                return False
            self._write(Record(id, kind, body))
        self._log.sync()
        return True

    def waiting(self) -> list[Waiting]:
        """Those that were not heard, whoever added them; who is due first comes first."""
        with self._turn():
            return sorted(self._waiting.values(), key=lambda one: one.due_s)

    def put_off(self, one: Waiting, *, due_s: float) -> None:
        """One try more has failed."""
        with self._turn():
            if one.id in self._waiting:
                self._write(Record(one.id, tries=one.tries + 1, due_s=due_s))

    def end(self, one: Waiting, *, at_s: float) -> None:
        """It was heard, or is given up."""
        with self._turn():
            self._write(Record(one.id, ended_s=at_s))
        if self._log.size > self._least_bytes:
            self._ended = {id: ended_s for id, ended_s in self._ended.items() if ended_s > at_s - _KNOWN_S}
            self._log.compact(lambda payload: self._holds(_decode(payload)))
            self._least_bytes = max(_COMPACT_BYTES, 2 * self._log.size)

    def may_tell(self) -> bool:
        """Whether this process is the one that tells; from then on it is, until it closes or dies."""
        if self._teller >= 0:
            return True
        path = self._log.folder / "teller"
        with writing(str(path)):
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._teller = lock
        return True

    def close(self) -> None:
        self._log.close()
        if self._teller >= 0:
            os.close(self._teller)
            self._teller = -1

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._log.turn() as news:
            if news.anew:
                self._waiting, self._ended = {}, {}
            for payload in news.payloads:
                self._take(_decode(payload))
            yield

    def _write(self, record: Record) -> None:
        self._log.append(_encode(record))
        self._take(record)

    def _take(self, record: Record) -> None:
        if record.ended_s:
            self._waiting.pop(record.id, None)
            self._ended[record.id] = record.ended_s
        elif record.kind:
            self._waiting[record.id] = Waiting(record.id, record.kind, record.body, record.tries, record.due_s)
        elif record.id in self._waiting:
            self._waiting[record.id] = replace(self._waiting[record.id], tries=record.tries, due_s=record.due_s)

    def _holds(self, record: Record) -> bool:
        if record.ended_s:
            return record.id in self._ended
        one = self._waiting.get(record.id)
        return one is not None and (bool(record.kind) or record.tries == one.tries)
