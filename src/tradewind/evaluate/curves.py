"""Points of the pictures that come from predictions: ROC, precision-recall, scatter of a regression.

Not here: drawing them (`pictures.py`), or the areas under them (`metrics.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradewind.evaluate.figures import rounded
from tradewind.evaluate.metrics import Codes, Floats, Ranking

POINTS = 150
CLASSES = 5
DOTS = 400


@dataclass(frozen=True)
class Curve:
    """One line: `x` and `y` of its points, `label` the class that counts as positive."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    roc: tuple[Curve, ...] = ()
    pr: tuple[Curve, ...] = ()
    scatter: tuple[Curve, ...] = ()


def class_curves(target_N: Codes, probabilities_NK: Floats, kinds: list[int], classes: tuple[str, ...]) -> Curves:
    """ROC and precision-recall curves of the given classes against the rest (unweighted rows)."""
    roc, pr = [], []
    for kind in kinds:
        positive = target_N == kind
        if positive.all() or not positive.any():
            continue
        ranking = Ranking.of(probabilities_NK[:, kind], positive)
        ends = np.r_[ranking.starts_G[1:], len(positive)] - 1
        found = np.cumsum(ranking.positive_N)[ends]
        claimed = ends + 1.0
        recall = np.r_[0.0, found / positive.sum()]
        false = np.r_[0.0, (claimed - found) / (~positive).sum()]
        precision = found / claimed
        roc.append(_thin(classes[kind], false, recall))
        pr.append(_thin(classes[kind], recall, np.r_[precision[0], precision]))
    return Curves(tuple(roc), tuple(pr))


def hardest(target_N: Codes, probabilities_NK: Floats, most: int = CLASSES) -> list[int]:
    """Codes of the classes that occur, or of the `most` with the smallest ROC-AUC when there are more."""
    present = np.unique(target_N).tolist()
    if len(present) <= most:
        return [int(kind) for kind in present]
    once = np.ones((1, len(target_N)))
    areas = [float(Ranking.of(probabilities_NK[:, kind], target_N == kind).areas(once)[0][0]) for kind in present]
    return [int(present[at]) for at in np.argsort(areas, kind="stable")[:most]]


def scatter(target_N: Floats, values_N: Floats) -> Curves:
    """True against predicted values of at most 400 rows, evenly spaced by the true value."""
    if len(target_N) == 0:
        return Curves()
    order = np.argsort(target_N, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(DOTS, len(order))).astype(np.int64))]
    return Curves(scatter=(Curve("rows", _round(target_N[chosen]), _round(values_N[chosen])),))


def _thin(label: str, x: Floats, y: Floats) -> Curve:
    """At most 150 points, evenly spaced along the curve, both ends kept."""
    way = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    places = np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)).clip(0, len(way) - 1))
    places = np.unique(np.r_[0, places, len(way) - 1])
    return Curve(label, _round(x[places]), _round(y[places]))


def _round(values: Floats) -> tuple[float, ...]:
    return tuple(rounded(float(value), 6) or 0.0 for value in values)
