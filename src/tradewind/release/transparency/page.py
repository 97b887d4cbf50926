"""What a rendering is before it has a form: sections of paragraphs, lists and tables, each cell knowing its statement.

Not here: which parts there are (`layout.py`), Markdown, HTML and PDF (files of their own).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Cell:
    """Text to show. `key` is the statement it says, where it says one; `evidence` where that came from; `code`: shown as it
    is written elsewhere."""

    text: str
    key: str = ""
    evidence: str = ""
    code: bool = False
    number: bool = False


@dataclass(frozen=True)
class Text:
    """A paragraph. `soft`: a remark of ours rather than a statement."""

    cell: Cell
    soft: bool = False


@dataclass(frozen=True)
class Bullets:
    items: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


Block: TypeAlias = Text | Bullets | Table


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    level: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    title: str
    product: str
    language: Literal["en", "zh"]
    note: str
    sections: tuple[Section, ...]
