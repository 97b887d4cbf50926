"""Chinese of a PDF is embedded from whatever kind of font file there is; without one a page breaks alike and says what it lacks."""

import io
import threading

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from pypdf import PdfReader

from tests.business.test_pages import SELLER, account, invoice
from tests.release.transparency.made import CHINESE, sources
from tests.release.transparency.test_files import _document
from tradewind import typeface
from tradewind.business import pages
from tradewind.errors import EnvironmentFailure
from tradewind.release.transparency import pdf
from tradewind.release.transparency.layout import lay_out

_HAN = sorted({*map(chr, range(0x4E00, 0x5200)), *"中文，。、（）：“”・·—姓𠮷的人透明度报告有限公司"})


def _made(folder, kind, *, rights=0, characters=_HAN, face="Made SC"):
    """A font of squares: every character the same, drawn in twice as many units as a PDF counts."""
    names = {ord(one): f"u{ord(one):04X}" for one in [" ", *characters]}
    made = FontBuilder(2000, isTTF=kind != "otf")
    made.setupGlyphOrder([".notdef", *names.values()])
    made.setupCharacterMap(names)
    order = made.font.getGlyphOrder()
    pens = [T2CharStringPen(2000, None) if kind == "otf" else TTGlyphPen(None) for _ in order]
    for pen in pens[2:]:
        pen.moveTo((200, 0))
        for corner in ((200, 1600), (1800, 1600), (1800, 0)):
            pen.lineTo(corner)
        pen.closePath()
    if kind == "otf":
        drawn = {name: pen.getCharString() for name, pen in zip(order, pens, strict=True)}
        made.setupCFF("Made-Regular", {}, drawn, {})
    else:
        made.setupGlyf({name: pen.glyph() for name, pen in zip(order, pens, strict=True)})
    made.setupHorizontalMetrics({name: (2000, 200 if at > 1 else 0) for at, name in enumerate(order)})
    made.setupHorizontalHeader(ascent=1700, descent=-300)
    made.setupNameTable({"familyName": face, "styleName": "Regular", "psName": "Made-Regular", "fullName": face})
    made.setupOS2(fsType=rights)
    made.setupPost(keepGlyphNames=False)
    path = folder / f"{face}{rights}.{kind}"
    if kind == "ttc":
        collection = TTCollection()
        collection.fonts = [TTFont(_made(folder, "ttf", characters="中", face="Made JP")), made.font]
        collection.save(path)
    else:
        made.save(path)
    return path


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")
    return {kind: _made(folder, kind) for kind in ("ttf", "otf", "ttc")}


def _page(**release):
    return lay_out(_document(sources(product={"language": "zh", "release": CHINESE | release})), "full", language="zh")


def _embedded(content):
    """The faces whose outlines the file holds, by name."""
    reader = PdfReader(io.BytesIO(content))
    faces = (one.get_object() for page in reader.pages for one in page["/Resources"]["/Font"].values())
    described = {str(face["/BaseFont"]): face.get("/FontDescriptor", {}) for face in faces}
    return {
        name: TTFont(io.BytesIO(face["/FontFile2"].get_data()))
        for name, face in described.items()
        if "/FontFile2" in face
    }


@pytest.mark.parametrize("kind", ["ttf", "otf", "ttc"])
def test_the_characters_of_a_page_are_embedded_and_its_text_is_read_again(kind, fonts, monkeypatch):
    monkeypatch.setenv("TRADEWIND_FONT", str(fonts[kind]))
    content = pdf.render(_page(description="姓𠮷的人"))
    outlines = _embedded(content)["/AAAAAA+Made-Regular"]
    square = next(
        one for one in map(outlines["glyf"].__getitem__, outlines.getGlyphOrder()) if one.numberOfContours == 1
    )
    assert (square.xMin, square.yMin, square.xMax, square.yMax) == (100, 0, 900, 800)  # half the units of the file
    assert (1000, 100) in outlines["hmtx"].metrics.values()
    assert typeface.remark(content) is None
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert "姓𠮷的人" in text
    assert "透明度报告" in text


def test_with_and_without_a_font_a_page_breaks_alike(fonts, monkeypatch):
    page = _page()
    bare = pdf.render(page)
    monkeypatch.setenv("TRADEWIND_FONT", str(fonts["otf"]))
    content = pdf.render(page)
    assert pdf.runs_of(content) == pdf.runs_of(bare)
    assert content == pdf.render(page)
    assert "TRADEWIND_FONT" in typeface.remark(bare)
    assert not _embedded(bare)


def test_a_character_that_the_font_lacks_stays_in_the_text(tmp_path, monkeypatch):
    monkeypatch.setenv("TRADEWIND_FONT", str(_made(tmp_path, "ttf", characters="中文，")))
    page = _page()
    content = pdf.render(page)
    monkeypatch.setenv("TRADEWIND_FONT", "none")
    assert pdf.runs_of(content) == pdf.runs_of(pdf.render(page))


def test_an_english_page_needs_no_font(fonts, monkeypatch):
    monkeypatch.setenv("TRADEWIND_FONT", str(fonts["ttf"]))
    content = pages.pdf(invoice(), account=account(), seller=pages.Seller("Pier Ltd", "Harbour City", "1"))
    assert not _embedded(content)
    assert typeface.remark(content) is None


def test_invoices_of_two_threads_have_each_their_own_characters(fonts, monkeypatch):
    monkeypatch.setenv("TRADEWIND_FONT", str(fonts["ttf"]))
    names, found = [f"{chr(0x4E00 + 500 * at)}有限公司" for at in range(4)], {}

    def make(name):
        content = pages.pdf(invoice(), account=account("zh", name), seller=SELLER)
        found[name] = PdfReader(io.BytesIO(content)).pages[0].extract_text()

    threads = [threading.Thread(target=make, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(name in found[name] for name in names)


def test_a_font_that_does_not_do_is_one_clear_error(tmp_path, monkeypatch):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font at all")
    cases = {
        tmp_path / "nowhere.ttf": "No such file",
        broken: "Not a TrueType",
        _made(tmp_path, "ttf", characters="abc", face="Latin"): "it has no 中",
        _made(tmp_path, "ttf", rights=2): "does not let parts of it be embedded",
    }
    for path, says in cases.items():
        monkeypatch.setenv("TRADEWIND_FONT", str(path))
        with pytest.raises(EnvironmentFailure) as caught:
            pdf.render(_page())
        assert caught.value.code == "environment.font_unusable"
        assert says in str(caught.value)
        assert str(path) in str(caught.value)
