"""The report says what one request costs, in both languages, and `verify` finds a changed amount."""

from __future__ import annotations

import json

import pytest

from tradewind.evaluate import report as reports
from tradewind.evaluate.cost import RequestCost, RequestTime, again
from tradewind.evaluate.page import render
from tradewind.evaluate.recompute import recompute
from tradewind.money import parse_price
from tradewind.tariff import Plan

# A millisecond alone on one of two processors: at 7.2 CNY an hour 0.000001 CNY.
TIME = RequestTime(0.001, 300, 0.00001, 2000, "Example 3000", 2)
PLANS = {
    "free": Plan(monthly="0 CNY", included=1000, below_cost=True),
    "pro": Plan(monthly="299 CNY", included=100_000, overage="0.0000005 CNY"),
}
COST = RequestCost(TIME, parse_price("7.2 CNY"), PLANS)


@pytest.fixture
def written(make_inputs, tmp_path):
    """The folder of a report with prices in it."""
    reports.write(reports.evaluate(make_inputs(2, cost=COST)), tmp_path, language="en")
    return tmp_path


def test_a_lone_request_costs_its_share_of_the_hour():
    section = COST.to_json()
    assert (section["alone"], section["bulk"]) == ("0.000001 CNY", "0.00000001 CNY")


def test_each_way_of_selling_stands_beside_its_cost():
    sales = {(one["plan"], one["units"]): one for one in COST.to_json()["sales"]}
    assert sales["free", "included"] | {"cost": ""} == {
        "plan": "free", "units": "included", "price": "0 CNY", "cost": "", "margin": None, "below": True, "allowed": True,
    }  # fmt: skip
    assert sales["pro", "included"]["price"] == "0.00299 CNY"
    assert sales["pro", "included"]["margin"] == pytest.approx(1 - 0.000001 / 0.00299, abs=1e-6)
    assert sales["pro", "further"]["margin"] == -1.0


def test_only_a_plan_that_does_not_say_so_is_complained_of():
    (below,) = COST.to_json()["below"]
    assert "plan pro sells a further unit for 0.0000005 CNY, below its cost of 0.000001 CNY" in below


def test_without_a_price_of_the_hour_there_are_seconds_alone():
    section = RequestCost(TIME, None, PLANS).to_json()
    assert section["request"]["alone_seconds"] == 0.001
    assert (section["alone"], section["sales"], section["below"]) == (None, [], [])


def test_the_section_follows_from_what_stands_in_it():
    section = json.loads(json.dumps(COST.to_json()))
    assert again(section) == section


@pytest.mark.parametrize(("language", "words"), [("en", "What one request costs"), ("zh", "一次请求的成本")])
def test_the_page_says_it_in_both_languages(written, language, words):
    page = render(json.loads((written / "report.json").read_text()), language=language)
    for word in (words, "Example 3000", "1.0 ms", "0.000001 CNY", "7.20 CNY", "0.00299 CNY", "−100.0 %"):
        assert word in page


def test_a_report_that_measured_nothing_has_no_such_words(make_inputs):
    content = reports.evaluate(make_inputs(2)).to_json()
    assert "What one request costs" not in render(json.loads(json.dumps(content)), language="en")


@pytest.mark.parametrize(
    ("place", "value"),
    [(("alone",), "0.0000005 CNY"), (("below",), []), (("sales", 1, "margin"), 0.5), (("machine_hour",), "0.1 CNY")],
)
def test_verify_finds_a_changed_amount(written, place, value):
    assert recompute(written).holds
    content = json.loads((written / "report.json").read_text())
    spot = content["cost"]
    for step in place[:-1]:
        spot = spot[step]
    spot[place[-1]] = value
    (written / "report.json").write_text(json.dumps(content))
    assert any(one.where.startswith("cost.") for one in recompute(written).differences)
