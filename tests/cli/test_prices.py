"""What a request costs is measured, and no release is made, and none is served, that sells below it unless told so."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.conftest import PRODUCT
from tradewind.cli.app import main
from tradewind.evaluate.recompute import recompute

ABSURD = """\
serve:
  machine_hour: 1000000000000 CNY
  plans:
    pro: {monthly: 299 CNY, included: 10, overage: 0.5 CNY}
"""


@pytest.fixture
def tell(released, capsys):
    def run(*words, code=0):
        got = main([*words, "-C", str(released), "--json"])
        out = capsys.readouterr()
        assert got == code, out.err
        return json.loads(out.out), out.err

    return run


def write(folder, serve):
    (folder / "tradewind.yaml").write_text(PRODUCT + serve, encoding="utf-8")


def report_of(outcome):
    with open(f"{outcome['artifacts']['report']}/report.json", encoding="utf-8") as file:
        return json.load(file)


def test_the_report_says_what_a_request_takes_where_no_price_is_known(released, tell):
    cost = report_of(tell("evaluate")[0])["cost"]
    assert 0 < cost["request"]["bulk_seconds"] < cost["request"]["alone_seconds"] < 1
    assert cost["request"]["calls"] >= 20
    assert cost["request"]["processor"]
    assert cost["alone"] is None


def test_a_plan_below_cost_stops_the_release_and_the_figures_are_printed_all_the_same(released, tell):
    write(released, ABSURD)
    versions = len(json.loads((released / ".tradewind" / "registry.json").read_text())["versions"])
    outcome, said = tell("run", code=1)
    assert "serve.plans: The plan pro includes 10 units for 299.00 CNY, below their cost of" in said
    assert "or say below_cost: true" in said
    assert "release" not in outcome["artifacts"]
    assert outcome["metrics"]["test"]
    for verb in ("evaluate", "release"):
        tell(verb, code=1)
    assert len(json.loads((released / ".tradewind" / "registry.json").read_text())["versions"]) == versions


def test_a_plan_that_says_so_may_sell_below_cost(released, tell):
    write(released, ABSURD.replace("0.5 CNY}", "0.5 CNY, below_cost: true}"))
    outcome, _ = tell("run")
    content = report_of(outcome)
    assert [one["allowed"] for one in content["cost"]["sales"]] == [True, True]
    assert recompute(released / ".tradewind" / "reports" / outcome["artifacts"]["report"].split("/")[-1]).holds
    shutil.rmtree(outcome["artifacts"]["report"])


def test_another_price_is_another_report_and_the_same_price_the_same(released, tell):
    write(released, ABSURD.replace("1000000000000", "0.5"))
    first = tell("run")[0]["artifacts"]["report"]
    assert tell("run")[0]["artifacts"]["report"] == first
    write(released, ABSURD.replace("1000000000000", "0.6"))
    assert tell("run")[0]["artifacts"]["report"] != first


def test_serving_is_refused_when_a_plan_went_below_cost_after_the_release(released, tell, capsys):
    tell("run")  # the release measured, before anybody named a price
    write(released, ABSURD)
    assert main(["serve", "-C", str(released), "--port", "0"]) == 1
    assert "below its cost of" in capsys.readouterr().err


def test_a_dry_run_prints_the_bills_and_says_no(released, tell):
    write(released, ABSURD)
    found, said = tell("plan", "dry-run", "--month", "2026-03", code=1)
    assert found["customers"] == []
    assert len(found["below_cost"]) == 2
    assert "below its cost of" in said


def test_a_machine_hour_in_another_currency_is_a_mistake_of_the_product_file(released, capsys):
    write(released, ABSURD.replace("1000000000000 CNY", "1 USD"))
    assert main(["check", "-C", str(released)]) == 2
    assert "machine_hour is in USD but the plan pro in CNY" in capsys.readouterr().err


def test_a_plan_for_other_products_is_not_compared(released, tell):
    write(released, ABSURD.replace("0.5 CNY}", "0.5 CNY, products: [another]}"))
    assert report_of(tell("run")[0])["cost"]["sales"] == []
    assert tell("plan", "dry-run", "--month", "2026-03")[0]["below_cost"] == []


def test_a_report_that_cannot_be_read_says_nothing_of_prices(released, tell):
    registry = json.loads((released / ".tradewind" / "registry.json").read_text())
    report = released / ".tradewind" / registry["versions"][-1]["folder"] / "report" / "report.json"
    report.write_text("{", encoding="utf-8")
    write(released, ABSURD)
    assert tell("plan", "dry-run", "--month", "2026-03")[0]["below_cost"] == []
