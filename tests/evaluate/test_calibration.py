"""The temperature ends at the minimum of the validation loss."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tradewind.evaluate.calibration import apply_temperature, fit_temperature, reliability


def overconfident(seed=0, rows=4000, kinds=3, heat=2.5):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, kinds)) * 1.5
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (random.uniform(size=(rows, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, kinds - 1)
    sharp = shares**heat
    return target, sharp / sharp.sum(axis=1, keepdims=True)


def loss(target, shares):
    """With the made-up row: its answer is any class alike, at the mean of all rows."""
    doubt = 1 / (len(target) + 1)
    logs = np.log(shares)
    return -(1 - doubt) * logs[np.arange(len(target)), target].mean() - doubt * logs.mean()


@pytest.mark.parametrize("heat", [0.4, 1.0, 2.5])
def test_the_true_temperature_is_found(heat):
    assert fit_temperature(*overconfident(heat=heat)) == pytest.approx(heat, rel=0.06)


@pytest.mark.parametrize("seed", range(3))
def test_newton_ends_where_a_slow_search_ends(seed):
    target, shares = overconfident(seed, rows=300)
    slow = minimize_scalar(lambda t: loss(target, apply_temperature(shares, t)), bounds=(0.05, 20), method="bounded")
    found = fit_temperature(target, shares)
    assert loss(target, apply_temperature(shares, found)) <= slow.fun + 1e-9


@pytest.mark.parametrize("rows", [4, 40, 4000])
def test_rows_that_all_come_out_right_are_believed_as_far_as_there_are_many(rows):
    target = np.arange(rows) % 2
    shares = np.eye(2)[target] * 0.8 + 0.1
    sure = apply_temperature(shares, fit_temperature(target, shares)).max(axis=1)
    assert sure == pytest.approx(1 - 0.5 / (rows + 1), rel=1e-6)


def test_a_wrong_predictor_stays_within_bounds():
    target = np.array([0, 1, 0, 1])
    assert fit_temperature(target, np.eye(2)[1 - target]) == pytest.approx(20, rel=1e-3)


def test_no_rows_leave_probabilities_as_they_are():
    assert fit_temperature(np.zeros(0, int), np.zeros((0, 2))) == 1.0


def test_weights_count_as_copies():
    target, shares = overconfident(rows=200)
    weight = np.random.default_rng(0).integers(0, 3, 200)
    copied = fit_temperature(np.repeat(target, weight), np.repeat(shares, weight, axis=0))
    assert fit_temperature(target, shares, weight_N=weight.astype(float)) == pytest.approx(copied, rel=1e-2)


def test_temperature_keeps_the_likeliest_class_and_the_sum():
    _, shares = overconfident(rows=50)
    cooled = apply_temperature(shares, 3.0)
    assert (cooled.argmax(axis=1) == shares.argmax(axis=1)).all()
    assert cooled.sum(axis=1) == pytest.approx(1)


def test_reliability_bins_hold_every_row_once():
    target, shares = overconfident(rows=500)
    bins = reliability(target, shares, None)
    assert sum(one.rows for one in bins) == 500
    assert all(one.low <= one.confidence <= one.high for one in bins if one.rows)
