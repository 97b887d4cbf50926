"""Headings as the laws list them; answers of the product file; every number on a page has its statement."""

import re

import pytest

from tests.release.transparency.made import CHINESE, sources
from tests.release.transparency.test_files import _document
from tradewind.errors import ProductFileError
from tradewind.release.transparency.compare import cells_of
from tradewind.release.transparency.frames import FRAMES, check_answers, frame
from tradewind.release.transparency.layout import lay_out, unanswered
from tradewind.release.transparency.page import Page, Table

ANNEX_IV = ["1", *(f"1{one}" for one in "abcdefgh"), "2", *(f"2{one}" for one in "abcdefgh"), *"3456789"]
NIST = {"govern": (7, 3, 2, 3, 2, 2), "map": (6, 3, 5, 2, 2), "measure": (3, 13, 3, 3), "manage": (4, 4, 2, 3)}


def _ids(name) -> list[str]:
    return [heading.id.partition(".")[2] for heading in frame(name).headings]


def test_annex_iv_has_every_point_in_its_order():
    assert _ids("annex-iv") == [*ANNEX_IV, "missing"]


def test_nist_has_all_72_subcategories_in_their_order():
    wanted = []
    for function, counts in NIST.items():
        wanted.append(function)
        wanted += [f"{function}-{at}.{n}" for at, count in enumerate(counts, 1) for n in range(1, count + 1)]
    assert len(wanted) == 72 + 4
    assert _ids("nist") == [*wanted, "missing"]


def test_chinas_frame_cites_the_articles_of_both_measures():
    titles = " ".join(heading.zh for heading in frame("china").headings)
    for article in (
        "第四条",
        "第七条",
        "第八条",
        "第十条",
        "第十一条",
        "第十二条",
        "第十四条",
        "第十五条",
        "第十七条",
        "GB 45438-2025",
    ):
        assert article in titles


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_heading_stands_there_with_something_below_it(document, name, language):
    page = lay_out(document, name, language=language)
    shown = {section.id for section in page.sections}
    found = {key.split(".")[1] for key in document.values if key.startswith("trust.")} | {""}
    assert shown == {
        one.id for one in frame(name).headings if (not one.only or document.kind in one.only) and one.found in found
    }
    for at, section in enumerate(page.sections):
        deeper = at + 1 < len(page.sections) and page.sections[at + 1].level > section.level
        assert section.blocks or deeper, section.id


def test_an_answer_stands_below_its_heading_and_is_missing_no_more():
    name = "annex-iv.8"
    assert f"release.answers.{name}" in unanswered(_document(sources()), "annex-iv")
    answered = _document(sources(product={"release": {"answers": {name: "Declaration of 3 May 2026."}}}))
    assert f"release.answers.{name}" not in unanswered(answered, "annex-iv")
    page = lay_out(answered, "annex-iv", language="en")
    (section,) = [one for one in page.sections if one.id == name]
    assert section.blocks[-1].cell.text == "Declaration of 3 May 2026."


def test_an_answer_to_no_heading_is_refused_with_the_nearest_one():
    with pytest.raises(ProductFileError) as caught:
        check_answers({"nist.govern-1.11": "…"})
    assert caught.value.code == "product.heading_unknown"
    assert "nist.govern-1.1" in str(caught.value.hint)


@pytest.mark.parametrize("name", FRAMES)
def test_every_number_on_a_page_belongs_to_a_statement(document, name):
    page = lay_out(document, name, language="en")
    known = (
        {one.key for one in document.statements} | {one.key for one in document.changes or ()} | set(document.evidence)
    )
    for cell in _cells_with_numbers(page):
        assert cell.key in known, cell


def _cells_with_numbers(page: Page):
    labels = {
        id(row[0])
        for section in page.sections
        for block in section.blocks
        if isinstance(block, Table)
        for row in block.rows
    }
    for cell in cells_of(page):
        words_of_ours = cell.text.startswith(("Not stated.", "Intervals are of", "Every reply", "release.answers."))
        if re.search(r"\d", cell.text) and id(cell) not in labels and not words_of_ours:
            yield cell


@pytest.mark.parametrize(("language", "way"), [("en", "a penalty while training"), ("zh", "训练中的惩罚项")])
def test_the_frontier_of_quality_and_gap_stands_in_the_report_by_strength(language, way):
    page = lay_out(_document(sources()), "full", language=language)
    rows = {row[0].text: [cell.text for cell in row] for row in _rows_of(page)}
    assert "0.0712" in rows["0.0000"]
    assert {"0.0401", "0.9000", "sex"} <= set(rows["0.5000"])
    assert any(way in row for row in rows.values())
    assert all(cell.key for row in _rows_of(page) if row[0].text == "0.5000" for cell in row[1:])


def _rows_of(page):
    return [
        row for section in page.sections for block in section.blocks if isinstance(block, Table) for row in block.rows
    ]


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("kind", ["predictor", "language", "encoder"])
def test_no_english_sentence_is_left_in_a_chinese_page(name, kind):
    page = lay_out(_document(sources(kind, product={"language": "zh", "release": CHINESE})), name, language="zh")
    texts = [page.title, page.note]
    for section in page.sections:
        texts.append(section.title)
        for block in section.blocks:
            texts += block.heads if isinstance(block, Table) else []
    texts += [cell.text for cell in cells_of(page) if not cell.code]
    for text in texts:
        assert not re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", text), text
