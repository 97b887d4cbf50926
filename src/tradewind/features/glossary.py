"""A glossary: terms and the translation that each must have. Reading it, and finding its terms in a text.

Not here: how a translator is brought to keep them (`engines/translation.py`), teaching it (`data/term_pairs.py`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tradewind.errors import DataError
from tradewind.features.pair_text import repaired
from tradewind.features.words import words

_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class Found:
    """A term in a text: text[start:end] must become `translation`."""

    start: int
    end: int
    translation: str


@dataclass(frozen=True)
class Glossary:
    """`terms` by source term. A term in small letters is found in any case; the longest one counts; never inside a word."""

    terms: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.terms)

    def with_terms(self, further: Mapping[str, str]) -> Glossary:
        """These terms and `further` ones, which go before."""
        return Glossary({**self.terms, **further}) if further else self

    def find(self, text: str) -> list[Found]:
        """The terms of a text in order, none over another."""
        if not self.terms:
            return []
        found = []
        for match in self._pattern.finditer(text):
            translation = self.terms.get(match[0], self._small.get(match[0].lower()))
            if translation is not None:
                found.append(Found(match.start(), match.end(), translation))
        return found

    @cached_property
    def _small(self) -> dict[str, str]:
        return {term: translation for term, translation in self.terms.items() if term == term.lower()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        ordered = sorted(self.terms, key=len, reverse=True)
        return re.compile("|".join(map(_bounded, ordered)))


def _bounded(term: str) -> str:
    """Letters of a script with spaces must not go on before or behind; a Chinese character has no such neighbours."""
    found = words(term)
    written = re.escape(term) if term != term.lower() else f"(?i:{re.escape(term)})"
    before = r"(?<!\w)" if len(found[0]) > 1 or (found[0].isascii() and found[0].isalnum()) else ""
    behind = r"(?!\w)" if len(found[-1]) > 1 or (found[-1].isascii() and found[-1].isalnum()) else ""
    return f"{before}{written}{behind}"


def read_glossary(path: Path) -> Glossary:
    """CSV or TSV with a term and its translation a line, no header. Raises DataError with file and line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"The glossary cannot be read ({error.strerror or error}).", code="glossary_missing", where=str(path),
            hint="Write two columns, a term and its translation, and name the file as translation.glossary.",
        ) from error  # fmt: skip
    except UnicodeDecodeError as error:
        raise DataError("The glossary is not UTF-8.", code="encoding_wrong", where=str(path)) from error
    delimiter = "\t" if "\t" in text else ","
    terms: dict[str, str] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != 2 or not all(cells):
            raise DataError(
                f"Two columns were expected, a term and its translation, but there are {len([c for c in cells if c])}.",
                code="glossary_line", where=f"{path}:{number}", hint="Quote a term that holds a comma.",
            )  # fmt: skip
        terms[cells[0]] = cells[1]
    return checked(terms, where=str(path))


def checked(terms: Mapping[str, str], *, where: str) -> Glossary:
    """Terms in the form that texts are repaired to. Raises DataError for one that cannot be found in a text, or is a page."""
    for term, translation in terms.items():
        if not any(map(str.isalnum, term)) or not translation.strip():
            raise DataError(f"{term!r} is no term.", code="glossary_term", where=where, hint="A term holds a letter.")
        if max(len(term), len(translation)) > _MOST_CHARACTERS:
            raise DataError(
                f"The term {term[:20]!r}… is longer than {_MOST_CHARACTERS} characters.",
                code="glossary_term",
                where=where,
            )
    return Glossary({repaired(term): translation for term, translation in terms.items()})
