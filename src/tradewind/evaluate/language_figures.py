"""Figures of a language model from its witness: sums over units, and the same sums over resampled units.

Not here: which figures a report has and what they are compared with (`generation.py`).

Tokens of one document depend on each other, so documents are what is resampled; of a few long texts, blocks of them
(Künsch, "The jackknife and the bootstrap for general stationary observations", 1989).

Legend: n scored tokens, U units, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import bounds, resampled
from tradewind.evaluate.witness import MODEL, SplitLosses, column_of

Floats = NDArray[np.float64]

LOSS, PERPLEXITY, BITS = "loss", "perplexity", "bits_per_byte"
NAMES = (LOSS, PERPLEXITY, BITS)
HOW = {
    LOSS: "mean negative log-likelihood of a token, in nats",
    PERPLEXITY: "the exponential of the mean loss of a token",
    BITS: "negative log-likelihood in bits over the UTF-8 bytes of the text",
}
FEWEST_DOCUMENTS = 50
_BLOCKS = 200
_LEAST_BLOCK = 32
_Z = 1.959963984540054  # of a normal distribution, 95 % lies within so many deviations


def blocks(document_n: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
    """The unit of each token and what units are: its document, or where there are fewer than 50 a block of it.

    `document_n` rises from token to token. Blocks are of like length, and none crosses the end of a document.
    """
    _, unit_n = np.unique(document_n, return_inverse=True)
    if len(unit_n) == 0 or unit_n[-1] + 1 >= FEWEST_DOCUMENTS:
        return unit_n.astype(np.int64), "documents"
    size = max(_LEAST_BLOCK, -(-len(unit_n) // _BLOCKS))
    starts_D = np.searchsorted(unit_n, np.arange(unit_n[-1] + 1))
    within_n = (np.arange(len(unit_n)) - starts_D[unit_n]) // size
    _, block_n = np.unique(unit_n * (len(unit_n) + 1) + within_n, return_inverse=True)
    return block_n.astype(np.int64), "blocks" if block_n[-1] > unit_n[-1] else "documents"


@dataclass(frozen=True)
class Drawn:
    """One figure of one predictor: on the split itself, and on each resample [R]."""

    point: float
    resampled_R: Floats


def drawn_losses(split: SplitLosses, *, resamples: int, seed: int) -> dict[str, dict[str, Drawn]]:
    """Every figure of the model and each baseline, on the same resamples of units. NaN where it does not exist."""
    tokens_U = np.bincount(split.unit_n, minlength=split.units).astype(np.float64)
    nats_U = {
        name: np.bincount(split.unit_n, losses.astype(np.float64), minlength=split.units)
        for name, losses in split.losses.items()
    }
    sums = {
        name: [np.array([one.sum()])] for name, one in {**nats_U, " tokens": tokens_U, " bytes": split.bytes_U}.items()
    }
    for weights in resampled(split.units, resamples=resamples if split.units > 1 else 0, seed=seed):
        for name, one in {**nats_U, " tokens": tokens_U, " bytes": split.bytes_U}.items():
            sums[name].append(weights @ one)
    whole = {name: np.concatenate(parts) for name, parts in sums.items()}
    found = {}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for name in split.losses:
            loss = whole[name] / whole[" tokens"]
            bits = np.where(whole[" bytes"] > 0, whole[name] / (math.log(2) * whole[" bytes"]), np.nan)
            values = {LOSS: loss, PERPLEXITY: np.exp(loss), BITS: bits}
            found[name] = {figure: Drawn(float(one[0]), one[1:]) for figure, one in values.items()}
    return found


def drawn_mean(values_U: Floats, *, resamples: int, seed: int) -> Drawn:
    """The mean of one number per unit: of questions, samples or pairs."""
    counts = len(values_U)
    parts = [
        weights @ values_U / counts
        for weights in resampled(counts, resamples=resamples if counts > 1 else 0, seed=seed)
    ]
    return Drawn(float(values_U.mean()), np.concatenate(parts) if parts else np.zeros(0))


def drawn_ratio(upper_U: Floats, lower_U: Floats, *, resamples: int, seed: int) -> Drawn:
    """A sum over a sum, as of tokens; resamples in which the lower one is 0 are NaN."""
    parts = [np.array([upper_U.sum() / lower_U.sum()])]
    for weights in resampled(len(upper_U), resamples=resamples if len(upper_U) > 1 else 0, seed=seed):
        lower = weights @ lower_U
        parts.append(np.where(lower > 0, weights @ upper_U / np.maximum(lower, 1e-300), np.nan))
    values = np.concatenate(parts)
    return Drawn(float(values[0]), values[1:])


def figure(drawn: Drawn, how: str, *, split: str, rows: int, unit: str, source: str, absent: str = "") -> Figure:
    """The figure with its interval; absent with the reason where the point does not exist."""
    if not math.isfinite(drawn.point):
        return Figure(None, how, split, rows, source, absent=absent or "it is undefined on this split")
    low, high, behind = bounds(drawn.resampled_R, drawn.point)
    if low is not None:
        how = f"{how}; 95 % percentile bootstrap over {behind} resamples of {unit}"
    return Figure(rounded(drawn.point), how, split, rows, source, rounded(low), rounded(high))


def share_figure(hits_U: Floats, how: str, *, split: str, rows: int, unit: str, source: str, interval: bool) -> Figure:
    """The share of units that are 1 and not 0, with Wilson's interval (1927): where all are alike, resamples are, too, and
    would say that nothing is uncertain."""
    count, share = len(hits_U), float(hits_U.mean())
    if not interval:
        return Figure(rounded(share), how, split, rows, source)
    square = _Z**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _Z / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    how = f"{how}; 95 % Wilson interval over {count} {unit}"
    return Figure(rounded(share), how, split, rows, source, rounded(min(low, share)), rounded(max(high, share)))


def loss_figures(
    drawn: Mapping[str, Drawn], *, predictor: str, split: str, tokens: int, unit: str
) -> dict[str, Figure]:
    """loss, perplexity and bits per byte of one predictor."""
    source = column_of(predictor)
    absent = {BITS: "the bytes of the text are not known", PERPLEXITY: "it is too large for a number"}
    return {
        name: figure(
            drawn[name], HOW[name], split=split, rows=tokens, unit=unit, source=source, absent=absent.get(name, "")
        )
        for name in NAMES
    }


def difference(own: Drawn, other: Drawn, name: str, *, split: str, rows: int, unit: str, over: str) -> Figure:
    """The model's figure minus the other's, on the same units and the same resamples."""
    how = f"{name} of the model minus {name} of {over}, on the same tokens"
    paired = Drawn(own.point - other.point, own.resampled_R - other.resampled_R)
    return figure(paired, how, split=split, rows=rows, unit=unit, source=column_of(MODEL))
