"""Search by words: BM25 over passages that are fixed, beside passages that come and go, weighed together.
Not here: what a term is (`features/terms.py`), vectors (`vectors.py`), which passages are shown (`retrieval.py`).

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, with the idf that is never negative:

    score(q, d) = Σ_t∈q  ln(1 + (N - n_t + ½) / (n_t + ½)) · c (k1 + 1) / (c + k1 (1 - b + b · length_d / average length))

N, n_t and the average length are those of all parts together: to add and to take away gives, to the last digit of
arithmetic, what building anew over the passages that are left would give.

Legend: N passages of a part, P postings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.features.knowledge_files import COUNTS, LENGTHS, OFFSETS, ROWS, TERMS

K1, B = 1.2, 0.75

Rows: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.float32]


class Postings(Protocol):
    """A part: rows are places from 0 on, also of passages that are gone, which no posting names any more."""

    @property
    def passages(self) -> int:
        """How many there are, those that are gone not counted."""
        ...

    @property
    def tokens(self) -> int:
        """Terms of all of them together."""
        ...

    @property
    def lengths_N(self) -> Rows: ...

    def holders(self, term: str) -> int:
        """How many passages hold the term."""
        ...

    def of(self, term: str) -> tuple[Rows, Rows]:
        """The rows that hold the term, and how often each does."""
        ...

    def most(self, term: str) -> int:
        """How often the passage holds the term that holds it most often; 0 where none does."""
        ...

    @property
    def in_order(self) -> bool:
        """Whether rows of a term come in their order."""
        ...


class FixedPostings:
    """What a release brings along, read where it lies. Raises ArtifactError when a file cannot be read."""

    in_order = True

    def __init__(self, folder: Path) -> None:
        try:
            words = (folder / TERMS).read_text(encoding="utf-8").split("\n")[:-1]
            self.lengths_N: Rows = np.load(folder / LENGTHS, allow_pickle=False)
            self._offsets = np.load(folder / OFFSETS, allow_pickle=False)
            self._rows_P = _mapped(folder / ROWS)
            self._counts_P = _mapped(folder / COUNTS)
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"The word index cannot be read ({error}).", code="knowledge_broken", where=str(folder)
            ) from error
        if len(self._offsets) != len(words) + 1 or self._offsets[-1] != len(self._rows_P):
            raise ArtifactError("The word index does not fit its terms.", code="knowledge_broken", where=str(folder))
        self._place = {word: place for place, word in enumerate(words)}
        self._most: dict[str, int] = {}
        self.passages = len(self.lengths_N)
        self.tokens = int(self.lengths_N.sum(dtype=np.int64))

    def holders(self, term: str) -> int:
        place = self._place.get(term)
        return 0 if place is None else int(self._offsets[place + 1] - self._offsets[place])

    def of(self, term: str) -> tuple[Rows, Rows]:
        place = self._place.get(term)
        if place is None:
            return _NONE, _NONE
        here = slice(int(self._offsets[place]), int(self._offsets[place + 1]))
        return self._rows_P[here], self._counts_P[here]

    def most(self, term: str) -> int:
        found = self._most.get(term)
        if found is None:
            found = self._most[term] = int(self.of(term)[1].max(initial=0))
        return found


class LivePostings:
    """Passages that come and go, in memory. Not safe for threads: whoever changes it holds a lock."""

    in_order = False

    def __init__(self) -> None:
        self._postings: dict[str, dict[int, int]] = {}
        self._arrays: dict[str, tuple[Rows, Rows]] = {}
        self._terms: dict[int, tuple[str, ...]] = {}
        self._lengths: list[int] = []
        self._free: list[int] = []
        self._lengths_N: Rows | None = None
        self.tokens = 0

    @property
    def passages(self) -> int:
        return len(self._terms)

    @property
    def lengths_N(self) -> Rows:
        if self._lengths_N is None:
            self._lengths_N = np.array(self._lengths, np.int32)
        return self._lengths_N

    def add(self, terms: Sequence[str]) -> int:
        """The row of a passage with these terms; that of one that is gone is given again."""
        counts = Counter(terms)
        row = self._free.pop() if self._free else len(self._lengths)
        if row == len(self._lengths):
            self._lengths.append(0)
        self._lengths[row] = len(terms)
        self._terms[row] = tuple(counts)
        self.tokens += len(terms)
        for term, count in counts.items():
            self._postings.setdefault(term, {})[row] = count
            self._arrays.pop(term, None)
        self._lengths_N = None
        return row

    def remove(self, row: int) -> None:
        for term in self._terms.pop(row):
            held = self._postings[term]
            del held[row]
            self._arrays.pop(term, None)
            if not held:
                del self._postings[term]
        self.tokens -= self._lengths[row]
        self._lengths[row] = 0
        self._lengths_N = None
        self._free.append(row)

    def holders(self, term: str) -> int:
        return len(self._postings.get(term, ()))

    def of(self, term: str) -> tuple[Rows, Rows]:
        found = self._arrays.get(term)
        if found is None:
            held = self._postings.get(term)
            if held is None:
                return _NONE, _NONE
            rows = np.fromiter(held, np.int32, len(held))
            counts = np.fromiter(held.values(), np.int32, len(held))
            found = self._arrays[term] = rows, counts
        return found

    def most(self, term: str) -> int:
        return int(self.of(term)[1].max(initial=0))


def weights(parts: Sequence[Postings], terms: Sequence[str]) -> dict[str, float]:
    """The idf of every different term, by all parts together."""
    passages = sum(part.passages for part in parts)
    held = {term: sum(part.holders(term) for part in parts) for term in terms}
    return {term: float(np.log1p((passages - n + 0.5) / (n + 0.5))) for term, n in held.items()}


@dataclass(frozen=True)
class _Asked:
    """A question's terms, the one that can add most to a score first, and what they are weighed by; all parts together."""

    terms: tuple[str, ...]
    weights: tuple[float, ...]  # of a term that the passage is full of
    damping: float
    average: float
    b: float

    @classmethod
    def of(cls, parts: Sequence[Postings], terms: Sequence[str], *, k1: float, b: float) -> _Asked:
        idf = weights(parts, terms)
        heaviest = {term: times * idf[term] * (k1 + 1) for term, times in Counter(terms).items()}
        order = sorted(heaviest, key=lambda term: -heaviest[term])
        passages, tokens = sum(part.passages for part in parts), sum(part.tokens for part in parts)
        average = max(tokens / passages, 1e-9) if passages else 1.0
        return cls(tuple(order), tuple(heaviest[term] for term in order), k1, average, b)

    def damped(self, lengths: Rows) -> Floats:
        """What the count of a term is set against, by the length of the passage."""
        found: Floats = (self.damping * (1 - self.b) + (self.damping * self.b / self.average) * lengths).astype(
            np.float32
        )
        return found


def score(parts: Sequence[Postings], terms: Sequence[str], *, k1: float = K1, b: float = B) -> list[Floats]:
    """The scores [N] of every row of every part for the terms of a question; 0 where none is shared.

    A term that the question says twice counts twice.
    """
    asked = _Asked.of(parts, terms, k1=k1, b=b)
    found = []
    for part in parts:
        damping_N = asked.damped(part.lengths_N)
        scores_N = np.zeros(len(damping_N), np.float32)
        for term, weight in zip(asked.terms, asked.weights, strict=True):
            _add(scores_N, part, term, weight, damping_N)
        found.append(scores_N)
    return found


def first(
    parts: Sequence[Postings], terms: Sequence[str], most: int, *, kept: Sequence[NDArray[np.bool_] | None], k1: float = K1, b: float = B
) -> list[tuple[NDArray[np.int64], Floats]]:  # fmt: skip
    """Rows and scores of each part among which its `most` best lie, to the last bit as `score` has them; of the rows that are
    `kept` [N] where that is not None.

    Common terms are counted only for rows that can still be among the best (Turtle and Flood, Query Evaluation: Strategies and
    Optimizations, 1995).
    """
    asked = _Asked.of(parts, terms, k1=k1, b=b)
    return [_first(part, asked, most, kept_N) for part, kept_N in zip(parts, kept, strict=True)]


def _first(
    part: Postings, asked: _Asked, most: int, kept_N: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], Floats]:  # fmt: skip
    damping_N = asked.damped(part.lengths_N)
    scores_N = np.zeros(len(damping_N), np.float32)
    if kept_N is not None:
        scores_N[~kept_N] = -np.inf
    left = _at_most(part, asked, float(damping_N.min(initial=np.inf)))
    for done, (term, weight) in enumerate(zip(asked.terms, asked.weights, strict=True)):
        _add(scores_N, part, term, weight, damping_N)
        rest = left[done + 1]
        if most >= len(scores_N) or done + 1 == len(asked.terms) or rest >= scores_N.max():
            continue
        worst = _at_least(scores_N, most)
        rows = np.flatnonzero(scores_N >= worst - rest) if worst > rest else None
        if rows is not None and len(rows) <= len(scores_N) // _FEW:
            scores = scores_N[rows]
            for term_left, weight_left in zip(asked.terms[done + 1 :], asked.weights[done + 1 :], strict=True):
                _add_few(scores, rows, part, term_left, weight_left, damping_N)
            return rows, scores
    rows = np.flatnonzero(scores_N > 0)
    return rows, scores_N[rows]


def _at_most(part: Postings, asked: _Asked, damping: float) -> list[float]:
    """How much the terms from each place on can add, to a passage as short as the shortest; a little more, for rounding."""
    each = []
    for term, weight in zip(asked.terms, asked.weights, strict=True):
        count = part.most(term)
        each.append(weight * count / (count + damping) if count else 0.0)
    return [sum(each[place:]) * _ROUNDING for place in range(len(each) + 1)]


def _add(scores_N: Floats, part: Postings, term: str, weight: float, damping_N: Floats) -> None:
    rows, counts = part.of(term)
    if len(rows):
        held = counts.astype(np.float32)
        scores_N[rows] += np.float32(weight) * held / (held + damping_N[rows])


def _add_few(
    scores: Floats, among: NDArray[np.int64], part: Postings, term: str, weight: float, damping_N: Floats
) -> None:
    """The same for some rows alone, in their order; a part that is not sorted by rows is brought into order."""
    rows, counts = part.of(term)
    if not len(rows):
        return
    sorter = None if part.in_order else np.argsort(rows)
    at = np.searchsorted(rows, among, sorter=sorter)
    at = np.minimum(at, len(rows) - 1)
    at = at if sorter is None else sorter[at]
    here = np.flatnonzero(rows[at] == among)
    held = counts[at[here]].astype(np.float32)
    scores[here] += np.float32(weight) * held / (held + damping_N[among[here]])


def _at_least(scores_N: Floats, most: int) -> float:
    """A score that `most` rows reach: of lanes only the best is looked at, for a whole sort would take longer than it spares."""
    lanes = min(_LANES, len(scores_N) // most)
    best = scores_N[: len(scores_N) // lanes * lanes].reshape(lanes, -1).max(0)
    return float(np.partition(best, -most)[-most])


_ROUNDING = 1 + 1e-5
_LANES = 16
_FEW = 32  # that part of the rows is looked up sooner than all are counted
_NONE: Rows = np.zeros(0, np.int32)


def _mapped(path: Path) -> Rows:
    """Memory-mapped; an empty array cannot be, and is read."""
    try:
        found: Rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        found = np.load(path, allow_pickle=False)
    return np.asarray(found)
