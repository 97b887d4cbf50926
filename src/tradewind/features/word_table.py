"""Which word of one language stands for which of another: the first model of Brown et al. 1993, counted from pairs of texts.

It serves twice: the table of the likeliest words is the baseline of a translator (`evaluate/translation.py`), and words that
are sure of each other teach a translator to keep terms (`data/term_pairs.py`). Not here: what a word is (`words.py`).

Legend: P pairs, L links (a source and a target word of one pair), C distinct links.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.features.words import joined, words

_ROUNDS = 5
_LEAST = 1e-3  # a likelihood below it is not kept
_MOST_LINKS = 40_000_000  # so many are held at once: some 1.5 GB


@dataclass(frozen=True)
class WordTable:
    """`likely[source word]` are target words with p(target | source), the likeliest first."""

    likely: dict[str, tuple[tuple[str, float], ...]]

    @classmethod
    def fit(cls, pairs: Iterable[tuple[Sequence[str], Sequence[str]]], *, rounds: int = _ROUNDS) -> WordTable:
        """Expectation maximisation over words of source and target; of a very large corpus its first pairs."""
        numbers: tuple[dict[str, int], dict[str, int]] = ({}, {})
        begun, links, owners = 0, [], []
        total = 0
        for source, target in pairs:
            ids = [
                np.array([numbers[side].setdefault(word, len(numbers[side])) for word in text], dtype=np.int64)
                for side, text in enumerate((source, target))
            ]
            if not len(ids[0]) or not len(ids[1]):
                continue
            links.append((np.repeat(ids[0][None], len(ids[1]), 0).ravel() << 32) | np.repeat(ids[1], len(ids[0])))
            owners.append(begun + np.repeat(np.arange(len(ids[1])), len(ids[0])))
            begun, total = begun + len(ids[1]), total + len(links[-1])
            if total > _MOST_LINKS:
                break
        if not links:
            return cls({})
        return cls(
            _table(np.concatenate(links), np.concatenate(owners), *(list(one) for one in numbers), rounds=rounds)
        )

    def best(self, word: str) -> str:
        """The likeliest word of the other language; the word itself where it is unknown."""
        found = self.likely.get(word) or self.likely.get(word.lower())
        return found[0][0] if found else word

    def sure(self, word: str, other: str, *, least: float) -> bool:
        found = self.likely.get(word)
        return found is not None and found[0][0] == other and found[0][1] >= least

    def translate(self, text: str, *, language: str) -> str:
        """Word by word in the order of the source: what anybody could do with a dictionary."""
        return joined([self.best(word) for word in words(text)], language=language)


def _table(
    links_L: NDArray[np.int64], owner_L: NDArray[np.int64], source: list[str], target: list[str], *, rounds: int
) -> dict[str, tuple[tuple[str, float], ...]]:
    """`owner_L` is the target word of a pair that a link explains: its links share one count."""
    pairs_C, which_L = np.unique(links_L, return_inverse=True)
    source_C, target_C = pairs_C >> 32, pairs_C & 0xFFFFFFFF
    likely_C = np.ones(len(pairs_C))
    for _ in range(rounds):
        weight_L = likely_C[which_L]
        weight_L /= np.bincount(owner_L, weight_L)[owner_L]
        count_C = np.bincount(which_L, weight_L, minlength=len(pairs_C))
        likely_C = count_C / np.bincount(source_C, count_C)[source_C]
    kept = np.flatnonzero(likely_C >= _LEAST)
    kept = kept[np.lexsort((target_C[kept], -likely_C[kept], source_C[kept]))]
    found: dict[str, list[tuple[str, float]]] = {}
    for s, t, p in zip(source_C[kept].tolist(), target_C[kept].tolist(), likely_C[kept].tolist(), strict=True):
        found.setdefault(source[s], []).append((target[t], p))
    return {word: tuple(others[:8]) for word, others in found.items()}
