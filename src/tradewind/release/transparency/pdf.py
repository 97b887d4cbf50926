"""A rendering as PDF on A4, in English or Chinese, and the texts of such a file again. The same page gives the same bytes.

Chinese is set in a face that viewers bring themselves (Adobe's Asian font packs, and what every viewer puts in their place).
Streams are not compressed, so that what is drawn can be read back without a library. Not here: what stands on a page.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from tradewind.release.transparency import page as pages
from tradewind.release.transparency.words import Words

_LATIN, _CHINESE = "Helvetica", "STSong-Light"
_MARGIN = 18 * mm
_PADDING = 6  # of a frame of the library
_WIDTH = A4[0] - 2 * _MARGIN - 2 * _PADDING
_SOFT, _RULE = colors.HexColor("#5b6675"), colors.HexColor("#cccccc")
# A row higher than a page cannot be set: what is longer than this is cut into paragraphs of a row's cell by the library.
_NARROWEST = 0.08
# What reading back needs: streams of pages; in them the choice of a face or a text; faces of two bytes a character.
_STREAM = re.compile(rb"\nstream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_DRAWN = re.compile(rb"(/F\d+)\+?\d* [\d.]+ Tf|\(((?:[^()\\]|\\.)*)\) Tj", re.DOTALL)
_WIDE = re.compile(rb"/Encoding /UniGB-UCS2-H /Name (/F\d+)")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_SIGNS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def render(page: pages.Page) -> bytes:
    if _CHINESE not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=f"{page.product} · {page.title}", lang=page.language, invariant=1,
        pageCompression=0,
    )  # fmt: skip
    foot = _foot(f"{page.product}: {page.title}")
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
    wide_faces = set(_WIDE.findall(content))
    runs: list[Run] = []
    for page, stream in enumerate(_STREAM.findall(content), start=1):
        encoding, line = "cp1252", 0
        for face, drawn in _DRAWN.findall(stream):
            if face:
                encoding = "utf-16-be" if face in wide_faces else "cp1252"
            else:
                line += 1
                runs.append(Run(_unescaped(drawn).decode(encoding, errors="replace"), page, line))
    return runs


def _unescaped(drawn: bytes) -> bytes:
    """The bytes of a string between its brackets."""
    return _ESCAPE.sub(
        lambda found: bytes([int(found[1], 8) % 256]) if found[1].isdigit() else _SIGNS.get(found[1], found[1]), drawn
    )


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
    face = _face(text)
    style = ParagraphStyle(
        "text",
        fontName=f"{face}-Bold" if bold and face == _LATIN else face,
        fontSize=size,
        leading=size * 1.4,
        textColor=_SOFT if soft else colors.black,
        leftIndent=indent,
        keepWithNext=int(heading),
        wordWrap="CJK",  # breaks long digests and paths too
        splitLongWords=1,
    )
    return Paragraph("<br/>".join(_marked(part, face) for part in text.split("\n")), style)


def _marked(text: str, face: str) -> str:
    """Latin words and figures within Chinese in the Latin face, whose widths every viewer knows."""
    if face == _LATIN:
        return escape(text)
    return "".join(
        f'<font face="{_LATIN}">{escape(part)}</font>' if part.isascii() else escape(part)
        for part in re.split(r"([!-~]+(?: +[!-~]+)*)", text.replace("·", "・"))
        if part
    )


def _face(text: str) -> str:
    """The Latin face where it has every character, else the Chinese one."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return _CHINESE
    return _LATIN


def _foot(text: str) -> Any:
    def draw(canvas: Any, document: Any) -> None:
        line = f"{text} ({document.page})"
        canvas.setFont(_face(line), 8)
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, line)

    return draw
