"""Contamination: training documents that hold what validation or test asks (runs of 13 words, after Brown et al. 2020).

Not here: copies among all documents (`duplicates.py`). Legend: S runs of the judged documents, E judged documents.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tradewind.data.shingles import Hashes, Index, Units

RUN = 13
# One shared run may be a proverb or a greeting; half of them is the same text.
SHARE = 0.5
MOST = 4_000_000
_FEWEST_SIFTED = 3  # of a part of the runs fewer say nothing
_BITS = 24
_SHIFT = np.uint64(64 - _BITS)


class Judged:
    """The runs of 13 words of all validation and test documents.

    Of more than `most` every second is left out, then every fourth …, by their hashes: training documents are looked at through
    the same sieve, so that shares stay what they are and memory stays bounded.
    """

    def __init__(self, blocks: Iterable[Units], *, most: int = MOST) -> None:
        self._sieve = np.uint64(0)
        flat, owner = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
        before = 0
        for units in blocks:
            runs, offsets = self._sifted(units)
            counts = np.diff(offsets)
            flat = np.concatenate([flat, runs])
            owner = np.concatenate([owner, np.repeat(np.arange(before, before + len(counts)), counts)])
            before += len(counts)
            while len(flat) > most:
                self._sieve = self._sieve * np.uint64(2) + np.uint64(1)
                kept = (flat & self._sieve) == 0
                flat, owner = flat[kept], owner[kept]
        self._hashes, first = np.unique(flat, return_index=True)
        self._owners: Index = owner[first]
        self._sizes = np.bincount(owner, minlength=before)
        self._fewest = 1 if self._sieve == 0 else _FEWEST_SIFTED
        # Most runs of a training document are in no judged one: one look at a bit says so.
        self._seen = np.zeros(1 << _BITS, dtype=np.bool_)
        self._seen[flat >> _SHIFT] = True

    def _sifted(self, units: Units) -> tuple[Hashes, Index]:
        runs, offsets = units.runs(RUN)
        if self._sieve == 0:
            return runs, offsets
        kept = (runs & self._sieve) == 0
        return runs[kept], np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[offsets]

    def contaminated(self, units: Units) -> NDArray[np.bool_]:
        """For each training document [D] whether half of its runs are judged ones, or half of a judged document's are its."""
        runs, offsets = self._sifted(units)
        documents = len(offsets) - 1
        place = np.flatnonzero(self._seen[runs >> _SHIFT])
        if len(place) == 0 or len(self._hashes) == 0:
            return np.zeros(documents, dtype=np.bool_)
        found = np.minimum(np.searchsorted(self._hashes, runs[place]), len(self._hashes) - 1)
        same = self._hashes[found] == runs[place]
        place, found = place[same], found[same]
        document = np.searchsorted(offsets, place, side="right") - 1
        shared = np.bincount(document, minlength=documents)
        hit: NDArray[np.bool_] = (shared >= SHARE * np.diff(offsets)) & (shared >= self._fewest)
        # Pairs of training document and judged document, with how many different runs they share.
        judged, runs_of_it = len(self._sizes), len(self._hashes)
        distinct = np.unique(document * runs_of_it + found)
        key, counts = np.unique(
            distinct // runs_of_it * judged + self._owners[distinct % runs_of_it], return_counts=True
        )
        whole = (counts >= SHARE * self._sizes[key % judged]) & (counts >= self._fewest)
        hit[key[whole] // judged] = True
        return hit
