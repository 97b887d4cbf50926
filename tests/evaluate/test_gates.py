"""Gates answer as data and never raise."""

import pytest

from tradewind.evaluate.figures import Figure
from tradewind.evaluate.gates import check


def figure(value, low=None, high=None, absent=None):
    return Figure(value, "", "test", 10, "p", low, high, absent)


def test_a_figure_that_misses_its_gate_fails_with_a_sentence():
    (result,) = check({"roc_auc": ">= 0.9"}, {"roc_auc": figure(0.85, 0.8, 0.9)}, None, task="classification")
    assert not result.passed
    assert result.says == "roc_auc is 0.85, so >= 0.9 does not hold."


def test_beats_baseline_asks_for_a_lead_and_tells_when_it_is_not_clear():
    (result,) = check(
        {"beats_baseline": True}, {}, figure(0.01, -0.01, 0.03), task="classification", against="lightgbm"
    )
    assert result.passed
    assert "no clear difference" in result.says
    (result,) = check(
        {"beats_baseline": True}, {}, figure(-0.01, -0.02, -0.001), task="classification", against="lightgbm"
    )
    assert not result.passed


def test_beats_baseline_may_ask_for_a_margin():
    (result,) = check({"beats_baseline": ">= 0.02"}, {}, figure(0.01), task="classification", against="linear")
    assert not result.passed


def test_a_gate_without_its_figure_fails_with_the_nearest_name():
    (result,) = check({"roc_acu": ">= 0.5"}, {"roc_auc": figure(0.9)}, None, task="classification")
    assert not result.passed
    assert "Did you mean roc_auc?" in result.says


def test_an_absent_figure_and_a_missing_baseline_fail_with_their_reasons():
    absent = figure(None, absent="only the class no occurs in the split")
    results = check({"roc_auc": ">= 0.5", "beats_baseline": True}, {"roc_auc": absent}, None, task="classification")
    assert [result.passed for result in results] == [False, False]
    assert "only the class no occurs" in results[1].says


def test_a_gate_of_false_is_no_gate():
    (result,) = check({"beats_baseline": False}, {}, None, task="classification")
    assert result.passed


def test_a_figure_that_no_gate_could_name_is_our_mistake():
    with pytest.raises(AssertionError, match="gate_names"):
        check({}, {"roc_auk": figure(0.9)}, None, task="classification")
