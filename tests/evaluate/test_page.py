"""The page stands alone, in both languages, and shows what the report says."""

import json
import re
from html.parser import HTMLParser

import pytest

from tradewind.evaluate.page import language_of, render, without_pictures
from tradewind.evaluate.report import evaluate
from tradewind.evaluate.strings import _FIGURES, _WORDS, Strings
from tradewind.files import canonical_json


@pytest.fixture(scope="module", params=[2, 4, 30, 0], ids=["binary", "few", "many", "regression"])
def report(request, make_inputs):
    return json.loads(canonical_json(evaluate(make_inputs(request.param)).to_json()))


class Outside(HTMLParser):
    """Collects everything that would make a browser ask the network."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "link", "iframe", "img", "object", "embed", "video", "audio", "base", "form"):
            self.found.append(tag)
        self.found += [(name, value) for name, value in attrs if name in ("src", "srcset", "action")]
        self.found += [value for name, value in attrs if name in ("href", "xlink:href") and not value.startswith("#")]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_asks_for_nothing_from_outside(report, language):
    html = render(report, language=language)
    outside = Outside()
    outside.feed(html)
    assert outside.found == []
    assert not re.findall(r"@import|url\((?!#)", html)


def test_the_page_shows_the_leading_figure_and_every_picture(report):
    html = render(report, language="en")
    value = report["figures"]["test"][report["primary"]]["value"]
    assert (f"{value:.4f}" if report["classes"] else f"{value:,.3f}") in html
    assert html.count("<svg") >= 4
    assert html.count("<svg") == html.count("</svg>") == html.count('role="img"')


def test_stand_in_colours_are_all_mapped_by_the_style_sheet(report):
    html = render(report, language="en")
    used = set(re.findall(r'(fill|stroke)="(#0000[ef]\d)"', html))
    mapped = set(re.findall(r'\[(fill|stroke)="(#0000[ef]\d)"\]', html))
    assert used <= mapped
    colours = {value for _, value in re.findall(r'(fill|stroke)="(#[0-9a-f]{3,8})"', html)}
    assert colours <= {value for _, value in mapped}


def test_ids_inside_pictures_do_not_collide(report):
    ids = re.findall(r'\bid="([^"]+)"', render(report, language="en"))
    assert len(ids) == len(set(ids))


def test_values_of_the_data_are_escaped(report):
    html = render(report, language="en")
    assert "<script>" not in html
    assert "<b>x</b>" not in html


def test_the_chinese_page_is_chinese(report):
    html = render(report, language="zh", with_pictures=False)
    assert language_of(html) == "zh"
    assert "评估报告" in html
    words = re.sub(r"<details>.*?</details>|<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "Evaluation report" not in words
    assert "interval" not in words


def test_the_page_without_pictures_is_the_page_emptied_of_them(report):
    assert without_pictures(render(report, language="en")) == render(report, language="en", with_pictures=False)


def test_both_palettes_name_the_same_colours(report):
    html = render(report, language="en", with_pictures=False)
    light, dark = (set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL))
    assert light == dark


def test_every_word_is_there_in_both_languages():
    assert all(english and chinese for english, chinese in (*_WORDS.values(), *_FIGURES.values()))
    for english, chinese in _WORDS.values():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", chinese))


def test_a_reason_is_translated_and_an_unknown_one_kept():
    words = Strings("zh")
    assert words.reason("only the class no occurs in the split") == "数据中只有类别 no"
    assert words.reason("logistic regression on numbers + one-hot") == "逻辑回归：数值 + 独热编码"
    assert words.reason("something new") == "something new"
