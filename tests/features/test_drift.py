"""Drift over bins: figures as SciPy has them, quiet where nothing moved, sure where something did."""

import numpy as np
import pytest
from scipy import stats

from tradewind.features.drift import Reference, chi_squared_tail, compare


@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 18, 19, 40])
def test_the_tail_of_chi_squared_is_that_of_scipy(degrees):
    for x in (0.01, 1.0, 7.5, 30.0, 120.0):
        assert chi_squared_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-9, abs=1e-300)


def test_the_index_is_its_definition():
    moved = compare([50, 30, 20], [20, 30, 50])
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    assert moved.psi == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert moved.ks == pytest.approx(0.3)


@pytest.mark.parametrize("rows", [50, 200, 500, 2000])
def test_alarms_are_rare_where_nothing_moved(rows):
    """2,000 looks at scores of the same distribution, from small samples on."""
    random = np.random.default_rng(rows)
    reference = Reference.of(random.beta(0.5, 8, 5000))
    alarms = sum(reference.moved(random.beta(0.5, 8, rows)).alarming(0.2) for _ in range(2000))
    assert alarms <= 1


@pytest.mark.parametrize("rows", [500, 2000])
def test_a_real_move_is_told(rows):
    random = np.random.default_rng(1)
    reference = Reference.of(random.beta(0.5, 8, 5000))
    assert all(reference.moved(random.beta(1.0, 8, rows)).alarming(0.2) for _ in range(50))


def test_scores_that_are_all_one_value_and_none_at_all_say_nothing():
    assert Reference.of(np.ones(100)).moved(np.ones(30)).psi == 0
    assert not Reference.of(np.arange(100.0)).moved(np.array([])).alarming(0.0)


def test_state_comes_back():
    reference = Reference.of(np.random.default_rng(0).normal(size=300))
    assert Reference.from_state(reference.state()) == reference
