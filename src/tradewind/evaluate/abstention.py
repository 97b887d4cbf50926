"""What is gained when the least sure rows get no answer: error against the share that is answered.

Not here: how sure an answer is (its room says that), or the bound that a service sets (`serve.abstain_below`).

Legend: N rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import rounded

Floats: TypeAlias = NDArray[np.float64]

SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
_POINTS = 60


@dataclass(frozen=True)
class Abstention:
    """The mean error of the surest rows by the share of all that they are. `area` is its mean over every share (Geifman,
    El-Yaniv 2017); `random_area` that of giving up rows at random, `ideal_area` that of giving up the worst ones."""

    shares: tuple[float, ...]
    errors: tuple[float, ...]
    bounds: tuple[float, ...]
    area: float
    random_area: float
    ideal_area: float


def abstention(error_N: Floats, sure_N: Floats) -> Abstention:
    """Rows from the surest on; equally sure rows are taken in no order, so each counts with their mean error.

    `bounds` is how sure the last answered row is.
    """
    order = np.argsort(-sure_N, kind="stable")
    _, place_N, counts = np.unique(-sure_N[order], return_inverse=True, return_counts=True)
    level_N = (np.bincount(place_N, error_N[order]) / counts)[place_N]
    risk_N = running_mean(level_N)
    rows = len(error_N)
    chosen = np.unique(np.r_[np.linspace(0, rows - 1, _POINTS).astype(np.int64), [_last(s, rows) for s in SHARES]])
    return Abstention(
        shares=_round((chosen + 1) / rows),
        errors=_round(risk_N[chosen]),
        bounds=_round(sure_N[order][chosen]),
        area=float(risk_N.mean()),
        random_area=float(error_N.mean()),
        ideal_area=float(running_mean(np.sort(error_N)).mean()),
    )


def at_shares(found: Abstention, rows: int) -> list[dict[str, float]]:
    """The error where 100 %, 95 %, 90 % … of rows are answered."""
    places = [found.shares.index(_round(np.array([(_last(share, rows) + 1) / rows]))[0]) for share in SHARES]
    return [
        {"share": share, "error": found.errors[at], "bound": found.bounds[at]}
        for share, at in zip(SHARES, places, strict=True)
    ]


def running_mean(values_N: Floats) -> Floats:
    means: Floats = np.cumsum(values_N) / np.arange(1, len(values_N) + 1)
    return means


def _last(share: float, rows: int) -> int:
    return max(1, round(share * rows)) - 1


def _round(values: Floats) -> tuple[float, ...]:
    return tuple(rounded(float(value), 6) or 0.0 for value in values)
