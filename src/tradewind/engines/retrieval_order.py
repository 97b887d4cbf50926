"""In which order passages are shown: by words and by vectors, joined by reciprocal ranks, and without repeats where asked.
Not here: what a passage says (`retrieval.py`), the two orders themselves (`bm25.py`, `vectors.py`).

Legend: N rows of a part, n candidates, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.bm25 import Postings, first
from tradewind.engines.vectors import Floats, Near, best

CANDIDATES = 100  # of each order
RANK = 60  # Cormack, Clarke and Büttcher found it best, and little depends on it

Key: TypeAlias = tuple[int, int]  # which part, which row of it


class Vectors(Protocol):
    def nearest(self, query_D: Floats, most: int, *, kept_N: NDArray[np.bool_] | None = None) -> Near: ...
    def rows(self, rows: Sequence[int]) -> Floats: ...


@dataclass(frozen=True)
class Part:
    """Passages that are searched with others as one. `kept_N` says which rows pass a filter, None for all."""

    postings: Postings
    vectors: Vectors | None
    kept_N: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Candidate:
    """A row of a part: its place in both orders joined, from 0 to 1, its BM25 score, its cosine."""

    part: int
    row: int
    fused: float
    words: float
    similarity: float | None


def candidates(
    parts: Sequence[Part], asked: Sequence[str], query_D: Floats | None, *, words: float, vectors: float
) -> list[Candidate]:
    """All that one of the orders has among its first, the best first; of equal ones the first part and row lead.

    `words` and `vectors` weigh the orders. Reciprocal rank fusion: Cormack, Clarke, Büttcher 2009.
    """
    by_words = _by_words(parts, asked)
    near = {} if query_D is None or not query_D.any() else _by_vectors(parts, query_D)
    most = (words + (vectors if query_D is not None else 0.0)) / (RANK + 1)
    fused: dict[Key, float] = {}
    for weight, order in ((words, by_words), (vectors, near)):
        for place, key in enumerate(order):
            fused[key] = fused.get(key, 0.0) + weight / (RANK + 1 + place) / most
    ranked = sorted(fused.items(), key=lambda one: (-one[1], one[0]))
    return [Candidate(*key, value, by_words.get(key, 0.0), near.get(key)) for key, value in ranked]


def diverse(parts: Sequence[Part], found: Sequence[Candidate], most: int, *, diversity: float) -> list[Candidate]:
    """At most `most`, each next one the best when what is like one before it loses: maximal marginal relevance (Carbonell,
    Goldstein 1998). Without vectors nothing is like another."""
    left = list(found[: max(4 * most, 20)])
    vectors_nD = _vectors(parts, left)
    if vectors_nD is None:
        return left[:most]
    likeness_nn = vectors_nD @ vectors_nD.T
    worth_n = (1 - diversity) * np.array([one.fused for one in left])
    chosen: list[int] = []
    while len(chosen) < min(most, len(left)):
        like_n = likeness_nn[:, chosen].max(1) if chosen else np.zeros(len(left))
        value_n = worth_n - diversity * like_n
        value_n[chosen] = -np.inf
        chosen.append(int(value_n.argmax()))
    return [left[place] for place in chosen]


def similarity(part: Part, row: int, query_D: Floats | None) -> float | None:
    """The cosine of a row that only its words brought up."""
    if part.vectors is None or query_D is None:
        return None
    return float(part.vectors.rows([row])[0] @ query_D)


def _by_words(parts: Sequence[Part], asked: Sequence[str]) -> dict[Key, float]:
    found: list[tuple[float, int, int]] = []
    looked_at = first([one.postings for one in parts], asked, CANDIDATES, kept=[one.kept_N for one in parts])
    for number, (rows, scores) in enumerate(looked_at):
        found += [(-float(scores[place]), number, int(rows[place])) for place in best(scores, CANDIDATES)]
    return {(part, row): -value for value, part, row in sorted(found)[:CANDIDATES]}


def _by_vectors(parts: Sequence[Part], query_D: Floats) -> dict[Key, float]:
    found: list[tuple[float, int, int]] = []
    for number, part in enumerate(parts):
        if part.vectors is not None and part.postings.passages:
            rows, cosines = part.vectors.nearest(query_D, CANDIDATES, kept_N=part.kept_N)
            found += [(-float(cosine), number, int(row)) for row, cosine in zip(rows, cosines, strict=True)]
    return {(part, row): -value for value, part, row in sorted(found)[:CANDIDATES]}


def _vectors(parts: Sequence[Part], found: Sequence[Candidate]) -> Floats | None:
    rows = []
    for one in found:
        vectors = parts[one.part].vectors
        if vectors is None:
            return None
        rows.append(vectors.rows([one.row])[0])
    return np.stack(rows) if rows else None
