"""What every reader is asked for and gives: request, chunk, reject, and the choice of columns.

Not here: any one format (`csv.py`, `jsonl.py` …), and how a reader is found (`__init__.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.sources.location import File
from tradewind.errors import DataError, nearest
from tradewind.product import Source

TEXT_KEPT = 1000
_SHOWN_NAMES = 20


@dataclass(frozen=True)
class Chunk:
    """Some rows of one file, in its order. `lines` [rows] is the 1-based line, row or record on which each begins."""

    frame: pl.DataFrame
    lines: NDArray[np.int64]
    file: str


@dataclass(frozen=True)
class Reject:
    """A row that could not be read: where it stands, why, and its text (at most TEXT_KEPT characters)."""

    file: str
    line: int
    reason: str
    code: str
    text: str


@dataclass(frozen=True)
class Request:
    """What to read: the source as written, its files on this machine, bytes to hold at once, and the columns."""

    source: Source
    files: tuple[File, ...]
    base: Path
    memory: int
    only: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()


class Reader(Protocol):
    """One opened source. Registered under `tradewind.sources` as a callable: Request → Reader."""

    @property
    def names(self) -> tuple[str, ...]:
        """The chosen columns, in the source's order."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was found out (format, encoding, delimiter …), as JSON; never a password."""
        ...

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        """Reads from the beginning; each call is a new pass. Appends what it cannot read to `rejects`."""
        ...

    def fingerprint(self) -> str:
        """Digest of the bytes, or of the rows where there are no bytes."""
        ...


def chosen(names: Sequence[str], request: Request, *, where: str) -> tuple[str, ...]:
    """The columns that `only` and `drop` leave, in the order of `names`.

    Raises DataError for a name that the source does not have, or when nothing is left.
    """
    for word in (*(request.only or ()), *request.drop):
        if word not in names:
            raise DataError(
                f"There is no column {word!r}. Columns: {listed(names)}.", code="column_unknown", where=where,
                hint=nearest(word, names) or "Write the names as they stand in the source.",
            )  # fmt: skip
    left = tuple(name for name in names if (request.only is None or name in request.only) and name not in request.drop)
    if not left:
        raise DataError("No column is left to read.", code="no_columns", where=where, hint="Look at only and drop.")
    return left


def check_names(names: Sequence[str], *, where: str) -> None:
    """Raises DataError for an empty or repeated column name."""
    step = "Give each column a name of its own in the header row."
    if not names:
        raise DataError("There is no column.", code="no_columns", where=where)
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise DataError(
                f"Column {place} of {len(names)} has no name.", code="header_empty", where=where,
                hint=step + (" An index without a name is left out by pandas' index=False." if place == 1 else ""),
            )  # fmt: skip
        if name in names[: place - 1]:
            first = list(names).index(name) + 1
            raise DataError(
                f"Columns {first} and {place} are both called {name!r}.", code="header_duplicate", where=where,
                hint=step + " If the first row is data already, name the columns with header: [...].",
            )  # fmt: skip


def listed(names: Sequence[str]) -> str:
    """Names for an error: all of them, or the first twenty and how many more."""
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def same_columns(found: Sequence[str], expected: Sequence[str], *, where: str, first: str) -> None:
    """Raises DataError when a further file of the same source has other columns than the first one."""
    missing = [name for name in expected if name not in found]
    added = [name for name in found if name not in expected]
    if missing or added:
        parts = [f"lacks {listed(missing)}"] * bool(missing) + [f"has also {listed(added)}"] * bool(added)
        raise DataError(
            f"Its columns differ from those of {first}: it {' and '.join(parts)}.", code="columns_differ", where=where,
            hint="Files of one source have the same columns; name the right ones with a narrower path.",
        )  # fmt: skip
