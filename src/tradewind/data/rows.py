"""What is known of every row at once: where it came from, its hashes, its target and the keys of a split.

Not the values of its columns (`spill.py`). Legend: R rows. About 40 bytes a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.dictionary import Dictionary
from tradewind.data.plan import Plan

Hashes = NDArray[np.uint64]

TRAIN, VALIDATION, TEST, DROPPED = 0, 1, 2, -1
SPLITS = ("train", "validation", "test")

_MULTIPLIER = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(32)
_TEXT_SEED = 0x5A17


@dataclass(frozen=True)
class Rows:
    """All arrays have shape [R]. `origin` is the split whose own file a row came from, TRAIN for the main source.

    `inputs` hashes what a model may see, `copy` that and the target. `target` is a dictionary code or a float64.
    """

    origin: NDArray[np.int8]
    file: NDArray[np.int32]
    line: NDArray[np.int64]
    inputs: Hashes
    copy: Hashes
    target: NDArray[np.int64] | NDArray[np.float64]
    group: Hashes | None = None
    time: NDArray[np.float64] | None = None
    given: NDArray[np.int64] | None = None
    subject: NDArray[np.void] | None = None  # 20 bytes of the keyed hash, zeros where nobody is named
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.origin)


@dataclass
class RowsBuilder:
    """Collects the arrays of chunk after chunk."""

    parts: dict[str, list[NDArray[np.generic]]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def add(self, *, file: str, **arrays: NDArray[np.generic]) -> None:
        if file not in self.files:
            self.files.append(file)
        rows = len(arrays["line"])
        arrays["file"] = np.full(rows, self.files.index(file), dtype=np.int32)
        for name, array in arrays.items():
            self.parts.setdefault(name, []).append(array)

    def build(self) -> Rows:
        joined = {name: np.concatenate(self.parts.pop(name)) for name in list(self.parts)}
        return Rows(**joined, files=tuple(self.files))


def mix(values: Hashes, seed: int) -> Hashes:
    """A seeded, even scrambling of 64-bit values (the finaliser of MurmurHash3, Appleby 2011)."""
    mixed = values ^ np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF)
    mixed ^= mixed >> np.uint64(33)
    mixed *= _MULTIPLIER
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed


def hash_frame(frame: pl.DataFrame, names: Sequence[str], plan: Plan, dictionaries: Mapping[str, Dictionary]) -> Hashes:
    """One hash [R] of the typed values of `names`; equal values give equal hashes whatever the chunk."""
    hashed = np.full(len(frame), 0x243F6A8885A308D3, dtype=np.uint64)
    for name in names:
        hashed ^= hash_column(name, frame[name], plan, dictionaries)
        hashed *= _MULTIPLIER
        hashed ^= hashed >> _SHIFT
    return hashed


def hash_column(name: str, series: pl.Series, plan: Plan, dictionaries: Mapping[str, Dictionary]) -> Hashes:
    if plan.reading(name) in ("category", "key"):
        words: Hashes = dictionaries[name].hashes()[series.to_numpy()]
        return words
    if plan.reading(name) == "number":
        numbers = series.to_numpy() + 0.0  # minus zero becomes zero
        bits = numbers.view(np.uint64)
        bits[np.isnan(numbers)] = np.uint64(0x7FF8000000000000)
        return bits
    hashed: Hashes = series.hash(_TEXT_SEED).to_numpy()
    return hashed
