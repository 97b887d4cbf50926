"""Batches of tokens for a language model: windows of running text, whole conversations, pairs of answers.

Not here: how text became tokens (`packing.py`), what a step computes from a batch (`train/language_tasks.py`).

Legend: B rows of a batch, T tokens of a row, N tokens of a split. Order depends on (seed, epoch, step) alone, so that a run
which resumes at a step sees what one without a break would have seen. A target of -100 is none (torch's ignore_index).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tradewind.data.packed import Packed, Pairs
from tradewind.errors import DataError

Index = NDArray[np.int64]

NO_TARGET = -100
_POOL_BATCHES = 50  # batches that are sorted by length together
_ORDER, _BUCKET, _PLACE = 11, 12, 13  # separate streams of random numbers


@dataclass(frozen=True)
class TokenBatch:
    """`tokens` int64 [B, T], padded with 0 on the right; `targets` int64 [B, T] are the tokens one place on, -100 where
    nothing is learnt; `lengths` int64 [B] without padding. `rows` [B] are documents of the split, or places in it.
    """

    tokens: Index
    targets: Index
    lengths: Index
    rows: Index

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def inputs(self) -> Mapping[str, Index]:
        return {"tokens": self.tokens, "lengths": self.lengths}

    @property
    def target(self) -> Index:
        return self.targets

    @property
    def weight(self) -> None:
        return None

    @property
    def mixup(self) -> None:
        return None

    @property
    def learnt(self) -> int:
        """Targets that are learnt."""
        return int(np.count_nonzero(self.targets != NO_TARGET))


@dataclass(frozen=True)
class PairBatch:
    """Row i of `chosen` is preferred to row i of `rejected`; unpacks as the two."""

    chosen: TokenBatch
    rejected: TokenBatch

    def __iter__(self) -> Iterator[TokenBatch]:
        return iter((self.chosen, self.rejected))

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def inputs(self) -> Mapping[str, Index]:
        return {f"{name}:{key}": value for name, one in (("chosen", self.chosen), ("rejected", self.rejected))
                for key, value in one.inputs.items()}  # fmt: skip

    @property
    def target(self) -> Index:
        return self.chosen.targets

    @property
    def weight(self) -> None:
        return None

    @property
    def mixup(self) -> None:
        return None


class Windows:
    """Windows of `length` tokens of running text, documents one behind the other.

    With `shuffle` an epoch is `steps` batches of windows at seeded random places. Without, it is the split once, in order:
    every token is a target exactly once (the first one is told from the end of the last document), and `steps` is not used.
    """

    def __init__(self, packed: Packed, *, length: int, size: int, steps: int = 1, seed: int = 0, shuffle: bool) -> None:
        assert length > 0
        assert size > 0
        assert steps > 0
        if len(packed) == 0:
            raise DataError(f"The split {packed.name} holds no token.", code="split_empty", where="data.source",
                            hint="Give more text, or a larger share of it under data.split.")  # fmt: skip
        self.packed = packed
        self.length = min(length, len(packed))
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        windows = -(-len(packed) // self.length)
        self._batches = steps if shuffle else -(-windows // size)

    def __len__(self) -> int:
        return self._batches

    def epoch(self, n: int, start: int = 0) -> Iterator[TokenBatch]:
        for number in range(start, len(self)):
            yield self._batch(self._places(n, number))

    def _places(self, n: int, number: int) -> Index:
        """Where in the split the targets of each row begin [B]."""
        total, length = len(self.packed), self.length
        if self.shuffle:
            random = np.random.default_rng([self.seed, n, _PLACE, number])
            return random.integers(0, total - length + 1, size=self.size)
        first = number * self.size * length
        return np.arange(first, min(first + self.size * length, total), length, dtype=np.int64)

    def _batch(self, places: Index) -> TokenBatch:
        total = len(self.packed)
        lengths = np.minimum(self.length, total - places)
        tokens = np.zeros((len(places), int(lengths.max())), dtype=np.int64)
        targets = np.full_like(tokens, NO_TARGET)
        flat, mask = self.packed.tokens, self.packed.mask
        for row, (at, count) in enumerate(zip(places.tolist(), lengths.tolist(), strict=True)):
            tokens[row, 0] = flat[at - 1]  # at 0 the last token of all: an end of text
            tokens[row, 1:count] = flat[at : at + count - 1]
            targets[row, :count] = flat[at : at + count]
            if mask is not None:
                targets[row, :count][mask[at : at + count] == 0] = NO_TARGET
        return TokenBatch(tokens, targets, lengths, places)


class _Documents:
    """Whole documents of a split, cut from the left to `length` inputs; which of them can be learnt from."""

    def __init__(self, packed: Packed, *, length: int) -> None:
        assert length > 0
        self.packed = packed
        self.length = length

    @cached_property
    def spans(self) -> Index:
        """From which token to which [D, 2] a document is taken: behind its last learnt token nothing is needed, and of its
        beginning what the length leaves. Both 0 where its last answer alone is too long, or where nothing is learnt.
        """
        starts, mask = self.packed.starts, self.packed.mask
        spans = np.zeros((self.packed.documents, 2), dtype=np.int64)
        for row, (begin, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
            learnt = np.flatnonzero(mask[begin:end]) if mask is not None else np.arange(end - begin)
            if len(learnt) == 0 or end - begin < 2:
                continue
            end = begin + int(learnt[-1]) + 1
            gaps = np.flatnonzero(np.diff(learnt) > 1)
            answer = begin + int(learnt[gaps[-1] + 1] if len(gaps) else learnt[0])
            first = max(begin, end - self.length - 1)
            if mask is None or first < answer:
                spans[row] = first, end
        return spans

    @property
    def shortened_D(self) -> NDArray[np.bool_]:
        """Which of them lose their beginning."""
        return (self.spans[:, 1] > 0) & (self.spans[:, 0] > self.packed.starts[:-1])

    def batch(self, rows: Index) -> TokenBatch:
        spans = self.spans[rows]
        lengths = np.maximum(spans[:, 1] - spans[:, 0] - 1, 0)
        tokens = np.zeros((len(rows), int(lengths.max(initial=1))), dtype=np.int64)
        targets = np.full_like(tokens, NO_TARGET)
        for row, ((begin, end), count) in enumerate(zip(spans.tolist(), lengths.tolist(), strict=True)):
            tokens[row, :count] = self.packed.tokens[begin : end - 1]
            targets[row, :count] = self.packed.tokens[begin + 1 : end]
            if self.packed.mask is not None:
                targets[row, :count][self.packed.mask[begin + 1 : end] == 0] = NO_TARGET
        return TokenBatch(tokens, targets, lengths, rows)


class _Rows:
    """The order of documents: seeded, in batches of like lengths."""

    def __init__(self, usable: Index, lengths: Index, *, size: int, seed: int, shuffle: bool) -> None:
        assert size > 0
        self.usable = usable
        self.lengths = lengths
        self.size = size
        self.seed = seed
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-len(self.usable) // self.size)

    def epoch(self, n: int) -> Sequence[Index]:
        size, rows = self.size, self.usable
        if not self.shuffle:
            return [rows[at : at + size] for at in range(0, len(rows), size)]
        order = np.random.default_rng([self.seed, n, _ORDER]).permutation(rows)
        batches: list[Index] = []
        for at in range(0, len(order), size * _POOL_BATCHES):
            some = order[at : at + size * _POOL_BATCHES]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            batches += [some[begin : begin + size] for begin in range(0, len(some), size)]
        shuffled = np.random.default_rng([self.seed, n, _BUCKET]).permutation(len(batches))
        return [batches[place] for place in shuffled.tolist()]


class Conversations:
    """Whole conversations, `size` in a batch, padded to the longest of it, at most `length` inputs.

    Too long ones lose their beginning (`shortened` of them), never a part of their last answer; where that answer alone is too
    long, or where nothing is learnt, the conversation is left out and counted in `left_out`. With `shuffle` batches hold like
    lengths.
    Raises DataError nothing_supervised where none is left.
    """

    def __init__(self, packed: Packed, *, length: int, size: int, seed: int = 0, shuffle: bool) -> None:
        self._documents = _Documents(packed, length=length)
        spans = self._documents.spans
        lengths = spans[:, 1] - spans[:, 0]
        usable = np.flatnonzero(lengths > 1)
        self.left_out = packed.documents - len(usable)
        self.shortened = int(self._documents.shortened_D.sum())
        if len(usable) == 0:
            raise _nothing_supervised(packed, length)
        self._rows = _Rows(usable, lengths, size=size, seed=seed, shuffle=shuffle)

    def __len__(self) -> int:
        return len(self._rows)

    def epoch(self, n: int, start: int = 0) -> Iterator[TokenBatch]:
        for rows in self._rows.epoch(n)[start:]:
            yield self._documents.batch(rows)


class Preferences:
    """Pairs of answers to one prompt, `size` pairs in a batch. A pair of which one side is left out is left out whole."""

    def __init__(self, pairs: Pairs, *, length: int, size: int, seed: int = 0, shuffle: bool) -> None:
        self._sides = [_Documents(side, length=length) for side in (pairs.chosen, pairs.rejected)]
        lengths = np.stack([side.spans[:, 1] - side.spans[:, 0] for side in self._sides])
        usable = np.flatnonzero((lengths > 1).all(axis=0))
        self.left_out = len(pairs) - len(usable)
        self.shortened = int(np.any([side.shortened_D[usable] for side in self._sides], axis=0).sum())
        if len(usable) == 0:
            raise _nothing_supervised(pairs.chosen, length)
        self._rows = _Rows(usable, lengths.max(axis=0), size=size, seed=seed, shuffle=shuffle)

    def __len__(self) -> int:
        return len(self._rows)

    def epoch(self, n: int, start: int = 0) -> Iterator[PairBatch]:
        for rows in self._rows.epoch(n)[start:]:
            yield PairBatch(*(side.batch(rows) for side in self._sides))


def _nothing_supervised(packed: Packed, length: int) -> DataError:
    return DataError(
        f"No conversation of the split {packed.name} has an answer that fits into {length:,} tokens, so nothing would be "
        "learnt.", code="nothing_supervised", where="data.source",
        hint="Give conversations with turns of the role assistant, or raise model.context.",
    )  # fmt: skip
