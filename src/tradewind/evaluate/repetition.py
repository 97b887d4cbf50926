"""How much of what a model writes stands word for word in what it learnt from.

Not here: the figures made of it (`generation.py`). It compares tokens, so that nothing is said of another spelling.

Every window of a sample is looked for in the training tokens by a hash that slides over them in one pass (Karp and Rabin
1987), and what is found is compared token by token: no hash says that something was copied. After Carlini et al., "Quantifying memorization
across neural language models" (2023), and Lee et al., "Deduplicating training data makes language models better" (2022),
who take a run of 50 as copied; theirs are tokens, ours characters, which mean the same under every tokeniser.

Legend: N training tokens, T tokens of one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHARACTERS = 50
_CHUNK = 1 << 20
_PLACES = 1000  # of one window: boilerplate stands a million times, and every place of it says the same
_BITS = 18
_SHIFT = np.uint64(64 - _BITS)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Passage:
    """What one sample says: its tokens, and how many characters of its text each of them adds."""

    tokens_T: NDArray[np.int64]
    characters_T: NDArray[np.int64]


@dataclass(frozen=True)
class Repetition:
    """Of one sample: its tokens, those inside a run of at least 50 characters that stands in the training text, and the
    longest such run of any length (first token, tokens, characters)."""

    tokens: int
    verbatim: int
    start: int
    longest: int
    characters: int


def repetition(passages: Sequence[Passage], train_N: NDArray[np.integer]) -> list[Repetition]:
    """What of each passage stands in `train_N`, which may be a memory map: it is read in pieces."""
    found = []
    lengths = [_run_lengths(one, windows) for one, windows in zip(passages, _seeds(passages, train_N), strict=True)]
    short = _longest_short(passages, lengths, train_N)
    for one, lengths_T, (start, tokens) in zip(passages, lengths, short, strict=True):
        if lengths_T.any():
            start = int(lengths_T.argmax())
            tokens = int(lengths_T[start])
        total_T = np.concatenate([[0], np.cumsum(one.characters_T)])
        ends_T = np.arange(len(lengths_T)) + lengths_T
        copied = total_T[ends_T] - total_T[np.arange(len(lengths_T))] >= CHARACTERS
        inside = np.zeros(len(one.tokens_T) + 1, dtype=np.int64)
        np.add.at(inside, np.flatnonzero(copied), 1)
        np.add.at(inside, ends_T[copied], -1)
        verbatim = int(np.count_nonzero(np.cumsum(inside)[:-1] > 0))
        characters = int(total_T[start + tokens] - total_T[start])
        found.append(Repetition(len(one.tokens_T), verbatim, start, tokens, characters))
    return found


# ---------------------------------------------------------------- windows and where they stand


def hashes(tokens: NDArray[np.integer], length: int) -> Hashes:
    """A hash of every window of `length` tokens, equal for equal windows wherever they stand."""
    if len(tokens) < length:
        return np.zeros(0, dtype=np.uint64)
    powers = np.multiply.accumulate(np.full(len(tokens), _BASE, dtype=np.uint64))
    back = np.multiply.accumulate(np.full(len(tokens) - length + 1, _INVERSE, dtype=np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(_scattered(tokens) * powers)])
    return np.asarray((sums[length:] - sums[:-length]) * back)


def _scattered(tokens: NDArray[np.integer]) -> Hashes:
    """Token numbers spread over 64 bits (the finaliser of SplitMix64), so that small ones do not make small sums."""
    x = np.asarray(tokens, dtype=np.uint64) + _BASE
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _chunks(train_N: NDArray[np.integer], length: int) -> Iterator[tuple[int, Hashes]]:
    """Hashes of every window of the training tokens, with the place of the first."""
    for start in range(0, max(0, len(train_N) - length + 1), _CHUNK):
        yield start, hashes(np.asarray(train_N[start : start + _CHUNK + length - 1]), length)


def _within(values: Hashes, wanted: Hashes) -> NDArray[np.int64]:
    """Places of `values` that are among the sorted `wanted`. Nearly all of them fall at a look at their first bits."""
    table = np.zeros(1 << _BITS, dtype=bool)
    table[wanted >> _SHIFT] = True
    places = np.flatnonzero(table[values >> _SHIFT])
    at = np.minimum(np.searchsorted(wanted, values[places]), len(wanted) - 1)
    return np.asarray(places[wanted[at] == values[places]])


def _seed_length(one: Passage) -> int:
    """Tokens of the shortest window with 50 characters; 0 where the whole passage has fewer."""
    total = np.concatenate([[0], np.cumsum(one.characters_T)])
    ends = np.searchsorted(total, total[:-1] + CHARACTERS)
    reached = ends < len(total)
    return int((ends - np.arange(len(ends)))[reached].min()) if reached.any() else 0


@dataclass(frozen=True)
class _Windows:
    """Where the windows of one passage stand in the training text: pairs (place in the passage, run of tokens there)."""

    places: NDArray[np.int64]
    runs: NDArray[np.int64]


def _seeds(passages: Sequence[Passage], train_N: NDArray[np.integer]) -> list[_Windows]:
    """For each passage the places from which a window that could be 50 characters long is in the training text, and how
    far the text goes on being the same."""
    lengths = [_seed_length(one) for one in passages]
    known = [length for length in lengths if length]
    nothing = _Windows(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    if not known:
        return [nothing] * len(passages)
    length = min(known)
    own = [hashes(one.tokens_T, length) if seed else hashes(one.tokens_T[:0], 1)
           for one, seed in zip(passages, lengths, strict=True)]  # fmt: skip
    where = _places(np.unique(np.concatenate(own)), train_N, length)
    return [
        _extended(one, mine, where, train_N) if len(mine) else nothing for one, mine in zip(passages, own, strict=True)
    ]


def _places(wanted: Hashes, train_N: NDArray[np.integer], length: int) -> dict[int, NDArray[np.int64]]:
    """Places in the training text of each wanted hash, at most a thousand."""
    found: dict[int, list[int]] = {}
    for start, values in _chunks(train_N, length):
        for at in _within(values, wanted).tolist():
            places = found.setdefault(int(values[at]), [])
            if len(places) < _PLACES:
                places.append(start + at)
    return {key: np.array(places, dtype=np.int64) for key, places in found.items()}


def _extended(one: Passage, own: Hashes, where: dict[int, NDArray[np.int64]], train_N: NDArray[np.integer]) -> _Windows:
    places, runs = [], []
    for at, key in enumerate(own.tolist()):
        if key in where:
            places.append(at)
            runs.append(_same(one.tokens_T[at:], train_N, where[key]))
    return _Windows(np.array(places, dtype=np.int64), np.array(runs, dtype=np.int64))


def _same(tokens: NDArray[np.int64], train_N: NDArray[np.integer], places: NDArray[np.int64]) -> int:
    """The longest beginning of `tokens` that stands at one of `places`, token by token."""
    run, left = 0, places
    while run < len(tokens):
        left = left[left + run < len(train_N)]
        left = left[np.asarray(train_N[left + run]) == tokens[run]]
        if not len(left):
            break
        run += 1
    return run


def _run_lengths(one: Passage, windows: _Windows) -> NDArray[np.int64]:
    lengths_T = np.zeros(len(one.tokens_T), dtype=np.int64)
    lengths_T[windows.places] = windows.runs
    return lengths_T


def _longest_short(
    passages: Sequence[Passage], lengths: Sequence[NDArray[np.int64]], train_N: NDArray[np.integer]
) -> list[tuple[int, int]]:
    """Start and tokens of the longest run of each passage without a long one, by halving: a run of n has one of n - 1."""
    open_ = [at for at, lengths_T in enumerate(lengths) if not lengths_T.any() and len(passages[at].tokens_T)]
    best = dict.fromkeys(range(len(passages)), (0, 0))
    low = dict.fromkeys(open_, 0)
    high = {at: len(passages[at].tokens_T) for at in open_}
    while todo := [at for at in open_ if low[at] < high[at]]:
        middle = {at: (low[at] + high[at] + 1) // 2 for at in todo}
        for length in sorted(set(middle.values())):
            group = [at for at in todo if middle[at] == length]
            own = {at: hashes(passages[at].tokens_T, length) for at in group}
            seen = _seen(np.unique(np.concatenate(list(own.values()))), train_N, length)
            for at in group:
                places = _within(own[at], seen) if len(seen) else np.zeros(0, dtype=np.int64)
                if len(places):
                    best[at], low[at] = (int(places[0]), length), length
                else:
                    high[at] = length - 1
    return [best[at] for at in range(len(passages))]


def _seen(wanted: Hashes, train_N: NDArray[np.integer], length: int) -> Hashes:
    """Those of the sorted `wanted` hashes that a window of the training text has."""
    there = np.zeros(len(wanted), dtype=bool)
    for _, values in _chunks(train_N, length):
        there[np.searchsorted(wanted, values[_within(values, wanted)])] = True
    return wanted[there]
