"""The action of least expected cost: the same for a row and for a table, milder where costs are equal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.features.actions import ACTIONS, Actions

_money = st.floats(0, 1e6)


@given(st.floats(0, 1), st.one_of(_money, st.none()), _money, st.one_of(_money, st.none()), st.floats(0.05, 20))
def test_one_row_is_decided_as_a_table_is(p, amount, false_positive, review, odds):
    actions = Actions(false_positive, "amount", review, usual=10.0, odds=odds)
    values = {"amount": np.array([amount], dtype=object)}
    chosen = actions.choose(np.array([p]), actions.losses(values, rows=1))
    assert ACTIONS[chosen[0]] == actions.of(p, {"amount": amount})


@pytest.mark.parametrize(
    ("p", "action"), [(0.0, "allow"), (0.019, "allow"), (0.021, "review"), (0.59, "review"), (0.61, "refuse")]
)
def test_bounds_are_those_of_elkan(p, action):
    """Review from p · 100 = 2, refuse from (1 - p) · 5 = 2."""
    assert Actions(5.0, 100.0, 2.0).of(p, {}) == action


def test_without_reviewers_the_bound_is_the_ratio_of_costs():
    actions = Actions(5.0, 15.0)
    assert (actions.of(0.24, {}), actions.of(0.26, {})) == ("allow", "refuse")


def test_no_choice_of_actions_costs_less_on_calibrated_rows():
    random = np.random.default_rng(0)
    p_N, loss_N = random.beta(0.3, 3, 200_000), random.gamma(2, 40, 200_000)
    truth_N = random.random(200_000) < p_N
    actions = Actions(5.0, "amount", 2.0)
    ours = actions.paid(actions.choose(p_N, loss_N), truth_N, loss_N).mean()
    for bounds in ((0.02, 0.6), (0.05, 0.5), (0.1, 0.9), (0.3, 0.3)):
        fixed = actions.paid(np.digitize(p_N, bounds), truth_N, loss_N).mean()
        assert ours < fixed


def test_state_comes_back():
    actions = Actions(5.0, "amount", None, usual=3.0, odds=1.5)
    assert Actions.from_state(actions.state()) == actions
