"""The best of many items for a query: exactly, in blocks that stay in the cache; or nearly, by a graph of neighbours (HNSW, Malkov
and Yashunin 2018) in the package usearch, where it is installed and asked for.

Not here: where queries come from (`recommendation.py`), rules (`shelf_rules.py`).

Legend: I items, W width, K wanted.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import EnvironmentFailure

Floats = NDArray[np.float32]
Items = NDArray[np.int64]

_BLOCK = 1 << 15  # items scored at once
_LOWEST = np.float32(-np.inf)
_CONNECTIVITY, _BUILD_WIDTH, _SEARCH_WIDTH = 24, 128, 192
_AROUND = 4  # times as many neighbours as wanted are looked at and scored exactly


class Top:
    """Items as a matrix [I, W] with an addend [I]; `best` gives the places of the highest `matrix @ query + addend`."""

    def __init__(self, matrix_IW: Floats, addend_I: Floats, *, approximate: bool = False) -> None:
        """Raises EnvironmentFailure where an index is asked for and usearch is not installed."""
        self.matrix_IW, self.addend_I = np.ascontiguousarray(matrix_IW, np.float32), np.asarray(addend_I, np.float32)
        self._index: Any = _index(self.matrix_IW, self.addend_I) if approximate and len(matrix_IW) else None

    def __len__(self) -> int:
        return len(self.matrix_IW)

    @cached_property
    def mean(self) -> Floats:
        """The mean item [W]."""
        found: Floats = self.matrix_IW.mean(0)
        return found

    def best(self, query_W: Floats, k: int, *, without: Items) -> tuple[Items, Floats]:
        """Places [K] and scores [K], the best first, ties by place; fewer where there are not so many."""
        if self._index is not None and k + len(without) < len(self):
            return self._near(query_W, k, without)
        return self.exact(query_W, k, without=without)

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
                places, scores = _merged(places, scores, above + begin, found[above], k)
        return places, scores

    def best_of(
        self, scores_I: Floats, k: int, *, without: Items, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Items, Floats]:  # fmt: skip
        """The same from scores [I] that are there already; only where `allowed` [I]."""
        scores_I = np.array(scores_I, np.float32)
        scores_I[without] = _LOWEST
        places = np.flatnonzero(scores_I > _LOWEST if allowed is None else allowed & (scores_I > _LOWEST))
        if len(places) > 4 * k:
            places = places[_first(scores_I[places], k)]
        return _merged(np.empty(0, np.int64), np.empty(0, np.float32), places, scores_I[places], k)

    def _near(self, query_W: Floats, k: int, without: Items) -> tuple[Items, Floats]:
        barred = np.unique(without)
        wanted = min(len(self), _AROUND * k + len(barred))
        found = self._index.search(_augmented(_augmented(query_W[None], 1.0), 0.0), wanted)
        places = np.asarray(found.keys, np.int64).ravel()
        places = places[~np.isin(places, barred)]
        scores = self.matrix_IW[places] @ query_W + self.addend_I[places]
        return _merged(np.empty(0, np.int64), np.empty(0, np.float32), places, scores, k)


def _first(scores: Floats, k: int) -> Items:
    """Places of all that are at least as good as the k-th best."""
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= kth)


def _merged(places: Items, scores: Floats, more: Items, more_scores: Floats, k: int) -> tuple[Items, Floats]:
    places, scores = np.concatenate([places, more]), np.concatenate([scores, more_scores])
    order = np.lexsort((places, -scores))[:k]
    return places[order], scores[order]


def _augmented(rows: Floats, last: float | Floats) -> Floats:
    """One number more for each row: the addend of an item, 1 of a query, so that scores are inner products; then what brings
    an item onto the sphere, 0 of a query."""
    further = np.broadcast_to(np.asarray(last, np.float32), (len(rows),))[:, None]
    return np.concatenate([rows, further], 1).astype(np.float32)


def _index(matrix_IW: Floats, addend_I: Floats) -> Any:
    try:
        usearch = importlib.import_module("usearch.index")
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            "An index of neighbours needs the package usearch, which is not installed.", code="package_missing",
            hint="Install it with: pip install usearch. Or leave approximate_from out: all items are scored then.",
        ) from error  # fmt: skip
    # Inner products are no distances: one number more brings all items onto one sphere, where the nearest by angle is the one
    # with the largest product (Bachrach et al., Speeding Up the Xbox Recommender, 2014).
    rows = _augmented(matrix_IW, addend_I)
    lengths = np.einsum("iw,iw->i", rows, rows)
    rows = _augmented(rows, np.sqrt(np.maximum(lengths.max() - lengths, 0)))
    index = usearch.Index(
        ndim=rows.shape[1], metric="cos", dtype="f32", connectivity=_CONNECTIVITY, expansion_add=_BUILD_WIDTH,
        expansion_search=_SEARCH_WIDTH,
    )  # fmt: skip
    index.add(np.arange(len(rows), dtype=np.uint64), rows)
    return index
