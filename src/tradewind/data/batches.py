"""Batches of a split: seeded order, length buckets, padding, sharding, resuming. Fresh arrays that a trainer may write to.

Not here: what augmentation does (`augment.py`), moving to a device (`train/`). Legend: B rows of a batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.data.augment import Augmenter, Mixup
from tradewind.data.dataset import Split

Index = NDArray[np.int64]

_POOL_BATCHES = 50  # batches that are sorted by length together
_ORDER, _BUCKET, _STEP = 1, 2, 3  # separate streams of random numbers


@dataclass(frozen=True)
class Batch:
    """Encoded rows. `inputs` by name: numbers float32 [B, N], categories int64 [B, C], image:X uint8 [B, C, H, W], audio:X uint8 [B, T, M],
    tokens:X and ngrams:X int64 [B, T], ngram_weights:X float32 [B, T], padded with 0 to the longest of the batch.

    `target` int64 [B] or float32 [B]; `weight` float32 [B] or None; `rows` [B] are the places in the split. `mixup`, when
    augmentation asks for it, says with which row of the batch each is to be blended: the trainer does the blending.
    """

    inputs: dict[str, NDArray[np.generic]]
    target: NDArray[np.generic]
    weight: NDArray[np.float32] | None
    rows: Index
    mixup: Mixup | None = None

    def __len__(self) -> int:
        return len(self.rows)


class Batches:
    """The batches of one split for one rank. Order depends on (seed, epoch) alone; without `shuffle` rows keep theirs.

    `size` counts rows of one rank. With `world` ranks and `shuffle` every rank gets equally many batches, for which a
    few may come twice; without `shuffle` no row comes twice. With `lots` every row joins each batch by a coin of its own,
    which falls its way with the chance size / rows, and `size` is what a batch has on average; `lots` seeds the coins. With `kept`
    an epoch draws that share of each class, equally many rows each time, by chance anew.
    """

    def __init__(
        self, split: Split, *, size: int, seed: int, shuffle: bool, augment: Augmenter | None = None,
        buckets: bool = True, rank: int = 0, world: int = 1, lots: int | None = None, kept: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        assert size > 0
        assert 0 <= rank < world
        self.split = split
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.augment = augment
        self.rank = rank
        self.world = world
        self.lots = lots
        lengths = [ragged.lengths for name, ragged in split.ragged.items() if name.startswith("tokens:")]
        self._lengths: Index | None = sum(lengths[1:], lengths[0]) if lengths and buckets and shuffle else None
        self._kept = None if kept is None else [
            (np.flatnonzero(split.target == code), share) for code, share in enumerate(kept)
        ]  # fmt: skip
        self._drawn = (
            split.rows if self._kept is None else sum(_least_one(len(rows), share) for rows, share in self._kept)
        )
        self._odds = augment.odds(split.target) if augment is not None else None

    def __len__(self) -> int:
        """Batches that this rank gets in one epoch."""
        batches = -(-self._drawn // self.size)
        if self.shuffle:
            return -(-batches // self.world)
        return len(range(self.rank, batches, self.world))

    def epoch(self, n: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `n` from number `start` on: just those that a run without a break would have seen."""
        order = self._order(n)
        if self.shuffle and len(order) % self.world:
            order += order[: self.world - len(order) % self.world]
        mine = list(range(self.rank, len(order), self.world))
        for number in mine[start:]:
            yield self._batch(order[number], n, number)

    def _order(self, n: int) -> list[Index]:
        """The rows of every batch of all ranks."""
        rows = self._drawn
        if not self.shuffle:
            return [np.arange(at, min(at + self.size, rows), dtype=np.int64) for at in range(0, rows, self.size)]
        if self.lots is not None:
            random = np.random.default_rng([self.lots, n, _ORDER])
            return [np.flatnonzero(random.random(rows) < self.size / rows) for _ in range(-(-rows // self.size))]
        random = np.random.default_rng([self.seed, n, _ORDER])
        if self._odds is not None:
            order = random.choice(rows, size=rows, p=self._odds)
        elif self._kept is not None:
            drawn = [random.choice(of, _least_one(len(of), share), replace=False) for of, share in self._kept]
            order = random.permutation(np.concatenate(drawn))
        else:
            order = random.permutation(rows)
        if self._lengths is None:
            return [order[at : at + self.size] for at in range(0, rows, self.size)]
        batches: list[Index] = []
        pool = self.size * _POOL_BATCHES
        for at in range(0, rows, pool):
            some = order[at : at + pool]
            some = some[np.argsort(self._lengths[some], kind="stable")]
            batches += [some[begin : begin + self.size] for begin in range(0, len(some), self.size)]
        shuffled = np.random.default_rng([self.seed, n, _BUCKET]).permutation(len(batches))
        return [batches[place] for place in shuffled.tolist()]

    def _batch(self, rows: Index, n: int, number: int) -> Batch:
        split = self.split
        inputs: dict[str, NDArray[np.generic]] = {}
        at: Index | slice = rows
        if not self.shuffle and len(rows):
            at = slice(int(rows[0]), int(rows[-1]) + 1)
        for name, array in split.arrays.items():
            inputs[name] = np.array(array[at], dtype=np.int64 if name == "categories" else array.dtype)
        for name, ragged in split.ragged.items():
            padded = ragged.pad(rows)
            inputs[name] = padded if padded.dtype.kind == "f" else padded.astype(np.int64)
        target = np.array(split.target[at])
        weight = None if split.weight is None else np.array(split.weight[at])
        mixup = None
        if self.augment is not None:
            random = np.random.default_rng([self.seed, n, _STEP, number])
            inputs = self.augment.apply(inputs, rows, random)
            mixup = self.augment.mixup(len(rows), random)
        return Batch(inputs, target, weight, rows, mixup)


def _least_one(rows: int, share: float) -> int:
    return min(rows, max(1, round(rows * share)))
