"""Rates and gaps of groups are those of fairlearn and AIF360, on any data."""

import warnings

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, mean_absolute_error, root_mean_squared_error

from tradewind.evaluate.fairness_rates import ERROR_GAPS, GAPS, apart, decision_sums, error_sums, rate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it tells of packages for its other methods
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric


def sums_of(target, decided, group, *, groups, classes=2, score=None, weight=None, resamples=0):
    score = np.full(len(target), 0.5) if score is None else score
    return decision_sums(
        target_N=target, decided_N=decided, score_N=score, hit_N=target == 1, group_N=group, groups=groups, classes=classes,
        weight_N=weight, resamples=resamples, seed=0,
    )  # fmt: skip


def gap(sums, name, asked=(1,), least=1):
    found = apart(sums, GAPS[name], asked=asked, least=least)
    return None if found.spread is None else found.spread.point


@st.composite
def decisions(draw, *, groups, weighted=False):
    """Target, decided, group, weight; every group has rows of both classes."""
    rows = draw(st.integers(4 * groups, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    group = np.concatenate([np.repeat(np.arange(groups), 2), random.integers(0, groups, rows - 2 * groups)])
    target = np.concatenate([np.tile([0, 1], groups), random.integers(0, 2, rows - 2 * groups)])
    decided = (random.random(rows) < draw(st.floats(0.1, 0.9))).astype(np.int64)
    weight = random.integers(1, 5, rows).astype(np.float64) if weighted else None
    return target, decided, group, weight


FAIRLEARN = {
    "demographic_parity_difference": fairlearn.demographic_parity_difference,
    "demographic_parity_ratio": fairlearn.demographic_parity_ratio,
    "equalized_odds_difference": fairlearn.equalized_odds_difference,
    "equalized_odds_ratio": fairlearn.equalized_odds_ratio,
    "equal_opportunity_difference": fairlearn.equal_opportunity_difference,
}


@settings(max_examples=15)
@given(decisions(groups=3, weighted=True), st.booleans())
def test_gaps_are_fairlearns(drawn, weighted):
    target, decided, group, weight = drawn
    weight = weight if weighted else None
    sums = sums_of(target, decided, group, groups=3, weight=weight)
    for name, theirs in FAIRLEARN.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = theirs(target, decided, sensitive_features=group, sample_weight=weight)
        if np.isfinite(wanted):  # fairlearn has no ratio where every rate is 0
            assert gap(sums, name) == pytest.approx(wanted, abs=1e-12), name


@settings(max_examples=25)
@given(decisions(groups=2))
def test_gaps_are_those_of_aif360(drawn):
    target, decided, group, _ = drawn
    tables = [
        BinaryLabelDataset(
            df=pd.DataFrame({"y": label.astype(float), "g": group.astype(float)}), label_names=["y"],
            protected_attribute_names=["g"],
        )
        for label in (target, decided)
    ]  # fmt: skip
    theirs = ClassificationMetric(*tables, unprivileged_groups=[{"g": 0}], privileged_groups=[{"g": 1}])
    sums = sums_of(target, decided, group, groups=2)
    assert gap(sums, "demographic_parity_difference") == pytest.approx(abs(theirs.statistical_parity_difference()))
    assert gap(sums, "equal_opportunity_difference") == pytest.approx(abs(theirs.equal_opportunity_difference()))
    assert gap(sums, "average_odds_difference") == pytest.approx(theirs.average_abs_odds_difference())
    odds = max(abs(theirs.true_positive_rate_difference()), abs(theirs.false_positive_rate_difference()))
    assert gap(sums, "equalized_odds_difference") == pytest.approx(odds)
    assume(all(decided[group == one].any() for one in (0, 1)))
    impact = theirs.disparate_impact()
    assert gap(sums, "demographic_parity_ratio") == pytest.approx(min(impact, 1 / impact))
    precision = [theirs.positive_predictive_value(privileged=side) for side in (False, True)]
    assert gap(sums, "predictive_parity_difference") == pytest.approx(abs(precision[0] - precision[1]))


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 5))
def test_rates_of_many_classes_are_those_of_one_against_the_rest(seed, classes):
    random = np.random.default_rng(seed)
    target, decided = random.integers(0, classes, (2, 80))
    group = random.integers(0, 3, 80)
    sums = sums_of(target, decided, group, groups=3, classes=classes)
    found = {
        name: rate(sums, name) for name in ("true_positive_rate", "false_positive_rate", "selection_rate", "precision")
    }
    for at in range(3):
        for code in range(classes):
            mine = group == at
            tn, fp, fn, tp = confusion_matrix(target[mine] == code, decided[mine] == code, labels=[False, True]).ravel()
            wanted = {
                "true_positive_rate": (tp, tp + fn), "false_positive_rate": (fp, fp + tn),
                "selection_rate": (tp + fp, tn + fp + fn + tp), "precision": (tp, tp + fp),
            }  # fmt: skip
            for name, (above, below) in wanted.items():
                assert found[name].behind[at, code] == below
                expected = above / below if below else np.nan
                assert found[name].point[at, code] == pytest.approx(expected, nan_ok=True)


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_errors_of_groups_are_scikit_learns(seed):
    random = np.random.default_rng(seed)
    true, value = random.normal(size=(2, 60)) * 100
    group = np.concatenate([np.arange(3), random.integers(0, 3, 57)])
    sums = error_sums(true_N=true, value_N=value, group_N=group, groups=3, weight_N=None, resamples=0, seed=0)
    mae = [mean_absolute_error(true[group == at], value[group == at]) for at in range(3)]
    rmse = [root_mean_squared_error(true[group == at], value[group == at]) for at in range(3)]
    assert rate(sums, "mae").point[:, 0] == pytest.approx(mae)
    assert rate(sums, "rmse").point[:, 0] == pytest.approx(rmse)
    for name, wanted in (("mae_difference", max(mae) - min(mae)), ("mae_ratio", min(mae) / max(mae))):
        found = apart(sums, ERROR_GAPS[name], least=1).spread
        assert found is not None
        assert found.point == pytest.approx(wanted)


def test_a_resample_is_what_rows_drawn_again_give():
    random = np.random.default_rng(3)
    target, decided, group = random.integers(0, 2, (3, 50))
    sums = sums_of(target, decided, group, groups=2, score=random.random(50), resamples=4)
    drawn = rate(sums, "selection_rate", [1]).drawn
    again = np.random.default_rng([0, 50]).integers(0, 50, size=(4, 50))
    for at, rows in enumerate(again):
        for one in (0, 1):
            mine = rows[group[rows] == one]
            assert drawn[at, one, 0] == pytest.approx(decided[mine].mean())


def test_calibration_of_a_group_is_what_was_said_against_what_came_true():
    random = np.random.default_rng(5)
    score = random.random(4000)
    target = (random.random(4000) < score).astype(np.int64)
    group = random.integers(0, 2, 4000)
    said = np.where(group == 1, np.clip(score + 0.2, 0, 1), score)
    sums = sums_of(target, (said > 0.5).astype(np.int64), group, groups=2, score=said)
    bias = rate(sums, "calibration_bias").point[:, 0]
    assert bias == pytest.approx([(said - target)[group == at].mean() for at in (0, 1)])
    ece = rate(sums, "ece").point[:, 0]
    assert ece[0] < 0.05
    assert ece[1] > 0.15


def test_rates_that_are_all_zero_are_alike():
    nothing = np.zeros(40, dtype=np.int64)
    sums = sums_of(np.tile([0, 1], 20), nothing, np.repeat([0, 1], 20), groups=2)
    assert gap(sums, "demographic_parity_difference") == 0
    assert gap(sums, "demographic_parity_ratio") == 1
    assert gap(sums, "equalized_odds_ratio") == 1


def test_weights_that_cancel_leave_no_dust():
    weight = np.array([0.1, 0.2, 0.3, 0.7, 1.1, 1.3])
    target, decided = np.ones(6, dtype=np.int64), np.ones(6, dtype=np.int64)
    sums = sums_of(target, decided, np.array([0, 0, 0, 1, 1, 1]), groups=2, weight=weight)
    assert np.isnan(rate(sums, "false_positive_rate", [1]).point).all()
