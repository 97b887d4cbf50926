"""Bootstrap intervals: paired, reproducible, honest and quick."""

import time

import numpy as np
import pytest

from tradewind.evaluate.intervals import bootstrap, bounds, difference, figure, resampled
from tradewind.evaluate.metrics import Classification, Regression


def scored(seed, rows, skill=0.2, noise_seed=None):
    target = np.random.default_rng(seed).integers(0, 2, rows)
    noise = np.random.default_rng(seed + 1 if noise_seed is None else noise_seed).normal(scale=0.2, size=rows)
    positive = np.clip(0.4 + skill * target + noise, 0.01, 0.99)
    shares = np.stack([1 - positive, positive], axis=1)
    return Classification(target, shares, (positive > 0.5).astype(np.int64), 1, ("no", "yes"))


def test_each_resample_draws_as_many_rows_as_there_are():
    weights = np.concatenate(list(resampled(70, resamples=30, seed=1)))
    assert weights.shape == (30, 70)
    assert (weights.sum(axis=1) == 70).all()


def test_the_same_seed_gives_the_same_interval():
    one, two = (bootstrap({"m": scored(0, 300)}, rows=300, resamples=50, seed=4)["m"] for _ in range(2))
    assert (one.resampled["roc_auc"] == two.resampled["roc_auc"]).all()


def test_resampled_figures_equal_figures_of_the_drawn_rows():
    measure = scored(0, 80)
    drawn = bootstrap({"m": measure}, rows=80, resamples=5, seed=2)["m"].resampled["roc_auc"]
    weights = next(resampled(80, resamples=5, seed=2))
    for at in range(5):
        rows = np.repeat(np.arange(80), weights[at].astype(int))
        copied = Classification(
            measure.target_N[rows], measure.probabilities_NK[rows], measure.predicted_N[rows], 1, measure.classes
        )
        assert drawn[at] == pytest.approx(copied(np.ones((1, 80)))["roc_auc"][0], abs=1e-12)


def test_the_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says():
    random, hits = np.random.default_rng(0), 0
    for trial in range(120):
        errors = random.normal(size=60)
        drawn = bootstrap({"m": Regression(np.zeros(60), errors)}, rows=60, resamples=200, seed=trial)["m"]
        low, high, _ = bounds(drawn.resampled["mae"], drawn.points["mae"])
        hits += low <= np.sqrt(2 / np.pi) <= high
    assert 0.88 <= hits / 120 <= 1


def test_a_paired_difference_is_narrower_than_two_single_intervals():
    strong, weak = scored(0, 500, skill=0.25), scored(0, 500, skill=0.2)
    drawn = bootstrap({"a": strong, "b": weak}, rows=500, resamples=200, seed=0)
    gap = difference(drawn["a"], drawn["b"], "roc_auc", split="test", rows=500, predictions="p")
    single = figure(drawn["a"], "roc_auc", split="test", rows=500, predictions="p", how="area")
    assert gap.low > 0
    assert gap.high - gap.low < single.high - single.low


def test_a_predictor_against_itself_differs_by_nothing():
    drawn = bootstrap({"a": scored(0, 100), "b": scored(0, 100)}, rows=100, resamples=30, seed=0)
    gap = difference(drawn["a"], drawn["b"], "log_loss", split="test", rows=100, predictions="p")
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)


def test_the_interval_of_the_calibration_error_holds_the_figure():
    drawn = bootstrap({"m": scored(3, 400)}, rows=400, resamples=200, seed=0)["m"]
    found = figure(drawn, "ece", split="test", rows=400, predictions="p", how="ece")
    assert found.low <= found.value <= found.high


def test_an_undefined_figure_is_absent_with_a_reason_and_no_interval():
    one_class = Classification(np.zeros(9, int), np.tile([0.6, 0.4], (9, 1)), np.zeros(9, int), 1, ("no", "yes"))
    drawn = bootstrap({"m": one_class}, rows=9, resamples=20, seed=0)["m"]
    found = figure(drawn, "roc_auc", split="test", rows=9, predictions="p", how="area")
    assert (found.value, found.low, found.absent) == (None, None, "only the class no occurs in the split")


def test_no_resamples_give_no_interval():
    drawn = bootstrap({"m": scored(0, 50)}, rows=50, resamples=0, seed=0)["m"]
    found = figure(drawn, "accuracy", split="test", rows=50, predictions="p", how="share")
    assert found.value is not None
    assert found.low is None


def test_five_hundred_resamples_of_sixteen_thousand_rows_take_about_two_seconds_of_processor_time():
    measure = scored(0, 16_000)
    start = time.process_time()
    bootstrap({"m": measure}, rows=16_000, resamples=500, seed=0)
    assert time.process_time() - start < 3
