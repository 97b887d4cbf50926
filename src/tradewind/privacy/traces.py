"""What the rows about a person look like, so that copies elsewhere are known again: as golden examples, learnt words,
quotations. Not here: where rows are found (`data/people.py`), nor what is done with copies (`release/amend.py`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tradewind.files import canonical_json, digest_bytes

# Characters from which a text tells a person apart: of an alphabet, of Chinese.
_LEAST, _LEAST_WIDE, _LEAST_WORD = 8, 3, 4
_WORD = re.compile(r"[^\W_]+")
_FIGURES = re.compile(r"[\s\d.,:/+%-]{0,10}")  # longer ones may be telephone and identity numbers


@dataclass
class Own:
    """Texts and words that stand in the rows about a subject and in no other row. Short figures tell nobody apart."""

    texts: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    @classmethod
    def together(cls, several: Iterable[Own]) -> Own:
        own = cls()
        for one in several:
            own.texts |= one.texts
            own.words |= one.words
        return own

    def __bool__(self) -> bool:
        return bool(self.texts or self.words)

    def add(self, cells: Iterable[str | None]) -> None:
        """Cells of the subject's own rows."""
        for cell in cells:
            text = (cell or "").strip()
            if text and not _FIGURES.fullmatch(text):
                if len(text) >= (_LEAST if text.isascii() else _LEAST_WIDE):
                    self.texts.add(text)
                self.words |= {word for word in _words(text) if len(word) >= _LEAST_WORD}
                self.words.add(text.casefold())

    def within(self, cell: str) -> bool:
        """Whether a text says what only these rows say."""
        text = cell.strip()
        return text in self.texts or text.casefold() in self.words or any(word in self.words for word in _words(text))

    def share(self, cells: Iterable[str | None]) -> None:
        """Cells of others: what stands there too is nobody's own."""
        for cell in cells:
            if cell:
                text = cell.strip()
                self.texts.discard(text)
                self.words.discard(text.casefold())
                self.words.difference_update(_words(text))


@dataclass(frozen=True)
class Traces:
    """`datasets` are digests of those that hold rows about the subject; `rows` their values by column."""

    datasets: frozenset[str] = frozenset()
    rows: Sequence[Mapping[str, Any]] = ()
    own: Own = field(default_factory=Own)


def row_key(row: Mapping[str, Any]) -> str:
    """Equal for equal rows, whether they were read from Parquet or from golden examples."""
    return digest_bytes(canonical_json({name: _plain(value) for name, value in row.items()}))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return digest_bytes(value)
    value = value.item() if hasattr(value, "item") else value  # of NumPy
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return float(value) if math.isfinite(value) else None


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
