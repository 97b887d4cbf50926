"""Rates of groups and how far they lie apart, on the split itself and on each resample: sums first, ratios after.

Not here: verdicts and the report's section (`fairness.py`). Definitions are those of fairlearn and AIF360: demographic parity
compares selection rates (Dwork et al. 2012), equalized odds true and false positive rates together, equal opportunity the first
of them (Hardt, Price and Srebro 2016), predictive parity precisions, calibration what was said with what was found (Chouldechova
2017; Kleinberg, Mullainathan and Raghavan 2017). With more than two classes each is held against the rest.

Legend: N rows, G groups, K classes (those asked about; 1 where a rate knows none), B bands of probability, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.intervals import resampled
from tradewind.evaluate.metrics import Floats

Codes = NDArray[np.integer[Any]]
Part = Mapping[str, Floats]  # sums by name, each [..., G, K] or [..., G, B] or [..., G, 1]

BANDS = 10
_NUMBERS = 200_000_000  # rows × resamples that are gone through at most: some seconds
_FEWEST_RESAMPLES = 50
_NOTHING = 1e-9  # a smaller sum of weights is one of no row


@dataclass(frozen=True)
class Sums:
    """`points` of the split itself and `drawn` [R, …] of its resamples, weighted; `counts` of rows, unweighted."""

    points: Part
    drawn: Part
    counts: Part
    resamples: int


def decision_sums(
    *, target_N: Codes, decided_N: Codes, score_N: Floats, hit_N: NDArray[np.bool_], group_N: Codes, groups: int, classes: int,
    weight_N: Floats | None, resamples: int, seed: int,
) -> Sums:  # fmt: skip
    """Of classes that are true and decided for. `score_N` is the probability of what came true where `hit_N`."""
    right_N = target_N == decided_N
    of_true_N, of_decided_N = group_N * classes + target_N, group_N * classes + decided_N
    band_N = group_N * BANDS + np.clip((score_N * BANDS).astype(np.int64), 0, BANDS - 1)
    per_class, per_band = (groups, classes), (groups, BANDS)
    return _sums(
        {
            "hits": _Addend(np.where(right_N, of_true_N, -1), per_class),
            "misses": _Addend(np.where(right_N, -1, of_true_N), per_class),
            "alarms": _Addend(np.where(right_N, -1, of_decided_N), per_class),
            "banded": _Addend(band_N, per_band),
            "said": _Addend(band_N, per_band, score_N),
            "came_true": _Addend(np.where(hit_N, band_N, -1), per_band),
        },
        weight_N=weight_N, resamples=resamples, seed=seed,
    )  # fmt: skip


def error_sums(
    *, true_N: Floats, value_N: Floats, group_N: Codes, groups: int, weight_N: Floats | None, resamples: int, seed: int
) -> Sums:
    """Of values that were predicted and true ones."""
    error_N = value_N - true_N
    parts = {"rows": None, "absolute": np.abs(error_N), "signed": error_N, "square": error_N**2, "predicted": value_N,
             "true": true_N}  # fmt: skip
    addends = {name: _Addend(group_N, (groups, 1), part_N) for name, part_N in parts.items()}
    return _sums(addends, weight_N=weight_N, resamples=resamples, seed=seed)


@dataclass(frozen=True)
class _Addend:
    """What is summed: `value_N` (1 by default) of each row, at `place_N` of a table of this shape, nowhere at -1."""

    place_N: Codes
    shape: tuple[int, int]
    value_N: Floats | None = None


def _sums(addends: Mapping[str, _Addend], *, weight_N: Floats | None, resamples: int, seed: int) -> Sums:
    """Each row is gone through once a resample, whatever the number of groups and classes."""
    rows = len(next(iter(addends.values())).place_N)
    resamples = min(resamples, max(_FEWEST_RESAMPLES, _NUMBERS // max(rows, 1))) if rows else 0
    once_N = np.ones(rows)
    adders = {name: _adder(one) for name, one in addends.items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in addends}
    for weights_rN in resampled(rows, resamples=resamples, seed=seed, weight_N=weight_N):
        for name, add in adders.items():
            drawn[name].append(add(weights_rN))
    empty = {name: np.zeros((0, *one.shape)) for name, one in addends.items()}
    counted = {name: _adder(_Addend(one.place_N, one.shape)) for name, one in addends.items()}
    return Sums(
        points={name: add((once_N if weight_N is None else weight_N)[None])[0] for name, add in adders.items()},
        drawn={name: np.concatenate(parts) if parts else empty[name] for name, parts in drawn.items()},
        counts={name: add(once_N[None])[0] for name, add in counted.items()},
        resamples=resamples,
    )


def _adder(addend: _Addend) -> Callable[[Floats], Floats]:
    """Weights [r, N] → sums [r, …]: rows are sorted by place once, then runs of them are added."""
    order = np.argsort(addend.place_N, kind="stable")
    order = order[np.searchsorted(addend.place_N[order], 0) :]
    places, starts = np.unique(addend.place_N[order], return_index=True)
    value = None if addend.value_N is None else addend.value_N[order]

    def add(weights_rN: Floats) -> Floats:
        table = np.zeros((len(weights_rN), addend.shape[0] * addend.shape[1]))
        if len(order):
            sorted_rn = weights_rN[:, order]
            table[:, places] = np.add.reduceat(sorted_rn if value is None else sorted_rn * value, starts, axis=1)
        return table.reshape(-1, *addend.shape)

    return add


# ---------------------------------------------------------------- rates


def _all(sums: Part) -> Floats:
    found: Floats = (sums["hits"] + sums["misses"]).sum(axis=-1, keepdims=True)
    return found


def _total(values: Floats) -> Floats:
    found: Floats = values.sum(axis=-1, keepdims=True)
    return found


# rate → what is above the line and, counted in rows, below it
RATES: Mapping[str, Callable[[Part], tuple[Floats, Floats]]] = {
    "selection_rate": lambda s: (s["hits"] + s["alarms"], _all(s)),
    "true_positive_rate": lambda s: (s["hits"], s["hits"] + s["misses"]),
    "false_positive_rate": lambda s: (s["alarms"], _all(s) - s["hits"] - s["misses"]),
    "precision": lambda s: (s["hits"], s["hits"] + s["alarms"]),
    "base_rate": lambda s: (s["hits"] + s["misses"], _all(s)),
    "accuracy": lambda s: (_total(s["hits"]), _all(s)),
    "calibration_bias": lambda s: (_total(s["said"] - s["came_true"]), _total(s["banded"])),
    "ece": lambda s: (_total(np.abs(s["said"] - s["came_true"])), _total(s["banded"])),
}
ERROR_RATES: Mapping[str, Callable[[Part], tuple[Floats, Floats]]] = {
    "mae": lambda s: (s["absolute"], s["rows"]),
    "rmse": lambda s: (s["square"], s["rows"]),
    "bias": lambda s: (s["signed"], s["rows"]),
    "mean_predicted": lambda s: (s["predicted"], s["rows"]),
    "mean_true": lambda s: (s["true"], s["rows"]),
}


@dataclass(frozen=True)
class Rate:
    """`point` [G, K], on the resamples `drawn` [R, G, K], and the rows `behind` it [G, K]. NaN over nothing."""

    point: Floats
    drawn: Floats
    behind: Floats


def rate(sums: Sums, name: str, asked: Sequence[int] = ()) -> Rate:
    """Of every group, for the classes `asked` (all by default). A rate that knows no class has K = 1."""
    formula = {**RATES, **ERROR_RATES}[name]
    behind = formula(sums.counts)[1]
    point, drawn = (_divided(*formula(part), behind) for part in (sums.points, sums.drawn))
    if name == "rmse":
        point, drawn = np.sqrt(point), np.sqrt(drawn)
    found = Rate(point, drawn, np.broadcast_to(behind, point.shape))
    if not asked or point.shape[-1] == 1:
        return found
    at = list(asked)
    return Rate(found.point[..., at], found.drawn[..., at], found.behind[..., at])


def _divided(above: Floats, below: Floats, behind: Floats) -> Floats:
    """A difference of weighted sums leaves dust where no row is: the count of rows says whether there is anything."""
    below = np.broadcast_to(below, above.shape)
    there = (below > _NOTHING) & (behind > 0)
    found: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=there)
    return found


# ---------------------------------------------------------------- gaps


@dataclass(frozen=True)
class Gap:
    """How far the groups lie apart in one rate or several: `together` says whether the worst of these counts, or their
    mean. A ratio is the smallest rate over the largest."""

    how: str
    rates: tuple[str, ...]
    ratio: bool = False
    together: Literal["worst", "mean"] = "worst"


_ODDS = ("true_positive_rate", "false_positive_rate")
GAPS: Mapping[str, Gap] = {
    "demographic_parity_difference": Gap("largest selection rate minus smallest", ("selection_rate",)),
    "demographic_parity_ratio": Gap("smallest selection rate over largest", ("selection_rate",), ratio=True),
    "equalized_odds_difference": Gap("largest minus smallest true or false positive rate, the larger of both", _ODDS),
    "equalized_odds_ratio": Gap("smallest over largest true or false positive rate, the smaller of both", _ODDS, ratio=True),
    "average_odds_difference": Gap("largest minus smallest true and false positive rate, mean of both", _ODDS, together="mean"),
    "equal_opportunity_difference": Gap("largest true positive rate minus smallest", ("true_positive_rate",)),
    "predictive_parity_difference": Gap("largest precision minus smallest", ("precision",)),
    "calibration_difference": Gap("largest minus smallest distance of probability and outcome", ("calibration_bias",)),
    "accuracy_difference": Gap("largest accuracy minus smallest", ("accuracy",)),
}  # fmt: skip
ERROR_GAPS: Mapping[str, Gap] = {
    "mae_difference": Gap("largest mean absolute error minus smallest", ("mae",)),
    "mae_ratio": Gap("smallest mean absolute error over largest", ("mae",), ratio=True),
    "rmse_difference": Gap("largest root of the mean square error minus smallest", ("rmse",)),
    "bias_difference": Gap("largest mean of predicted minus true minus smallest", ("bias",)),
}


@dataclass(frozen=True)
class Spread:
    """A gap of the worst class: `point` and its resamples [R]; in which rate it lies, at which place of the classes asked
    about, and the groups at its ends with their rates."""

    point: float
    drawn: Floats
    rate: str
    of: int
    low_group: int
    high_group: int
    low: float
    high: float


@dataclass(frozen=True)
class Apart:
    """The spread, None where no class has two groups with enough rows; the groups left out with the rows they have; and
    whether a class was left without an answer."""

    spread: Spread | None
    few: Mapping[int, int]
    whole: bool


def apart(sums: Sums, gap: Gap, *, asked: Sequence[int] = (), least: int) -> Apart:
    """Over the groups that have at least `least` rows behind each rate."""
    parts = [(name, _ends(rate(sums, name, asked), gap.ratio, least)) for name in gap.rates]
    few: dict[int, int] = {}
    for _, part in parts:
        for group, rows in part.few.items():
            few[group] = min(rows, few.get(group, rows))
    points, drawns = np.stack([part.point for _, part in parts]), np.stack([part.drawn for _, part in parts])
    worst = np.min if gap.ratio else np.max
    merge: Callable[..., Any] = np.mean if gap.together == "mean" else worst
    point_K, drawn_RK = merge(points, axis=0), merge(drawns, axis=0)
    known = np.flatnonzero(~np.isnan(point_K))
    if not len(known):
        return Apart(None, few, whole=False)
    pick, over = (np.argmin, np.fmin) if gap.ratio else (np.argmax, np.fmax)
    of = int(known[pick(point_K[known])])
    name, part = parts[int(pick(points[:, of]))]
    low, high = int(part.low_group[of]), int(part.high_group[of])
    ends = float(part.rates[low, of]), float(part.rates[high, of])
    drawn_R = over.reduce(drawn_RK[:, known], axis=1)
    spread = Spread(float(point_K[of]), drawn_R, name, of, low, high, *ends)
    return Apart(spread, few, whole=len(known) == len(point_K))


@dataclass(frozen=True)
class _Ends:
    """By class: the difference or ratio `point` [K] and `drawn` [R, K], and the groups at its ends [K]."""

    rates: Floats
    point: Floats
    drawn: Floats
    low_group: NDArray[np.intp]
    high_group: NDArray[np.intp]
    few: Mapping[int, int]


def _ends(found: Rate, ratio: bool, least: int) -> _Ends:
    enough = found.behind >= least
    low, high = np.where(enough, found.point, np.inf), np.where(enough, found.point, -np.inf)
    enough_K = enough.sum(axis=0) >= 2
    point = np.where(enough_K, _distance(low.min(axis=0), high.max(axis=0), ratio), np.nan)
    drawn = _distance(
        np.where(enough, found.drawn, np.inf).min(axis=1), np.where(enough, found.drawn, -np.inf).max(axis=1), ratio
    )
    lacking = np.flatnonzero(~enough.all(axis=1))
    few = {int(group): int(found.behind[group].min()) for group in lacking}
    return _Ends(found.point, point, np.where(enough_K, drawn, np.nan), low.argmin(axis=0), high.argmax(axis=0), few)


def _distance(low: Floats, high: Floats, ratio: bool) -> Floats:
    """Rates that are all 0 are alike: their ratio is 1."""
    if not ratio:
        return np.asarray(high - low)
    return np.divide(low, high, out=np.where(low == high, 1.0, np.nan), where=(high > 0) & np.isfinite(high))
