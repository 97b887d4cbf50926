"""Calibration: one temperature fitted on validation, and how far probabilities are from frequencies.

Not here: putting the temperature into the served graph (`release/bundle.py`).

Legend: N rows, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradewind.evaluate.figures import rounded
from tradewind.evaluate.metrics import ECE_BINS, Codes, Floats, bin_of, confidences

# A probability of 0 has no logarithm; the served float32 graph floors at the same place.
_FLOOR = 1e-12
_COLDEST, _HOTTEST = 0.05, 20.0
_STEPS = 100


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin: mean `confidence` of its `rows` and how often they came true."""

    low: float
    high: float
    rows: int
    confidence: float | None
    frequency: float | None


def logs(probabilities_NK: Floats) -> Floats:
    return np.log(np.clip(probabilities_NK, _FLOOR, None))


def fit_temperature(target_N: Codes, probabilities_NK: Floats, *, weight_N: Floats | None = None) -> float:
    """The temperature T for which softmax(log p / T) has the smallest log loss (Guo et al. 2017).

    One made-up row whose answer is any class alike stands beside the n real ones, as Platt (1999) smooths his targets: a few
    rows that all come out right do not make the answers certain. The loss is convex in 1 / T, so Newton's method with
    bisection as its guard always ends at the minimum, within 0.05 and 20. Without rows it is 1. Ten significant digits, so
    that what is written down is what is used.
    """
    if len(target_N) == 0:
        return 1.0
    z = logs(probabilities_NK)
    z = z - z.max(axis=1, keepdims=True)
    weight = np.ones(len(z)) if weight_N is None else weight_N
    weight = weight / weight.sum()
    doubt = 1 / (1 / float(weight @ weight) + 1)  # Kish (1965): how many rows of equal weight these are worth
    chosen = (1 - doubt) * float(weight @ z[np.arange(len(z)), target_N]) + doubt * float(weight @ z.mean(axis=1))
    low, high, beta = 1 / _HOTTEST, 1 / _COLDEST, 1.0
    for _ in range(_STEPS):
        shares = np.exp(beta * z)
        shares /= shares.sum(axis=1, keepdims=True)
        mean = (shares * z).sum(axis=1)
        slope = float(weight @ mean) - chosen
        curvature = float(weight @ ((shares * z**2).sum(axis=1) - mean**2))
        low, high = (low, beta) if slope > 0 else (beta, high)
        step = beta - slope / curvature if curvature > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - beta) < 1e-12 * beta:
            break
        beta = following
    return rounded(1 / beta) or 1.0


def apply_temperature(probabilities_NK: Floats, temperature: float) -> Floats:
    """softmax(log p / T), what the served graph computes."""
    if temperature == 1.0:
        return probabilities_NK
    z = logs(probabilities_NK) / temperature
    shares: Floats = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def reliability(
    target_N: Codes, probabilities_NK: Floats, positive: int | None, *, bins: int = ECE_BINS
) -> tuple[ReliabilityBin, ...]:
    """Equal-width bins of confidence, the picture behind the expected calibration error (unweighted rows)."""
    confidence, outcome = confidences(target_N, probabilities_NK, positive)
    place = bin_of(confidence, bins)
    rows = np.bincount(place, minlength=bins)
    mean = np.bincount(place, confidence, bins) / np.maximum(rows, 1)
    frequency = np.bincount(place, outcome, bins) / np.maximum(rows, 1)
    return tuple(
        ReliabilityBin(
            rounded(at / bins) or 0.0,
            rounded((at + 1) / bins) or 0.0,
            int(rows[at]),
            rounded(float(mean[at])) if rows[at] else None,
            rounded(float(frequency[at])) if rows[at] else None,
        )
        for at in range(bins)
    )
