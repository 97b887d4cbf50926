"""The best of many items for a query: exactly, in blocks that stay in the cache; or nearly, where cells of neighbours (`cells.py`) say
which items may be among the best and only those are scored exactly.

Not here: where queries come from (`recommendation.py`), rules (`shelf_rules.py`).

Legend: I items, W width, K wanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.cells import Cells

Floats = NDArray[np.float32]
Items = NDArray[np.int64]

_BLOCK = 1 << 15  # items scored at once
_LOWEST = np.float32(-np.inf)
RECALL = 0.98  # of the first ten, over queries such as those the cells were made for
_FEW = 1 << 14  # items that are scored one by one sooner than all in their order


class Top:
    """Items as a matrix [I, W] with an addend [I]; `best` gives the places of the highest `matrix @ query + addend`. Safe for threads."""

    def __init__(self, matrix_IW: Floats, addend_I: Floats, *, cells: Cells | None = None) -> None:
        self.matrix_IW, self.addend_I = np.ascontiguousarray(matrix_IW, np.float32), np.asarray(addend_I, np.float32)
        self.cells = cells

    @classmethod
    def near(cls, matrix_IW: Floats, addend_I: Floats, *, like_QW: Floats, threads: int = 1) -> Top:
        """With cells of all items; `like_QW` are queries such as those to come."""
        cells = Cells(matrix_IW, addend_I, like_QW=like_QW, recall=RECALL, threads=threads)
        return cls(matrix_IW, addend_I, cells=cells)

    def __len__(self) -> int:
        return len(self.matrix_IW)

    def best(
        self, query_W: Floats, k: int, *, without: Items, allowed: NDArray[np.bool_] | None = None, lifts_I: Floats | None = None
    ) -> tuple[Items, Floats]:  # fmt: skip
        """Places [K] and scores [K], the best first, ties by place; fewer where there are not so many. Only where `allowed` [I];
        `lifts_I` are added to the scores."""
        if allowed is None and lifts_I is None and self.cells is None:
            return self.exact(query_W, k, without=without)
        places = self._candidates(query_W, k, np.unique(without), allowed, lifts_I)
        if places is None:
            scores_I = self.matrix_IW @ query_W + self.addend_I
            return best_of(scores_I if lifts_I is None else scores_I + lifts_I, k, without=without, allowed=allowed)
        scores = self.matrix_IW[places] @ query_W + self.addend_I[places]
        if lifts_I is not None:
            scores += lifts_I[places]
        return merged(np.empty(0, np.int64), np.empty(0, np.float32), places, scores, k)

    def _candidates(
        self, query_W: Floats, k: int, barred: Items, allowed: NDArray[np.bool_] | None, lifts_I: Floats | None
    ) -> Items | None:  # fmt: skip
        """Places to be scored, each once; None for all. Those that a rule lifts are scored all, for cells know of no lifts."""
        if allowed is not None and np.count_nonzero(allowed) <= _FEW:
            return _without(np.flatnonzero(allowed), barred)
        if self.cells is None:
            return None
        lifted = np.empty(0, np.int64)
        if lifts_I is not None:
            unlike = lifts_I != 0
            lifted = np.flatnonzero(unlike if allowed is None else unlike & allowed)
            if len(lifted) > _FEW:
                return None
            allowed = ~unlike if allowed is None else allowed & ~unlike
        found = self._in_likely_cells(query_W, k, barred, allowed)
        return None if found is None else np.concatenate([found, _without(lifted, barred)])

    def _in_likely_cells(
        self, query_W: Floats, k: int, barred: Items, allowed: NDArray[np.bool_] | None
    ) -> Items | None:  # fmt: skip
        """Places of the likely cells that may be shown, k at least; deeper where what is barred took the first places. None
        where they are not found so."""
        assert self.cells is not None
        share = 1.0 if allowed is None else max(1, int(np.count_nonzero(allowed))) / len(self)
        wanted = k
        for _ in range(2):
            found = self.cells.candidates(query_W, wanted, share=share)
            if found is None:
                return None
            may = found if allowed is None else found[allowed[found]]
            left = _without(may, barred)
            taken = len(may) - len(left)
            if taken <= k:
                break
            wanted = k + taken
        return left if len(left) >= k else None

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
    scores_I: Floats, k: int, *, without: Items, allowed: NDArray[np.bool_] | None = None
) -> tuple[Items, Floats]:  # fmt: skip
    """Places [K] and scores [K] of the best of scores [I] that are there already; only where `allowed` [I]."""
    scores_I = np.array(scores_I, np.float32)
    scores_I[without] = _LOWEST
    places = np.flatnonzero(scores_I > _LOWEST if allowed is None else allowed & (scores_I > _LOWEST))
    if len(places) > 4 * k:
        places = places[_first(scores_I[places], k)]
    return merged(np.empty(0, np.int64), np.empty(0, np.float32), places, scores_I[places], k)


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
    return places[~np.isin(places, barred)] if len(barred) else places
