"""Faces of a PDF: the Latin one that every viewer has, and a Chinese one, embedded from a font file of this machine or only named.

`TRADEWIND_FONT` names the file (`none`: embed nothing); else common ones are looked for where systems keep theirs. Of the file
the characters of one document are redrawn into a small TrueType font, whatever kind it is of. Each gets the width that it has in
the face that is only named, so that pages break alike with and without a font. Not here: what stands on a page.
"""

from __future__ import annotations

import io
import os
import re
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, TTLibError
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont as SetFont

from tradewind.errors import EnvironmentFailure

SETTING = "TRADEWIND_FONT"
LATIN, CHINESE = "Helvetica", "Tradewind-Chinese"
# Viewers bring this face themselves where they have it (Adobe's Asian font packs, and what viewers put in their place).
_NAMED = "STSong-Light"
_NOT_EMBEDDED = b"/UniGB-UCS2-H"
_COMMON = (
    "NotoSansSC-Regular.ttf", "NotoSansSC-Regular.otf", "NotoSansCJKsc-Regular.otf", "NotoSansCJK-Regular.ttc",
    "SourceHanSansSC-Regular.otf", "SourceHanSansCN-Regular.otf", "SourceHanSans-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    "LXGWWenKai-Regular.ttf", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "NotoSerifCJK-Regular.ttc",
    "PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Light.ttc", "Songti.ttc", "Arial Unicode.ttf",
    "msyh.ttc", "Deng.ttf", "simhei.ttf", "simsun.ttc",
)  # fmt: skip
_FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts",
    "/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts", "C:/Windows/Fonts",
)  # fmt: skip
_SIMPLIFIED = re.compile(r"\b(SC|CN|GB)\b")
_EM = 1000  # units of a PDF's widths
_FINE = 1.0  # units that a curve of a cubic outline may be off when it is drawn with quadratic ones
# OS/2 fsType of the OpenType specification: not to be embedded, not as a subset, not as outlines.
_RESTRICTED, _EMBEDDING, _WHOLE_ONLY, _BITMAPS_ONLY = 0x0002, 0x000F, 0x0100, 0x0200
_PROBE = "中文，"
_ALWAYS = "".join(map(chr, range(0x20, 0x7F))) + "·・"  # feet of pages, and what `marked` puts in
_lock = threading.Lock()  # the library that sets a page knows faces by name, once for the process


@contextmanager
def chinese(text: str) -> Iterator[None]:
    """Within it the face CHINESE has the characters of `text`. One document at a time: another thread waits.

    Raises EnvironmentFailure where TRADEWIND_FONT names no font that may be embedded.
    """
    with _lock:
        path = chosen() if any(_face_of(one) == CHINESE for one in set(text)) else None
        if path is None:
            named = UnicodeCIDFont(_NAMED)
            named.name = named.fontName = CHINESE
            pdfmetrics.registerFont(named)
            yield
            return
        font = _Embedded(CHINESE, io.BytesIO(_source(path).font(sorted({*text, *_ALWAYS}))))
        font.unregister()  # the face of an earlier document that only named it
        pdfmetrics.registerFont(font)
        try:
            yield
        finally:
            font.unregister()


def chosen() -> Path | None:
    """The font file that Chinese is embedded from; None where there is none. Raises EnvironmentFailure as `chinese` does."""
    said = os.environ.get(SETTING, "").strip()
    if said.lower() == "none":
        return None
    if not said:
        return _looked_up()
    try:
        _source(Path(said).expanduser())
    except (OSError, ValueError, TTLibError, KeyError, struct.error) as error:
        raise EnvironmentFailure(
            f"No Chinese can be embedded from it: {error}.",
            code="font_unusable",
            where=f"{SETTING}={said}",
            hint="Name a TrueType or OpenType file with Chinese characters (.ttf, .otf, .ttc), or none.",
        ) from error
    return Path(said).expanduser()


def remark(pdf: bytes) -> str | None:
    """What is to be said of a PDF whose Chinese is not embedded."""
    if _NOT_EMBEDDED not in pdf:
        return None
    return (
        "The Chinese in this PDF is not embedded: readers need a Chinese font of their own. "
        f"Install one here (Noto Sans CJK, say) or name a file: {SETTING}=FILE."
    )


# ---------------------------------------------------------------- which face sets what


def face(text: str, *, bold: bool = False) -> str:
    """The Latin face where it has every character, else the Chinese one, which has no bold."""
    found = _face_of(text)
    return f"{LATIN}-Bold" if bold and found == LATIN else found


def marked(text: str) -> str:
    """A text as markup of a paragraph: Latin words and figures within Chinese in the Latin face, whose widths every viewer knows."""
    if _face_of(text) == LATIN:
        return escape(text)
    return "".join(
        f'<font face="{LATIN}">{escape(part)}</font>' if part.isascii() else escape(part)
        for part in re.split(r"([!-~]+(?: +[!-~]+)*)", text.replace("·", "・"))
        if part
    )


def _face_of(text: str) -> str:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return CHINESE
    return LATIN


# ---------------------------------------------------------------- the font file


class _Embedded(SetFont):  # type: ignore[misc]
    """The library's face, whose table of characters names those beyond 16 bits as the specification asks: by two halves."""

    def addObjects(self, doc: Any) -> None:
        super().addObjects(doc)
        for name, made in doc.idToObject.items():
            if str(name).startswith("toUnicodeCMap:"):
                made.content = re.sub(
                    r"<([0-9A-F]{5,6})>", lambda found: f"<{_halves(int(found[1], 16))}>", made.content
                )


def _halves(code: int) -> str:
    return chr(code).encode("utf-16-be").hex().upper()


@cache
def _looked_up() -> Path | None:
    """The first common font of this machine that may be embedded."""
    there: dict[str, Path] = {}
    for folder in _FOLDERS:
        for place, _, names in os.walk(Path(folder).expanduser()):
            there.update({name: Path(place) / name for name in names if name in _COMMON and name not in there})
    for path in (there[name] for name in _COMMON if name in there):
        try:
            _source(path)
        except (OSError, ValueError, TTLibError, KeyError, struct.error):
            continue
        return path
    return None


@cache
def _source(path: Path) -> _Source:
    return _Source(path)


class _Source:
    """A font file, and what was drawn of it so far. Raises OSError, TTLibError or ValueError for one that does not do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.drawn: dict[str, tuple[Any, int]] = {}  # glyph and width by character
        self.widths = UnicodeCIDFont(_NAMED).unicodeWidths
        with self._opened() as font:
            rights = font["OS/2"].fsType
            if rights & _EMBEDDING == _RESTRICTED or rights & (_WHOLE_ONLY | _BITMAPS_ONLY):
                raise ValueError("its maker does not let parts of it be embedded")
            lacking = [one for one in _PROBE if ord(one) not in font.getBestCmap()]
            if lacking:
                raise ValueError(f"it has no {' '.join(lacking)}")
            self.name = re.sub(r"[^A-Za-z0-9-]", "", font["name"].getDebugName(6) or "Chinese") or "Chinese"
            scale = _EM / font["head"].unitsPerEm
            self.ascent, self.descent = (round(scale * one) for one in (font["hhea"].ascent, font["hhea"].descent))

    def font(self, characters: Sequence[str]) -> bytes:
        """A TrueType font of these characters. One that the file lacks is drawn as an empty box and stays in the text."""
        self._draw([one for one in characters if one not in self.drawn])
        names = {one: f"u{ord(one):04X}" for one in characters}
        glyphs, widths = {".notdef": _box()}, {".notdef": _EM}
        for one in characters:
            glyphs[names[one]], widths[names[one]] = self.drawn[one]
        made = FontBuilder(_EM, isTTF=True)
        made.setupHead(unitsPerEm=_EM, created=0, modified=0)
        made.setupGlyphOrder(list(glyphs))
        made.setupCharacterMap({ord(one): name for one, name in names.items()})
        made.setupGlyf(glyphs)
        made.setupHorizontalMetrics({name: (width, glyphs[name].xMin) for name, width in widths.items()})
        made.setupHorizontalHeader(ascent=self.ascent, descent=self.descent)
        made.setupNameTable({"familyName": self.name, "styleName": "Regular", "psName": self.name})
        made.setupOS2(sTypoAscender=self.ascent, sTypoDescender=self.descent)
        made.setupPost()
        made.font.recalcTimestamp = False
        out = io.BytesIO()
        made.save(out)
        return out.getvalue()

    def _draw(self, characters: Iterable[str]) -> None:
        wanted = list(characters)
        if not wanted:
            return
        with self._opened() as font:
            codes, outlines = font.getBestCmap(), font.getGlyphSet()
            scale = _EM / font["head"].unitsPerEm
            for one in wanted:
                width = self.widths.get(one, _EM)
                name = codes.get(ord(one))
                if name is None:
                    self.drawn[one] = (_box(width), width)
                    continue
                pen, record = TTGlyphPen(None), DecomposingRecordingPen(outlines)
                outlines[name].draw(record)
                record.replay(TransformPen(Cu2QuPen(pen, _FINE), (scale, 0, 0, scale, 0, 0)))
                self.drawn[one] = (_placed(pen.glyph(), round(scale * outlines[name].width), width), width)

    @contextmanager
    def _opened(self) -> Iterator[TTFont]:
        """The face of the file; of a collection the first for simplified characters."""
        with self.path.open("rb") as file:
            if file.read(4) == b"ttcf":
                fonts = TTCollection(file, lazy=True).fonts
                yield next((one for one in fonts if _SIMPLIFIED.search(one["name"].getDebugName(4) or "")), fonts[0])
            else:
                yield TTFont(file, lazy=True)


def _placed(glyph: Any, own: int, width: int) -> Any:
    """The glyph within the width that it gets: its ink in the middle where that is another than its own."""
    glyph.recalcBounds(None)
    if own != width and glyph.numberOfContours:
        glyph.coordinates.translate(((width - glyph.xMin - glyph.xMax) // 2, 0))
        glyph.recalcBounds(None)
    return glyph


def _box(width: int = _EM) -> Any:
    """What stands for a character that a font lacks."""
    pen = TTGlyphPen(None)
    for left, bottom, right, top in ((100, 0, 900, 800), (150, 50, 850, 750)):
        corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
        pen.moveTo(corners[0])
        for corner in corners[1:] if left == 100 else corners[:0:-1]:
            pen.lineTo(corner)
        pen.closePath()
    return _placed(pen.glyph(), _EM, width)
