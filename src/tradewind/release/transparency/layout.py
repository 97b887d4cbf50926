"""A document laid out under the headings of one frame, in one language. Not here: its form (Markdown, HTML, PDF)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tradewind.release.transparency.document import Document
from tradewind.release.transparency.frames import Frame, FrameName, Heading, frame
from tradewind.release.transparency.page import Block, Bullets, Cell, Page, Section, Text
from tradewind.release.transparency.parts import PARTS
from tradewind.release.transparency.view import View

Language: TypeAlias = Literal["en", "zh"]
_ANSWERS = "release.answers."


def lay_out(document: Document, name: FrameName, *, language: Language) -> Page:
    """Every heading of the frame, filled or not: an empty one says that nothing is recorded, or asks the provider."""
    view, chosen = View(document, language), frame(name)
    headings, open_ = _headings(document, chosen), unanswered(document, name)
    sections = []
    for at, heading in enumerate(headings):
        above = at + 1 < len(headings) and headings[at + 1].level > heading.level
        blocks = _blocks(view, heading)
        if not blocks and not above:
            blocks = view.remark("nothing")
        if heading.parts == ("missing",) and open_:
            blocks = _with_unanswered(view, blocks, open_)
        sections.append(Section(heading.id, heading.title(language), heading.level, tuple(blocks)))
    title, note = (chosen.zh, chosen.note_zh) if language == "zh" else (chosen.en, chosen.note_en)
    return Page(title, document.product, language, note, tuple(sections))


def unanswered(document: Document, name: FrameName) -> list[str]:
    """Fields of the product file where answers to this frame's headings would stand, of those that nobody gave."""
    given = document.values
    return [
        f"{_ANSWERS}{one.id}"
        for one in _headings(document, frame(name))
        if one.asks and given.get(f"answers.{one.id}") is None
    ]


def _headings(document: Document, chosen: Frame) -> list[Heading]:
    rooms = {key.split(".")[1] for key in document.values if key.startswith("trust.")}
    return [
        one
        for one in chosen.headings
        if (not one.only or document.kind in one.only) and (not one.found or one.found in rooms)
    ]


def _blocks(view: View, heading: Heading) -> list[Block]:
    blocks = [block for part in heading.parts for block in PARTS[part](view)]
    if heading.asks:
        key = f"answers.{heading.id}"
        answer = view.said(key) or [Text(Cell(view.words("fill", field=f"{_ANSWERS}{heading.id}")))]
        blocks += answer
    return blocks


def _with_unanswered(view: View, blocks: list[Block], fields: list[str]) -> list[Block]:
    items = tuple(Cell(one, code=True) for one in fields)
    listed = [block for block in blocks if isinstance(block, Bullets)]
    before = listed[0].items if listed else ()
    return [*view.remark("missing_note"), Bullets((*before, *items))]
