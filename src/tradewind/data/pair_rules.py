"""Which pairs are no translations: empty, copied, in the wrong language, far too long for each other. Rules with a reason.

Not here: copies of whole pairs and leaks between splits (`parallel.py`). The bounds are lenient: a rule is for what spoils a
translator, not for what is merely free.
"""

from __future__ import annotations

import hashlib
import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tradewind.data.text_pairs import TextPair
from tradewind.features.words import words

_FEWEST_WORDS = 4  # shorter texts may well be the same in two languages: names, numbers
_RATIO = 3.0  # times as long, or as short, as is usual for these two languages
_SLACK = 10  # characters that short texts may differ by
_MOST_CHARACTERS = 4000
_BUCKETS = 1 << 17
_FEWEST_RUNS, _OTHER = 12, 0.5  # runs of three characters, and how many nats each must speak for the other language


def key_of(text: str) -> int:
    """Equal for texts that differ in case, signs and blanks alone, 64 bits."""
    plain = " ".join(word for word in words(text.lower()) if word[0].isalnum()).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def fault(pair: TextPair) -> tuple[str, str] | None:
    """A code and a sentence where one look at a repaired pair shows that it is no translation."""
    if not pair.source or not pair.target:
        return "empty", "one side is empty" if pair.source or pair.target else "both sides are empty"
    longest = max(len(pair.source), len(pair.target))
    if longest > _MOST_CHARACTERS:
        return "too_long", f"{longest:,} characters"
    if len(words(pair.source)) >= _FEWEST_WORDS and key_of(pair.source) == key_of(pair.target):
        return "copy", "both sides say the same in one language"
    return None


class TwoLanguages:
    """What the two languages of a corpus look like, learnt from its own sides by runs of three characters (after Cavnar and
    Trenkle 1994). So it knows any two languages, as long as most pairs are right."""

    def __init__(self) -> None:
        self._counts = np.ones((2, _BUCKETS))

    def see(self, pair: TextPair) -> None:
        for side, text in enumerate((pair.source, pair.target)):
            np.add.at(self._counts[side], _trigrams(text), 1)

    def wrong_side(self, pair: TextPair) -> str | None:
        """The side, of at least a few words, that is far more like the other language than like its own."""
        likelier = self._likelier
        for name, text, sign in (("source", pair.source, 1.0), ("target", pair.target, -1.0)):
            runs = _trigrams(text)
            if len(runs) >= _FEWEST_RUNS and sign * float(likelier[runs].mean()) < -_OTHER:
                return name
        return None

    @cached_property
    def _likelier(self) -> NDArray[np.float64]:
        """How many nats a run is likelier in the source's language than in the target's."""
        shares = self._counts / self._counts.sum(1, keepdims=True)
        found: NDArray[np.float64] = np.log(shares[0] / shares[1])
        return found


def _trigrams(text: str) -> NDArray[np.int64]:
    """Buckets of the runs of three characters, words in small letters with a blank at both ends."""
    codes = np.frombuffer(f" {text.lower()} ".encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.int64)
    return (codes[:-2] * 1_000_003 + codes[1:-1] * 10_007 + codes[2:]) % _BUCKETS


def unusual_lengths(source_P: NDArray[np.int64], target_P: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pairs of which one side is `_RATIO` times as long as the other side usually makes it. Lengths in characters."""
    ratio_P = np.log((target_P + _SLACK) / (source_P + _SLACK))
    usual = float(np.median(ratio_P)) if len(ratio_P) else 0.0
    return np.abs(ratio_P - usual) > math.log(_RATIO)
