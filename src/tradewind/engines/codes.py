"""Which of very many items may be among the best for a query: all are looked at, two bits a number or less. How many of the first have to be
scored exactly is measured on queries like those to come, when the codes are made.

Product quantization for inner products (Jégou, Douze and Schmid, Product Quantization for Nearest Neighbor Search, 2011) with tables
that stay in registers (André, Kermarrec and Le Scouarnec, Cache Locality Is Not Enough, 2015), by FAISS. Not here: exact scores and
who asks (`top.py`, `vectors.py`).

Legend: I items, W width, Q queries, V an item's numbers and its addend.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import EnvironmentFailure

Floats = NDArray[np.float32]
Items = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BITS = 4  # of a code
_GROUP, _CODES = 2, 50  # numbers that share a code; more of them where there would be more codes
_TAUGHT = 1 << 16  # items that codes are sought with
_DEPTHS = (10, 100, 1000)  # how many of the best are sought: how many candidates each takes is measured
_LEAST = 256  # candidates: more cost hardly anything, and queries to come differ from those measured
_MOST = 1 << 13  # candidates; where more are needed, who asks looks at all
_AT_ONCE = 16  # queries that are measured together
_BLOCK = 1 << 16


class Codes:
    """Safe for threads. `nbytes` is the memory they take."""

    def __init__(
        self, matrix_IW: Floats, addend_I: Floats, *, like_QW: Floats, recall: float, threads: int = 1
    ) -> None:
        """`recall` is the share of the best for queries such as `like_QW` that lie among the candidates. Raises
        EnvironmentFailure package_missing."""
        assert len(matrix_IW)
        assert len(like_QW)
        self._faiss, self._threads, self._items = _runtime(), threads, len(matrix_IW)
        # What tells items apart is their difference times the queries': numbers that queries hardly have count little.
        spread_W = np.sqrt((like_QW**2).mean(0))
        self._spread_W = np.maximum(spread_W, max(1e-3 * float(spread_W.max()), 1e-9)).astype(np.float32)
        shared = max(_GROUP, -(-(matrix_IW.shape[1] + 1) // _CODES))
        codes = -(-(matrix_IW.shape[1] + 1) // shared)
        self._order_V = np.arange(codes * shared)
        self._index = self._made(matrix_IW, addend_I, codes)
        self.nbytes = self._items * (self._index.code_size + 8)  # and its number
        self._needed = self._measured(matrix_IW, addend_I, like_QW, recall)

    def needed(self, depth: int) -> int | None:
        """How many of the first by their codes nearly hold the `depth` best. None where so many would have to be scored that
        who asks scores all."""
        if depth > _DEPTHS[-1]:
            return None
        found = round(float(np.exp(np.interp(np.log(depth), np.log(_DEPTHS), np.log(self._needed)))))
        return found if found <= _MOST else None

    def first(self, query_W: Floats, most: int, *, among: Mask | None = None) -> Items:
        """Places of the `most` first by their codes, in no order; of `among` [I] where it is given. Fewer where there are not
        so many."""
        found: Items = self._first(query_W[None], most, among)[0]
        there: Items = found[found >= 0]
        return there

    def _made(self, matrix_IW: Floats, addend_I: Floats, codes: int) -> Any:
        items = len(matrix_IW)
        taught = np.linspace(0, items - 1, min(items, _TAUGHT)).astype(np.int64)
        # Each code gets a number of much spread, one of less, and so on: all codes have alike much to tell.
        widest_V = np.argsort(-self._rows(matrix_IW[taught], addend_I[taught]).var(0), kind="stable")
        self._order_V = widest_V.reshape(-1, codes).T.ravel()
        self._faiss.omp_set_num_threads(self._threads)
        # One list: only lists know of masks.
        kind = f"IVF1,PQ{codes}x{_BITS}fs"
        index = self._faiss.index_factory(len(self._order_V), kind, self._faiss.METRIC_INNER_PRODUCT)
        index.train(self._rows(matrix_IW[taught], addend_I[taught]))
        for begin in range(0, items, _BLOCK):
            index.add(self._rows(matrix_IW[begin : begin + _BLOCK], addend_I[begin : begin + _BLOCK]))
        return index

    def _rows(self, matrix_IW: Floats, addend_I: Floats) -> Floats:
        return self._laid_out(matrix_IW * self._spread_W, addend_I)

    def _laid_out(self, numbers_IW: Floats, addend: Floats | float) -> Floats:
        width = numbers_IW.shape[1]
        found_IV = np.zeros((len(numbers_IW), len(self._order_V)), np.float32)
        found_IV[:, :width], found_IV[:, width] = numbers_IW, addend
        return np.ascontiguousarray(found_IV[:, self._order_V])

    def _first(self, query_QW: Floats, most: int, among: Mask | None = None) -> Items:
        """The first by their codes [Q, most], the best first; -1 where there are not so many."""
        query_QV = self._laid_out(query_QW / self._spread_W, 1.0)
        chosen = None if among is None else self._faiss.IDSelectorBitmap(np.packbits(among, bitorder="little"))
        asked = self._faiss.SearchParametersIVF(nprobe=1, sel=chosen)
        self._faiss.omp_set_num_threads(self._threads)  # of the thread that asks
        found: Items = self._index.search(query_QV, most, params=asked)[1]
        return found

    def _measured(self, matrix_IW: Floats, addend_I: Floats, like_QW: Floats, recall: float) -> list[int]:
        """For each depth how many candidates this share of so many best lies among; more than `_MOST` where it does not."""
        depths = [min(depth, self._items) for depth in _DEPTHS]
        ranks: list[list[Items]] = [[] for _ in depths]
        for begin in range(0, len(like_QW), _AT_ONCE):
            asked_QW = like_QW[begin : begin + _AT_ONCE]
            scores_QI = asked_QW @ matrix_IW.T + addend_I
            for first, scores_I in zip(self._first(asked_QW, min(_MOST, self._items)), scores_QI, strict=True):
                rank_I = np.full(self._items, _MOST + 1)
                rank_I[first[first >= 0]] = np.arange(1, np.count_nonzero(first >= 0) + 1)
                best = np.argpartition(-scores_I, depths[-1] - 1)[: depths[-1]]
                best = best[np.argsort(-scores_I[best])]
                for depth, found in zip(depths, ranks, strict=True):
                    found.append(rank_I[best[:depth]])
        quantiles = [int(np.quantile(np.concatenate(found), recall, method="higher")) for found in ranks]
        return [int(one) for one in np.maximum.accumulate(np.maximum(quantiles, [_LEAST, *depths[1:]]))]


def _runtime() -> Any:
    """Loaded only where items are very many: the server of another product need not have it."""
    try:
        return importlib.import_module("faiss")
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            "The best of very many are found with the package faiss, which is not installed.", code="package_missing",
            hint="Install it with: pip install faiss-cpu.",
        ) from error  # fmt: skip
