"""Window columns of all sources of a product, computed once over all rows together and handed out with each chunk.

Every row of every file is an event, in the order of its moment: a row of a test file sees what came before it in the
training file, as it would have when it came in. Not here: what a window is (`features/windows.py`).

Legend: N rows of all sources, in the order they are read.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.sources import Chunk, OpenSource
from tradewind.data.sources.contract import Reject
from tradewind.errors import DataError, nearest, writing
from tradewind.features.column import Values
from tradewind.features.window_table import NO_MOMENT, Integers, moments_of, of_table
from tradewind.features.windows import Windows

_SHOWN = 200


def with_windows(sources: Sequence[OpenSource], windows: Windows) -> None:
    """From now on the sources also have the window columns; rows without a moment are rejected.

    Raises DataError when a column is missing, or already has the name of a window.
    """
    for source in sources:
        _check(source, windows)
    parts = [_read(source, windows) for source in sources]
    values = {name: np.concatenate([part[name] for part in parts]) for name in windows.columns}
    moments_N = moments_of(windows, values[windows.time])
    table = _Table(windows, values, rows=len(moments_N))
    start = 0
    for source, part in zip(sources, parts, strict=True):
        end = start + len(part[windows.time])
        source.extend(windows.names, _Extension(table, moments_N[start:end], start, windows.time))
        start = end


def _check(source: OpenSource, windows: Windows) -> None:
    for name in windows.columns:
        if name not in source.names:
            raise DataError(
                f"{name}: no such column in {source.source.path}. Columns: {', '.join(source.names[:20])}.",
                code="column_missing", where="data.events", hint=nearest(name, source.names) or "Correct the name.",
            )  # fmt: skip
    for name in windows.names:
        if name in source.names:
            raise DataError(
                f"{source.source.path} has a column {name} already.", code="window_name",
                where=f"data.events.windows.{name}", hint="Give the window another name.",
            )  # fmt: skip


def _read(source: OpenSource, windows: Windows) -> dict[str, Values]:
    chunks = [chunk.frame.select(windows.columns) for chunk in source.chunks()]
    return {name: np.concatenate([_raw(frame[name]) for frame in chunks]) for name in windows.columns}


def _raw(series: pl.Series) -> Values:
    """Numbers as float64 with NaN, all else as Python's own objects."""
    if series.dtype.is_numeric():
        return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    values = np.empty(len(series), dtype=np.object_)
    values[:] = series.to_list()
    return values


class _Table:
    """Each window column in a file of its own, mapped: rows times windows may be more than memory holds."""

    def __init__(self, windows: Windows, values: Mapping[str, Values], *, rows: int) -> None:
        folder = tempfile.TemporaryDirectory(prefix="tradewind-windows-")
        weakref.finalize(self, folder.cleanup)
        self.columns: dict[str, NDArray[np.float64]] = {}
        for place, (name, column_N) in enumerate(of_table(windows, values)):
            path = Path(folder.name) / f"{place}.npy"
            with writing(str(path)):
                np.save(path, column_N)
            self.columns[name] = np.load(path, mmap_mode="r")
        self.names = windows.names


class _Extension:
    """Adds the columns to the chunks of one source, whose first row is number `start` of the table."""

    def __init__(self, table: _Table, moments_R: Integers, start: int, time: str) -> None:
        self._table, self._there_R, self._start, self._time = table, moments_R != NO_MOMENT, start, time

    def __call__(self, chunk: Chunk, row: int, rejects: list[Reject]) -> Chunk:
        """`row` is the number of the chunk's first row in its source."""
        end = row + chunk.frame.height
        there = self._there_R[row:end]
        columns = [
            pl.Series(name, np.array(self._table.columns[name][self._start + row : self._start + end])).fill_nan(None)
            for name in self._table.names
        ]
        frame = chunk.frame.with_columns(columns)
        if there.all():
            return Chunk(frame, chunk.lines, chunk.file)
        for place in np.flatnonzero(~there).tolist():
            text = ", ".join("" if value is None else str(value) for value in chunk.frame.row(place))[:_SHOWN]
            why = f"{self._time} says no moment, and windows go by it."
            rejects.append(Reject(chunk.file, int(chunk.lines[place]), why, "time_missing", text))
        return Chunk(frame.filter(pl.Series(there)), chunk.lines[there], chunk.file)
