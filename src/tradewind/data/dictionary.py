"""The words of a category column, each with a code, in the order in which they were first seen.

Not the vocabulary of a model (`features/category.py`): this one forgets nothing and is fitted to nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.ledger import Ledger
from tradewind.features.category import category_key

Codes = NDArray[np.uint32]

_SEED = 0x7261
_SLOT_BITS = 20
_STOPS = (".", "。", "．")
_NULL_HASH = 0x9E3779B97F4A7C15


class Dictionary:
    """Strings to codes, chunk by chunk. Code 0 is missing; `words[code - 1]` is the cleaned word of a code.

    A chunk is looked up by the 64-bit hash of its values, so that only a spelling never seen before costs Python.
    """

    def __init__(self, name: str, missing: frozenset[str] | set[str], *, labels: bool = False) -> None:
        self.name = name
        self.labels = labels  # a target: `yes.` is `yes` where that class exists
        self.words: list[str] = []
        self._missing = missing
        self._code_of: dict[str, int] = {}
        self._hashes = np.zeros(0, dtype=np.uint64)  # sorted hashes of spellings
        self._codes = np.zeros(0, dtype=np.uint32)  # their codes
        self._padded = np.zeros(0, dtype=np.bool_)  # whether the spelling had spaces around it
        self._absent = np.zeros(0, dtype=np.bool_)  # whether it is a word for missing
        self._stopped = np.zeros(0, dtype=np.bool_)  # whether a full stop was taken off a label
        self._slots: NDArray[np.uint32] | None = None
        self._shift = np.uint64(0)
        self._spelling: dict[int, str] = {}
        self._stable = np.array([_NULL_HASH], dtype=np.uint64)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, series: pl.Series, ledger: Ledger) -> Codes:
        """Codes [B] of raw values; floats count as whole numbers where they are whole."""
        if series.dtype == pl.Float64:
            series = spell_numbers(series)
        series = series.cast(pl.String)
        hashes = series.hash(_SEED).to_numpy()
        places = self._places(hashes)
        unknown = self._hashes[places] != hashes if len(self._hashes) else np.ones(len(hashes), dtype=np.bool_)
        if series.null_count():
            unknown &= series.is_not_null().to_numpy()
        if unknown.any():
            self._learn(series.filter(pl.Series(unknown)), hashes[unknown])
            places = self._places(hashes)
        if not len(self._hashes):
            return np.zeros(len(hashes), dtype=np.uint32)
        codes: Codes = self._codes[places]
        if series.null_count():
            codes[series.is_null().to_numpy()] = 0
        self._count(places, series, ledger)
        return codes

    def _places(self, hashes: NDArray[np.uint64]) -> NDArray[np.integer[Any]]:
        """Where each hash stands among the known ones; any place for an unknown one."""
        if self._slots is not None:
            found: NDArray[np.uint32] = self._slots[hashes >> self._shift]
            return found
        places = np.searchsorted(self._hashes, hashes)
        return np.asarray(np.minimum(places, max(len(self._hashes) - 1, 0)), dtype=np.int64)

    def _make_slots(self) -> None:
        """A table by the first bits of a hash, where few enough hashes are known that no two share them."""
        self._slots = None
        for bits in range(8, _SLOT_BITS + 1, 2):
            shift = np.uint64(64 - bits)
            slots = self._hashes >> shift
            if len(slots) and np.all(slots[1:] != slots[:-1]):
                self._shift = shift
                self._slots = np.zeros(1 << bits, dtype=np.uint32)
                self._slots[slots] = np.arange(len(slots), dtype=np.uint32)
                return

    def _learn(self, spellings: pl.Series, hashes: NDArray[np.uint64]) -> None:
        table = pl.DataFrame({"word": spellings, "hash": hashes}).unique("hash", keep="first", maintain_order=True)
        entries = list(table.iter_rows())
        if self.labels:
            entries.sort(key=lambda entry: entry[0].strip().endswith(_STOPS))
        codes, flags = [], []
        for spelling, value in entries:
            stripped = spelling.strip()
            absent = stripped.lower() in self._missing
            word = category_key(stripped) or ""
            stopped = self.labels and word not in self._code_of and word.rstrip("".join(_STOPS)) in self._code_of
            if stopped:
                word = word.rstrip("".join(_STOPS))
            if not absent and word not in self._code_of:
                self.words.append(word)
                self._code_of[word] = len(self.words)
            codes.append(0 if absent else self._code_of[word])
            flags.append((stripped != spelling and not absent, absent and spelling != "", stopped))
            if absent or stopped or stripped != spelling:
                self._spelling[value] = spelling
        all_hashes = np.concatenate([self._hashes, np.array([value for _, value in entries], dtype=np.uint64)])
        order = np.argsort(all_hashes, kind="stable")
        padded, absents, stops = np.array(flags, dtype=np.bool_).T
        self._hashes = all_hashes[order]
        self._codes = np.concatenate([self._codes, np.array(codes, dtype=np.uint32)])[order]
        self._padded = np.concatenate([self._padded, padded])[order]
        self._absent = np.concatenate([self._absent, absents])[order]
        self._stopped = np.concatenate([self._stopped, stops])[order]
        self._make_slots()

    def _count(self, places: NDArray[np.integer[Any]], series: pl.Series, ledger: Ledger) -> None:
        if not self._spelling:
            return
        if series.null_count():
            places = places[series.is_not_null().to_numpy()]
        seen = np.bincount(places, minlength=len(self._hashes))
        rules = (
            ("whitespace", self._padded, "repaired"),
            ("missing_word", self._absent, "missing"),
            ("label_full_stop", self._stopped, "repaired"),
        )
        for rule, flags, action in rules:
            hits = np.flatnonzero(flags & (seen > 0))
            if len(hits):
                example = repr(self._spelling[int(self._hashes[hits[0]])])
                ledger.count(rule, self.name, int(seen[hits].sum()), action=action, example=example)

    def code(self, word: str) -> int | None:
        return self._code_of.get(word)

    def values(self) -> NDArray[np.object_]:
        """object [1 + words]: None, then the words, so that `values()[codes]` are the raw values."""
        table = np.empty(len(self.words) + 1, dtype=np.object_)
        table[0] = None
        table[1:] = self.words
        return table

    def hashes(self) -> NDArray[np.uint64]:
        """uint64 [1 + words]: a hash of each word that is the same in every process and version."""
        fresh = self.words[len(self._stable) - 1 :]
        if fresh:
            added = np.array([stable_hash(word) for word in fresh], dtype=np.uint64)
            self._stable = np.concatenate([self._stable, added])
        return self._stable


def stable_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def spell_numbers(series: pl.Series) -> pl.Series:
    """Floats as people write them: 2.0 as 2, 2.5 as 2.5."""
    whole = (series == series.floor()) & (series.abs() < 2**53)
    spelled = pl.when(whole).then(series.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(series.cast(pl.String))
    finite = series.is_not_nan()
    return pl.select(pl.when(finite).then(spelled).otherwise(None)).to_series().alias(series.name)
