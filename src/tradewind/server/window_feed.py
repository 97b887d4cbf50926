"""What each customer's cards and devices did, kept while a server runs: windows of a transaction, and the events behind them.

Every worker holds the whole state and follows one log (`event_log.py`), so all workers of a machine see the same events in
the same order. Words are kept as keyed hashes: no card number lies on the disk. Not here: routes (`decisions.py`,
`events.py`), nor the arithmetic (`features/windows.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tradewind.features.windows import Event, Windows, WindowState
from tradewind.server.event_feed import Accepted
from tradewind.server.event_log import EventLog, News
from tradewind.server.wire import Row

_COMPACT_BYTES = 8 << 20  # a smaller log is not worth it
_FORGET_EVENTS = 1 << 14  # taken between two looks for what no window reaches


class Record(msgspec.Struct, array_like=True):
    """An event in the log, by the names of columns: a later release may have other windows."""

    moment_ms: int
    keys: dict[str, str]
    amounts: dict[str, int]
    words: dict[str, str]
    decimals: int
    id: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
Seal = Callable[[str], str]


class WindowFeed:
    """The state of one customer of one product for one set of windows. Safe for threads."""

    def __init__(self, windows: Windows, folder: Path, seal: Seal, *, compact_bytes: int = _COMPACT_BYTES) -> None:
        self.windows = windows
        self._log = EventLog(folder)
        self._state = WindowState(windows)
        self._seal = seal
        self._groups = tuple("+".join(group) for group in windows.groups)
        self._forgotten = 0
        self._compacting = threading.Lock()
        self._compact_bytes = self._least_bytes = compact_bytes
        with self._log.turn() as news:
            self._follow(news)

    @property
    def events(self) -> int:
        return self._state.events

    def of(self, row: Mapping[str, object], *, name: str | None = None) -> Event:
        """The event of a row, with hashes in place of words; `name` is its id where the row bears none. Raises DataError
        time_missing."""
        event = self.windows.event(row)
        if event.id is None:
            event = replace(event, id=name)
        seal = self._seal
        return replace(
            event,
            keys=tuple(None if key is None else seal(key) for key in event.keys),
            words=tuple(None if word is None else seal(word) for word in event.words),
            id=None if event.id is None else seal(event.id),
        )

    def ask_and_take(self, event: Event) -> dict[str, float]:
        """The windows as this event sees them; then the event itself is there for all that come after. Both or neither."""
        with self._log.turn() as news:
            self._follow(news)
            found = self._state.of(event)
            self._take(event)
        return found

    def accept_events(self, rows: Sequence[Row]) -> Accepted:
        events = [self.of(row) for row in rows]
        with self._log.turn() as news:
            self._follow(news)
            taken = sum([self._take(event) for event in events])
        self._tidy()
        return Accepted(taken, len(events) - taken)

    def sync(self) -> None:
        """To the disk, and what no window reaches out of it. For a thread."""
        self._log.sync()
        self._tidy()

    def close(self) -> None:
        self._log.close()

    def _take(self, event: Event) -> bool:
        if not self._state.takes(event):
            return False
        self._log.append(_encode(self._record(event)))  # before memory: what the disk refuses did not happen
        return self._state.take(event)

    def _follow(self, news: News) -> None:
        if news.anew:
            self._state, self._forgotten = WindowState(self.windows), 0
        for payload in news.payloads:
            self._state.take(self._event(_decode(payload)))

    def _record(self, event: Event) -> Record:
        windows = self.windows
        return Record(
            event.moment_ms,
            {name: key for name, key in zip(self._groups, event.keys, strict=True) if key is not None},
            {name: value for name, value in zip(windows.amounts, event.amounts, strict=True) if value is not None},
            {name: word for name, word in zip(windows.words, event.words, strict=True) if word is not None},
            windows.decimals,
            event.id,
        )

    def _event(self, record: Record) -> Event:
        amounts: Mapping[str, int] = record.amounts
        if record.decimals != self.windows.decimals:
            factor = 10.0 ** (self.windows.decimals - record.decimals)
            amounts = {name: round(value * factor) for name, value in amounts.items()}
        return Event(
            record.moment_ms,
            tuple(record.keys.get(name) for name in self._groups),
            tuple(amounts.get(name) for name in self.windows.amounts),
            tuple(record.words.get(name) for name in self.windows.words),
            record.id,
        )

    def _tidy(self) -> None:
        if self._state.events - self._forgotten >= _FORGET_EVENTS:
            with self._log.turn() as news:
                self._follow(news)
                self._state.forget()
                self._forgotten = self._state.events
        if self._log.size > self._least_bytes and self._compacting.acquire(blocking=False):
            try:
                self._log.compact(lambda payload: self._state.kept(self._event(_decode(payload))))
                self._least_bytes = max(self._compact_bytes, 2 * self._log.size)
            finally:
                self._compacting.release()


class Feeds:
    """Every feed of this worker, opened when first asked for. `home` is the folder below which the logs lie."""

    def __init__(self, home: Path, seal: Seal) -> None:
        self._home, self._seal = home, seal
        self._opening = threading.Lock()
        self._feeds: dict[tuple[str, str], WindowFeed] = {}

    def get(self, product: str, account: str, windows: Windows) -> WindowFeed | None:
        """The open feed, without waiting; None where it must be opened."""
        feed = self._feeds.get((product, account))
        return feed if feed is not None and feed.windows is windows else None

    def open(self, product: str, account: str, windows: Windows) -> WindowFeed:
        """Reads the log of a customer; for a thread. Other windows of a new release are filled from the same log."""
        assert "/" not in product + account
        with self._opening:
            feed = self._feeds.get((product, account))
            if feed is None or feed.windows != windows:
                feed = WindowFeed(windows, self._home / product / account, self._seal)
            else:
                feed.windows = windows  # an equal one: from now on `get` knows it by identity
            self._feeds[product, account] = feed
            return feed

    def sync(self) -> None:
        """Every log to the disk."""
        for feed in list(self._feeds.values()):
            feed.sync()

    def close(self) -> None:
        for feed in self._feeds.values():
            feed.sync()
            feed.close()
        self._feeds = {}

    def facts(self) -> Mapping[tuple[str, str], Any]:
        """Events by product and customer, for /metrics."""
        return {key: feed.events for key, feed in self._feeds.items()}
