"""Items that a customer brought since a recommender was released: kept on the disk, seen by every worker, scored by their columns.

All workers of a machine follow one log for each customer (`event_log.py`). A release that comes later reads the same log: what it
learnt itself is passed over, what it knows no columns for is left out. Not here: the route (`items.py`), scores (`engines/`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tradewind.engines.recommendation import RecommendationEngine
from tradewind.engines.shelf import OwnItems
from tradewind.errors import DataError, InputError
from tradewind.features.category import category_key
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import MARK
from tradewind.server.event_feed import Accepted
from tradewind.server.event_log import EventLog
from tradewind.server.wire import Row

FOLDER = "items"  # of the workspace: the logs by product and customer
MOST_ITEMS = 10_000  # of one customer, those that a release has learnt not counted
_MOST_BYTES = 1 << 16  # of one item
_FIELDS = frozenset(["item", "columns"])

Columns: TypeAlias = Mapping[str, Any]


class Record(msgspec.Struct, array_like=True):
    """An item in the log; one that comes again takes the place of the former, without columns it is gone."""

    item: str
    columns: dict[str, Any] | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class ItemLog:
    """The items of one customer of one recommender, by name. `rows` are read within a turn; `changed` grows when one was taken
    away or altered. Safe for threads and processes.

    Raises EnvironmentFailure (disk_full, permission, read_only) where the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self._log = EventLog(folder)
        self.rows: dict[str, Columns] = {}
        self.changed = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """This process's turn, with all that others wrote."""
        with self._log.turn() as news:
            if news.anew:
                self.rows, self.changed = {}, self.changed + 1
            for payload in news.payloads:
                self._take(_decode(payload))
            yield

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
        """What was written survives a power cut, too."""
        self._log.sync()

    def of_subject(self, subject: Subject) -> list[str]:
        """The items that name a person."""
        with self.turn():
            return [item for item, columns in self.rows.items() if _without(subject, item, columns) != columns]

    def forget(self, subject: Subject) -> int:
        """Strikes a person's name from columns, from the disk too; an item that is called so goes. Gives how many were touched."""
        with self.turn():
            struck = [Record(item, _without(subject, item, columns)) for item, columns in self.rows.items()]
            struck = [one for one in struck if one.columns != self.rows[one.item]]
            self.write(struck)
        if struck:
            self._log.compact(lambda payload: self._holds(_decode(payload)))
        return len(struck)

    def close(self) -> None:
        self._log.close()

    def _holds(self, record: Record) -> bool:
        return record.columns is not None and self.rows.get(record.item) == record.columns

    def _take(self, record: Record) -> None:
        if record.item in self.rows:
            self.changed += 1
        if record.columns is None:
            self.rows.pop(record.item, None)
        else:
            self.rows[record.item] = record.columns


class ItemFeed:
    """The items of one customer as one release scores them. Safe for threads."""

    def __init__(self, folder: Path, engine: RecommendationEngine, *, most: int = MOST_ITEMS) -> None:
        self._log, self._engine, self._most = ItemLog(folder), engine, most
        self._own, self._changed, self._taken = engine.own(), 0, 0

    def own(self) -> OwnItems:
        """All that came, whichever worker took it."""
        with self._log.turn():
            return self._scored()

    def accept_items(self, rows: Sequence[Row]) -> Accepted:
        """Rows `{item, columns}`; one that is known already, to the release or from before, is passed over.

        Raises DataError (column_unknown, item_unnamed, item_too_long, items_undescribed …) and InputError (field, too_many_items);
        nothing is taken then.
        """
        given = [_columns(row, number) for number, row in enumerate(rows, 1)]
        names = [row["item"] for row in rows]
        keys = self._engine.check_items(given, names)
        with self._log.turn():
            own = self._scored()
            fresh = {
                key: columns for key, columns in reversed(list(zip(keys, given, strict=True))) if not own.knows(key)
            }
            if len(own) + len(fresh) > self._most:
                raise InputError(
                    f"{len(own) + len(fresh):,} items would be more than the {self._most:,} that may come between releases.",
                    code="too_many_items", where="items", hint="Bring them with the data, and make a release.",
                )  # fmt: skip
            self._log.write([Record(key, dict(columns)) for key, columns in reversed(list(fresh.items()))])
            self._scored()
        self._log.sync()
        return Accepted(len(fresh), len(rows) - len(fresh))

    def __del__(self) -> None:
        # With the last request of a replaced release: until then its log is read.
        if hasattr(self, "_log"):
            self._log.close()

    def _scored(self) -> OwnItems:
        """Within a turn: what came since the last one joins; all are scored anew where one was taken away."""
        if self._changed != self._log.changed:
            self._own, self._changed, self._taken = self._engine.own(), self._log.changed, 0
        fresh = list(islice(self._log.rows.items(), self._taken, None))
        self._taken = len(self._log.rows)
        if fresh:
            names, rows = zip(*fresh, strict=True)
            self._engine.add_known(rows, names, own=self._own)
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

    def own(self, account: str) -> OwnItems | None:
        """The items of a customer; None for one who never brought any."""
        if account not in self._feeds and not (self._home / account).is_dir():
            return None
        return self.of(account).own()


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
    return columns


def _without(subject: Subject, item: str, columns: Columns) -> dict[str, Any] | None:
    """The columns without a person's name; None where the item itself is called so."""
    if subject.named_by(item):
        return None
    return {
        name: None if subject.named_by(value) else subject.struck_from(value, MARK) if isinstance(value, str) else value
        for name, value in columns.items()
    }
