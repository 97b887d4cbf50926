"""A rendering as PDF on A4, in English or Chinese, and the texts of such a file again. The same page gives the same bytes.

Streams are not compressed, so that what is drawn can be read back without a library. Not here: what stands on a page, the faces
that it is set in (`typeface.py`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from tradewind import typeface
from tradewind.release.transparency import page as pages
from tradewind.release.transparency.words import Words

_MARGIN = 18 * mm
_PADDING = 6  # of a frame of the library
_WIDTH = A4[0] - 2 * _MARGIN - 2 * _PADDING
_SOFT, _RULE = colors.HexColor("#5b6675"), colors.HexColor("#cccccc")
# A row higher than a page cannot be set: what is longer than this is cut into paragraphs of a row's cell by the library.
_NARROWEST = 0.08
# What reading back needs: the streams that pages draw; in them the choice of a face or a text; faces of two bytes a character, and
# embedded ones with their table of characters.
_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\r?\n(.*?)\r?\nendobj", re.DOTALL)
_STREAM = re.compile(rb"\nstream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_CONTENTS = re.compile(rb"/Contents (\d+) 0 R")
_DRAWN = re.compile(rb"(/F\d+(?:\+\d+)?) [\d.]+ Tf|\(((?:[^()\\]|\\.)*)\) Tj|(T\*|ET)\s", re.DOTALL)
_WIDE = re.compile(rb"/Encoding /UniGB-UCS2-H /Name (/F\d+)")
_EMBEDDED = re.compile(rb"/Name (/F\d+\+\d+) .*?/ToUnicode (\d+) 0 R", re.DOTALL)
_CHARACTER = re.compile(rb"<([0-9A-F]{2})> <((?:[0-9A-F]{4})+)>")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_SIGNS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def render(page: pages.Page) -> bytes:
    """Raises EnvironmentFailure where TRADEWIND_FONT names no font that may be embedded."""
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=f"{page.product} · {page.title}", lang=page.language, invariant=1,
        pageCompression=0,
    )  # fmt: skip
    foot = _foot(f"{page.product}: {page.title}")
    with typeface.chinese("".join(_texts(page))):
        document.build(_story(page), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


@dataclass(frozen=True)
class Run:
    """A text as it is drawn at once: its page and its place among the texts of that page, both from 1."""

    text: str
    page: int
    line: int


def runs_of(content: bytes) -> list[Run]:
    """The texts of a PDF that `render` made, in the order they are drawn in; what cannot be read is left out."""
    objects = dict(_OBJECT.findall(content))
    drawn_by, faces = set(_CONTENTS.findall(content)), _faces(content, objects)
    streams = (found for number, body in objects.items() if number in drawn_by for found in _STREAM.findall(body))
    return [
        Run(text, page, line)
        for page, stream in enumerate(streams, start=1)
        for line, text in enumerate(_drawn(stream, faces), start=1)
    ]


def _drawn(stream: bytes, faces: Mapping[bytes, str | dict[int, str]]) -> list[str]:
    """The texts of a page. An embedded face has parts of 256 characters, /F2+0 and /F2+1: text of both is one."""
    found: list[str] = []
    face, before = b"", b""
    for chosen, drawn, ended in _DRAWN.findall(stream):
        if chosen:
            face = chosen
        elif ended:
            before = b""
        else:
            text, whole = _text(_unescaped(drawn), faces.get(face, "cp1252")), face.partition(b"+")[0]
            if before == whole != face:
                found[-1] += text
            else:
                found.append(text)
            before = whole
    return found


def _faces(content: bytes, objects: Mapping[bytes, bytes]) -> dict[bytes, str | dict[int, str]]:
    """How the bytes of a text become characters, by face, of those that are not Latin: an encoding, or a table."""
    found: dict[bytes, str | dict[int, str]] = dict.fromkeys(_WIDE.findall(content), "utf-16-be")
    for body in objects.values():
        for face, table in _EMBEDDED.findall(body):
            pairs = _CHARACTER.findall(objects.get(table, b""))
            found[face] = {int(code, 16): bytes.fromhex(of.decode()).decode("utf-16-be") for code, of in pairs}
    return found


def _text(drawn: bytes, face: str | dict[int, str]) -> str:
    if isinstance(face, str):
        return drawn.decode(face, errors="replace")
    return "".join(face.get(code, "\ufffd") for code in drawn)


def _unescaped(drawn: bytes) -> bytes:
    """The bytes of a string between its brackets."""
    return _ESCAPE.sub(
        lambda found: bytes([int(found[1], 8) % 256]) if found[1].isdigit() else _SIGNS.get(found[1], found[1]), drawn
    )


def _texts(page: pages.Page) -> Iterator[str]:
    """All that is drawn."""
    yield from (page.product, page.title, page.note, Words(page.language)("shown_note"))
    for section in page.sections:
        yield section.title
        for block in section.blocks:
            if isinstance(block, pages.Table):
                yield from block.heads
                yield from (cell.text for row in block.rows for cell in row)
            elif isinstance(block, pages.Bullets):
                yield from ("•", *(item.text for item in block.items))
            else:
                yield block.cell.text


def _story(page: pages.Page) -> list[Flowable]:
    story: list[Flowable] = [_paragraph(page.product, size=20, bold=True), _paragraph(page.title, size=11, soft=True)]
    story += [Spacer(0, 2 * mm)] + ([_paragraph(page.note)] if page.note else [])
    story.append(_paragraph(Words(page.language)("shown_note"), size=8, soft=True))
    for section in page.sections:
        story += [
            Spacer(0, 5 * mm),
            _paragraph(section.title, size=14 if section.level == 2 else 11, bold=True, heading=True),
        ]
        for block in section.blocks:
            story += [Spacer(0, 1.5 * mm), *_block(block)]
    return story


def _block(block: pages.Block) -> list[Flowable]:
    if isinstance(block, pages.Table):
        return [_table(block)]
    if isinstance(block, pages.Bullets):
        return [_paragraph(f"• {item.text}", indent=4 * mm) for item in block.items]
    return [_paragraph(block.cell.text, soft=block.soft, size=8 if block.soft else 9)]


def _table(block: pages.Table) -> Table:
    rows = [[_paragraph(head, size=7.5, soft=True) for head in block.heads]]
    rows += [[_paragraph(cell.text, size=8) for cell in row] for row in block.rows]
    style = TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return Table(rows, colWidths=_widths(block), style=style, repeatRows=1, splitInRow=1)


def _widths(block: pages.Table) -> list[float]:
    """By how much the cells of a column hold, bounded so that no column starves; Chinese characters count double."""
    held = [
        min(48.0, max(6.0, max([_length(head), *(_length(row[at].text) for row in block.rows)])))
        for at, head in enumerate(block.heads)
    ]
    least = _NARROWEST * sum(held)
    held = [max(one, least) for one in held]
    return [_WIDTH * one / sum(held) for one in held]


def _length(text: str) -> float:
    return sum(2.0 if ord(character) > 0x2E80 else 1.0 for character in text)


def _paragraph(
    text: str, *, size: float = 9, soft: bool = False, bold: bool = False, heading: bool = False, indent: float = 0
) -> Paragraph:
    style = ParagraphStyle(
        "text",
        fontName=typeface.face(text, bold=bold),
        fontSize=size,
        leading=size * 1.4,
        textColor=_SOFT if soft else colors.black,
        leftIndent=indent,
        keepWithNext=int(heading),
        wordWrap="CJK",  # breaks long digests and paths too
        splitLongWords=1,
    )
    return Paragraph(typeface.marked(text).replace("\n", "<br/>"), style)


def _foot(text: str) -> Any:
    def draw(canvas: Any, document: Any) -> None:
        line = f"{text} ({document.page})"
        canvas.setFont(typeface.face(line), 8)
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, line)

    return draw
