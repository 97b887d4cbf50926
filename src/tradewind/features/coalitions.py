"""Coalitions of columns: encoded rows in which some columns keep their own values and the others take a background row's,
and by Shapley's rule what each column adds to the answer.

On this floor because both who serves (`engines/`) and who measures (`evaluate/`) need the same arithmetic and neither may
import the other. Not here: whose answer is explained, and in which words (`engines/shapley.py`, `engines/reasons.py`).

Legend: P columns, D of them that differ from a background row, M background rows, W of them that are used, N numbers,
C categories, Q questions to the model, S = 2^D coalitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.features.column import Layout

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Floats: TypeAlias = NDArray[np.float64]
Ask: TypeAlias = Callable[[Arrays], Floats]  # encoded rows [Q, …] to one score each, [Q]

QUESTIONS = 256  # for one row: some milliseconds of a table's network
EXACT_QUESTIONS = 4096
_LEAST_ROWS = 8  # fewer background rows are worth less than exactness
_MOST_EXACT = 20  # columns: beyond it not even one background row could be asked exactly
_SURE = 1e-7  # nearer to 0 or 1 a probability in single precision tells nothing


@dataclass(frozen=True)
class Players:
    """Which column each encoded number [N], category [C] and tensor belongs to, as places in `names`."""

    names: tuple[str, ...]
    numbers_N: NDArray[np.int64]
    categories_C: NDArray[np.int64]
    tensors: Mapping[str, int]

    @classmethod
    def of(cls, layout: Layout, names: Sequence[str]) -> Players:
        """Players in the order of `names`, the columns of the layout."""
        at = {name: place for place, name in enumerate(names)}
        return cls(
            names=tuple(names),
            numbers_N=np.array([at[one.column] for one in layout.numbers], dtype=np.int64),
            categories_C=np.array([at[one.column] for one in layout.categories], dtype=np.int64),
            tensors={one.name: at[one.column] for one in layout.tensors},
        )

    def mixed(
        self, row: Arrays, background: Arrays, *, keep_QP: NDArray[np.bool_], other_Q: NDArray[np.int64]
    ) -> Arrays:
        """Q encoded rows: column p is the row's own where `keep_QP`, else that of background row `other_Q`."""
        owners = {"numbers": self.numbers_N, "categories": self.categories_C}
        found: dict[str, NDArray[Any]] = {}
        for name, own in row.items():
            if name in owners:
                found[name] = np.where(keep_QP[:, owners[name]], own, background[name][other_Q])
                continue
            own, others = _alike(own, background[name])
            keep_Q = keep_QP[:, self.tensors[name]]
            mixed = others[other_Q]
            mixed[keep_Q] = own[0]
            found[name] = mixed
        return found

    def exchanged(self, rows: Arrays, column: int, order_B: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The encoded rows with one column taken from the rows that `order_B` names."""
        owners = {"numbers": self.numbers_N, "categories": self.categories_C}
        found = dict(rows)
        for name, array in rows.items():
            if name in owners:
                found[name] = np.where(owners[name] == column, array[order_B], array)
            elif self.tensors[name] == column:
                found[name] = array[order_B]
        return found

    def differing(self, row: Arrays, background: Arrays) -> NDArray[np.bool_]:
        """[M, P]: where a column of the row is encoded otherwise than in the background row. What is alike adds nothing."""
        differs_MP = np.zeros((len(next(iter(background.values()))), len(self.names)), dtype=np.bool_)
        owners = {"numbers": self.numbers_N, "categories": self.categories_C}
        for name, own in row.items():
            if name in owners:
                unequal = own != background[name]
                for place, owner in enumerate(owners[name]):
                    differs_MP[:, owner] |= unequal[:, place]
                continue
            own, others = _alike(own, background[name])
            differs_MP[:, self.tensors[name]] |= (own != others).reshape(len(others), -1).any(axis=1)
        return differs_MP


@dataclass(frozen=True)
class Shares:
    """Shapley values [P] of one row: they sum to `score` - `base`, the row's own score less the mean of the background rows
    that were used. `exact`: every coalition was asked."""

    values_P: Floats
    score: float
    base: float
    exact: bool


def log_odds(p: NDArray[Any]) -> Floats:
    """ln(p / (1 - p)), bounded where single precision tells nothing more. Near certainty an effect on the probability
    itself would look like nothing."""
    sure: Floats = p.astype(np.float64).clip(_SURE, 1 - _SURE)
    found: Floats = np.log(sure) - np.log1p(-sure)
    return found


def shapley(
    ask: Ask, players: Players, row: Arrays, background: Arrays, *, base_M: Floats, questions: int = QUESTIONS,
    exact: int = EXACT_QUESTIONS, seed: int = 0,
) -> Shares:  # fmt: skip
    """Interventional Shapley values of one encoded row [1, …] over M background rows, whose scores are `base_M`.

    Exact (Shapley 1953) where all coalitions of the columns that differ, over eight background rows or more, are at most
    `exact` questions: nine columns, more where rows share values. Else one permutation for each background row, walked
    there and back (Mitchell, Cooper, Frank, Holmes 2022), over as many background rows as `questions` allow. Each walk
    telescopes, so the values add up to the score less the mean of the background rows used in any case, a column that
    changes nothing gets exactly nothing, and interactions of two columns are shared exactly.
    """
    differs_MP = players.differing(row, background)
    sizes_M = differs_MP.sum(axis=1)
    score, count = float(ask(row)[0]), len(base_M)
    used = _fitting(np.where(sizes_M > _MOST_EXACT, exact + 1, 2.0 ** np.minimum(sizes_M, _MOST_EXACT) - 2), exact)
    is_exact = len(used) >= min(count, _LEAST_ROWS)
    if not is_exact:
        used = _fitting(2.0 * (sizes_M - 1), questions)
    part = _exactly if is_exact else _walked
    values_P = part(
        ask, players, row, background, used=used, differs_MP=differs_MP, base_M=base_M, score=score, seed=seed
    )
    return Shares(values_P, score, float(base_M[used].mean()), is_exact)


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` places of `count`, evenly from all over."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _fitting(cost_M: NDArray[Any], most: float) -> NDArray[np.int64]:
    """As many background rows, evenly from all over, as cost at most `most` questions; one at least."""
    likely = int(1.5 * most / max(1.0, cost_M.mean())) + 1
    for rows in range(min(len(cost_M), likely), 1, -1):
        used = spread(len(cost_M), rows)
        if np.maximum(cost_M[used], 0).sum() <= most:
            return used
    return spread(len(cost_M), 1) if cost_M[0] <= most else np.zeros(0, dtype=np.int64)


def _exactly(
    ask: Ask, players: Players, row: Arrays, background: Arrays, *, used: NDArray[np.int64], differs_MP: NDArray[np.bool_],
    base_M: Floats, score: float, seed: int,
) -> Floats:  # fmt: skip
    columns = [np.flatnonzero(differs_MP[one]) for one in used]
    keeps = [np.zeros((max(0, 2 ** len(those) - 2), len(players.names)), dtype=np.bool_) for those in columns]
    for keep_SP, those in zip(keeps, columns, strict=True):
        keep_SP[:, those] = _subsets(len(those))[1:-1]
    counts = [len(keep) for keep in keeps]
    questions = np.concatenate(keeps)
    found = np.zeros(0)
    if len(questions):
        found = ask(players.mixed(row, background, keep_QP=questions, other_Q=np.repeat(used, counts)))
    values_P = np.zeros(len(players.names))
    for one, those, worth in zip(used, columns, np.split(found, np.cumsum(counts)[:-1]), strict=True):
        if len(those):
            values_P[those] += _shares_of(np.concatenate([[base_M[one]], worth, [score]]), len(those)) / len(used)
    return values_P


def _subsets(columns: int) -> NDArray[np.bool_]:
    """All subsets of `columns`, [S, D]; row s holds the columns of the bits of s."""
    found: NDArray[np.bool_] = (np.arange(2**columns)[:, None] >> np.arange(columns)) & 1 == 1
    return found


def _shares_of(worth_S: Floats, columns: int) -> Floats:
    """Shapley values [D] from the worth of every subset: |S|! (D - |S| - 1)! / D! times what a column adds to S."""
    bits_SD = _subsets(columns)
    weight = np.array([1 / (columns * comb(columns - 1, size)) for size in range(columns)])
    sizes_S = bits_SD.sum(axis=1)
    found = np.empty(columns)
    for column in range(columns):
        without = np.flatnonzero(~bits_SD[:, column])
        found[column] = weight[sizes_S[without]] @ (worth_S[without | (1 << column)] - worth_S[without])
    return found


def _walked(
    ask: Ask, players: Players, row: Arrays, background: Arrays, *, used: NDArray[np.int64], differs_MP: NDArray[np.bool_],
    base_M: Floats, score: float, seed: int,
) -> Floats:  # fmt: skip
    columns = len(players.names)
    differs_WP = differs_MP[used]
    # Columns that are alike come first: while they are added nothing changes, and nothing need be asked.
    random_WP = np.random.default_rng(seed).random((len(used), columns))
    order_WP = np.argsort(random_WP + differs_WP, axis=1)
    place_WP = np.argsort(order_WP, axis=1)
    steps = np.arange(1, columns)
    ahead = place_WP[:, None, :] < steps[:, None]  # [W, P - 1, P]: the first `step` columns are the row's own
    asked_W, asked_step = np.nonzero(steps > (~differs_WP).sum(axis=1)[:, None])
    there = np.repeat(base_M[used][:, None], columns - 1, axis=1)
    back = np.full_like(there, score)
    if len(asked_W):
        keep = ahead[asked_W, asked_step]
        found = ask(
            players.mixed(row, background, keep_QP=np.concatenate([keep, ~keep]), other_Q=np.tile(used[asked_W], 2))
        )
        there[asked_W, asked_step], back[asked_W, asked_step] = np.split(found, 2)
    start, end = base_M[used][:, None], np.full((len(used), 1), score)
    # `there` grows towards the row; its complements, in the same order, shrink towards the background.
    gain_WP = np.diff(np.concatenate([start, there, end], axis=1), axis=1)
    gain_WP -= np.diff(np.concatenate([end, back, start], axis=1), axis=1)
    shares: Floats = np.take_along_axis(gain_WP / 2, place_WP, axis=1).mean(axis=0)
    return shares


def _alike(own: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ragged tensors (text) brought to one length by the padding 0."""
    if own.shape[1:] == others.shape[1:]:
        return own, others
    assert own.ndim == others.ndim == 2, "only rows of tokens differ in length"
    width = max(own.shape[1], others.shape[1])
    return tuple(np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in (own, others))  # type: ignore[return-value]
