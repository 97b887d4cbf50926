"""Texts to translate as they come: a column of a table, or a file of lines. Read only: nothing is cleaned or dropped.

Not here: pairs to learn from (`text_pairs.py`), how texts are translated (`engines/translation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tradewind.data.sources import open_source
from tradewind.data.sources.location import TABLES, find, is_url
from tradewind.data.text_pairs import USUAL_SOURCES, column_of, encoding_of_lines, lines_of
from tradewind.errors import DataError
from tradewind.product import Source

_AT_ONCE = 256


@dataclass(frozen=True)
class SomeTexts:
    """Texts with the lines that they stand in, from 1."""

    lines: list[int]
    texts: list[str]


def single_texts(source: Source, *, language: str, base: Path, memory: int) -> Iterator[SomeTexts]:
    """A few hundred at a time. Of a table the column is read that is named like the language, else one of a usual name.

    Raises DataError when there is nothing, bytes are no text, or there is no such column.
    """
    path = source.path
    if is_url(path) or (Path(path).suffix.lower() in TABLES and Path(path).suffix.lower() != ".txt"):
        yield from _table(source, language, base, memory)
        return
    files = find(path, base=base).files
    if len(files) != 1:
        raise DataError("One file of lines was expected.", code="not_a_file", where=path)
    numbered = enumerate(lines_of(files[0], encoding_of_lines(files[0], source)), 1)
    while some := list(islice(numbered, _AT_ONCE)):
        yield SomeTexts([number for number, _ in some], [text for _, text in some])


def _table(source: Source, language: str, base: Path, memory: int) -> Iterator[SomeTexts]:
    names = list(open_source(source, base=base, memory=memory).names)
    name = column_of(language, None, names, USUAL_SOURCES, source)
    for chunk in open_source(source, base=base, memory=memory, only=[name]).chunks():
        texts = [text or "" for text in chunk.frame.get_column(name).cast(str, strict=False).to_list()]
        lines = chunk.lines.tolist()
        for start in range(0, len(texts), _AT_ONCE):
            yield SomeTexts(lines[start : start + _AT_ONCE], texts[start : start + _AT_ONCE])
