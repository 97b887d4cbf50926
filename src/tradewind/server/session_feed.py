"""What users met since a recommender was released, kept while a server runs: the next answer knows of the last event.

All workers of a machine follow one log for each customer (`event_log.py`); users are kept as keyed hashes, items by name.
Beside each stands the hash under which `erase` looks for a person in whatever spelling. Not here: the route (`events.py`), what is recommended (`served_recommendation.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tradewind.clock import SystemClock, milliseconds
from tradewind.engines.events import Event, MemoryEvents
from tradewind.errors import DataError
from tradewind.features.category import category_key
from tradewind.features.date import to_moment
from tradewind.privacy.subjects import SubjectKey
from tradewind.server.event_feed import Accepted
from tradewind.server.event_log import EventLog, News
from tradewind.server.wire import Row

FOLDER = "sessions"  # of the workspace: the logs by product and customer
_COMPACT_BYTES = 64 << 20
_FIELDS = frozenset(["user", "item", "time", "event", "id"])


class Record(msgspec.Struct, array_like=True):
    """An event in the log, and the subject that its user is; one without an item says that the subject was erased, or without
    one either that all before its time is over."""

    user: str
    item: str
    at_ms: int
    kind: str = ""
    id: str = ""
    subject: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class SessionFeed:
    """The events of one customer of one recommender. Safe for threads.

    Raises EnvironmentFailure (disk_full, permission, read_only) where the folder cannot be made or written.
    """

    def __init__(self, folder: Path, key: SubjectKey, *, compact_bytes: int = _COMPACT_BYTES) -> None:
        self._log = EventLog(folder)
        self._key = key
        self._events = MemoryEvents()
        self._users: dict[str, set[str]] = {}  # of each subject: one for each spelling
        self._compacting = threading.Lock()
        self._compact_bytes = self._least_bytes = compact_bytes
        with self._log.turn() as news:
            self._follow(news)

    def accept_events(self, rows: Sequence[Row]) -> Accepted:
        """Rows `{user, item, time, event, id}`; without a time it is now. One with an `id` that came already is passed over.

        Raises DataError (column_unknown, event_incomplete, time) with the column; nothing is taken then.
        """
        now_ms = milliseconds(SystemClock())
        records = [self._record(row, number, now_ms) for number, row in enumerate(rows, 1)]
        taken = 0
        with self._log.turn() as news:
            self._follow(news)
            for record in records:
                if self._events.known(_event(record)):
                    continue
                self._log.append(_encode(record))  # before memory: what the disk refuses did not happen
                self._take(record)
                taken += 1
        self._tidy()
        return Accepted(taken, len(records) - taken)

    def history(self, user: str) -> list[str]:
        """The items of a user, oldest first; empty for nobody."""
        with self._log.turn() as news:
            self._follow(news)
        return self._events.history(self._key.sealed(user))

    def of_subject(self, subject: str) -> list[str]:
        """The items that a person met, in whatever spelling of the name."""
        with self._log.turn() as news:
            self._follow(news)
        return [item for user in sorted(self._users.get(subject, ())) for item in self._events.history(user)]

    def forget(self, subject: str) -> int:
        """Takes a person's events away, from the disk too; gives how many went."""
        gone = len(self.of_subject(subject))
        if gone:
            record = Record("", "", 0, subject=subject)
            with self._log.turn() as news:
                self._follow(news)
                self._log.append(_encode(record))
                self._take(record)
            self._rewrite()
        return gone

    def expire(self, before_ms: int) -> int:
        """Takes away what happened before a moment, from the disk and from every worker; gives how many went."""
        with self._log.turn() as news:
            self._follow(news)
            gone = self._events.count_before(before_ms / 1000)
            if gone:
                record = Record("", "", before_ms)
                self._log.append(_encode(record))
                self._take(record)
        if gone:
            self._rewrite()
        return gone

    def __del__(self) -> None:
        # With the last request of a replaced release: until then its log is read.
        if hasattr(self, "_log"):
            self._log.close()

    def _record(self, row: Row, number: int, now_ms: int) -> Record:
        place = f"Event {number}: "
        for name in row:
            if name not in _FIELDS:
                raise DataError(
                    f"{place}an event has no {name[:80]!r}.", code="column_unknown", where=name, hint=f"Fields: {', '.join(sorted(_FIELDS))}."
                )  # fmt: skip
        user, item = category_key(row.get("user")), category_key(row.get("item"))
        if not user or not item:
            raise DataError(
                f"{place}an event has a user and an item.", code="event_incomplete", where="item" if user else "user"
            )
        at_ms = now_ms
        if row.get("time") is not None:
            moment = to_moment(row["time"])
            if moment != moment:
                raise DataError(
                    f"{place}{str(row['time'])[:80]!r} is no time.", code="time", where="time", hint="Write 2026-01-05T14:30:00Z."
                )  # fmt: skip
            at_ms = round(moment * 1000)
        sealed, subject = self._key.sealed(user), self._key.digest(user)
        return Record(sealed, item, at_ms, str(row.get("event") or ""), str(row.get("id") or ""), subject)

    def _follow(self, news: News) -> None:
        if news.anew:
            self._events, self._users = MemoryEvents(), {}
        for payload in news.payloads:
            self._take(_decode(payload))

    def _take(self, record: Record) -> None:
        if record.item:
            self._events.append([_event(record)])
            self._users.setdefault(record.subject, set()).add(record.user)
        elif record.subject:
            for user in self._users.pop(record.subject, ()):
                self._events.forget(user)
        else:
            self._events.expire(record.at_ms / 1000)

    def _kept(self, payload: bytes) -> bool:
        record = _decode(payload)
        return bool(record.item) and self._events.holds(_event(record))

    def _rewrite(self) -> None:
        """What is gone leaves the disk, whatever other workers write meanwhile."""
        with self._compacting:
            while not self._log.compact(self._kept):
                with self._log.turn() as news:
                    self._follow(news)

    def _tidy(self) -> None:
        if self._log.size > self._least_bytes and self._compacting.acquire(blocking=False):
            try:
                self._log.compact(self._kept)
                self._least_bytes = max(self._compact_bytes, 2 * self._log.size)
            finally:
                self._compacting.release()


class SessionFeeds:
    """The feeds of one product, each opened when first asked for, below `home`."""

    def __init__(self, home: Path, key: SubjectKey) -> None:
        self._home, self._key = home, key
        self._opening = threading.Lock()
        self._feeds: dict[str, SessionFeed] = {}

    def of(self, account: str) -> SessionFeed:
        """For a thread: the first time reads a log."""
        assert "/" not in account
        feed = self._feeds.get(account)
        if feed is None:
            with self._opening:
                feed = self._feeds.get(account)
                if feed is None:
                    feed = self._feeds[account] = SessionFeed(self._home / account, self._key)
        return feed


def _event(record: Record) -> Event:
    return Event(record.user, record.item, record.at_ms / 1000, record.kind, record.id)
