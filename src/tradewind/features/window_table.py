"""Windows of a whole table at once, in NumPy: the same figures, bit for bit, as `windows.WindowState` gives row by row.

Not here: what a window is and why both agree (`windows.py`).

Legend: N rows in order of arrival; E events (rows with a moment and an entity), sorted by entity, moment, arrival; event e
sees the places lo_E[e] … hi_E[e] - 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.features.category import keys_of
from tradewind.features.column import Values
from tradewind.features.date import to_moments
from tradewind.features.number import to_numbers
from tradewind.features.windows import LARGEST, Window, Windows

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
NO_MOMENT = np.iinfo(np.int64).min
_NEVER = np.iinfo(np.int64).max


def moments_of(windows: Windows, values: Values) -> Integers:
    """`Windows.moment_ms` of each value, [N]; NO_MOMENT where there is none."""
    unit_ms = windows.unit_ms
    moments_N = to_moments(values) * 1000 if unit_ms is None else to_numbers(values) * unit_ms
    there_N = (moments_N > -LARGEST) & (moments_N < LARGEST)
    return np.where(there_N, np.rint(np.where(there_N, moments_N, 0.0)).astype(np.int64), NO_MOMENT)


def of_table(windows: Windows, values: Mapping[str, Values]) -> Iterator[tuple[str, Floats]]:
    """Every window of every row, a column [N] at a time with its name; NaN throughout where a row has no moment.

    `values` are the raw columns of `windows.columns`, [N] each, in order of arrival.
    """
    table = _Table(windows, values, moments_of(windows, values[windows.time]))
    for group in windows.groups:
        trails = table.trails(group)
        spans: dict[int, tuple[Integers, Integers]] = {}
        for window in windows.windows:
            if window.by == group:
                if window.over_ms not in spans:
                    spans[window.over_ms] = trails.span(window.over_ms)
                found_E = _measure(window, table, trails, *spans[window.over_ms])
                column_N = np.full(len(table.moments_N), np.nan)
                column_N[trails.rows_E] = found_E
                yield window.name, column_N


class _Table:
    """The raw columns as integers, each read once."""

    def __init__(self, windows: Windows, values: Mapping[str, Values], moments_N: Integers) -> None:
        self.windows, self.moments_N = windows, moments_N
        self._values = values
        self._codes: dict[str, Integers] = {}
        self._amounts: dict[str, tuple[Integers, NDArray[np.bool_]]] = {}

    def codes(self, name: str) -> Integers:
        """A number for each word, from 0; -1 is missing. [N]"""
        if name not in self._codes:
            known: dict[str, int] = {}
            missing = {None, *self.windows.missing}
            keys = keys_of(self._values[name])
            self._codes[name] = np.fromiter(
                (-1 if key in missing else known.setdefault(key, len(known)) for key in keys),  # type: ignore[arg-type]
                dtype=np.int64,
                count=len(keys),
            )
        return self._codes[name]

    def amounts(self, name: str) -> tuple[Integers, NDArray[np.bool_]]:
        """In smallest units, 0 where missing, and whether there is one. [N]"""
        if name not in self._amounts:
            scaled_N = to_numbers(self._values[name]) * self.windows.scale
            there_N = (scaled_N > -LARGEST) & (scaled_N < LARGEST)
            self._amounts[name] = np.rint(np.where(there_N, scaled_N, 0.0)).astype(np.int64), there_N
        return self._amounts[name]

    def trails(self, group: tuple[str, ...]) -> _Trails:
        entity_N = self.codes(group[0])
        for name in group[1:]:
            further_N = self.codes(name)
            pairs_N = entity_N * (int(further_N.max(initial=0)) + 1) + further_N
            absent = (entity_N < 0) | (further_N < 0)
            entity_N = np.where(absent, -1, np.unique(pairs_N, return_inverse=True)[1])
        rows_E = np.flatnonzero((entity_N >= 0) & (self.moments_N != NO_MOMENT))
        order = np.lexsort((self.moments_N[rows_E], entity_N[rows_E]))
        rows_E = rows_E[order]
        return _Trails(rows_E, entity_N[rows_E], self.moments_N[rows_E])


@dataclass(frozen=True)
class _Trails:
    """Events by entity and moment: the row of each, its entity and its moment."""

    rows_E: Integers
    entity_E: Integers
    moments_E: Integers

    @cached_property
    def _distinct(self) -> Integers:
        return np.unique(self.moments_E)

    @cached_property
    def _places_E(self) -> Integers:
        """Entity and moment in one number that sorts as the pair does."""
        return self._joined(np.searchsorted(self._distinct, self.moments_E))

    def _joined(self, rank_E: NDArray[Any]) -> Integers:
        places_E: Integers = self.entity_E * (len(self._distinct) + 1) + rank_E
        return places_E

    def span(self, over_ms: int) -> tuple[Integers, Integers]:
        """Places lo and hi that each event sees, [E] each."""
        first_E = self._joined(np.searchsorted(self._distinct, self.moments_E - over_ms))
        lo_E = np.searchsorted(self._places_E, first_E)
        hi_E = np.searchsorted(self._places_E, self._places_E)
        return lo_E.astype(np.int64), hi_E.astype(np.int64)


def _measure(window: Window, table: _Table, trails: _Trails, lo_E: Integers, hi_E: Integers) -> Floats:
    measure, scale = window.measure, table.windows.scale
    some_E = hi_E > lo_E
    before_E = np.where(some_E, hi_E - 1, 0)
    if measure == "count":
        return (hi_E - lo_E).astype(np.float64)
    if measure == "since":
        return np.where(some_E, (trails.moments_E - trails.moments_E[before_E]) / 1000.0, np.nan)
    assert window.of is not None
    if measure == "distinct":
        return _distinct(table.codes(window.of)[trails.rows_E], trails.entity_E, lo_E, hi_E)
    amounts_N, there_N = table.amounts(window.of)
    amounts_E, there_E = amounts_N[trails.rows_E], there_N[trails.rows_E]
    if measure == "last":
        return np.where(some_E & there_E[before_E], amounts_E[before_E] / float(scale), np.nan)
    if measure in ("min", "max"):
        return _extreme(measure, amounts_E, there_E, lo_E, hi_E) / float(scale)
    total_E, count_E = _sums(amounts_E, lo_E, hi_E), _sums(there_E.astype(np.int64), lo_E, hi_E)
    if measure == "sum":
        return total_E.astype(np.float64) / float(scale)
    known_E = count_E > 0
    ones_E = np.where(known_E, count_E, 1)
    if measure == "mean":
        return np.where(known_E, total_E.astype(np.float64) / (ones_E * scale).astype(np.float64), np.nan)
    if measure == "ratio":
        known_E &= there_E & (total_E != 0)
        divisor_E = np.where(known_E, total_E, 1).astype(np.float64)
        return np.where(known_E, amounts_E.astype(np.float64) * ones_E.astype(np.float64) / divisor_E, np.nan)
    whole_E = amounts_E.astype(object)
    squares_E = _sums(whole_E * whole_E, lo_E, hi_E).astype(object)
    big_E, many_E = total_E.astype(object), ones_E.astype(object)
    spread_E = (many_E * squares_E - big_E * big_E) / (many_E * many_E * (scale * scale))
    return np.where(known_E, np.sqrt(spread_E.astype(np.float64)), np.nan)


def _sums(terms_E: NDArray[Any], lo_E: Integers, hi_E: Integers) -> NDArray[Any]:
    """Exact sums of each span: in int64 where no sum can pass it, else in Python's own integers."""
    exact = terms_E.dtype != object and int(np.abs(terms_E).max(initial=0)) * len(terms_E) < 1 << 62
    terms_E = terms_E if exact else terms_E.astype(object)
    running = np.concatenate([np.zeros(1, dtype=terms_E.dtype), np.cumsum(terms_E)])
    found: NDArray[Any] = running[hi_E] - running[lo_E]
    return found


def _extreme(measure: str, amounts_E: Integers, there_E: NDArray[np.bool_], lo_E: Integers, hi_E: Integers) -> Floats:
    """The least or largest amount of each span: two overlapping runs of a power of two cover it (a sparse table)."""
    sign = 1 if measure == "min" else -1
    runs = np.where(there_E, sign * amounts_E, _NEVER)
    found_E = np.full(len(lo_E), _NEVER, dtype=np.int64)
    length_E = hi_E - lo_E
    step = 1
    while step <= int(length_E.max(initial=0)):
        at_E = np.flatnonzero((length_E >= step) & (length_E < 2 * step))
        found_E[at_E] = np.minimum(runs[lo_E[at_E]], runs[hi_E[at_E] - step])
        runs = np.minimum(runs[:-step], runs[step:]) if len(runs) > step else runs
        step *= 2
    return np.where(found_E == _NEVER, np.nan, (sign * np.where(found_E == _NEVER, 0, found_E)).astype(np.float64))


def _distinct(codes_E: Integers, entity_E: Integers, lo_E: Integers, hi_E: Integers) -> Floats:
    """How many words each span holds.

    A word counts at its last place j in the span: for events whose hi lies beyond j but not beyond the word's next place,
    and whose lo is not beyond j. hi_E and lo_E never fall, so these events are one run, and its two ends are summed up.
    """
    events = len(codes_E)
    places_E = np.arange(events)
    by_word = np.lexsort((places_E, codes_E, entity_E))
    alike = (entity_E[by_word][1:] == entity_E[by_word][:-1]) & (codes_E[by_word][1:] == codes_E[by_word][:-1])
    next_E = np.full(events, events, dtype=np.int64)
    next_E[by_word[:-1][alike]] = by_word[1:][alike]
    first_E = np.searchsorted(hi_E, places_E, side="right")
    last_E = np.minimum(np.searchsorted(hi_E, next_E, side="right"), np.searchsorted(lo_E, places_E, side="right"))
    held = (codes_E >= 0) & (last_E > first_E)
    change = np.bincount(first_E[held], minlength=events + 1) - np.bincount(last_E[held], minlength=events + 1)
    return np.cumsum(change)[:events].astype(np.float64)
