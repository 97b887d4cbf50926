"""Finds copies among rows: exact ones by hash, near ones by MinHash of a text (Broder 1997; LSH bands as in Leskovec,
Rajaraman and Ullman, ch. 3).

Not here: which copies are dropped (`dataset.py`), how copies are kept on one side of a split (`splits.py`).
Legend: R rows, P permutations, S shingles.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

Index = NDArray[np.int64]
Hashes = NDArray[np.uint64]

PERMUTATIONS = 128
_PREFIX_BITS = 20
_PREFIX_SHIFT = np.uint64(64 - _PREFIX_BITS)
_SHINGLE = 4  # characters; suits Chinese as well, where two words are about four characters
_SEED = 42
_SPACES = re.compile(r"[\W_]+")


def first_copies(hashes: Hashes) -> Index:
    """For each row the index of the first row with the same hash, itself where it is the first. Shape [R]."""
    first = np.arange(len(hashes), dtype=np.int64)
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice) == 0:
        return first
    # Few rows are copies: only those that share their first bits with one are sorted with their places.
    suspect = np.zeros(1 << _PREFIX_BITS, dtype=np.bool_)
    suspect[twice >> _PREFIX_SHIFT] = True
    repeated = np.flatnonzero(suspect[hashes >> _PREFIX_SHIFT])
    some = hashes[repeated]
    order = np.argsort(some, kind="stable")
    ordered = some[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(some)])
    first[repeated[order]] = np.repeat(repeated[order[starts]], lengths)
    return first


def signatures(texts: list[str | None]) -> NDArray[np.uint32]:
    """MinHash signatures [R, P] of the sets of four-character shingles of each text, letter case and punctuation aside."""
    cleaned = [_SPACES.sub(" ", (text or "").lower()).strip() for text in texts]
    hashes_S, offsets = _shingles(cleaned)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes_S, offsets, PERMUTATIONS, _SEED)
    return np.asarray(matrix.to_rows(), dtype=np.uint32).reshape(len(texts), PERMUTATIONS)


def _shingles(texts: list[str]) -> tuple[Hashes, NDArray[np.uint64]]:
    """Flat shingle hashes of all texts and R + 1 offsets; a text shorter than a shingle is one shingle."""
    padded = [text.ljust(_SHINGLE, "\0") for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    hashed = np.zeros(max(len(points) - _SHINGLE + 1, 0), dtype=np.uint64)
    for place in range(_SHINGLE):
        hashed = (hashed ^ points[place : place + len(hashed)]) * np.uint64(0x100000001B3)
        hashed ^= hashed >> np.uint64(29)
    ends = np.cumsum(lengths)
    inside = np.ones(len(hashed), dtype=np.bool_)
    for back in range(1, _SHINGLE):
        crossing = ends[:-1] - back
        inside[crossing] = False
    counts = lengths - _SHINGLE + 1
    return hashed[inside], np.r_[0, np.cumsum(counts)].astype(np.uint64)


def near_copies(signatures_RP: NDArray[np.uint32], others: Hashes, *, threshold: float) -> Index:
    """For each row the first row whose text is at least `threshold` similar (estimated Jaccard) and whose `others` is
    equal; itself where there is none. Similarity is passed on: a copy of a copy is a copy. Shape [R].
    """
    rows, permutations = signatures_RP.shape
    parent = np.arange(rows, dtype=np.int64)
    width = _band_width(threshold)
    for start in range(0, permutations - width + 1, width):
        band = signatures_RP[:, start : start + width].astype(np.uint64)
        key = others.copy()
        for column in range(width):
            key = (key ^ band[:, column]) * np.uint64(0xFF51AFD7ED558CCD)
            key ^= key >> np.uint64(32)
        first = first_copies(key)
        pairs = np.flatnonzero((first != np.arange(rows)) & (parent != parent[first]))
        pairs = pairs[others[pairs] == others[first[pairs]]]
        for begin in range(0, len(pairs), 100_000):
            some = pairs[begin : begin + 100_000]
            alike = (signatures_RP[some] == signatures_RP[first[some]]).mean(axis=1) >= threshold
            for row in some[alike].tolist():
                _join(parent, row, int(first[row]))
    for row in range(rows):
        parent[row] = _root(parent, row)
    return parent


def _band_width(threshold: float) -> int:
    """The widest band with which two texts at the threshold still meet in one of them with a chance of 99.9 %."""
    for width in range(32, 1, -1):
        if (1 - threshold**width) ** (PERMUTATIONS // width) <= 0.001:
            return width
    return 1


def _root(parent: Index, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _join(parent: Index, one: int, other: int) -> None:
    one, other = _root(parent, one), _root(parent, other)
    parent[max(one, other)] = min(one, other)
