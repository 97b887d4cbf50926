"""Slices: the same figures for parts of a split, so that a good average hides no bad corner.

Not here: fairness between sensitive groups, which compares rates and has gates of its own (`fairness.py`).

Legend: N rows. Each sliced column is turned into one label per row first; only labels are stored with the predictions,
so a slice can be recomputed without the raw value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import rounded
from tradewind.evaluate.intervals import Draws, bootstrap, bounds
from tradewind.evaluate.metrics import SMALLER_IS_BETTER, Floats, Measure

BANDS = 4
FEWEST_ROWS = 30
WORST = 10
_MOST_VALUES = 20
MISSING = "(missing)"
OTHERS = "(others)"


@dataclass(frozen=True)
class Slice:
    """Figures of the rows where `column` is `value`. `gap` is the primary figure's distance from the whole split,
    negative for worse; `low` and `high` bound the primary figure and stand on the worst slices only."""

    column: str
    value: str
    rows: int
    figures: Mapping[str, float | None]
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    clear: bool | None = None  # the interval lies wholly on the worse side of the whole split's figure


@dataclass(frozen=True)
class Slices:
    columns: tuple[str, ...]
    names: tuple[str, ...]  # figures, the primary one first
    every: tuple[Slice, ...]
    worst: tuple[Slice, ...]
    left_out: Mapping[str, str]  # column → why it has no slices


def labels_of(values_N: NDArray[Any]) -> NDArray[Any] | str:
    """One label per row: a value of its own for few distinct values, quantile bands for many numbers; or why not."""
    missing = np.array([value is None or value != value for value in values_N], dtype=bool)
    known = values_N[~missing]
    if len(known) == 0:
        return "every value is missing"
    if any(isinstance(value, (bytes, bytearray, list, tuple)) for value in known[:100]):
        return "its values are files or lists"
    numbers = _as_numbers(known)
    keys = np.array([_key(value) for value in known], dtype=object)
    distinct = np.unique(keys.astype(str))
    labels = np.full(len(values_N), MISSING, dtype=object)
    if numbers is not None and len(distinct) > _MOST_VALUES // 2:
        labels[~missing] = _bands(numbers)
    elif len(distinct) <= _MOST_VALUES:
        labels[~missing] = keys
    else:
        values, counts = np.unique(keys.astype(str), return_counts=True)
        if counts.mean() < 2 or np.mean([len(str(value)) for value in values[:100]]) > 60:
            return "nearly every row has a value of its own"
        order = np.lexsort((values, -counts))[: _MOST_VALUES - 1]
        kept = set(values[order].tolist())
        labels[~missing] = np.array([key if key in kept else OTHERS for key in keys], dtype=object)
    return labels


def _as_numbers(values: NDArray[Any]) -> Floats | None:
    if any(isinstance(value, (bool, np.bool_)) for value in values[:1]):
        return None
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if bool(np.isfinite(numbers).all()) else None


def _key(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _bands(numbers: Floats) -> NDArray[Any]:
    """Labels of quantile bands, such as '28 to 37', or '0' where a band is one value; a heavy value leaves fewer than four."""
    inner = np.unique(np.quantile(numbers, np.arange(1, BANDS) / BANDS, method="higher"))
    above = numbers[numbers > numbers.min()]
    # A band starts above the smallest value, so that a column of mostly zeros still has the rest apart.
    inner = np.unique(np.maximum(inner, above.min())) if len(above) else inner[:0]
    place = np.searchsorted(inner, numbers, side="right")
    names = []
    for at in range(len(inner) + 1):
        within = numbers[place == at]
        low, high = (_short(end) for end in (within.min(), within.max()))
        names.append(low if low == high else f"{low} to {high}")
    return np.array(names, dtype=object)[place]


def _short(number: float) -> str:
    return f"{number:.10g}" if float(number).is_integer() else f"{number:.4g}"


def slice_split(
    labels: Mapping[str, NDArray[Any]],
    measure_of: Callable[[NDArray[np.int64]], Measure],
    whole: Draws,
    *,
    primary: str,
    names: Sequence[str],
    weight_N: Floats | None,
    resamples: int,
    seed: int,
    left_out: Mapping[str, str],
) -> Slices:
    """Figures per label of each column; the ten worst of at least 30 rows by `primary`, with intervals.

    `measure_of` makes the measure of the rows at the given places; `whole` is the whole split.
    """
    every: list[Slice] = []
    places: dict[tuple[str, str], NDArray[np.int64]] = {}
    sign = -1.0 if primary in SMALLER_IS_BETTER else 1.0
    overall = whole.points[primary]
    for column, values in labels.items():
        text = values.astype(str)
        for value in _in_order(text):
            rows = np.flatnonzero(text == value)
            places[column, value] = rows
            weight = np.ones(len(rows)) if weight_N is None else weight_N[rows]
            found = measure_of(rows)(weight[None, :])
            point = float(found[primary][0])
            gap = None if np.isnan(point) else rounded(sign * (point - overall))
            figures = {name: rounded(float(found[name][0])) for name in names}
            every.append(Slice(column, value, len(rows), figures, gap))
    ranked = sorted(
        (one for one in every if one.gap is not None and one.gap < 0 and one.rows >= FEWEST_ROWS),
        key=lambda one: (one.gap, one.column, one.value),
    )
    worst = []
    for one in ranked[:WORST]:
        rows = places[one.column, one.value]
        own_weight = None if weight_N is None else weight_N[rows]
        drawn = bootstrap({"m": measure_of(rows)}, rows=len(rows), resamples=resamples, seed=seed, weight_N=own_weight)
        draws = drawn["m"]
        low, high, _ = bounds(draws.resampled[primary], draws.points[primary])
        clear = None
        if low is not None and high is not None:
            clear = low > overall if sign < 0 else high < overall
        worst.append(Slice(one.column, one.value, one.rows, one.figures, one.gap, rounded(low), rounded(high), clear))
    return Slices(tuple(labels), tuple(names), tuple(every), tuple(worst), dict(left_out))


def _in_order(text: NDArray[Any]) -> list[str]:
    """Distinct labels: bands by their lower end, numbers by size, words by alphabet, specials last."""

    def place(value: str) -> tuple[int, float, str]:
        if value in (MISSING, OTHERS):
            return 2, 0.0, value
        try:
            return 0, float(value.split(" to ")[0]), value
        except ValueError:
            return 1, 0.0, value

    return sorted(np.unique(text).tolist(), key=place)
