"""Where a user's own source still speaks of a person. The source belongs to the user and is only read.
Not here: what was prepared from it (`people.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.data.document_records import texts_of
from tradewind.data.documents import open_documents
from tradewind.data.sources import Chunk
from tradewind.data.steps import open_inputs
from tradewind.data.subjects import spelled
from tradewind.privacy.subjects import Subject
from tradewind.privacy.traces import Own
from tradewind.product import Product, Source

_MOST_LINES = 1000
_READ_BYTES = 64 << 20


@dataclass(frozen=True)
class SourcePlace:
    """A line of a user's own file that speaks of the subject; `about` where it is the subject's own row."""

    file: str
    line: int
    about: bool


@dataclass
class InSource:
    """The lines, at most a thousand, and the subject's own rows among them; how many there are, how many are about the
    subject, and what only those say. `unread` is why the source was not read."""

    places: list[SourcePlace] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    about: int = 0
    own: Own = field(default_factory=Own)
    unread: str | None = None

    def add(self, file: str, line: int, *, about: bool) -> None:
        self.count += 1
        self.about += about
        if len(self.places) < _MOST_LINES:
            self.places.append(SourcePlace(file, line, about))


def look_in_source(product: Product, subject: Subject, *, base: Path) -> InSource:
    """Reads the source of a product, and again where it holds rows about the subject. Raises DataError."""
    found = InSource()
    if product.task == "generation":
        _look_in_documents(product, subject, base, found)
        return found
    names = {product.data.subject, product.data.consent}
    for chunk, about in _chunks(product, subject, base):
        for place, (hit, row) in enumerate(zip(about, chunk.frame.iter_rows(), strict=True)):
            if hit or any(isinstance(cell, str) and subject.appears_in(cell) for cell in row):
                found.add(chunk.file, int(chunk.lines[place]), about=hit)
            if hit:
                cells = dict(zip(chunk.frame.columns, row, strict=True))
                found.own.add(cell for name, cell in cells.items() if name not in names and isinstance(cell, str))
                if len(found.rows) < _MOST_LINES:
                    found.rows.append(cells)
    if found.own:
        for chunk, about in _chunks(product, subject, base):
            for name in chunk.frame.columns:
                texts = chunk.frame[name].to_list()
                found.own.share(
                    text for text, hit in zip(texts, about, strict=True) if not hit and isinstance(text, str)
                )
    return found


def _chunks(product: Product, subject: Subject, base: Path) -> Iterator[tuple[Chunk, list[bool]]]:
    """Each chunk, and which of its rows are about the subject."""
    light = product.data.model_copy(update={"memory": min(product.data.memory, _READ_BYTES)})
    column = product.data.subject
    for item in open_inputs(product.model_copy(update={"data": light}), base=base):
        for chunk in item.source.chunks():
            about = [False] * len(chunk.frame)
            if column is not None and column in chunk.frame.columns:
                names = spelled(chunk.frame[column]).to_list()
                about = [name is not None and subject.named_by(name) for name in names]
            yield chunk, about


def _look_in_documents(product: Product, subject: Subject, base: Path, found: InSource) -> None:
    shares = (product.data.split.validation, product.data.split.test)
    for source in (product.data.source, *(share for share in shares if isinstance(share, Source))):
        for document in open_documents(source, said=product.data.format, base=base).documents():
            if any(subject.appears_in(text) for text in texts_of(document.content)):
                found.add(document.file, document.line, about=False)
