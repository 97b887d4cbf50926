"""The n-gram model that stands beside every language model: interpolated, with modified Kneser-Ney discounts.

Not here: comparing it with the product (`generation.py`). It knows tokens only, no bytes and no text.

After Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999), section 4.1.6. All of
it is exact and sums to one over the vocabulary: the lowest order is interpolated with the uniform distribution.

Legend: N tokens, V vocabulary, U different n-grams of one order, H contexts (the n-grams of the order below).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDER = 5
# KenLM's `--discount_fallback`: where a corpus is too small for the counts of counts to say anything.
_FALLBACK = (0.5, 1.0, 1.5)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Level:
    """The n-grams of one order. `keys_U` (sorted) is context · V + last token; `share_U` its discounted share of the
    context's count; `rest_H` what the context leaves to the order below (1 where it was never continued)."""

    keys_U: Ints
    share_U: Floats
    rest_H: Floats

    def find(self, keys: Ints) -> Ints:
        """Numbers of n-grams by key, -1 for one that was never seen."""
        at = np.searchsorted(self.keys_U, keys)
        at[at == len(self.keys_U)] = 0
        return np.where(self.keys_U[at] == keys, at, -1)


@dataclass(frozen=True)
class KneserNey:
    """A fitted model. `vocabulary` is V; `tokens` how many it has seen."""

    vocabulary: int
    tokens: int
    levels: tuple[_Level, ...]

    @classmethod
    def fit(cls, tokens_N: NDArray[np.integer], *, vocabulary: int, order: int = ORDER) -> KneserNey:
        """Counts by sorting integer keys: no n-gram is ever a Python object. `order` is 1 to 5.

        The tokens are read as one stream, as the language model reads them: documents are parted by their own last token.
        """
        assert 1 <= order <= ORDER, order
        tokens = np.asarray(tokens_N, dtype=np.int64)
        assert len(tokens), "a corpus has tokens"
        assert 0 <= tokens.min() <= tokens.max() < vocabulary, "every token is of the vocabulary"
        keys_of: list[Ints] = []
        counts_of: list[Ints] = []
        lower: list[Ints] = []  # for each n-gram the number of the one a token shorter at its end
        context, contexts = np.zeros(len(tokens), dtype=np.int64), 1  # number of the n-gram before each token
        ending = np.zeros(len(tokens), dtype=np.int64)  # number of the n-gram of the order below that ends here
        for _ in range(min(order, len(tokens))):
            keys, first, which, counts = np.unique(
                context * vocabulary + tokens[len(tokens) - len(context) :],
                return_index=True, return_inverse=True, return_counts=True,
            )  # fmt: skip
            keys_of.append(keys)
            counts_of.append(counts)
            lower.append(ending[first])
            context, ending = which[:-1], which[1:]
            if not len(context):
                break
        # Below the highest order a count is how many different tokens stood before (Kneser and Ney 1995).
        for k in range(len(keys_of) - 1):
            counts_of[k] = np.bincount(lower[k + 1], minlength=len(keys_of[k]))
        levels = []
        for keys, counts in zip(keys_of, counts_of, strict=True):
            levels.append(_level(keys, counts, contexts=contexts, vocabulary=vocabulary))
            contexts = len(keys)
        return cls(vocabulary, len(tokens), tuple(levels))

    def losses(self, tokens_N: NDArray[np.integer]) -> Floats:
        """Minus the natural logarithm of each token's probability after the up to four before it, in nats [N]."""
        tokens = np.asarray(tokens_N, dtype=np.int64)
        if not len(tokens):
            return np.zeros(0)
        chance = np.full(len(tokens), 1.0 / self.vocabulary)
        before = np.zeros(len(tokens), dtype=np.int64)
        for level in self.levels:
            known = before >= 0
            keys = before * self.vocabulary + tokens
            found = np.where(known, level.find(keys), -1)
            share = np.where(found >= 0, level.share_U[found], 0.0)
            chance = np.where(known, share + level.rest_H[before] * chance, chance)
            before = np.concatenate([[-1], found[:-1]])
        return np.asarray(-np.log(chance))

    def distribution(self, context: Sequence[int]) -> Floats:
        """The probability of every token after `context` [V]."""
        every = np.arange(self.vocabulary, dtype=np.int64)
        chance = np.full(self.vocabulary, 1.0 / self.vocabulary)
        for k, level in enumerate(self.levels):
            if k > len(context):
                break
            at = self._number(context[len(context) - k :])
            if at < 0:
                break
            found = level.find(at * self.vocabulary + every)
            chance = np.where(found >= 0, level.share_U[found], 0.0) + level.rest_H[at] * chance
        return chance

    def _number(self, gram: Sequence[int]) -> int:
        """The number of an n-gram in its order; 0 for the empty one, -1 for one never seen."""
        at = 0
        for level, token in zip(self.levels, gram, strict=False):
            at = int(level.find(np.array([at * self.vocabulary + token]))[0])
            if at < 0:
                break
        return at


def discounts(counts_U: Ints) -> tuple[float, float, float]:
    """D1, D2 and D3+ from the counts of counts (Chen and Goodman, equation 26), each between 0 and what it is taken from."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts_U == k)) for k in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return _FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    if any(not 0 < one <= k for k, one in enumerate(found, start=1)):
        return _FALLBACK
    return found


def _level(keys_U: Ints, counts_U: Ints, *, contexts: int, vocabulary: int) -> _Level:
    taken = np.array([0.0, *discounts(counts_U)])
    taken_U = taken[np.minimum(counts_U, 3)]
    context_U = keys_U // vocabulary
    total_H = np.bincount(context_U, counts_U, minlength=contexts)
    rest_H: Floats = np.asarray(np.bincount(context_U, taken_U, minlength=contexts), dtype=np.float64)
    continued = total_H > 0
    rest_H = np.where(continued, rest_H / np.where(continued, total_H, 1), 1.0)
    share_U: Floats = (counts_U - taken_U) / np.maximum(total_H[context_U], 1)
    return _Level(keys_U, share_U, rest_H)
