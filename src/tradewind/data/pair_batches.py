"""Batches of pairs for a translator: so many tokens each, of like lengths, padded to their longest.

Not here: how pairs became tokens (`parallel.py`), what a step computes (`train/translation.py`).

Legend: B pairs of a batch, S source tokens, T target tokens. The order depends on the seed and the epoch alone, so that a run
which resumes at a step sees what one without a break would have seen. A next token of -100 is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tradewind.data.arrays import Ragged
from tradewind.data.packed import Packed
from tradewind.data.sequences import NO_TARGET

Index = NDArray[np.int64]
_ORDER, _BATCHES = 21, 22  # separate streams of random numbers
# Widths are whole fours: of few shapes a processor makes its code for products once, of many again and again (LAB.md).
_WIDTHS = 4


@dataclass(frozen=True)
class TranslationBatch:
    """`source` int64 [B, S] with `there` bool [B, S]; `target` int64 [B, T] is what the decoder is given, `next` [B, T] what
    it is to say, -100 behind a row's end and for what it is given first in any case. `rows` [B] are places in the split."""

    source: Index
    there: NDArray[np.bool_]
    target: Index
    next: Index
    rows: Index

    @property
    def inputs(self) -> Mapping[str, Any]:
        return {"source": self.source, "there": self.there, "given": self.target}

    @property
    def weight(self) -> None:
        return None

    @property
    def mixup(self) -> None:
        return None

    @property
    def tokens(self) -> int:
        """Source and target tokens, padding aside."""
        return int(self.there.sum()) + int(np.count_nonzero(self.next != NO_TARGET))


class PairBatches:
    """Batches of at most `tokens` tokens a side, padding included; a longer pair is a batch of its own.

    `given` are the first tokens of each target that a decoder is given and does not learn to say, but for the last of them
    (`start` of the tokeniser: 1, or 2 where a language follows). Without `shuffle` the order is that of lengths.
    """

    def __init__(
        self, source: Packed, target: Packed, *, tokens: int, given: int = 1, seed: int = 0, shuffle: bool
    ) -> None:
        assert source.documents == target.documents
        self._source, self._target = (Ragged(side.tokens, side.starts) for side in (source, target))
        self.tokens, self.given, self.seed, self.shuffle = tokens, given, seed, shuffle

    def __len__(self) -> int:
        return len(self._ends)

    def epoch(self, n: int, start: int = 0) -> Iterator[TranslationBatch]:
        """Batches `start` … of epoch `n`."""
        order = self._by_length(np.random.default_rng([self.seed, n, _ORDER]).permutation(len(self._source)))
        places = np.arange(len(self))
        if self.shuffle:
            places = np.random.default_rng([self.seed, n, _BATCHES]).permutation(len(self))
        else:
            order = self._sorted
        begins = np.concatenate([np.zeros(1, np.int64), self._ends[:-1]])
        for place in places[start:].tolist():
            yield self.batch(order[begins[place] : self._ends[place]])

    def batch(self, rows: Index) -> TranslationBatch:
        """The pairs at `rows` of the split."""
        read, written = (side.lengths[rows] for side in (self._source, self._target))
        source = self._source.pad(rows, multiple=_WIDTHS).astype(np.int64)
        target = np.zeros((len(rows), _whole(int(written.max()) - 1) + 1), np.int64)
        target[:, : written.max()] = self._target.pad(rows)
        following = target[:, 1:].copy()
        place_T = np.arange(following.shape[1])
        following[(place_T >= (written - 1)[:, None]) | (place_T < self.given - 1)] = NO_TARGET
        there = np.arange(source.shape[1]) < read[:, None]
        return TranslationBatch(source, there, target[:, :-1], following, rows)

    def _by_length(self, rows: Index) -> Index:
        """By the wider side first. Stable: pairs of like widths stay in the order they came in, so that each epoch puts others
        together."""
        read, written = _whole(self._source.lengths[rows]), _whole(self._target.lengths[rows] - 1)
        return rows[np.lexsort((read, written, np.maximum(read, written)))]

    @cached_property
    def _sorted(self) -> Index:
        return self._by_length(np.arange(len(self._source)))

    @cached_property
    def _ends(self) -> Index:
        """Where in the order of lengths each batch ends: the same in every epoch."""
        longest = np.maximum(self._source.lengths, self._target.lengths - 1)[self._sorted]
        return np.array(_cut(_whole(longest).tolist(), self.tokens), dtype=np.int64)


_Lengths = TypeVar("_Lengths", int, Index)


def _whole(lengths: _Lengths) -> _Lengths:
    """Lengths, one or many, as widths."""
    return -(-lengths // _WIDTHS) * _WIDTHS


def _cut(lengths: Sequence[int], most: int) -> list[int]:
    ends: list[int] = []
    begin = widest = 0
    for place, length in enumerate(lengths):
        widest = max(widest, length)
        if place > begin and widest * (place + 1 - begin) > most:
            ends.append(place)
            begin, widest = place, length
    return [*ends, len(lengths)] if lengths else ends
