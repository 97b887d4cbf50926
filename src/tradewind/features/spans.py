"""Stretches of a text that can be left out one by one: words where a script has spaces, single characters of Chinese.

On this floor for the same reason as `coalitions.py`. Not here: what leaving them out does to an answer
(`engines/occlusion.py`), tokens of a network (`tokenizer.py`), which are no units for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from tradewind.features.text import WORD

Span: TypeAlias = tuple[int, int]  # first character and the one behind the last

MOST_UNITS = 96


def units(text: str, *, most: int = MOST_UNITS) -> list[Span]:
    """The words of a text, or the characters of a script without spaces, in order. Of more than `most` each unit is a run
    of several, so that a long text costs no more questions than a short one."""
    words = [match.span() for match in WORD.finditer(text)]
    size = -(-len(words) // most) or 1
    return [(words[at][0], words[min(at + size, len(words)) - 1][1]) for at in range(0, len(words), size)]


def touching(one: Span, other: Span) -> bool:
    """Whether `other` follows at once, as characters of a word without spaces do."""
    return one[1] == other[0]


def without(text: str, spans: Iterable[Span]) -> str:
    """The text with the spans cut out, each with one blank beside it."""
    kept, at = [], 0
    for start, end in sorted(spans):
        kept.append(text[at:start])
        at = end + 1 if text[end : end + 1] == " " and (start == 0 or text[start - 1] == " ") else end
    return "".join([*kept, text[at:]])
