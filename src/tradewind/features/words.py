"""Texts as words, for whatever counts words: a Chinese or Japanese character is one, a run of other letters, a number, a sign.

Not here: tokens of a model (`language.py`). Legend: W words of a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Han, kana and the signs of both stand alone; what else is a letter, a mark or a digit runs on, with its inner apostrophes.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W\d_{_CJK}]+(?:['’\-][^\W\d_{_CJK}]+)*|\d+(?:[.,:]\d+)*|[^\w\s]|_")
_NO_SPACE_BEFORE = re.compile(r"\s+([.,;:!?%)\]}»…])")
_NO_SPACE_AFTER = re.compile(r"([(\[{«])\s+")
_SPACELESS = frozenset(["zh", "ja", "th", "lo", "km", "my"])


def words(text: str) -> list[str]:
    """The words of a text in order [W]."""
    return _WORD.findall(text)


def spans(text: str) -> list[tuple[int, int]]:
    """Where each word of `words` begins and ends [W]."""
    return [match.span() for match in _WORD.finditer(text)]


def is_spaced(language: str) -> bool:
    """Whether words of a language stand apart: not in Chinese (`zh`, `zho_Hans`), Japanese, Thai …"""
    code = re.split(r"[-_]", language.lower())[0]
    return code not in _SPACELESS and code not in ("zho", "jpn", "tha", "lao", "khm", "mya", "cmn", "yue")


def joined(found: Sequence[str], *, language: str) -> str:
    """Words as a text of their language."""
    if not is_spaced(language):
        return "".join(found)
    return _NO_SPACE_AFTER.sub(r"\1", _NO_SPACE_BEFORE.sub(r"\1", " ".join(found)))
