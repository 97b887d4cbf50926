"""Quantiles hold their promise on rows they were not found on, whatever the model."""

import math

import numpy as np
import pytest

from tests.evaluate.rooms import part
from tradewind.engines.conformal import answer_set
from tradewind.engines.engine import Predictions
from tradewind.evaluate.conformal import OWN, by_chance, fit_intervals, fit_sets, quantile
from tradewind.evaluate.intervals import exact_share

PROMISE = 0.9


def coverage_of_sets(seed, rows, kinds=3, signal=1.5):
    fitted, asked = part(rows, kinds, 2 * seed, signal=signal), part(1000, kinds, 2 * seed + 1, signal=signal)
    rule = fit_sets(fitted.target, fitted.outputs.probabilities, promise=PROMISE)
    held = rule.held(asked.outputs.probabilities)
    return held[np.arange(1000), asked.target], asked.target


def test_the_quantile_is_that_of_one_row_more():
    scores = np.arange(1.0, 10.0)[::-1]  # nine of them: the ninth of ten is the largest
    assert quantile(scores, 0.9) == 9.0
    assert quantile(scores[1:], 0.9) == math.inf
    assert quantile(scores, 0.5) == 5.0


def test_sets_cover_the_promised_share_on_average_over_many_fits():
    for rows, signal in ((60, 1.5), (600, 0.3), (600, 4.0)):  # together; by class; a model better than promised
        covered = np.mean([coverage_of_sets(seed, rows, signal=signal)[0].mean() for seed in range(60)])
        assert abs(covered - PROMISE) < 0.01, (rows, signal)


def test_with_enough_rows_every_class_gets_what_was_promised():
    found = [coverage_of_sets(seed, 3 * OWN * 3) for seed in range(40)]
    for kind in range(3):
        assert np.mean([covered[target == kind].mean() for covered, target in found]) == pytest.approx(0.9, abs=0.012)


def test_a_class_with_few_rows_puts_all_under_one_bound():
    fitted = part(500, 2, 0)
    target = np.where(np.arange(500) < OWN - 1, 1, 0)
    rule = fit_sets(target, fitted.outputs.probabilities, promise=PROMISE)
    assert not rule.by_class
    assert rule.thresholds[0] == rule.thresholds[1]


def test_intervals_cover_the_promised_share_in_every_bin():
    covered = []
    for seed in range(40):
        fitted, asked = part(1000, 0, 2 * seed), part(1000, 0, 2 * seed + 1)
        rule = fit_intervals(fitted.target, fitted.outputs.values, promise=PROMISE)
        low, high = rule.ends(asked.outputs.values)
        inside = (low <= asked.target) & (asked.target <= high)
        bins = np.searchsorted(rule.edges, asked.outputs.values, side="right")
        covered.append([inside[bins == at].mean() for at in range(10)])
    assert np.mean(covered, axis=0) == pytest.approx(np.full(10, 0.9), abs=0.025)


def test_intervals_are_wider_where_errors_are_larger():
    fitted = part(2000, 0, 0)
    rule = fit_intervals(fitted.target, fitted.outputs.values, promise=PROMISE)
    widths = np.array(rule.high) - np.array(rule.low)
    assert widths[0] > 1.25 * widths[5]


def test_too_few_rows_leave_ends_open_and_classes_in():
    few = part(8, 0, 0)
    assert fit_intervals(few.target, few.outputs.values, promise=PROMISE).low == (None,)
    classes = part(8, 3, 0)
    rule = fit_sets(classes.target, classes.outputs.probabilities, promise=PROMISE)
    assert rule.held(classes.outputs.probabilities).all()


@pytest.mark.parametrize("kinds", [0, 2, 5])
def test_what_stands_beside_an_answer_is_what_was_measured(kinds):
    fitted, asked = part(700, kinds, 4), part(300, kinds, 5)
    if kinds:
        rule = fit_sets(fitted.target, fitted.outputs.probabilities, promise=PROMISE)
        names = tuple(f"class {at}" for at in range(kinds))
        outputs = Predictions(300, names, asked.outputs.probabilities, np.array(["?"] * 300, dtype=object))
        measured = [{names[at] for at in np.flatnonzero(held)} for held in rule.held(asked.outputs.probabilities)]
        assert [set(one.labels) for one in answer_set(rule.state(), outputs)] == measured
    else:
        rule = fit_intervals(fitted.target, fitted.outputs.values, promise=PROMISE)
        found = answer_set(rule.state(), Predictions(300, values=asked.outputs.values))
        low, high = rule.ends(asked.outputs.values)
        assert np.allclose([(one.low, one.high) for one in found], np.stack([low, high], axis=1))


def test_chance_is_as_large_as_many_fits_show():
    shown = [coverage_of_sets(seed, 80)[0].mean() - PROMISE for seed in range(200)]
    assert by_chance(fitted=80, tested=1000, promise=PROMISE) == pytest.approx(1.96 * np.std(shown), rel=0.2)


def test_the_exact_interval_agrees_with_the_published_table():
    # Clopper and Pearson's rule of three for none of 30, and the ends for 10 of 20.
    assert exact_share(0, 30) == pytest.approx((0.0, 1 - 0.025 ** (1 / 30)))
    assert exact_share(10, 20) == pytest.approx((0.2720, 0.7280), abs=1e-4)
    assert exact_share(20, 20)[1] == 1.0
