"""The room of uncertainty: what it sees, what it says of it, and where that stands."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.rooms import examined, part
from tradewind.evaluate import uncertainty
from tradewind.evaluate.abstention import abstention, at_shares
from tradewind.evaluate.examination import Examination, again, write_witnesses
from tradewind.evaluate.recompute import recompute
from tradewind.evaluate.report import evaluate, write


def said(given):
    witness = uncertainty.measure(given)
    return uncertainty.summarise(witness, given.context)


@pytest.mark.parametrize("kinds", [0, 2, 5])
def test_coverage_is_near_the_promise_and_its_figures_agree_with_the_section(kinds):
    found = said(examined(kinds, rows=3000))
    figure = found.figures["coverage"]
    assert abs(figure.value - 0.9) < 0.02
    assert figure.low < figure.value < figure.high
    assert found.figures["coverage_gap"].value == pytest.approx(abs(figure.value - 0.9))
    assert found.section["coverage"]["value"] == figure.value
    assert found.section["verdict"] in ("kept", "chance")
    assert found.state["promise"] == 0.9


def test_another_promise_makes_other_sets():
    wide, narrow = (said(examined(5, rows=2000, settings={"coverage": one})) for one in (0.95, 0.6))
    assert wide.figures["set_size"].value > 1.5 * narrow.figures["set_size"].value
    assert narrow.section["coverage"]["value"] == pytest.approx(0.6, abs=0.03)


def test_a_model_that_is_worse_on_test_than_on_validation_does_not_keep_the_promise():
    given = examined(3, rows=2000)
    worse = said(replace(given, test=part(2000, 3, 9, signal=0.0)))
    assert worse.section["verdict"] == "below"
    assert worse.figures["coverage"].high < 0.9


def test_classes_and_groups_are_told_apart_but_an_age_makes_no_groups():
    section = said(examined(3, rows=900)).section
    assert [one["name"] for one in section["by_class"]] == ["class 0", "class 1", "class 2"]
    assert list(section["groups"]) == ["sex"]
    assert sum(one["rows"] for one in section["groups"]["sex"]) == 900
    assert {one["name"] for one in section["groups"]["sex"]} == {"m", "f", ""}


def test_nothing_is_said_without_validation_rows():
    given = examined(2)
    empty = part(0, 2, 0)
    assert uncertainty.measure(replace(given, validation=empty)) is None


def test_few_rows_open_the_intervals_and_the_figure_says_so():
    found = said(replace(examined(0), validation=part(5, 0, 0)))
    assert found.figures["interval_width"].value is None
    assert "too few rows" in found.figures["interval_width"].absent
    assert found.figures["coverage"].value == 1.0


def test_abstaining_where_unsure_leaves_fewer_errors():
    given = examined(3, rows=2000)
    found = said(given).section["abstention"]
    assert found["ideal"] < found["area"] < found["random"]
    assert [one["share"] for one in found["at"]] == [1.0, 0.95, 0.9, 0.8, 0.7, 0.5]
    wrong = (given.test.outputs.decided != given.test.target).mean()
    assert found["at"][0]["error"] == pytest.approx(wrong, rel=1e-4)
    assert found["at"][5]["error"] < 0.7 * wrong


def test_the_area_does_not_depend_on_the_order_of_equally_sure_rows():
    error, sure = np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.9, 0.9, 0.5, 0.5])
    turned = abstention(error[::-1], sure[::-1])
    assert abstention(error, sure) == turned
    assert turned.area == pytest.approx(0.5)
    assert at_shares(turned, 4)[-1]["error"] == pytest.approx(0.5)


@pytest.mark.parametrize("kinds", [0, 3])
def test_the_witness_gives_the_same_again(kinds, tmp_path):
    given = examined(kinds)
    witness = uncertainty.measure(given)
    part_ = uncertainty.summarise(witness, given.context)
    write_witnesses(Examination({"uncertainty": part_}, {"uncertainty": witness}), tmp_path)
    assert again(tmp_path, ("uncertainty",), given.context).parts["uncertainty"] == part_


@pytest.mark.parametrize(("kinds", "language"), [(0, "en"), (2, "zh"), (4, "en")])
def test_the_report_shows_it_a_gate_reads_it_and_verify_finds_an_edited_digit(kinds, language, make_inputs, tmp_path):
    report = evaluate(make_inputs(kinds, settings={"gates": {"coverage": ">= 0.5", "coverage_gap": "<= 0.0001"}}))
    given = replace(examined(kinds, rows=150), context=report.context)
    witness = uncertainty.measure(given)
    room = Examination({"uncertainty": uncertainty.summarise(witness, given.context)}, {"uncertainty": witness})
    write(report.examined(room), tmp_path, language=language)
    content = json.loads((tmp_path / "report.json").read_text())
    assert [gate["passed"] for gate in content["gates"]] == [True, False]
    page = (tmp_path / "report.html").read_text()
    assert ("不确定性" if language == "zh" else "Uncertainty") in page
    assert recompute(tmp_path).holds
    content["trust"]["uncertainty"]["coverage"]["value"] += 0.001
    (tmp_path / "report.json").write_text(json.dumps(content))
    assert [one.where for one in recompute(tmp_path).differences] == ["trust.uncertainty.coverage.value"]
