"""Windows over events: what an entity did before this moment (sums, counts, means …), by one rule for a table and a stream.

Not here: where events lie while a server runs (`server/event_log.py`), which rows a table has (`data/windows.py`).

A row sees the events of its entity with moment in [t - over, t): strictly before it, so neither itself nor what happened in
the same millisecond. That is a function of a set of events, so neither the order of arrival nor the cut into batches has a
say. Amounts are whole numbers of 10^-decimals, so a sum is exact whatever the order of its terms; each figure is then one
and the same expression of exact integers, with IEEE operations that are correctly rounded, in `of_table` and in
`WindowState.of`: a table's column and a stream's are equal bit for bit.

Legend: N rows in order of arrival; sorted by entity and moment, row n sees the places lo_N[n] … hi_N[n] - 1.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import nan, sqrt
from typing import Any, Literal, Self, get_args

from tradewind.errors import DataError
from tradewind.features.category import category_key
from tradewind.features.date import to_moment
from tradewind.features.number import to_number
from tradewind.features.window_sliding import Distinct, Extremes

Measure = Literal["count", "sum", "mean", "min", "max", "std", "last", "ratio", "distinct", "since"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
LARGEST = (
    1 << 53
)  # of an amount or a moment in its smallest unit: from here on float64 does not hold every whole number
_SEPARATOR = "\x1f"  # between the parts of an entity that is named by several columns
_TRIMMED_LEAST = 32  # events that are dropped at once, so that dropping costs nothing an event


@dataclass(frozen=True)
class Window:
    """One column: `measure` of the column `of` (None: of the events themselves) over the `over_ms` before a row.

    `ratio` is the row's own amount over the mean of the window; `since` the seconds since the last event in it.
    """

    name: str
    by: tuple[str, ...]
    over_ms: int
    measure: Measure
    of: str | None = None


@dataclass(frozen=True)
class Event:
    """One event as windows see it: entities in the order of `Windows.groups`, amounts in smallest units in that of
    `Windows.amounts`, words in that of `Windows.words`. None is missing."""

    moment_ms: int
    keys: tuple[str | None, ...]
    amounts: tuple[int | None, ...] = ()
    words: tuple[str | None, ...] = ()
    id: str | None = None


@dataclass(frozen=True)
class Windows:
    """All windows of a product. `missing` are further words for a missing value; an event that is more than `late_ms` behind
    the newest one no longer takes its place. `unit_ms` is set where time is a plain number of such units, else it is a date."""

    time: str
    windows: tuple[Window, ...]
    unit_ms: int | None = None
    decimals: int = 4
    late_ms: int = 3_600_000
    id: str | None = None
    missing: tuple[str, ...] = ()

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        return tuple(dict.fromkeys(window.by for window in self.windows))

    @cached_property
    def amounts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(w.of for w in self.windows if w.of is not None and w.measure != "distinct"))

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(w.of for w in self.windows if w.of is not None and w.measure == "distinct"))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(window.name for window in self.windows)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column of the source that is read."""
        keys = [name for group in self.groups for name in group]
        own = [self.id] if self.id is not None else []
        return tuple(dict.fromkeys([self.time, *keys, *self.amounts, *self.words, *own]))

    @cached_property
    def scale(self) -> int:
        scale: int = 10**self.decimals
        return scale

    @cached_property
    def horizon_ms(self) -> int:
        return max(window.over_ms for window in self.windows)

    def state(self) -> dict[str, Any]:
        return {
            "time": self.time, "unit_ms": self.unit_ms, "decimals": self.decimals, "late_ms": self.late_ms, "id": self.id, "missing": list(self.missing),
            "windows": [
                {"name": w.name, "by": list(w.by), "over_ms": w.over_ms, "measure": w.measure, "of": w.of} for w in self.windows
            ],
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        windows = tuple(Window(**{**one, "by": tuple(one["by"])}) for one in state["windows"])
        return cls(**{**state, "windows": windows, "missing": tuple(state["missing"])})

    # ------------------------------------------------------------ one raw value, the same for a table and a stream

    def key(self, value: object) -> str | None:
        """The word of an entity, or of what is counted as distinct."""
        word = category_key(value)
        return None if word in self.missing else word

    def amount(self, value: object) -> int | None:
        """In smallest units, rounded half to even; None for what is no number or beyond float64's whole numbers."""
        scaled = to_number(value) * self.scale
        return round(scaled) if -LARGEST < scaled < LARGEST else None

    def moment_ms(self, value: object) -> int | None:
        """Milliseconds since 1970, or since the number's own beginning; None for no moment."""
        moment_ms = to_moment(value) * 1000 if self.unit_ms is None else to_number(value) * self.unit_ms
        return round(moment_ms) if -LARGEST < moment_ms < LARGEST else None

    def event(self, row: Mapping[str, object]) -> Event:
        """The event of a raw row. Raises DataError time_missing."""
        moment_ms = self.moment_ms(row.get(self.time))
        if moment_ms is None:
            raise DataError(
                f"{self.time} says no moment.", code="time_missing", where=self.time, hint="Send it as in 2026-01-05T14:30:00Z."
            )  # fmt: skip
        return Event(
            moment_ms,
            tuple(joined([self.key(row.get(name)) for name in group]) for group in self.groups),
            tuple(self.amount(row.get(name)) for name in self.amounts),
            tuple(self.key(row.get(name)) for name in self.words),
            category_key(row.get(self.id)) if self.id is not None else None,
        )


def joined(parts: Sequence[str | None]) -> str | None:
    """The name of an entity from its parts; None where one is missing."""
    return None if None in parts else _SEPARATOR.join(part for part in parts if part is not None)


# ---------------------------------------------------------------- the figures, from exact integers


def mean_of(total: int, count: int, scale: int) -> float:
    return float(total) / float(count * scale)


def std_of(total: int, squares: int, count: int, scale: int) -> float:
    """Of the population. Python divides integers of any size with one rounding."""
    return sqrt((count * squares - total * total) / (count * count * scale * scale))


def ratio_of(amount: int, total: int, count: int) -> float:
    return float(amount) * float(count) / float(total)


# ---------------------------------------------------------------- a stream


@dataclass
class _Amounts:
    """One amount of one entity: its values, and over all values before each place their number, sum and sum of squares."""

    values: list[int | None] = field(default_factory=list)
    count: list[int] = field(default_factory=lambda: [0])
    total: list[int] = field(default_factory=lambda: [0])
    squares: list[int] = field(default_factory=lambda: [0])

    def put(self, place: int, amount: int | None) -> None:
        self.values.insert(place, amount)
        later = self.values[place:]
        del self.count[place + 1 :], self.total[place + 1 :], self.squares[place + 1 :]
        for value in later:
            there = value is not None
            value = value or 0
            self.count.append(self.count[-1] + there)
            self.total.append(self.total[-1] + value)
            self.squares.append(self.squares[-1] + value * value)

    def drop(self, first: int) -> None:
        for one in (self.values, self.count, self.total, self.squares):
            del one[:first]


@dataclass
class _Trail:
    """What one entity did, by moment. `first` is the place of the first event that is still here; `sliding` what least,
    largest and distinct have in hand, by window, until an event takes a place before others."""

    moments: list[int]
    amounts: tuple[_Amounts, ...]
    words: tuple[list[str | None], ...]
    first: int = 0
    sliding: dict[str, Extremes | Distinct] = field(default_factory=dict)


class WindowState:
    """The events of a stream, as far back as a window reaches; gives the windows of a row and takes events.

    Events may come in any order: one takes its place by its own moment, and rows after it see it. One that is more than
    `late_ms` behind the newest, or whose id is known, is not taken.
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.newest_ms: int | None = None
        self.events = 0  # taken so far
        self._kept_ms = windows.horizon_ms + windows.late_ms
        self._trails: tuple[dict[str, _Trail], ...] = tuple({} for _ in windows.groups)
        self._ids: dict[str, int] = {}
        amounts = {name: place for place, name in enumerate(windows.amounts)}
        words = {name: place for place, name in enumerate(windows.words)}
        self._plan = [
            (
                place,
                window,
                words[window.of or ""] if window.measure == "distinct" else amounts.get(window.of or "", -1),
            )
            for place, group in enumerate(windows.groups)
            for window in windows.windows
            if window.by == group
        ]

    def __len__(self) -> int:
        """Entities that are remembered."""
        return sum(map(len, self._trails))

    def of(self, event: Event) -> dict[str, float]:
        """Every window as this event sees it, by name; NaN where there is nothing to tell."""
        found: dict[str, float] = dict.fromkeys(self.windows.names, nan)
        scale, moment = self.windows.scale, event.moment_ms
        for group, window, at in self._plan:
            key = event.keys[group]
            if key is None:
                continue
            trail = self._trails[group].get(key)
            own = event.amounts[at] if window.measure == "ratio" else None
            found[window.name] = _measure(window, trail, at, moment, own, scale)
        return found

    def takes(self, event: Event) -> bool:
        """Whether an event is neither known nor too late."""
        late = self.newest_ms is not None and event.moment_ms < self.newest_ms - self.windows.late_ms
        return not late and (event.id is None or event.id not in self._ids)

    def take(self, event: Event) -> bool:
        """Appends an event that `takes` says yes to; tells whether it did."""
        moment = event.moment_ms
        if not self.takes(event):
            return False
        self.newest_ms = moment if self.newest_ms is None else max(self.newest_ms, moment)
        self.events += 1
        if event.id is not None:
            self._ids[event.id] = moment
        for trails, key in zip(self._trails, event.keys, strict=True):
            if key is not None:
                self._append(trails, key, event)
        return True

    def forget(self) -> None:
        """Drops entities and ids that no window can reach any more."""
        if self.newest_ms is None:
            return
        oldest = self.newest_ms - self._kept_ms
        for trails in self._trails:
            for key in [key for key, trail in trails.items() if trail.moments[-1] < oldest]:
                del trails[key]
        for name in [name for name, moment in self._ids.items() if moment < oldest]:
            del self._ids[name]

    def kept(self, event: Event) -> bool:
        """Whether some window may still reach it."""
        return self.newest_ms is None or event.moment_ms >= self.newest_ms - self._kept_ms

    def _append(self, trails: dict[str, _Trail], key: str, event: Event) -> None:
        trail = trails.get(key)
        if trail is None:
            trail = trails[key] = _Trail([], tuple(_Amounts() for _ in event.amounts), tuple([] for _ in event.words))
        place = bisect_right(trail.moments, event.moment_ms)
        if place < len(trail.moments):
            trail.sliding.clear()
        trail.moments.insert(place, event.moment_ms)
        for amounts, amount in zip(trail.amounts, event.amounts, strict=True):
            amounts.put(place, amount)
        for words, word in zip(trail.words, event.words, strict=True):
            words.insert(place, word)
        assert self.newest_ms is not None
        if trail.moments[0] < self.newest_ms - self._kept_ms:
            over = bisect_left(trail.moments, self.newest_ms - self._kept_ms)
            if over >= _TRIMMED_LEAST and 2 * over >= len(trail.moments):
                del trail.moments[:over]
                for words in trail.words:
                    del words[:over]
                for amounts in trail.amounts:
                    amounts.drop(over)
                trail.first += over


def _measure(window: Window, trail: _Trail | None, at: int, moment: int, own: int | None, scale: int) -> float:
    measure = window.measure
    if trail is None:
        return 0.0 if measure in ("count", "sum", "distinct") else nan
    lo, hi = bisect_left(trail.moments, moment - window.over_ms), bisect_left(trail.moments, moment)
    if measure == "count":
        return float(hi - lo)
    if measure == "since":
        return (moment - trail.moments[hi - 1]) / 1000.0 if hi > lo else nan
    if measure in ("distinct", "min", "max"):
        return _slid(window, trail, at, lo, hi, scale)
    amounts = trail.amounts[at]
    if measure == "last":
        last = amounts.values[hi - 1] if hi > lo else None
        return nan if last is None else float(last) / float(scale)
    total, count = amounts.total[hi] - amounts.total[lo], amounts.count[hi] - amounts.count[lo]
    if measure == "sum":
        return float(total) / float(scale)
    if not count:
        return nan
    if measure == "mean":
        return mean_of(total, count, scale)
    if measure == "ratio":
        return ratio_of(own, total, count) if own is not None and total else nan
    assert measure == "std", measure
    return std_of(total, amounts.squares[hi] - amounts.squares[lo], count, scale)


def _slid(window: Window, trail: _Trail, at: int, lo: int, hi: int, scale: int) -> float:
    first, sliding = trail.first, trail.sliding.get(window.name)
    if window.measure == "distinct":
        if not isinstance(sliding, Distinct):
            sliding = trail.sliding[window.name] = Distinct()
        return float(sliding.of(trail.words[at], first, lo + first, hi + first))
    if not isinstance(sliding, Extremes):
        sliding = trail.sliding[window.name] = Extremes(1 if window.measure == "max" else -1)
    best = sliding.of(trail.amounts[at].values, first, lo + first, hi + first)
    return nan if best is None else float(best) / float(scale)


def streamed(windows: Windows, rows: Iterator[Mapping[str, object]]) -> Iterator[dict[str, float]]:
    """The windows of each row of a stream: asked first, then taken."""
    state = WindowState(windows)
    for row in rows:
        event = windows.event(row)
        yield state.of(event)
        state.take(event)
