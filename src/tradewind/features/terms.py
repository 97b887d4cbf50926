"""Terms of a text for search by words: what a question and a passage must share to find each other.
Not here: how terms are counted and weighed (`engines/bm25.py`), token numbers of a network (`text.py`).

Words in Latin, Cyrillic, Arabic and Hangul letters are cut at what is neither letter nor digit; English ones lose their ending,
by fewer and simpler rules than Porter's. Chinese and Japanese have no blanks between words: every character is a term, and
every pair of neighbours (Nie, Gao, Zhang, Zhou 2000 found pairs with characters as good as words from a dictionary).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

_HAN = "぀-ヿ㐀-䶿一-鿿豈-﫿𠀀-𲎯"
_RUN = re.compile(f"[{_HAN}]+|[^\\W_{_HAN}]+")
_IS_HAN = re.compile(f"[{_HAN}]")
_PLAIN = re.compile(r"[a-z]+")
_VOWEL = re.compile(r"[aeiouy]")
_LEAST = 3  # letters that a stem keeps


def terms(text: str) -> list[str]:
    """In their order, repeated as they are in the text; case, width and form of characters make no difference."""
    found: list[str] = []
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match[0]
        if _IS_HAN.match(run):
            found += run
            found += map("".join, pairwise(run))
        else:
            found.append(stem(run))
    return found


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """An English word without its ending: plural by Harman's S-stemmer (1991), then -ing, -ed and a last e.

    Words with other letters or digits stay as they are.
    """
    if len(word) <= _LEAST or not _PLAIN.fullmatch(word):
        return word
    word = _singular(word)
    for ending in ("ing", "ed"):
        short = word.removesuffix(ending)
        if short != word and len(short) >= _LEAST and _VOWEL.search(short):
            doubled = short[-1] == short[-2] and short[-1] not in "lsz"
            word = short[:-1] if doubled else short
            break
    if len(word) > _LEAST and word.endswith("e"):
        word = word[:-1]
    return word[:-1] + "i" if len(word) > _LEAST and word.endswith("y") and word[-2] not in "aeiou" else word


def _singular(word: str) -> str:
    if word.endswith("ies") and word[-4] not in "ae":
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word
