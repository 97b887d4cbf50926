"""The PDF says what the page says, in Chinese too, and is read back without a library as pypdf reads it."""

import io

import pytest
from pypdf import PdfReader

from tests.release.transparency.made import CHINESE, sources
from tests.release.transparency.test_files import _document
from tradewind.release.transparency import pdf
from tradewind.release.transparency.compare import cells_of
from tradewind.release.transparency.layout import lay_out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_cell_is_drawn_and_read_back(language):
    page = lay_out(_document(sources(product={"language": language, "release": CHINESE})), "full", language=language)
    drawn = "".join("".join(run.text for run in pdf.runs_of(pdf.render(page))).split())
    for cell in cells_of(page):
        assert "".join(cell.text.replace("·", "・" if "・" in drawn else "·").split()) in drawn, cell


def test_what_is_read_back_is_what_pypdf_reads():
    content = pdf.render(lay_out(_document(sources()), "card", language="en"))
    reader = PdfReader(io.BytesIO(content))
    theirs = ["".join(one.extract_text().split()) for one in reader.pages]
    for at, text in enumerate(theirs, start=1):
        ours = "".join("".join(run.text.split()) for run in pdf.runs_of(content) if run.page == at)
        assert sorted(ours) == sorted(text)


def test_chinese_is_set_in_a_chinese_face():
    content = pdf.render(lay_out(_document(sources()), "china", language="zh"))
    text = PdfReader(io.BytesIO(content)).pages[0].extract_text()
    assert "基本情况" in text


def test_a_text_longer_than_a_page_is_set():
    long = "\n\n".join(f"{n}. " + "很长的一段话，" * 60 for n in range(60))
    page = lay_out(_document(sources(product={"release": {"risks": long}})), "card", language="zh")
    assert len(PdfReader(io.BytesIO(pdf.render(page))).pages) > 5
