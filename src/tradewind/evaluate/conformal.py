"""Conformal quantiles from rows that the model had not learnt from, and what they leave open on other rows.

Not here: figures over them (`uncertainty.py`), the same rule beside a served answer (`engines/conformal.py`), which reads
the state that this file writes.

Legend: n rows to fit on, N rows asked about, K classes, E edges between E + 1 bins of predicted values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import rounded

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int64]

# A class, or a bin of values, gets quantiles of its own from so many rows on: they then overshoot by less than a point.
OWN = 100
_MOST_BINS = 10
_DIGITS = 6  # probabilities of two machines differ further behind


@dataclass(frozen=True)
class SetRule:
    """A class is in the set of a row when its probability reaches `thresholds` [K]; None: it always is.

    `by_class` says that each threshold was found on the rows of its own class, so that the promise holds for each class.
    """

    promise: float
    thresholds: tuple[float | None, ...]
    by_class: bool
    rows: int

    def held(self, probabilities_NK: Floats) -> NDArray[np.bool_]:
        """Which classes the sets hold, [N, K]."""
        found: NDArray[np.bool_] = probabilities_NK >= np.array(
            [-np.inf if one is None else one for one in self.thresholds]
        )
        return found

    def state(self) -> dict[str, Any]:
        return {"promise": self.promise, "thresholds": list(self.thresholds)}


@dataclass(frozen=True)
class IntervalRule:
    """The interval of a row is its predicted value plus `low` and `high` of the bin that the value falls into."""

    promise: float
    edges: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    rows: int

    def ends(self, values_N: Floats) -> tuple[Floats, Floats]:
        """Lower and upper ends [N]; infinite where an end is open."""
        bins_N = np.searchsorted(np.asarray(self.edges), values_N, side="right")
        low = np.array([-np.inf if one is None else one for one in self.low])
        high = np.array([np.inf if one is None else one for one in self.high])
        return values_N + low[bins_N], values_N + high[bins_N]

    def state(self) -> dict[str, Any]:
        return {
            "promise": self.promise,
            "edges": list(self.edges),
            "low": list(self.low),
            "high": list(self.high),
        }


def quantile(scores_n: Floats, share: float) -> float:
    """The ceil((n + 1) share)-th smallest score; infinity where so many are not there.

    A further score from the same source is at most this one with probability `share` or a little more, whatever the
    source (Vovk, Gammerman, Shafer 2005; Papadopoulos et al. 2002).
    """
    at = math.ceil((len(scores_n) + 1) * share - 1e-9)
    return math.inf if at > len(scores_n) else float(np.partition(scores_n, at - 1)[at - 1])


def fit_sets(target_n: Codes, probabilities_nK: Floats, *, promise: float) -> SetRule:
    """Thresholds so that the truth is in the set for the share `promise` of rows.

    The least ambiguous sets of Sadinle, Lei and Wasserman (2019): a class is in when 1 - p is at most the quantile of
    1 - p of the true class, each class by its own rows where all have `OWN` of them (label-conditional), else by all rows
    together. Deterministic; the smallest sets on average. A model that is right more often than was promised leaves
    some sets empty: no class of such a row is likely enough.
    """
    own_n = 1 - probabilities_nK[np.arange(len(target_n)), target_n]
    kinds = probabilities_nK.shape[1]
    by_class = bool((np.bincount(target_n, minlength=kinds) >= OWN).all())
    parts = [own_n[target_n == kind] for kind in range(kinds)] if by_class else [own_n] * kinds
    thresholds = tuple(_threshold(quantile(part, promise)) for part in parts)
    return SetRule(promise, thresholds, by_class, len(target_n))


def _threshold(score: float) -> float | None:
    """Rounded down, so that a row on the edge stays in on every machine."""
    scale = 10**_DIGITS
    return None if math.isinf(score) else math.floor((1 - score) * scale) / scale


def fit_intervals(target_n: Floats, values_n: Floats, *, promise: float) -> IntervalRule:
    """Ends so that the truth lies between them for the share `promise` of rows, each tail with half of the rest.

    Split conformal over signed errors, by bins of the predicted value with at least `OWN` rows each (Mondrian regressors,
    Boström and Johansson 2020): where errors grow with the value, so do the intervals.
    """
    bins = max(1, min(_MOST_BINS, len(values_n) // OWN))
    cuts = np.quantile(values_n, np.arange(1, bins) / bins) if bins > 1 else np.zeros(0)
    edges = tuple(sorted({rounded(float(cut)) or 0.0 for cut in cuts}))
    place_n = np.searchsorted(np.asarray(edges), values_n, side="right")
    error_n, each = target_n - values_n, (1 + promise) / 2
    parts = [error_n[place_n == at] for at in range(len(edges) + 1)]
    return IntervalRule(
        promise,
        edges,
        low=tuple(_end(-quantile(-part, each)) for part in parts),
        high=tuple(_end(quantile(part, each)) for part in parts),
        rows=len(target_n),
    )


def _end(distance: float) -> float | None:
    return None if math.isinf(distance) else rounded(distance)


def by_chance(*, fitted: int, tested: int, promise: float) -> float:
    """How far, 19 times in 20, the coverage that a test shows lies from the promise when all is as it should be.

    Given the rows it was fitted on, coverage is a draw of a beta distribution (Vovk 2012); what a test shows of it is
    binomial. A normal distribution with the variance of both.
    """
    variance = promise * (1 - promise) * (1 / (fitted + 2) + 1 / max(1, tested))
    return NormalDist().inv_cdf(0.975) * math.sqrt(variance)
