"""Batches of histories for a sequential recommender: packed one behind another into rows of one length, without padding to the
longest.

Not here: splits (`interactions.py`), attention that keeps packed histories apart (`model/recommender.py`).

Legend: B rows of a batch, T places of a row, N events, P pieces (a history, or a part of one that is longer than the model
sees). Order depends on (seed, epoch) alone, so that a run which resumes sees what one without a break would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]

NO_TARGET = -1
EMPTY = -1  # segment of a place that holds nothing
_POOL = 2048  # pieces that are packed together, the longest first
_ORDER = 21  # a stream of random numbers


@dataclass(frozen=True)
class SessionBatch:
    """`items` int64 [B, T]: what is read, the number of items for the start of a history. `targets` int64 [B, T]: what came
    next, -1 where nothing is learnt. `segments` int64 [B, T] keep histories apart, -1 is empty. `places` int64 [B, T] count
    within a history. `users` int64 [B, T]; `weights` float32 [B, T] of the targets."""

    items: Index
    targets: Index
    segments: Index
    places: Index
    users: Index
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def weight(self) -> None:
        return None

    @property
    def mixup(self) -> None:
        return None

    @property
    def rows(self) -> Index:
        """Users of the histories that are packed here."""
        return np.unique(self.users[self.segments != EMPTY])

    @property
    def inputs(self) -> Mapping[str, Index]:
        return {"items": self.items, "segments": self.segments, "places": self.places, "users": self.users}

    @property
    def target(self) -> Index:
        """The targets that are learnt, flat: what the loop counts."""
        learnt: Index = self.targets[self.targets != NO_TARGET]
        return learnt


@dataclass(frozen=True)
class Pieces:
    """Parts of histories: events `start_P` to `start_P + count_P` are the targets; what is read is a start and all but the last."""

    start: Index
    count: Index
    user: Index

    def __len__(self) -> int:
        return len(self.start)


def pieces_of(starts_U: Index, lengths_U: Index, *, context: int) -> Pieces:
    """The first `lengths_U` events of each user in parts of at most `context`, cut from the end, so that the latest part is whole."""
    parts_U = -(-lengths_U // context)
    user = np.repeat(np.arange(len(lengths_U)), parts_U)
    number = np.arange(len(user)) - np.repeat(np.cumsum(parts_U) - parts_U, parts_U)  # 0 is the latest
    end = lengths_U[user] - number * context
    begin = np.maximum(end - context, 0)
    return Pieces(starts_U[:-1][user] + begin, end - begin, user)


class Packs:
    """Batches of `size` rows of `length` places. An epoch has every piece once."""

    def __init__(
        self, item_N: NDArray[np.int32], weight_N: NDArray[np.float32], pieces: Pieces, *, start: int, length: int, size: int, seed: int
    ) -> None:  # fmt: skip
        """`start` is the number that stands for the start of a history."""
        assert len(pieces)
        assert int(pieces.count.max()) <= length
        self._item_N, self._weight_N, self.pieces = np.asarray(item_N), np.asarray(weight_N), pieces
        self.start, self.length, self.size, self.seed = start, length, size, seed
        # Each epoch packs anew, but the loop wants one number of batches for all of them: as many as the fullest need.
        self._batches = -(-self._rows_of(0)[2] // size)
        self._batches = max(self._batches, -(-self._rows_of(1)[2] // size))

    def __len__(self) -> int:
        return self._batches

    def _rows_of(self, n: int) -> tuple[Index, Index, int]:
        """Row [P] and place in it [P] of every piece, and how many rows there are."""
        random = np.random.default_rng([self.seed, n, _ORDER])
        return pack(self.pieces.count, random.permutation(len(self.pieces)), length=self.length)

    def epoch(self, n: int, start: int = 0) -> Iterator[SessionBatch]:
        """Batches `start` … of epoch `n`."""
        row_P, place_P, rows = self._rows_of(n)
        if rows < self._batches:  # packed tighter than promised: histories leave shared rows, so that no batch is empty
            alone = np.flatnonzero(place_P > 0)[: self._batches - rows]
            row_P[alone], place_P[alone] = rows + np.arange(len(alone)), 0
            rows = self._batches
        random = np.random.default_rng([self.seed, n, _ORDER + 1])
        row_P = random.permutation(rows)[row_P]  # rows of one pool are alike: they are spread over the epoch
        order = np.argsort(row_P, kind="stable")
        # An even spread over the promised number of batches: none is empty, and none is left out.
        edges = np.linspace(0, rows, self._batches + 1).round().astype(np.int64)
        cuts = np.searchsorted(row_P[order], edges)
        for at in range(start, self._batches):
            mine = order[cuts[at] : cuts[at + 1]]
            yield self._batch(mine, row_P[mine] - edges[at], place_P[mine], int(edges[at + 1] - edges[at]))

    def _batch(self, mine: Index, row: Index, place: Index, rows: int) -> SessionBatch:
        pieces, shape = self.pieces, (rows, self.length)
        count = pieces.count[mine]
        total = int(count.sum())
        within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
        event = np.repeat(pieces.start[mine], count) + within
        flat = np.repeat(row * self.length + place, count) + within
        batch = SessionBatch(
            items=np.full(shape, self.start, np.int64), targets=np.full(shape, NO_TARGET, np.int64),
            segments=np.full(shape, EMPTY, np.int64), places=np.zeros(shape, np.int64), users=np.zeros(shape, np.int64),
            weights=np.zeros(shape, np.float32),
        )  # fmt: skip
        batch.targets.ravel()[flat] = self._item_N[event]
        batch.weights.ravel()[flat] = self._weight_N[event]
        batch.segments.ravel()[flat] = np.repeat(np.arange(len(mine)), count)
        batch.places.ravel()[flat] = within
        batch.users.ravel()[flat] = np.repeat(pieces.user[mine], count)
        read = flat[within > 0]
        batch.items.ravel()[read] = self._item_N[event[within > 0] - 1]
        return batch


def pack(count_P: Index, order_P: Index, *, length: int) -> tuple[Index, Index, int]:
    """Pieces into rows, best fit with the longest of a pool first: row [P], place in it [P], and the number of rows.

    Every piece is whole within its row.
    """
    row_P, place_P = np.empty(len(count_P), np.int64), np.empty(len(count_P), np.int64)
    rows = 0
    for begin in range(0, len(order_P), _POOL):
        pool = order_P[begin : begin + _POOL]
        pool = pool[np.argsort(-count_P[pool], kind="stable")]
        free: list[list[int]] = [[] for _ in range(length + 1)]  # rows by how much room they have left
        for piece, count in zip(pool.tolist(), count_P[pool].tolist(), strict=True):
            room = next((size for size in range(count, length + 1) if free[size]), None)
            if room is None:
                row, room = rows, length
                rows += 1
            else:
                row = free[room].pop()
            row_P[piece], place_P[piece] = row, length - room
            free[room - count].append(row)
    return row_P, place_P, rows
