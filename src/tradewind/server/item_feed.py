"""Items that a customer brought since a recommender was released: kept on the disk, seen by every worker, scored by their columns.

All workers of a machine follow one log for each customer (`event_log.py`). A release that comes later reads the same log: what it
learnt itself is passed over, what it knows no columns for is left out. Not here: the routes (`items.py`), scores (`engines/`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tradewind.clock import Clock, SystemClock, milliseconds
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.engines.shelf import OwnItems
from tradewind.errors import DataError, InputError
from tradewind.features.category import category_key
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import MARK
from tradewind.server.event_log import EventLog
from tradewind.server.wire import Row

FOLDER = "items"  # of the workspace: the logs by product and customer
MOST_ITEMS = 10_000  # of one customer, those that a release has learnt not counted
_MOST_BYTES = 1 << 16  # of one item
MOST_CHARACTERS = 500  # of a name
_FIELDS = frozenset(["item", "columns"])
_RENEWED_MS = 86_400_000  # an item that comes again unchanged is as new, written down once a day
_SPARE_RECORDS = 200  # that hold no more, beside as many as hold

Columns: TypeAlias = Mapping[str, Any]


class Record(msgspec.Struct, array_like=True):
    """An item in the log, and when it came; one that comes again takes the place of the former, without columns it is gone."""

    item: str
    columns: dict[str, Any] | None
    at_ms: int = 0


@dataclass(frozen=True)
class Brought:
    """How many items were taken, of which so many `replaced` a former one of the name; the others were known already."""

    taken: int
    replaced: int
    passed_over: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class ItemLog:
    """The items of one customer of one recommender, by name; read within a turn. Safe for threads and processes.

    Raises EnvironmentFailure (disk_full, permission, read_only) where the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self._log = EventLog(folder)
        self.rows: dict[str, Record] = {}
        self._news: dict[str, Record] = {}
        self._anew, self._records = True, 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """This process's turn, with all that others wrote."""
        with self._log.turn() as news:
            if news.anew:
                self.rows, self._news, self._anew, self._records = {}, {}, True, 0
            for payload in news.payloads:
                self._take(_decode(payload))
            yield

    def news(self) -> tuple[bool, list[Record]]:
        """Within a turn: whether all begins anew, and the latest of each item that came or went since this was last asked."""
        anew, news = self._anew, list(self._news.values())
        self._anew, self._news = False, {}
        return anew, news

    def write(self, records: Sequence[Record]) -> None:
        """Within a turn. Raises DataError for an item that is too long, before any is written."""
        payloads = [_encode(one) for one in records]
        for record, payload in zip(records, payloads, strict=True):
            if len(payload) > _MOST_BYTES:
                raise DataError(
                    f"The item {record.item[:80]!r} has {len(payload):,} bytes, but at most {_MOST_BYTES:,}.", code="item_too_long",
                    where="columns",
                )  # fmt: skip
        for record, payload in zip(records, payloads, strict=True):
            self._log.append(payload)  # before memory: what the disk refuses did not happen
            self._take(record)

    def sync(self) -> None:
        """What was written survives a power cut, too; what no longer holds leaves the disk when it is much."""
        self._log.sync()
        if self._records > 2 * len(self.rows) + _SPARE_RECORDS:
            self._compact()

    def of_subject(self, subject: Subject) -> list[str]:
        """The items that name a person."""
        with self.turn():
            return [item for item, one in self.rows.items() if _without(subject, one) != one.columns]

    def forget(self, subject: Subject) -> int:
        """Strikes a person's name from columns, from the disk too; an item that is called so goes. Gives how many were touched."""
        with self.turn():
            struck = [Record(item, _without(subject, one), one.at_ms) for item, one in self.rows.items()]
            struck = [one for one in struck if one.columns != self.rows[one.item].columns]
            self.write(struck)
        return self._gone(struck)

    def expire(self, before_ms: int) -> int:
        """Takes away what came before a moment and not again, from the disk too; gives how many went."""
        with self.turn():
            over = [Record(item, None) for item, one in self.rows.items() if one.at_ms < before_ms]
            self.write(over)
        return self._gone(over)

    def close(self) -> None:
        self._log.close()

    def _gone(self, records: Sequence[Record]) -> int:
        if records:
            while not self._compact():
                with self.turn():
                    pass
        return len(records)

    def _compact(self) -> bool:
        done = self._log.compact(lambda payload: self._holds(_decode(payload)))
        self._records = len(self.rows)
        return done

    def _holds(self, record: Record) -> bool:
        return record.columns is not None and self.rows.get(record.item) == record

    def _take(self, record: Record) -> None:
        self._records += 1
        self.rows.pop(record.item, None)
        self._news.pop(record.item, None)
        self._news[record.item] = record
        if record.columns is not None:
            self.rows[record.item] = record


class ItemFeed:
    """The items of one customer as one release scores them. Safe for threads."""

    def __init__(
        self, folder: Path, engine: RecommendationEngine, *, most: int = MOST_ITEMS, clock: Clock | None = None
    ) -> None:
        self._log, self._engine, self._most, self._clock = ItemLog(folder), engine, most, clock or SystemClock()
        self._own = engine.own()
        self._scored: dict[str, Columns] = {}

    def own(self) -> OwnItems:
        """All that came, whichever worker took it."""
        with self._log.turn():
            return self._followed()

    def accept_items(self, rows: Sequence[Row]) -> Brought:
        """Rows `{item, columns}`; one of the customer's own takes its former's place, one of the release, and one that says
        nothing new, is passed over.

        Raises DataError (column_unknown, item_unnamed, item_too_long, items_undescribed …) and InputError (field, too_many_items);
        nothing is taken then.
        """
        given = [_columns(row, number) for number, row in enumerate(rows, 1)]
        keys = self._engine.check_items(given, [row["item"] for row in rows])
        now_ms = milliseconds(self._clock)
        latest = {
            key: Record(key, dict(columns), now_ms)
            for key, columns in zip(keys, given, strict=True)
            if self._engine.place(key) is None
        }
        with self._log.turn():
            own, held = self._followed(), self._log.rows
            taken = [one for key, one in latest.items() if key not in held or held[key].columns != one.columns]
            count = len(own) + sum(not own.knows(one.item) for one in taken)
            if count > self._most:
                raise InputError(
                    f"{count:,} items would be more than the {self._most:,} that may come between releases.",
                    code="too_many_items", where="items", hint="Bring them with the data, and make a release.",
                )  # fmt: skip
            replaced = sum(one.item in held for one in taken)
            names = {one.item for one in taken}
            same = [one for key, one in latest.items() if key not in names]
            self._log.write([*taken, *(one for one in same if held[one.item].at_ms < now_ms - _RENEWED_MS)])
            self._followed()
        self._log.sync()
        return Brought(len(taken), replaced, len(rows) - len(taken))

    def remove_item(self, name: str) -> None:
        """From the next answer on it is not known. Raises InputError item_unknown for one that never came."""
        with self._log.turn():
            self._followed()
            key = category_key(name)
            if key is None or key not in self._log.rows:
                raise unknown_item(name)
            self._log.write([Record(key, None)])
            self._followed()
        self._log.sync()

    def listed(self, *, after: str, most: int) -> list[tuple[str, Columns]]:
        """Names and columns in the order of names, from behind `after` on."""
        with self._log.turn():
            names = sorted(name for name in self._log.rows if name > after)[:most]
            return [(name, self._log.rows[name].columns or {}) for name in names]

    def __del__(self) -> None:
        # With the last request of a replaced release: until then its log is read.
        if hasattr(self, "_log"):
            self._log.close()

    def _followed(self) -> OwnItems:
        """Within a turn: what came and went since the last one."""
        anew, news = self._log.news()
        if anew:
            self._own, self._scored = self._engine.own(), {}
        columns = {one.item: one.columns for one in news}
        gone = [item for item, held in columns.items() if held is None]
        self._own.remove(gone)
        for item in gone:
            self._scored.pop(item, None)
        fresh = {item: held for item, held in columns.items() if held is not None and self._scored.get(item) != held}
        if fresh:
            self._engine.add_known(list(fresh.values()), list(fresh), own=self._own)
            self._scored |= fresh
        return self._own


class ItemFeeds:
    """The feeds of one product, each opened when first asked for, below `home`."""

    def __init__(self, home: Path, engine: RecommendationEngine) -> None:
        self._home, self._engine = home, engine
        self._opening = threading.Lock()
        self._feeds: dict[str, ItemFeed] = {}

    def of(self, account: str) -> ItemFeed:
        """For a thread: the first time reads a log."""
        assert "/" not in account
        with self._opening:
            if account not in self._feeds:
                self._feeds[account] = ItemFeed(self._home / account, self._engine)
            return self._feeds[account]

    def there(self, account: str) -> ItemFeed | None:
        """The feed of a customer; None for one who never brought any."""
        if account not in self._feeds and not (self._home / account).is_dir():
            return None
        return self.of(account)

    def own(self, account: str) -> OwnItems | None:
        """The items of a customer; None for one who never brought any."""
        feed = self.there(account)
        return None if feed is None else feed.own()


def unknown_item(name: str) -> InputError:
    return InputError(
        f"You have brought no item {name[:80]!r}.", code="item_unknown", where="item",
        hint="GET /v1/items lists yours; one of the release is left out of an answer by exclude.",
    )  # fmt: skip


def _columns(row: Row, number: int) -> Columns:
    for field in row:
        if field not in _FIELDS:
            raise DataError(
                f"Item {number}: an item has no {field[:80]!r}.", code="column_unknown", where=field, hint="Fields: item, columns."
            )  # fmt: skip
    columns, name = row.get("columns"), row.get("item")
    if not isinstance(columns, dict):
        raise InputError(f"Item {number} has no columns.", code="field", where="columns",
                         hint="An item is scored by its columns: item_columns of GET /v1/models names them.")  # fmt: skip
    if isinstance(name, bool) or not isinstance(name, str | int) or not category_key(name):
        raise InputError(
            f"Item {number} has no name.", code="field", where="item", hint="A name is text or a whole number."
        )
    if len(str(name)) > MOST_CHARACTERS:
        raise InputError(
            f"Item {number} has a name of {len(str(name)):,} characters, but at most {MOST_CHARACTERS}.", code="field", where="item"
        )  # fmt: skip
    return columns


def _without(subject: Subject, record: Record) -> dict[str, Any] | None:
    """The columns without a person's name; None where the item itself is called so."""
    if subject.named_by(record.item):
        return None
    return {
        name: None if subject.named_by(value) else subject.struck_from(value, MARK) if isinstance(value, str) else value
        for name, value in (record.columns or {}).items()
    }
