"""Figures of quality in NumPy: one call gives every figure for every row of a matrix of weights.

Not here: which weights the bootstrap draws (`intervals.py`), or what a figure looks like in a report (`figures.py`).

Legend: N rows, K classes, R sets of row weights (1 for the figure itself, many for its interval), G groups of tied
scores. A figure that is undefined for a set of weights is NaN in here, and absent with a reason in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

BINARY = (
    "roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1", "precision_macro", "recall_macro", "f1_macro",
    "f1_micro", "f1_weighted", "log_loss", "brier", "ece",
)  # fmt: skip
MULTICLASS = tuple(name for name in BINARY if name not in ("precision", "recall", "f1"))
REGRESSION = ("rmse", "mae", "mse", "r2")
RANKING = ("roc_auc", "pr_auc")
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "mse", "rmse", "mae"})

ECE_BINS = 15
# scikit-learn's floor for float64 probabilities, so that a probability of 0 costs 36 and not infinity.
_SMALLEST = float(np.finfo(np.float64).eps)


class Measure(Protocol):
    """Figures of one predictor on one split, ready to be asked for many sets of row weights."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> int: ...

    def __call__(self, weights_RN: Floats, *, ranking: bool = True) -> dict[str, Floats]:
        """Each figure for each set of weights, shape [R]; without `ranking` the costly roc_auc and pr_auc are NaN."""
        ...

    def reason(self, name: str) -> str:
        """Why the figure is undefined on this split."""
        ...


# ---------------------------------------------------------------- ranking


@dataclass(frozen=True)
class Ranking:
    """Rows of one class against the rest, sorted by falling score, ties in one group.

    ROC-AUC is the Mann-Whitney statistic with ties counted half (Hanley and McNeil 1982); PR-AUC is average precision,
    the step-wise sum without interpolation (Davis and Goadrich 2006).
    """

    order_N: Codes
    starts_G: Codes
    positive_N: Floats  # 1 where the row is of the class, in sorted order
    grouped: bool

    @classmethod
    def of(cls, scores_N: Floats, positive_N: NDArray[np.bool_]) -> Ranking:
        order = np.argsort(-scores_N, kind="stable")
        ranked = scores_N[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(order) else np.zeros(0, np.int64)
        return cls(order, starts, positive_N[order].astype(np.float64), len(starts) < len(order))

    def areas(self, weights_RN: Floats) -> tuple[Floats, Floats]:
        """ROC-AUC and average precision for each set of weights, shape [R]; NaN where a side has no weight."""
        weights = weights_RN[:, self.order_N]
        positive = weights * self.positive_N
        if self.grouped:
            weights = np.add.reduceat(weights, self.starts_G, axis=1)
            positive = np.add.reduceat(positive, self.starts_G, axis=1)
        above = np.cumsum(weights, axis=1)  # weight at or above each group
        found = np.cumsum(positive, axis=1)
        positives, total = found[:, -1], above[:, -1]
        negatives = total - positives
        # Σ negatives in a group × (positives above it + half of those tied with it)
        negative = weights - positive
        won = np.einsum("rg,rg->r", negative, found) - 0.5 * np.einsum("rg,rg->r", negative, positive)
        precision = np.divide(found, above, out=np.zeros_like(found), where=above > 0)
        gained = np.einsum("rg,rg->r", precision, positive)
        return _ratio(won, positives * negatives), _ratio(gained, positives)


def _ratio(over: Floats, under: Floats, *, otherwise: float = np.nan) -> Floats:
    out: Floats = np.full(over.shape, otherwise)
    return np.divide(over, under, out=out, where=under > 0)


# ---------------------------------------------------------------- classification


@dataclass(frozen=True)
class Classification:
    """Figures of class probabilities_NK and predicted classes_N. `positive` is the positive class, None for K > 2."""

    target_N: Codes
    probabilities_NK: Floats
    predicted_N: Codes
    positive: int | None
    classes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return MULTICLASS if self.positive is None else BINARY

    @property
    def rows(self) -> int:
        return len(self.target_N)

    @cached_property
    def present(self) -> Codes:
        return np.unique(self.target_N)

    def reason(self, name: str) -> str:
        if len(self.target_N) == 0:
            return "the split has no rows"
        if name in RANKING and len(self.present) == 1:
            return f"only the class {self.classes[int(self.present[0])]} occurs in the split"
        if self.positive is not None and self.positive not in self.present:
            return f"the positive class {self.classes[self.positive]} does not occur in the split"
        return "it is undefined on this split"

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        kinds = [self.positive] if self.positive is not None else [int(kind) for kind in self.present]
        return tuple(Ranking.of(self.probabilities_NK[:, kind], self.target_N == kind) for kind in kinds)

    @cached_property
    def _per_row(self) -> Floats:
        """Columns: 1, right, log loss, Brier; shape [N, 4]."""
        rows = len(self.target_N)
        chosen = self.probabilities_NK[np.arange(rows), self.target_N]
        truth = np.zeros_like(self.probabilities_NK)
        truth[np.arange(rows), self.target_N] = 1.0
        squares = ((self.probabilities_NK - truth) ** 2).sum(axis=1)
        if self.positive is not None:  # of two classes, the square of the positive one alone (Brier 1950, halved)
            squares = (self.probabilities_NK[:, self.positive] - truth[:, self.positive]) ** 2
        loss = -np.log(np.clip(chosen, _SMALLEST, 1.0 - _SMALLEST))
        return np.stack([np.ones(rows), self.predicted_N == self.target_N, loss, squares], axis=1)

    @cached_property
    def _counts(self) -> Any:
        """Sparse [3K, N]: row k marks hits, K + k predictions and 2K + k true rows of class k."""
        rows, kinds = np.arange(len(self.target_N)), len(self.classes)
        hit = self.predicted_N == self.target_N
        place = np.r_[self.target_N[hit], kinds + self.predicted_N, 2 * kinds + self.target_N]
        return sparse.csr_matrix((np.ones(len(place)), (place, np.r_[rows[hit], rows, rows])), (3 * kinds, len(rows)))

    @cached_property
    def _gaps(self) -> Any:
        """Sparse [bins, N]: outcome minus confidence of each row in its bin."""
        confidence, outcome = confidences(self.target_N, self.probabilities_NK, self.positive)
        rows = np.arange(len(confidence))
        return sparse.csr_matrix((outcome - confidence, (bin_of(confidence), rows)), (ECE_BINS, len(rows)))

    def __call__(self, weights_RN: Floats, *, ranking: bool = True) -> dict[str, Floats]:
        figures: dict[str, Floats] = {}
        nothing = np.full(len(weights_RN), np.nan)
        if len(self.target_N) == 0:
            return dict.fromkeys(self.names, nothing)
        if ranking and len(self.present) > 1:
            areas = np.array([one.areas(weights_RN) for one in self.rankings])  # [classes, 2, R]
            figures["roc_auc"], figures["pr_auc"] = _mean_of_known(areas[:, 0]), _mean_of_known(areas[:, 1])
        else:
            figures["roc_auc"] = figures["pr_auc"] = nothing
        sums = weights_RN @ self._per_row
        total = sums[:, 0]
        figures["accuracy"] = figures["f1_micro"] = _ratio(sums[:, 1], total)
        figures["log_loss"], figures["brier"] = _ratio(sums[:, 2], total), _ratio(sums[:, 3], total)
        figures["ece"] = _ratio(np.abs(self._gaps @ weights_RN.T).sum(axis=0), total)
        figures.update(self._by_class(weights_RN))
        return {name: figures[name] for name in self.names}

    def _by_class(self, weights_RN: Floats) -> dict[str, Floats]:
        hits, claimed, true = np.split((self._counts @ weights_RN.T).T, 3, axis=1)  # each [R, K]
        # A class never predicted has precision 0, as in scikit-learn with zero_division=0.
        precision, recall = _ratio(hits, claimed, otherwise=0.0), _ratio(hits, true, otherwise=0.0)
        f1 = _ratio(2 * hits, claimed + true, otherwise=0.0)
        seen = (claimed + true) > 0
        figures = {
            f"{name}_macro": _ratio((values * seen).sum(axis=1), seen.sum(axis=1).astype(np.float64))
            for name, values in (("precision", precision), ("recall", recall), ("f1", f1))
        }
        figures["f1_weighted"] = _ratio((f1 * true).sum(axis=1), true.sum(axis=1))
        if self.positive is not None:
            known = true[:, self.positive] > 0
            for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
                figures[name] = np.where(known, values[:, self.positive], np.nan)
        return figures


def _mean_of_known(values_KR: Floats) -> Floats:
    """Mean over the classes that occur in a resample; NaN where none does."""
    known = ~np.isnan(values_KR)
    return _ratio(np.where(known, values_KR, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def confidences(target_N: Codes, probabilities_NK: Floats, positive: int | None) -> tuple[Floats, Floats]:
    """What calibration compares: of two classes the positive one's probability with its frequency, of more the
    predicted class's probability with how often it is right (Guo et al. 2017). Both shape [N]."""
    if positive is not None:
        return probabilities_NK[:, positive], (target_N == positive).astype(np.float64)
    top = probabilities_NK.argmax(axis=1)
    return probabilities_NK[np.arange(len(top)), top], (top == target_N).astype(np.float64)


def bin_of(confidence_N: Floats, bins: int = ECE_BINS) -> Codes:
    """Number of the equal-width bin of each confidence, the last one closed on the right."""
    return np.minimum((confidence_N * bins).astype(np.int64), bins - 1)


def confusion(target_N: Codes, predicted_N: Codes, kinds: int) -> Codes:
    """Rows by true class and predicted class, shape [K, K]."""
    return np.bincount(target_N * kinds + predicted_N, minlength=kinds * kinds).reshape(kinds, kinds).astype(np.int64)


# ---------------------------------------------------------------- regression


@dataclass(frozen=True)
class Regression:
    """Figures of predicted values_N in the target's own unit."""

    target_N: Floats
    values_N: Floats

    @property
    def names(self) -> tuple[str, ...]:
        return REGRESSION

    @property
    def rows(self) -> int:
        return len(self.target_N)

    def reason(self, name: str) -> str:
        if len(self.target_N) == 0:
            return "the split has no rows"
        if name == "r2" and np.ptp(self.target_N) == 0:
            return "the target has one value only in the split"
        return "it is undefined on this split"

    @cached_property
    def _per_row(self) -> Floats:
        """Columns: 1, square error, absolute error, centred target, its square; shape [N, 5]."""
        error = self.values_N - self.target_N
        # Centred first: the variance of values near 1e6 would lose half its digits.
        centred = self.target_N - self.target_N.mean()
        return np.stack([np.ones(len(error)), error**2, np.abs(error), centred, centred**2], axis=1)

    def __call__(self, weights_RN: Floats, *, ranking: bool = True) -> dict[str, Floats]:
        if len(self.target_N) == 0:
            return dict.fromkeys(self.names, np.full(len(weights_RN), np.nan))
        total, squares, absolute, first, second = (weights_RN @ self._per_row).T
        mse = _ratio(squares, total)
        spread = second - _ratio(first**2, total)
        spread = np.where(spread > 1e-12 * second, spread, 0.0)
        return {
            "rmse": np.sqrt(mse), "mae": _ratio(absolute, total), "mse": mse, "r2": 1.0 - _ratio(squares, spread),
        }  # fmt: skip


def figures_of(measure: Measure, weight_N: Floats | None = None) -> Mapping[str, float]:
    """Every figure of one predictor by name; NaN where it is undefined."""
    weights = np.ones((1, measure.rows)) if weight_N is None else weight_N[None, :]
    return {name: float(values[0]) for name, values in measure(weights).items()}
