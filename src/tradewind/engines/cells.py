"""Which of very many items may be among the best for a query: they lie in cells of neighbours, the likeliest cells are looked at, four
bits a number. How many cells suffice is measured on queries like those to come, when the cells are made.

An inverted file for inner products (Jégou, Douze and Schmid, Product Quantization for Nearest Neighbor Search, 2011; Guo and
others, Quantization based Fast Inner Product Search, 2016). Not here: exact scores and who asks (`top.py`), the products (`nibbles.py`).

Legend: I items, W width, C cells, Q queries, V = W + 1 an item's numbers and its addend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.nibbles import Nibbles

Floats = NDArray[np.float32]
Items = NDArray[np.int64]

CELL = 4096  # items of one, on average
_TAUGHT, _ROUNDS = 256, 10  # items a cell that its centre is sought with, and how often it moves
_BLOCK = 1 << 14
_DEPTHS = (
    10,
    100,
    1000,
    10_000,
)  # how many of the best have to lie in the cells looked at: more where a rule leaves few
_LANES = 64  # scores of which only the highest is looked at to find a threshold
_ROUGH = 16  # times as many candidates as items wanted: four bits mistake near ones for each other
_LEAST = 128


class Cells:
    """Safe for threads. `looked_at` is the share of the items that are looked at for the first ten."""

    def __init__(
        self, matrix_IW: Floats, addend_I: Floats, *, like_QW: Floats, recall: float, threads: int = 1
    ) -> None:
        """`recall` is the share of the best for queries such as `like_QW` that lie in the cells looked at."""
        assert len(matrix_IW)
        assert len(like_QW)
        # What tells items apart is their difference times the queries': numbers that queries hardly have count little.
        spread_V = np.append(np.sqrt((like_QW**2).mean(0)), np.float32(1)).astype(np.float32)
        rows_IV = np.concatenate([matrix_IW, addend_I[:, None]], 1)
        cell_I = _nearest(rows_IV * spread_V, _centres(rows_IV * spread_V, max(1, round(len(rows_IV) / CELL))))
        used, cell_I = np.unique(cell_I, return_inverse=True)
        self._order_I = np.argsort(cell_I, kind="stable")
        self._sizes_C = np.bincount(cell_I, minlength=len(used))
        self._starts_C = np.concatenate([[0], np.cumsum(self._sizes_C)])[:-1]
        self._centres_CV = np.stack([rows_IV[self._members(one)].mean(0) for one in range(len(used))])
        self._cells = [Nibbles(matrix_IW[self._members(one)], threads=threads) for one in range(len(used))]
        self._addends = [np.ascontiguousarray(addend_I[self._members(one)]) for one in range(len(used))]
        self._enough = self._measured(rows_IV, cell_I, like_QW, recall)
        self.looked_at = self._enough[0] / len(matrix_IW)
        self.nbytes = (
            sum(cell.nbytes for cell in self._cells) + rows_IV[:, -1].nbytes + self._order_I.nbytes + self._centres_CV.nbytes
        )  # fmt: skip

    def candidates(self, query_W: Floats, wanted: int, *, share: float = 1.0) -> Items | None:
        """Places that are probably among the best, in no order: enough that of a `share` of all items, which a rule allows,
        there are the `wanted` best. None where so few are allowed that they may lie anywhere: who asks looks at all then."""
        depth = wanted / share
        if depth > min(_DEPTHS[-1], len(self._order_I)):
            return None
        enough = np.interp(np.log(depth), np.log(_DEPTHS), self._enough)
        chosen = self._likeliest(query_W, enough)
        prepared = self._cells[0].prepared(query_W)
        scores = np.concatenate([self._cells[one].products(prepared) for one in chosen])
        scores += np.concatenate([self._addends[one] for one in chosen])
        first = np.flatnonzero(scores >= _threshold(scores, max(_LEAST, round(_ROUGH * depth))))
        return self._places(chosen, first)

    def _members(self, cell: int) -> Items:
        begin = int(self._starts_C[cell])
        found: Items = self._order_I[begin : begin + int(self._sizes_C[cell])]
        return found

    def _likeliest(self, query_W: Floats, enough: float) -> list[int]:
        """Cells by what their middle scores, the best first, until enough items lie in them."""
        order = np.argsort(-(self._centres_CV[:, :-1] @ query_W + self._centres_CV[:, -1]))
        held = np.cumsum(self._sizes_C[order])
        found: list[int] = order[: int(np.searchsorted(held, enough)) + 1].tolist()
        return found

    def _places(self, chosen: Sequence[int], at: Items) -> Items:
        """From places in the scores of the chosen cells, one behind the other, to places of items."""
        ends = np.cumsum(self._sizes_C[chosen])
        which = np.searchsorted(ends, at, side="right")
        begins = ends - self._sizes_C[chosen]
        found: Items = self._order_I[at - begins[which] + self._starts_C[chosen][which]]
        return found

    def _measured(self, rows_IV: Floats, cell_I: Items, like_QW: Floats, recall: float) -> list[int]:
        """For each depth how many items have to be looked at so that this share of so many best lies among them."""
        needed: list[list[int]] = [[] for _ in _DEPTHS]
        for query_W in like_QW:
            scores = rows_IV[:, :-1] @ query_W + rows_IV[:, -1]
            order = np.argsort(-(self._centres_CV[:, :-1] @ query_W + self._centres_CV[:, -1]))
            held_C = np.empty(len(order), np.int64)
            held_C[order] = np.cumsum(self._sizes_C[order])
            for depth, found in zip(_DEPTHS, needed, strict=True):
                most = min(depth, len(scores))
                found += held_C[cell_I[np.argpartition(-scores, most - 1)[:most]]].tolist()
        quantiles = [np.quantile(found, recall, method="higher") for found in needed]
        return [int(one) for one in np.maximum.accumulate(quantiles)]


def _threshold(scores: Floats, most: int) -> float:
    """A score that some `most` lie above: that of the best of lanes, since two of the best seldom share one."""
    if len(scores) <= _LANES * most:
        return float(np.partition(scores, max(0, len(scores) - most))[max(0, len(scores) - most)])
    lanes = scores[: len(scores) // _LANES * _LANES].reshape(_LANES, -1).max(0)
    return float(np.partition(lanes, len(lanes) - most)[len(lanes) - most])


def _centres(rows_IV: Floats, cells: int) -> Floats:
    """Lloyd's k-means on a part of the rows, drawn evenly over their order."""
    taught = rows_IV[np.linspace(0, len(rows_IV) - 1, min(len(rows_IV), _TAUGHT * cells)).astype(np.int64)]
    centres = taught[np.linspace(0, len(taught) - 1, cells).astype(np.int64)].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest(taught, centres)
        order, sizes = np.argsort(nearest, kind="stable"), np.bincount(nearest, minlength=cells)
        there = np.flatnonzero(sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        centres[there] = np.add.reduceat(taught[order], starts[there], axis=0) / sizes[there, None]
    return centres


def _nearest(rows_IV: Floats, centres_CV: Floats) -> Items:
    """The nearest centre of each row."""
    half_C = (centres_CV**2).sum(1) / 2
    return np.concatenate(
        [
            (rows_IV[begin : begin + _BLOCK] @ centres_CV.T - half_C).argmax(1)
            for begin in range(0, len(rows_IV), _BLOCK)
        ]
    )
