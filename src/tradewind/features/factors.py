"""Implicit feedback as factors: alternating least squares over who met what (Hu, Koren and Volinsky, Collaborative Filtering for
Implicit Feedback Datasets, 2008). Somebody new is folded in: their factors follow from what they met, without a fit.

Below evaluation, which has it as a baseline, and engines, which may add its scores to a network's. Not here: the network.

Legend: U users, I items, N meetings, F factors, B rows, L items of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Index = NDArray[np.int64]

_BLOCK = 60_000  # rows × items that one batch of systems gathers


@dataclass(frozen=True)
class Factors:
    """Of items, [I, F], with what folding in needs: `gram` [F, F] is that of all items, ridge added; a meeting has the
    confidence 1 + `alpha` times its weight."""

    items_IF: Floats
    gram_FF: Floats
    alpha: float

    @classmethod
    def fit(
        cls, starts_U: Index, item_N: NDArray[np.integer], weight_N: Floats | None = None, *, items: int, factors: int = 64,
        alpha: float = 10.0, ridge: float = 0.01, rounds: int = 10, seed: int = 0,
    ) -> Self:  # fmt: skip
        """From histories, user u's items being `item_N[starts_U[u] : starts_U[u + 1]]`; `rounds` over users and items."""
        random = np.random.default_rng(seed)
        met_N: Index = np.asarray(item_N).astype(np.int64)
        weight_N = np.ones(len(met_N), np.float32) if weight_N is None else np.asarray(weight_N, np.float32)
        user_N = np.repeat(np.arange(len(starts_U) - 1), np.diff(starts_U))
        by_item = np.argsort(met_N, kind="stable")
        item_starts = np.concatenate([[0], np.cumsum(np.bincount(met_N, minlength=items))])
        items_IF = random.normal(0, 0.01, (items, factors)).astype(np.float32)
        for _ in range(rounds):
            users_UF = _solve(starts_U, met_N, weight_N, items_IF, alpha=alpha, ridge=ridge)
            items_IF = _solve(item_starts, user_N[by_item], weight_N[by_item], users_UF, alpha=alpha, ridge=ridge)
        return cls.of(items_IF, alpha=alpha, ridge=ridge)

    @classmethod
    def of(cls, items_IF: Floats, *, alpha: float, ridge: float) -> Self:
        return cls(items_IF, _gram(items_IF, ridge), alpha)

    def fold(self, starts_B: Index, item_N: NDArray[np.integer], weight_N: Floats | None = None) -> Floats:
        """Factors [B, F] of somebody who met these items; zeros for nobody. `items_IF @ fold` are scores near 0 to 1."""
        met_N: Index = np.asarray(item_N).astype(np.int64)
        weight_N = np.ones(len(met_N), np.float32) if weight_N is None else np.asarray(weight_N, np.float32)
        return _systems(starts_B, met_N, weight_N, self.items_IF, self.gram_FF, self.alpha)


def _gram(table: Floats, ridge: float) -> Floats:
    gram: Floats = table.T @ table + np.float32(ridge) * np.eye(table.shape[1], dtype=np.float32)
    return gram


def _solve(starts: Index, other_N: Index, weight_N: Floats, table: Floats, *, alpha: float, ridge: float) -> Floats:
    return _systems(starts, other_N, weight_N, table, _gram(table, ridge), alpha)


def _systems(
    starts: Index, other_N: Index, weight_N: Floats, table: Floats, gram_FF: Floats, alpha: float
) -> Floats:  # fmt: skip
    """(YᵀY + Yᵀ(C − 1)Y + λ) x = YᵀC p for every row at once, rows of like length together."""
    lengths = np.diff(starts)
    found = np.zeros((len(lengths), table.shape[1]), np.float32)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    begin = 0
    while begin < len(order):
        longest = int(lengths[order[begin]])
        count = max(1, _BLOCK // longest)
        while count > 1 and int(lengths[order[min(begin + count, len(order)) - 1]]) * count > _BLOCK:
            count //= 2
        rows = order[begin : begin + count]
        begin += count
        longest = int(lengths[rows[-1]])
        there_BL = np.arange(longest) < lengths[rows][:, None]
        places_BL = np.where(there_BL, starts[:-1][rows][:, None] + np.arange(longest), 0)
        extra_BL = np.where(there_BL, np.float32(alpha) * weight_N[places_BL], np.float32(0))
        met_BLF = table[other_N[places_BL]]
        left_BFF = gram_FF + (met_BLF * extra_BL[:, :, None]).transpose(0, 2, 1) @ met_BLF
        right_BF = (((1 + extra_BL) * there_BL)[:, None, :].astype(np.float32) @ met_BLF)[:, 0]
        found[rows] = np.linalg.solve(left_BFF, right_BF[:, :, None])[:, :, 0]
    return found
