"""Texts as numbers: which kind each character is, and a hash for each word (for each character of Chinese and Japanese).

Copies, repetition and contamination are all asked of these hashes, a block of texts at a time and without a loop in Python.
Not here: what is done with them (`quality.py`, `overlap.py`, `duplicates.py`).

Legend: D texts, C characters of a block, U units (words or ideographs), S shingles (runs of units).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from tradewind.data.duplicates import PERMUTATIONS

Hashes = NDArray[np.uint64]
Index = NDArray[np.int64]

OTHER, SPACE, LETTER, DIGIT, HAN, KANA, HANGUL, CYRILLIC, ARABIC, CONTROL = range(10)
RUN = 5  # words, or characters of Chinese
_KINDS = 10
_SEED = 42
_ASSIGNED = ((0, 0x32400), (0xE0000, 0xE0200))  # nothing but private use and what is not assigned lies outside
_BASE, _FIRST, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(29)


@dataclass(frozen=True)
class Units:
    """`hashes` [U] of all texts in order; those of text d are hashes[offsets[d] : offsets[d + 1]]. `kinds` [D, 10] counts the
    characters of each text by their kind (OTHER, SPACE, LETTER …).
    """

    hashes: Hashes
    offsets: Index
    kinds: Index

    def runs(self, length: int) -> tuple[Hashes, Index]:
        """A hash for each run of `length` units inside one text [S], and D + 1 offsets; a shorter text is one run."""
        begins, counts = self.offsets[:-1], np.diff(self.offsets)
        taken = np.where(counts >= length, counts - length + 1, np.minimum(counts, 1))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(taken)])
        rolled = _rolled(self.hashes, length)
        place = np.repeat(begins - offsets[:-1], taken)
        place += np.arange(len(place))
        short = np.flatnonzero((counts < length) & (counts > 0))
        if len(short) == 0:
            return rolled[place], offsets
        runs = np.zeros(len(place), dtype=np.uint64)
        inside = place < len(rolled)
        runs[inside] = rolled[place[inside]]
        units = np.append(self.hashes, np.zeros(length, np.uint64))[begins[short, None] + np.arange(length)]
        units[np.arange(length) >= counts[short, None]] = 0
        whole = np.zeros(len(short), dtype=np.uint64)
        for unit in units.T:
            whole = whole * _BASE + unit
        runs[offsets[short]] = _stirred(whole)
        return runs, offsets

    @cached_property
    def fives(self) -> tuple[Hashes, Index]:
        """Runs of five units, which both repetition and copies are asked of."""
        return self.runs(RUN)

    def signatures(self) -> NDArray[np.uint32]:
        """MinHash signatures [D, P] (Broder 1997) of the runs of five units of each text."""
        hashes, offsets = self.fives
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), PERMUTATIONS, _SEED)
        return np.asarray(matrix.to_rows(), dtype=np.uint32).reshape(len(offsets) - 1, PERMUTATIONS)


def _rolled(units: Hashes, length: int) -> Hashes:
    """The hash of units[i : i + length] for each i: a polynomial, built from those of half as many units."""
    have, done = units, 1
    for bit in bin(length)[3:]:
        if len(have) <= done:
            return np.empty(0, dtype=np.uint64)
        have = have[:-done] * _power(done) + have[done:]
        done *= 2
        if bit == "1":
            have = have[:-1] * _BASE + units[done : done + len(have) - 1]
            done += 1
    return _stirred(have)


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(int(_BASE), exponent, 1 << 64))


def _stirred(hashes: Hashes) -> Hashes:
    """Every bit of the result depends on every one of the hash."""
    mixed = hashes ^ (hashes >> _HALF)
    mixed *= _MIX
    mixed ^= mixed >> _HALF
    return mixed


@cache
def character_kinds() -> NDArray[np.uint8]:
    """The kind of every code point [0x110000]."""
    table = np.full(0x110000, CONTROL, dtype=np.uint8)
    of_category = {
        "L": LETTER,
        "M": LETTER,
        "Nd": DIGIT,
        "Z": SPACE,
        "Cc": CONTROL,
        "Cs": CONTROL,
        "Cn": CONTROL,
        "Co": CONTROL,
    }
    for first, last in _ASSIGNED:
        categories = map(unicodedata.category, map(chr, range(first, last)))
        table[first:last] = [of_category.get(one, of_category.get(one[0], OTHER)) for one in categories]
    table[[9, 10, 11, 12, 13, 0x85]] = SPACE
    for kind, ranges in {
        HAN: ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF), (0x3007, 0x3007)),
        KANA: ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)),
        HANGUL: ((0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3)),
        CYRILLIC: ((0x0400, 0x052F),),
        ARABIC: ((0x0620, 0x064A), (0x0671, 0x06D3), (0x06FA, 0x06FF)),
    }.items():
        for first, last in ranges:
            table[first : last + 1] = kind
    return table


@cache
def _in_words() -> NDArray[np.uint8]:
    """0 between words, 1 in a word, 2 a unit of its own [0x110000]."""
    kinds = character_kinds()
    table = np.isin(kinds, (LETTER, DIGIT, HANGUL, CYRILLIC, ARABIC)).astype(np.uint8)
    table[np.isin(kinds, (HAN, KANA))] = 2
    return table


@cache
def _character_hashes() -> Hashes:
    """A random number for each character of a word, 0 for those between words [0x110000]."""
    table = np.random.default_rng(_SEED).integers(1 << 63, size=0x110000, dtype=np.uint64) | np.uint64(1)
    table[_in_words() == 0] = 0
    return table


def units(texts: Sequence[str]) -> Units:
    """Letter case, blanks and punctuation make no difference to the hashes."""
    lowered = [text.lower().replace("\0", " ") for text in texts]
    joined = "\0".join(lowered)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = np.cumsum([len(text) + 1 for text in lowered], dtype=np.int64) - 1  # of each text; a \0 stands there
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]) if len(ends) else ends
    inside = _in_words()[points]
    in_word = inside == 1
    begin = in_word.copy()
    begin[1:] &= ~in_word[:-1]
    begin |= inside == 2
    starts = np.flatnonzero(begin)
    return Units(
        _unit_hashes(points, starts),
        np.concatenate([np.searchsorted(starts, begins), [len(starts)]]).astype(np.int64),
        _kind_counts(points, begins, ends),
    )


def _unit_hashes(points: NDArray[np.uint32], starts: Index) -> Hashes:
    """The sum over a word of each character times the one before it: letters in another order are another word."""
    if len(starts) == 0:
        return np.empty(0, dtype=np.uint64)
    letters = _character_hashes()[points]
    mixed = letters.copy()
    mixed[1:] *= letters[:-1]  # 0 between words, so that nothing of them is in the sum
    mixed[starts] = letters[starts] * _FIRST
    hashes = np.add.reduceat(mixed, starts)
    return _stirred(hashes)


def _kind_counts(points: NDArray[np.uint32], begins: Index, ends: Index) -> Index:
    texts = len(begins)
    if texts == 0:
        return np.zeros((0, _KINDS), dtype=np.int64)
    number = np.repeat(np.arange(texts), np.minimum(ends + 1, len(points)) - begins)
    counts = np.bincount(number * _KINDS + character_kinds()[points], minlength=texts * _KINDS).reshape(texts, _KINDS)
    counts[:-1, CONTROL] -= 1  # the \0 between two texts
    return counts
