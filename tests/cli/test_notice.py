"""The privacy notice says what the product file says and what follows from it; what nobody filled in is listed as missing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import write_product
from tradewind.cli.app import main
from tradewind.cli.notice import notice_of
from tradewind.privacy.notice import HEADINGS, WORDS, Language, as_text, render
from tradewind.product import Product

FULL = {
    "controller": "Example Bank, 1 High Street", "contact": "privacy@example.org", "officer": "Dr. Lee",
    "purposes": ["deciding about loans"], "legal_basis": "consent", "categories": ["income", "job"], "origin": "a bureau",
    "recipients": ["nobody"], "transfers": "none", "authority": "the data commissioner", "required": "no",
    "decisions": "none is made by the model alone",
}  # fmt: skip


def product(privacy: dict[str, Any] | None = None, serve: dict[str, Any] | None = None, **data: Any) -> Product:
    content = {"product": "loans", "task": "classification", "data": {"source": "rows.csv", "target": "y", **data}}
    return Product.model_validate({**content, "privacy": privacy or {}, "serve": serve or {}})


def test_what_nobody_filled_in_is_missing_and_named_with_its_place() -> None:
    notice = notice_of(product())
    assert set(notice.missing) == set(HEADINGS) - {"storage"}
    page = render(notice, "en")
    assert page.count("Missing: nobody filled this in.") == len(notice.missing)
    assert "privacy.controller" in page


def test_a_full_product_file_misses_nothing() -> None:
    notice = notice_of(product(FULL, subject="who", consent="agreed", purpose="scoring"))
    assert notice.missing == ()
    for language in ("en", "zh"):
        text = as_text(notice, language)
        assert all((value if isinstance(value, str) else value[0]) in text for value in FULL.values())
        assert WORDS["missing"][language == "zh"] not in text


def test_how_long_is_what_the_product_file_says() -> None:
    said = as_text(
        notice_of(product({"keep": {"datasets": "90d"}}, {"store": {"inputs": "30d", "outputs": "12h"}})), "en"
    )
    assert "kept for 30 days" in said
    assert "Answers are kept for 12 hours" in said
    assert "removed after 90 days" in said
    nothing = as_text(notice_of(product()), "zh")
    assert "不保存您提交的内容" in nothing


def test_a_recommender_says_how_long_events_and_items_are_kept() -> None:
    def said(keep: dict[str, str], language: Language = "en") -> str:
        data = {"source": "events.csv", "items": {"source": "items.csv"}}
        content = {"product": "shop", "task": "recommendation", "data": data, "privacy": {"keep": keep}}
        return as_text(notice_of(Product.model_validate(content)), language)

    assert "What you met is kept for 90 days" in said({"events": "90d", "items": "2y"})
    assert "自最近一次提交起2年后删除" in said({"events": "90d", "items": "2y"}, "zh")
    assert "privacy.keep.events" in said({"items": "2y"})
    assert "privacy.keep.items" in said({"events": "90d"})
    assert "keep.events" not in as_text(notice_of(product()), "en")


def test_every_word_exists_in_both_languages() -> None:
    for english, chinese in WORDS.values():
        assert english.isascii()
        assert not chinese.isascii()
        assert english.count("{0}") == chinese.count("{0}")


def test_a_page_loads_nothing_and_quotes_what_was_written() -> None:
    page = render(notice_of(product({"controller": "<script>alert(1)</script>"})), "en")
    assert "<script" not in page
    assert "http" not in page


def test_keeping_for_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="without it nothing is built"):
        product({"keep": {"datasets": "never"}})


def test_the_verb_prints_it(tmp_path, capsys) -> None:
    folder = write_product(tmp_path / "p")
    assert main(["card", "--privacy", "-C", str(folder), "--language", "zh"]) == 0
    assert capsys.readouterr().out.startswith("# 隐私告知")
    assert main(["card", "--privacy", "--format", "html", "-C", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    assert main(["card", "--privacy", "--format", "pdf", "-C", str(folder)]) == 2
