"""Items that the same people met: each item's nearest ones by cosine, and scores of a history from them, the latest items first
(Sarwar et al., Item-Based Collaborative Filtering, 2001; the decay by recency after session-kNN, Ludewig and Jannach 2018).

Not here: factors (`factors.py`), networks. Legend: U users, I items, N meetings, K neighbours, B rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]

_PAIRS = 20_000_000  # pairs of items met by the same people that are counted at once
_MOST_HISTORY = 200  # the latest items of a user that are paired with each other


@dataclass(frozen=True)
class Neighbours:
    """`near_IK` int32 [I, K], -1 where an item has fewer; `cosine_IK` float32."""

    near_IK: NDArray[np.int32]
    cosine_IK: NDArray[np.float32]

    @classmethod
    def fit(cls, starts_U: Index, item_N: NDArray[np.integer], *, items: int, most: int = 100) -> Self:
        """Cosines of the columns of the matrix of who met what; an item met twice by somebody counts once."""
        item_N = np.asarray(item_N).astype(np.int64)
        user_N = np.repeat(np.arange(len(starts_U) - 1), np.diff(starts_U))
        place_N = np.arange(len(item_N)) - np.asarray(starts_U)[1:][user_N]
        latest = place_N >= -_MOST_HISTORY
        pairs = np.unique(user_N[latest] * items + item_N[latest])
        user, item = pairs // items, pairs % items
        counts_I = np.bincount(item, minlength=items)
        codes, together = _together(user, item, items)
        one, other = codes // items, codes % items
        cosine = together / np.sqrt(counts_I[one].astype(np.float64) * counts_I[other])
        order = np.lexsort((other, -cosine, one))
        one, other, cosine = one[order], other[order], cosine[order]
        starts_I = np.searchsorted(one, np.arange(items + 1))
        rank = np.arange(len(one)) - starts_I[one]
        kept = rank < most
        near_IK = np.full((items, most), -1, np.int32)
        cosine_IK = np.zeros((items, most), np.float32)
        near_IK[one[kept], rank[kept]] = other[kept]
        cosine_IK[one[kept], rank[kept]] = cosine[kept]
        return cls(near_IK, cosine_IK)

    def scores(
        self, starts_B: Index, item_N: NDArray[np.integer], *, items: int, decay: float = 0.8
    ) -> NDArray[np.float32]:
        """Scores [B, I]: of each item met its neighbours' cosines, times `decay` for every later meeting."""
        item_N = np.asarray(item_N).astype(np.int64)
        lengths = np.diff(starts_B)
        row_N = np.repeat(np.arange(len(lengths)), lengths)
        since_N = np.asarray(starts_B)[1:][row_N] - 1 - np.arange(len(item_N))
        near = self.near_IK[item_N]
        weight = self.cosine_IK[item_N] * (decay ** since_N.astype(np.float64))[:, None]
        there = near >= 0
        flat = (row_N[:, None] * items + near)[there]
        found = np.bincount(flat, weight[there], minlength=len(lengths) * items)
        return found.reshape(len(lengths), items).astype(np.float32)


def _together(user: Index, item: Index, items: int) -> tuple[Index, Index]:
    """Codes of ordered pairs of different items, and how many people met both. Rows are sorted by user."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(user)) + 1, [len(user)]])
    lengths = np.diff(starts)
    codes, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    cost = np.cumsum(lengths * lengths)
    begin = 0
    while begin < len(lengths):
        spent = int(cost[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(cost, spent + _PAIRS, side="right")))
        mine = lengths[begin:end]
        one = np.repeat(np.arange(starts[begin], starts[end]), np.repeat(mine, mine))
        group = np.repeat(starts[begin:end], mine * mine)
        within = np.arange(len(one)) - np.repeat(np.cumsum(mine * mine) - mine * mine, mine * mine)
        other = group + within % np.repeat(mine, mine * mine)
        different = one != other
        fresh, found = np.unique(item[one[different]] * items + item[other[different]], return_counts=True)
        codes, inverse = np.unique(np.concatenate([codes, fresh]), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate([counts, found]), minlength=len(codes)).astype(np.int64)
        begin = end
    return codes, counts
