"""Our figures against scikit-learn's, and what must hold of them for any input."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tradewind.evaluate.metrics import Classification, Regression, confusion, figures_of


def binary(seed, rows=200, levels=None):
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, rows)
    target[:2] = 0, 1
    positive = np.clip(random.normal(0.4 + 0.2 * target, 0.25), 0.001, 0.999)
    if levels:
        positive = np.round(positive * levels) / levels
    shares = np.stack([1 - positive, positive], axis=1)
    return Classification(target, shares, (positive >= 0.5).astype(np.int64), 1, ("no", "yes"))


def multiclass(seed, kinds=5, rows=300):
    random = np.random.default_rng(seed)
    target = random.integers(0, kinds, rows)
    target[:kinds] = np.arange(kinds)
    shares = random.dirichlet(np.ones(kinds), rows) + 0.5 * np.eye(kinds)[target]
    shares /= shares.sum(axis=1, keepdims=True)
    return Classification(target, shares, shares.argmax(axis=1), None, tuple("abcdefghij"[:kinds]))


def scikit(measure, weight=None):
    y, p, said = measure.target_N, measure.probabilities_NK, measure.predicted_N
    two = measure.positive is not None
    w = {"sample_weight": weight}
    found = {
        "accuracy": reference.accuracy_score(y, said, **w),
        "log_loss": reference.log_loss(y, p, **w),
        "brier": reference.brier_score_loss(y, p[:, 1], **w) if two else np.average(
            ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1), weights=weight
        ),
        "f1_micro": reference.f1_score(y, said, average="micro", **w),
        "f1_weighted": reference.f1_score(y, said, average="weighted", zero_division=0, **w),
    }  # fmt: skip
    for name in ("precision", "recall", "f1"):
        function = getattr(reference, f"{name}_score")
        found[f"{name}_macro"] = function(y, said, average="macro", zero_division=0, **w)
        if two:
            found[name] = function(y, said, zero_division=0, **w)
    if two:
        found["roc_auc"] = reference.roc_auc_score(y, p[:, 1], **w)
        found["pr_auc"] = reference.average_precision_score(y, p[:, 1], **w)
    else:
        kinds = range(p.shape[1])
        found["roc_auc"] = np.mean([reference.roc_auc_score(y == kind, p[:, kind], **w) for kind in kinds])
        found["pr_auc"] = np.mean([reference.average_precision_score(y == kind, p[:, kind], **w) for kind in kinds])
    return found


@pytest.mark.parametrize("levels", [None, 10])
@pytest.mark.parametrize("seed", range(4))
def test_binary_figures_equal_scikit_learns_with_and_without_ties(seed, levels):
    measure = binary(seed, levels=levels)
    ours = figures_of(measure)
    assert ours == pytest.approx({**scikit(measure), "ece": ours["ece"]}, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_multiclass_figures_equal_scikit_learns(seed):
    measure = multiclass(seed)
    ours = figures_of(measure)
    assert ours == pytest.approx({**scikit(measure), "ece": ours["ece"]}, abs=1e-12)


@pytest.mark.parametrize("make", [binary, multiclass])
def test_weighted_figures_equal_scikit_learns(make):
    measure = make(7)
    weight = np.random.default_rng(1).uniform(0.1, 3, len(measure.target_N))
    ours = figures_of(measure, weight)
    assert ours == pytest.approx({**scikit(measure, weight), "ece": ours["ece"]}, abs=1e-12)


def test_a_row_of_weight_two_counts_as_two_rows():
    measure = binary(3, levels=12)
    counts = np.random.default_rng(0).integers(0, 3, len(measure.target_N))
    rows = np.repeat(np.arange(len(counts)), counts)
    repeated = Classification(
        measure.target_N[rows], measure.probabilities_NK[rows], measure.predicted_N[rows], 1, measure.classes
    )
    assert figures_of(measure, counts.astype(float)) == pytest.approx(figures_of(repeated), abs=1e-12)


def test_regression_figures_equal_scikit_learns():
    random = np.random.default_rng(0)
    target = 1e6 + random.normal(size=300)
    values = target + random.normal(scale=0.3, size=300)
    assert figures_of(Regression(target, values)) == pytest.approx(
        {
            "mse": reference.mean_squared_error(target, values),
            "rmse": reference.root_mean_squared_error(target, values),
            "mae": reference.mean_absolute_error(target, values),
            "r2": reference.r2_score(target, values),
        },
        rel=1e-9,
    )


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([2, 5, 100]))
def test_the_order_of_rows_changes_nothing(seed, levels):
    measure = binary(seed, rows=60, levels=levels)
    order = np.random.default_rng(seed).permutation(60)
    shuffled = Classification(
        measure.target_N[order], measure.probabilities_NK[order], measure.predicted_N[order], 1, measure.classes
    )
    assert figures_of(shuffled) == pytest.approx(figures_of(measure), abs=1e-12)


@settings(max_examples=40)
@given(target=st.lists(st.integers(0, 1), min_size=2, max_size=50).filter(lambda rows: len(set(rows)) == 2))
def test_a_perfect_predictor_has_perfect_figures(target):
    target = np.array(target)
    found = figures_of(Classification(target, np.eye(2)[target], target, 1, ("no", "yes")))
    best = {name: 0.0 if name in ("log_loss", "brier", "ece") else 1.0 for name in found}
    assert found == pytest.approx(best, abs=1e-12)


@settings(max_examples=40)
@given(
    target=st.lists(st.integers(0, 1), min_size=2, max_size=50).filter(lambda rows: len(set(rows)) == 2),
    share=st.floats(0.01, 0.99),
)
def test_a_constant_predictor_ranks_like_chance(target, share):
    target = np.array(target)
    shares = np.tile([1 - share, share], (len(target), 1))
    found = figures_of(Classification(target, shares, np.zeros_like(target), 1, ("no", "yes")))
    assert (found["roc_auc"], found["pr_auc"]) == pytest.approx((0.5, target.mean()))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_every_figure_lies_where_it_can(seed):
    found = figures_of(multiclass(seed, kinds=3, rows=20))
    assert all(0 <= value <= 1 + 1e-12 for name, value in found.items() if name not in ("log_loss", "brier"))
    assert 0 <= found["brier"] <= 2


def test_one_class_only_leaves_ranking_undefined_with_a_reason():
    measure = Classification(np.zeros(5, int), np.tile([0.7, 0.3], (5, 1)), np.zeros(5, int), 1, ("no", "yes"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = figures_of(measure)
    assert np.isnan(found["roc_auc"])
    assert measure.reason("roc_auc") == "only the class no occurs in the split"
    assert measure.reason("recall") == "the positive class yes does not occur in the split"
    assert found["accuracy"] == 1


def test_a_constant_target_leaves_r2_undefined():
    measure = Regression(np.full(4, 3.0), np.array([2.0, 3, 4, 5]))
    assert np.isnan(figures_of(measure)["r2"])
    assert measure.reason("r2") == "the target has one value only in the split"


def test_calibration_error_of_two_bins_by_hand():
    shares = np.array([[0.9, 0.1]] * 10 + [[0.2, 0.8]] * 10)
    target = np.array([0] * 8 + [1] * 2 + [1] * 10)
    found = figures_of(Classification(target, shares, shares.argmax(axis=1), 1, ("no", "yes")))
    assert found["ece"] == pytest.approx(0.5 * abs(0.1 - 0.2) + 0.5 * abs(0.8 - 1.0))


def test_the_confusion_matrix_counts_true_by_predicted():
    assert confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist() == [[1, 0], [1, 1]]
