"""The probability from which a row counts as positive, chosen on validation.

Not here: applying it when serving (`release/`), or products of more than two classes, where the likeliest class wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError, nearest
from tradewind.evaluate.figures import rounded
from tradewind.evaluate.metrics import Codes, Floats

RARE = 0.2  # a positive class below this share is sought for its own sake, so `auto` maximises F1


@dataclass(frozen=True)
class Threshold:
    """`value`: a row is positive from this calibrated probability on. `rule` is what was maximised, or half or fixed."""

    value: float
    rule: str
    objective: float | None = None  # what the rule reached on validation
    note: str = ""


def positive_class(target_N: Codes, classes: tuple[str, ...], named: str | None) -> int | None:
    """Code of the positive class of two: the named one, else the rarer in `target_N` (ties: the second). None for more.

    Raises DataError for a name that is no class.
    """
    if len(classes) != 2:
        return None
    if named is not None:
        if named not in classes:
            raise DataError(
                f"The positive class {named} does not occur in the target. Classes: {', '.join(classes)}.",
                code="positive_unknown",
                where="evaluate.positive",
                hint=nearest(named, classes) or None,
            )
        return classes.index(named)
    counts = np.bincount(target_N[target_N >= 0], minlength=2)
    return 0 if counts[0] < counts[1] else 1


def choose(rule: str | float, positive_N: Floats, truth_N: NDArray[np.bool_], weight_N: Floats) -> Threshold:
    """Chooses among the midpoints of neighbouring scores the one that maximises `rule`; of equal ones that nearest 0.5.

    `auto` seeks F1 for a rare class, else accuracy, and there takes a cut for as good as the best while one standard
    error of the rows that the two answer differently explains its lag (the one-standard-error rule of Breiman et al.,
    Classification and Regression Trees, 1984): calibrated probabilities ask for 0.5, and the highest point over a few
    hundred rows is mostly chance.

    `rule` is auto, half, accuracy, f1, balanced_accuracy or the probability itself. `positive_N` are calibrated
    probabilities of the positive class, `truth_N` whether the row is positive.
    """
    if isinstance(rule, (int, float)):
        return Threshold(float(rule), "fixed")
    total, positives = float(weight_N.sum()), float(weight_N[truth_N].sum())
    if rule == "half":
        return Threshold(0.5, "half")
    if positives == 0 or positives == total:
        return Threshold(0.5, "half", note="validation holds only one class")
    careful = rule == "auto" and positives / total >= RARE
    if rule == "auto":
        rule = "f1" if positives / total < RARE else "accuracy"
    order = np.argsort(-positive_N, kind="stable")
    scores, weights = positive_N[order], weight_N[order]
    ends = np.r_[np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1]  # last row of each tied group
    claimed = np.r_[0.0, np.cumsum(weights)[ends]]
    hits = np.r_[0.0, np.cumsum(weights * truth_N[order])[ends]]
    cuts = np.r_[1.0, (scores[ends] + np.r_[scores[ends[:-1] + 1], 0.0]) / 2]
    cuts[0] = (1.0 + scores[0]) / 2 if scores[0] < 1 else np.nextafter(1.0, 2.0)
    values = objective(rule, hits, claimed, positives, total)
    lag = values.max() - values
    allowed = np.full(len(values), 1e-12)
    if careful:
        changed = np.abs(claimed - claimed[int(values.argmax())])
        allowed += np.sqrt(changed * total / len(scores)) / total
    best = np.flatnonzero(lag <= allowed)
    at = int(best[np.argmin(np.abs(cuts[best] - 0.5))])
    return Threshold(rounded(float(cuts[at])) or 0.0, rule, rounded(float(values[at])))


def at_share(positive_n: Floats, truth_n: NDArray[np.bool_], share: float, *, of: str) -> float:
    """The bound that keeps the `of` (sensitivity or specificity) at `share` or more of the rows, and the other one as high as
    it can be: of the sensitivity the largest such bound, of the specificity the smallest.

    A row counts as positive from the bound on. Bounds lie midway between neighbouring scores, so that a row a hair away is
    answered alike. 0.5 where there is no row to judge by.
    """
    judged_n = np.sort(positive_n[truth_n if of == "sensitivity" else ~truth_n])
    if not len(judged_n):
        return 0.5
    needed = int(np.ceil(share * len(judged_n) - 1e-9))  # rows on the right side of the bound
    edge = judged_n[len(judged_n) - needed] if of == "sensitivity" else judged_n[needed - 1]
    every_n = np.unique(positive_n)
    if of == "sensitivity":
        below_n = every_n[every_n < edge]
        return float((edge + (below_n[-1] if len(below_n) else 0.0)) / 2)
    above_n = every_n[every_n > edge]
    return float((edge + above_n[0]) / 2) if len(above_n) else float(np.nextafter(edge, np.inf))


def objective(rule: str, hits: Floats, claimed: Floats, positives: float, total: float) -> Floats:
    """The rule's figure for each cut, from weights of hits and of rows claimed positive."""
    if rule == "f1":
        return np.asarray(2 * hits / (claimed + positives))
    rejected = (total - positives) - (claimed - hits)  # true negatives
    if rule == "accuracy":
        return (hits + rejected) / total
    assert rule == "balanced_accuracy", rule
    return (hits / positives + rejected / (total - positives)) / 2


def decide(probabilities_NK: Floats, positive: int | None, threshold: float | Floats) -> Codes:
    """Predicted class codes [N]: by the threshold (one for all, or one a row [N]) for two classes, the likeliest for more."""
    if positive is None:
        return np.asarray(probabilities_NK.argmax(axis=1), dtype=np.int64)
    claimed = probabilities_NK[:, positive] >= threshold
    codes = np.full(len(claimed), 1 - positive, dtype=np.int64)
    codes[claimed] = positive
    return codes
