"""Gaps between groups are fairlearn's; small groups are believed less."""

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

from tradewind.train.groups import Groups, decision_gap, trust, value_gap


def made(rows=1000, seed=0):
    rng = np.random.default_rng(seed)
    sex, race = rng.integers(0, 2, rows), rng.choice(4, rows, p=[0.7, 0.2, 0.07, 0.03])
    target = (rng.random(rows) < 0.3 + 0.2 * sex).astype(np.int64)
    decided = (rng.random(rows) < 0.2 + 0.4 * target + 0.1 * (race == 1)).astype(np.int64)
    names = (("f", "m"), ("a", "b", "c", "d"))
    return Groups(("sex", "race"), names, np.stack([sex, race], 1)), decided, target


@pytest.mark.parametrize(
    ("goal", "reference"),
    [("demographic_parity", demographic_parity_difference), ("equalized_odds", equalized_odds_difference)],
)
def test_what_is_seen_is_what_fairlearn_sees(goal, reference):
    groups, decided, target = made()
    for column in (0, 1):
        only = Groups(
            groups.columns[column : column + 1], groups.names[column : column + 1], groups.codes_RC[:, [column]]
        )
        found = decision_gap(only, decided, target, goal=goal, asked=[1], least=1)
        expected = reference(target, decided, sensitive_features=groups.codes_RC[:, column])
        assert found.value <= found.seen <= expected + 1e-12
        if column == 0:
            assert found.seen == pytest.approx(expected)


def test_weights_count_as_fairlearns_do():
    groups, decided, target = made()
    weight = np.random.default_rng(1).random(len(target)) + 0.5
    only = Groups(("sex",), groups.names[:1], groups.codes_RC[:, [0]])
    found = decision_gap(only, decided, target, goal="equalized_odds", asked=[1], least=1, weight_R=weight)
    expected = equalized_odds_difference(
        target, decided, sensitive_features=groups.codes_RC[:, 0], sample_weight=weight
    )
    assert found.seen == pytest.approx(expected)


def test_groups_with_few_rows_behind_a_rate_are_left_out():
    groups, decided, target = made()
    decided[groups.codes_RC[:, 1] == 3] = 0
    few = decision_gap(groups, decided, target, goal="equalized_odds", asked=[1], least=200)
    assert few.seen < decision_gap(groups, decided, target, goal="equalized_odds", asked=[1], least=1).seen


def test_more_rows_are_believed_more():
    found = trust(np.array([0, 10, 100, 100_000]), 0.2)
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    assert found[-1] > 0.99


def test_values_are_compared_by_mean_and_by_mean_error():
    groups = Groups(("sex",), (("f", "m"),), np.repeat([0, 1], 500)[:, None])
    target = np.repeat([1.0, 3.0], 500) + np.tile([-1.0, 1.0], 500)
    value = np.repeat([1.0, 3.0], 500)
    apart = value_gap(groups, value, target, goal="demographic_parity", least=1)
    errors = value_gap(groups, value, target, goal="equalized_odds", least=1)
    assert (apart.seen, errors.seen) == (pytest.approx(2.0), pytest.approx(0.0))
