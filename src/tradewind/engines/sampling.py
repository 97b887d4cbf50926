"""How one token is chosen from its logits. Not which tokens a grammar allows (`guidance.py`).

Each answer draws from a random stream of its own, one number a token, so that neighbours never change it. Nucleus:
Holtzman et al., The Curious Case of Neural Text Degeneration (2020).

Legend: V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.generation import Sampling

_HEAD = 1024  # candidates that are looked at before all are sorted


class Sampler:
    """Chooses the tokens of one answer. Without a seed the stream begins at random."""

    def __init__(self, sampling: Sampling) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._top_k = sampling.top_k
        # PCG64 with the seed as it is, also a negative one: two seeds never share a stream.
        seed = None if sampling.seed is None else [abs(sampling.seed), int(sampling.seed < 0)]
        self._random = np.random.Generator(np.random.PCG64(seed))

    def choose(self, logits_V: NDArray[np.float32]) -> int:
        """The likeliest token at temperature 0 (the lowest id of equals), else one drawn. Some logit must be finite."""
        if self._temperature == 0 or self._top_k == 1:
            return int(logits_V.argmax())
        draw = self._random.random()
        if self._top_p >= 1 and not 0 < self._top_k < len(logits_V):
            return _draw(_weights(logits_V, self._temperature), draw)
        order, weights = self._head(logits_V)
        return int(order[_draw(weights, draw)])

    def _head(self, logits_V: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The tokens that top_k and then top_p leave, likeliest first, with their weights."""
        total = _weights(logits_V, self._temperature)
        most = self._top_k if 0 < self._top_k < len(logits_V) else len(logits_V)
        size = min(most, _HEAD)
        while True:
            order = _likeliest(total, size)
            weights = total[order]
            mass = weights.sum() if most <= size else total.sum()
            if size >= most or weights.sum() >= self._top_p * mass:
                break
            size = most
        reached = np.cumsum(weights)
        keep = int(np.searchsorted(reached, self._top_p * mass)) + 1
        return order[:keep], weights[:keep]


def _likeliest(weights_V: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """The `size` largest, largest first; of equals the lower id."""
    if size < len(weights_V):
        part = np.sort(np.argpartition(-weights_V, size - 1)[:size])
    else:
        part = np.arange(len(weights_V))
    order: NDArray[np.int64] = part[np.argsort(-weights_V[part], kind="stable")]
    return order


def _weights(logits_V: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    scaled = (logits_V - logits_V.max()).astype(np.float64) / temperature
    weights: NDArray[np.float64] = np.exp(scaled)
    return weights


def _draw(weights: NDArray[np.float64], draw: float) -> int:
    reached = np.cumsum(weights)
    return min(int(np.searchsorted(reached, draw * reached[-1], side="right")), int(np.flatnonzero(weights)[-1]))


def log_probabilities(logits_V: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of the model's own distribution, natural logarithms."""
    shifted = (logits_V - logits_V.max()).astype(np.float64)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result


def likeliest(logprobs_V: NDArray[np.float64], count: int) -> list[int]:
    """Ids of the `count` likeliest tokens, likeliest first."""
    return [int(one) for one in _likeliest(logprobs_V, min(count, len(logprobs_V)))] if count else []
