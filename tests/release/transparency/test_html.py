"""The page stands alone, in both languages, and holds no foreign markup."""

import re
from html.parser import HTMLParser

import pytest

from tests.release.transparency.made import sources
from tests.release.transparency.test_files import _document
from tradewind.release.transparency.files import render


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_asked_for_from_outside(document, language):
    page = render(document, "full", "html", language=language).decode()
    assert not re.search(r'(src|href)="(?!#)|@import|url\(|<script', page)
    assert f'<html lang="{language}">' in page
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page


def test_every_tag_is_closed(document):
    open_: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                open_.append(tag)

        def handle_endtag(self, tag):
            assert open_.pop() == tag

    Tags().feed(render(document, "full", "html", language="en").decode())
    assert open_ == []


def test_words_of_the_product_file_are_no_markup():
    document = _document(sources(product={"release": {"risks": "<script>alert(1)</script>"}}))
    page = render(document, "full", "html", language="en").decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_each_number_names_its_statement_and_evidence(document):
    page = render(document, "full", "html", language="en").decode()
    key = "data.rows.read" if document.kind == "predictor" else "data.splits.train.tokens"
    assert re.search(rf'data-key="{re.escape(key)}" title="report/evidence/data\.json#/', page)
