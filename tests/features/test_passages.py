"""How documents are cut, and what a reader of them sees: headings, lines, sentences across a cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import InputError
from tradewind.features.passages import cut, language_of, pair, units
from tradewind.features.terms import stem, terms

MARKDOWN = """---
title: left out
---
# Returns

Send it **back** within [30 days](https://example.com).
Keep the box.

## Refunds

- card: `3` days
- cash: at once

```
# no heading
```

Gifts
-----
A voucher.<!-- never shown
at all -->
"""
HTML = """<!doctype html><html><head><title>Help</title><style>p {}</style></head>
<body><h1>Delivery</h1><p>Two <b>days</b>
at most.</p><script>track()</script>
<h2>Express</h2><table><tr><td>Price</td><td>9&nbsp;EUR</td></tr></table></body></html>"""


def told(passages):
    return [(one.heading, one.text, one.line, one.last) for one in passages]


def test_markdown_is_cut_under_its_headings_and_knows_its_lines():
    assert told(cut(MARKDOWN)) == [
        ("Returns", "Send it back within 30 days.\nKeep the box.", 6, 7),
        ("Returns › Refunds", "- card: 3 days\n- cash: at once\n\n# no heading", 11, 16),
        ("Returns › Gifts", "A voucher.", 20, 20),
    ]


def test_html_gives_what_a_browser_shows():
    assert told(cut(HTML, "html")) == [
        ("Delivery", "Two days at most.", 2, 3),
        ("Delivery › Express", "Price 9 EUR", 4, 4),
    ]


def test_plain_text_is_cut_at_empty_lines_and_has_no_headings():
    assert told(cut("one\ntwo\n\n\n# three", "text")) == [("", "one\ntwo\n\n# three", 1, 5)]


@pytest.mark.parametrize(
    ("text", "form"),
    [("", "markdown"), ("\n\n", "text"), ("# Title\n", "markdown"), ("<h1>Title</h1>", "html"), ("<p></p>", "html")],
)
def test_headings_alone_are_no_passage(text, form):
    assert cut(text, form) == ()


def test_a_long_section_is_cut_at_sentences_that_overlap():
    sentences = [f"This is sentence number {number} of many." for number in range(40)]
    passages = cut("# Long\n\n" + " ".join(sentences), size=40, overlap=10)
    assert all(units(one.text) <= 40 for one in passages)
    assert all(one.heading == "Long" for one in passages)
    for before, after in pairwise(passages):
        assert after.text.startswith(before.text.rpartition(". ")[2])
    assert all(any(sentence in one.text for one in passages) for sentence in sentences)


def test_chinese_is_counted_by_characters_and_cut_at_its_stops():
    passages = cut("# 退款\n\n" + "。".join("退款会在五天内到账" for _ in range(30)) + "。", size=50, overlap=10)
    assert len(passages) > 5
    assert all(units(one.text) <= 50 and one.text.endswith("。") for one in passages)


@given(
    st.text(alphabet=st.sampled_from("ab .\n#<>-`*。退\r\u2028"), max_size=200),
    st.sampled_from(["markdown", "html", "text"]),
)
def test_any_text_is_cut_and_every_line_is_within_it(text, form):
    lines = max(1, len(text.replace("\r\n", "\n").splitlines()))
    for one in cut(text, form, size=5, overlap=1):
        assert one.text.strip()
        assert 1 <= one.line <= one.last <= lines + 1


def test_a_table_without_stops_is_cut_all_the_same():
    assert all(units(one.text) <= 20 for one in cut("word " * 500, "text", size=20, overlap=5))


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(InputError, match="NUL"):
        cut("a\x00b", "text")


def test_a_pair_is_found_by_question_and_answer():
    one = pair(" How? ", "So.\r\nAnd so.", line=7)
    assert (one.found_by, one.line) == ("How?\nSo.\nAnd so.", 7)


@pytest.mark.parametrize(
    ("text", "language"),
    [("How do I return it?", "en"), ("Wie kann ich das zurückgeben und ist es mit Kosten verbunden?", "de"), ("怎么退货", "zh"),
     ("返品はどうすればいいですか", "ja"), ("Как вернуть товар", "ru"), ("¿Cómo puedo devolver el pedido para una compra?", "es"),
     ("Comment puis-je faire pour les retours dans la boutique", "fr"), ("반품은 어떻게 하나요", "ko"), ("", "en")],
)  # fmt: skip
def test_languages_are_told_apart(text, language):
    assert language_of(text) == language


# ---------------------------------------------------------------- terms


def test_endings_of_one_word_are_one_term():
    assert len({stem(word) for word in ("charge", "charges", "charged", "charging")}) == 1
    assert len({stem(word) for word in ("policy", "policies")}) == 1
    assert stem("shipping") == stem("shipped") == stem("ship")


def test_short_words_numbers_and_names_stay():
    assert [stem(word) for word in ("red", "bus", "is", "class", "iphone15", "straße")] == [
        "red", "bus", "is", "class", "iphone15", "straße",
    ]  # fmt: skip


def test_chinese_gives_characters_and_pairs():
    assert terms("退货款") == ["退", "货", "款", "退货", "货款"]


def test_width_and_case_make_no_difference():
    assert terms("ＡＢＣ Refund") == terms("abc refund")


@given(st.text(max_size=60))
def test_any_text_has_terms_that_are_no_blanks(text):
    assert all(term.strip() and "\n" not in term for term in terms(text))
