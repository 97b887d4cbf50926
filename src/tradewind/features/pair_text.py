"""Texts as a translator reads them: one form of characters, and what is too long for it in pieces that are translated alone.

The same for the pairs that it learns from and for what is translated later. Not here: tokens (`pair_tokenizer.py`), which pairs
are no translations (`data/pair_rules.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b\ufeff]")
_LINE = re.compile(r"(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])+")
# Where a text may be cut, the best places first: behind sentences, behind clauses, between words.
_CUTS = (
    re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？；])[”’」』）]*"),
    re.compile(r"(?<=[,;:])\s+|(?<=[，、：])"),
    re.compile(r"\s+"),
)


@dataclass(frozen=True)
class TextPiece:
    """A repaired text that is translated alone; `behind` is what stands between it and the next: line ends, a blank, nothing."""

    text: str
    behind: str


def repaired(text: str) -> str:
    """One form of composed characters, no control characters, single blanks."""
    text = _CONTROL.sub(" ", unicodedata.normalize("NFC", text))
    return _SPACE.sub(" ", text).strip()


def pieces(text: str, *, size: Callable[[str], int], most: int) -> list[TextPiece]:
    """The lines of a text, and those of more than `most` by `size` in as few pieces as can be, cut behind a sentence, else behind a
    clause, between words, or anywhere. A line without text is a piece without one."""
    found: list[TextPiece] = []
    at = 0
    for match in [*_LINE.finditer(text), None]:
        line = repaired(text[at : match.start() if match else len(text)])
        ends = match[0] if match else ""
        parts = list(_fitting(line, size, most, 0)) if line else [""]
        found += [TextPiece(part, " ") for part in parts[:-1]] + [TextPiece(parts[-1], ends)]
        at = match.end() if match else at
    return found


def _fitting(text: str, size: Callable[[str], int], most: int, level: int) -> Iterator[str]:
    """Greedily: parts at the cuts of this level are put together as long as they fit; one that does not is cut on the next."""
    if size(text) <= most or len(text) < 2:
        yield text
        return
    if level == len(_CUTS):
        middle = len(text) // 2
        for half in (text[:middle], text[middle:]):
            yield from _fitting(half, size, most, level)
        return
    held = ""
    for part in _parts(text, _CUTS[level]):
        together = held + part
        if held and size(together.strip()) > most:
            yield from _fitting(held.strip(), size, most, level + 1)
            together = part
        held = together
    yield from _fitting(held.strip(), size, most, level + 1)


def _parts(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    """A text in parts that put together are the text."""
    at = 0
    for match in cut.finditer(text):
        if match.end() > at:
            yield text[at : match.end()]
            at = match.end()
    if at < len(text):
        yield text[at:]
