"""The best of many items for a query: exactly, in blocks that stay in the cache; or nearly, where short codes of all items (`codes.py`)
say which may be among the best and only those are scored exactly.

Not here: where queries come from (`recommendation.py`), rules (`shelf_rules.py`).

Legend: I items, W width, K wanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.codes import Codes

Floats = NDArray[np.float32]
Items = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK = 1 << 15  # items scored at once
_LOWEST = np.float32(-np.inf)
RECALL = 0.98  # of the first ten, over queries such as those the codes were made for
_FEW = 1 << 14  # items that are scored one by one sooner than their codes are looked at
_LIFTS = 3  # different lifts, none among them, up to which the codes are looked at once for each


class Top:
    """Items as a matrix [I, W] with an addend [I]; `best` gives the places of the highest `matrix @ query + addend`. Safe for threads."""

    def __init__(self, matrix_IW: Floats, addend_I: Floats, *, codes: Codes | None = None) -> None:
        self.matrix_IW, self.addend_I = np.ascontiguousarray(matrix_IW, np.float32), np.asarray(addend_I, np.float32)
        self.codes = codes

    @classmethod
    def near(cls, matrix_IW: Floats, addend_I: Floats, *, like_QW: Floats, threads: int = 1) -> Top:
        """With codes of all items, unless they are few; `like_QW` are queries such as those to come. Raises EnvironmentFailure
        package_missing."""
        codes = None
        if len(matrix_IW) > _FEW:
            codes = Codes(matrix_IW, addend_I, like_QW=like_QW, recall=RECALL, threads=threads)
        return cls(matrix_IW, addend_I, codes=codes)

    def __len__(self) -> int:
        return len(self.matrix_IW)

    def best(
        self, query_W: Floats, k: int, *, without: Items, allowed: Mask | None = None, lifts_I: Floats | None = None
    ) -> tuple[Items, Floats]:  # fmt: skip
        """Places [K] and scores [K], the best first, ties by place; fewer where there are not so many. Only where `allowed` [I];
        `lifts_I` are added to the scores."""
        if allowed is None and lifts_I is None and self.codes is None:
            return self.exact(query_W, k, without=without)
        places = self._candidates(query_W, k, np.unique(without), allowed, lifts_I)
        if places is None:
            scores_I = self.matrix_IW @ query_W + self.addend_I
            return best_of(scores_I if lifts_I is None else scores_I + lifts_I, k, without=without, allowed=allowed)
        scores = self.matrix_IW[places] @ query_W + self.addend_I[places]
        if lifts_I is not None:
            scores += lifts_I[places]
        return _best_at(places, scores, k)

    def _candidates(
        self, query_W: Floats, k: int, barred: Items, allowed: Mask | None, lifts_I: Floats | None
    ) -> Items | None:  # fmt: skip
        """Places to be scored, each once; None for all. Codes know of no lifts: a few lifted items are scored all, of many lifted
        alike the best are sought."""
        if allowed is not None and np.count_nonzero(allowed) <= _FEW:
            return _without(np.flatnonzero(allowed), barred)
        if self.codes is None:
            return None
        if lifts_I is None:
            return self._by_codes(query_W, k, barred, allowed)
        lifted = np.flatnonzero(lifts_I != 0)
        if len(lifted) <= _FEW:
            rest = np.ones(len(self), np.bool_) if allowed is None else allowed.copy()
            first = _without(lifted[rest[lifted]], barred)
            rest[lifted] = False
            places = self._by_codes(query_W, k, barred, rest)
            return None if places is None else np.concatenate([first, places])
        found: list[Items] = []
        for some in _alike(lifts_I, allowed):
            places = self._by_codes(query_W, k, barred, some)
            if places is None:
                return None
            found.append(places)
        return np.concatenate(found) if found else None

    def _by_codes(self, query_W: Floats, k: int, barred: Items, some: Mask | None) -> Items | None:
        """Places of `some` [I] that nearly hold the `k` best that are not barred; more are looked at where barred ones took the
        first places. None where so many would be needed that all may be scored."""
        assert self.codes is not None
        needed = self.codes.needed(k)
        while needed is not None:
            most = needed + len(barred)
            found = self.codes.first(query_W, most, among=some)
            taken = _are_in(found, barred)
            left = found[~taken]
            if len(found) < most or not taken.any():
                return left
            if len(left) < k:
                return None
            scores = self.matrix_IW[found] @ query_W + self.addend_I[found]
            kth = np.partition(scores[~taken], -k)[-k]
            needed = self.codes.needed(int(np.count_nonzero(scores >= kth)))
            if needed is not None and needed <= most:
                return left
        return None

    def exact(self, query_W: Floats, k: int, *, without: Items) -> tuple[Items, Floats]:
        """Every item is scored, block by block; of each block those above the worst of the best so far are looked at."""
        query_W = np.ascontiguousarray(query_W, np.float32)
        barred = np.unique(without)
        places, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        for begin in range(0, len(self), _BLOCK):
            found = self.matrix_IW[begin : begin + _BLOCK] @ query_W
            found += self.addend_I[begin : begin + _BLOCK]
            inside = barred[(barred >= begin) & (barred < begin + _BLOCK)]
            found[inside - begin] = _LOWEST
            if len(scores) == k:
                above = np.flatnonzero(found > scores[-1])  # a tie goes to the earlier place, which stands already
            else:
                above = np.flatnonzero(found > _LOWEST)
            if len(above) > 4 * k:
                above = above[_first(found[above], k)]
            if len(above):
                places, scores = merged(places, scores, above + begin, found[above], k)
        return places, scores


def best_of(
    scores_I: Floats, k: int, *, without: Items, allowed: Mask | None = None
) -> tuple[Items, Floats]:  # fmt: skip
    """Places [K] and scores [K] of the best of scores [I] that are there already; only where `allowed` [I]."""
    scores_I = np.array(scores_I, np.float32)
    scores_I[without] = _LOWEST
    places = np.flatnonzero(scores_I > _LOWEST if allowed is None else allowed & (scores_I > _LOWEST))
    return _best_at(places, scores_I[places], k)


def _best_at(places: Items, scores: Floats, k: int) -> tuple[Items, Floats]:
    """The `k` best of places in any order."""
    if len(places) > 4 * k:
        first = _first(scores, k)
        places, scores = places[first], scores[first]
    return merged(np.empty(0, np.int64), np.empty(0, np.float32), places, scores, k)


def _first(scores: Floats, k: int) -> Items:
    """Places of all that are at least as good as the k-th best."""
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= kth)


def merged(places: Items, scores: Floats, more: Items, more_scores: Floats, k: int) -> tuple[Items, Floats]:
    """The `k` best of both, ties by place."""
    places, scores = np.concatenate([places, more]), np.concatenate([scores, more_scores])
    order = np.lexsort((places, -scores))[:k]
    return places[order], scores[order]


def _without(places: Items, barred: Items) -> Items:
    return places[~_are_in(places, barred)]


def _are_in(places: Items, barred: Items) -> Mask:
    """Which places are barred; these are sorted."""
    if not len(barred):
        return np.zeros(len(places), np.bool_)
    found: Mask = barred[np.minimum(np.searchsorted(barred, places), len(barred) - 1)] == places
    return found


def _alike(lifts_I: Floats, allowed: Mask | None) -> list[Mask]:
    """Which items have the same lift, for each lift; none where these are many."""
    found: list[Mask] = []
    left = np.ones(len(lifts_I), np.bool_)
    while left.any():
        if len(found) == _LIFTS:
            return []
        alike = lifts_I == lifts_I[left.argmax()]
        found.append(alike if allowed is None else alike & allowed)
        left ^= alike
    return found
