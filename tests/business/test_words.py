"""Every word and every kind of line reads in both languages."""

import pytest

from tradewind.business.lines import Line
from tradewind.business.words import _LINES, _WORDS, Words


@pytest.mark.parametrize("table", [_WORDS, _LINES])
def test_each_entry_has_both_languages(table):
    assert all(english.isascii() and not chinese.isascii() for english, chinese in table.values())


def test_a_line_says_its_plan_and_its_part_of_the_period():
    evidence = {"plan": "pro", "from_ms": 0, "to_ms": 250, "period_start_ms": 0, "period_end_ms": 1000}
    line = Line("proration", "", 1, "1 CNY", 1, evidence)
    assert Words("en").line(line) == "Plan pro: monthly fee, 25.0 % of the period"
    assert Words("zh").line(line) == "套餐 pro：月费，占本周期 25.0 %"


def test_a_capped_line_and_an_operators_own_words():
    capped = Line("overage", "", 1, "1 CNY", 1, {"plan": "pro", "without_cap_minor": 9})
    assert "spend cap" in Words("en").line(capped)
    assert Words("zh").line(Line("correction", "{Outage}", 1, "1 CNY", -1)) == "{Outage}"
