"""Thresholds of groups: none at strength nought, nearer rates with more, and nothing for whom it does not know."""

import numpy as np

from tradewind.train.groups import Groups, decision_gap
from tradewind.train.shifts import equalise, shift_of_codes


def made(rows=4000, seed=0):
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 3, rows)
    target = rng.random(rows) < 0.4
    margin = rng.normal(size=rows) + 2 * target - 1 + 0.8 * (side == 1)
    return Groups(("side",), (("(missing)", "a", "b"),), side[:, None]), margin, target


def gap(groups, margin, target, shifts):
    decided = (margin >= shift_of_codes(groups, shifts)).astype(np.int64)
    return decision_gap(groups, decided, target.astype(np.int64), goal="equalized_odds", asked=[1], least=1).seen


def test_more_strength_brings_the_rates_nearer():
    groups, margin, target = made()
    gaps = [
        gap(groups, margin, target, equalise(groups, margin, target, goal="equalized_odds", strength=s))
        for s in (0, 10, 300)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.05


def test_strength_nought_moves_nothing():
    groups, margin, target = made()
    assert equalise(groups, margin, target, goal="equalized_odds", strength=0.0) == {"side": {"a": 0.0, "b": 0.0}}


def test_selection_rates_can_be_what_is_made_alike():
    groups, margin, target = made()
    shift = shift_of_codes(groups, equalise(groups, margin, target, goal="demographic_parity", strength=300.0))
    rates = [(margin >= shift)[groups.codes_RC[:, 0] == code].mean() for code in range(3)]
    assert np.ptp(rates) < 0.03


def test_the_unknown_group_has_the_common_threshold():
    groups, margin, target = made()
    found = equalise(groups, margin, target, goal="equalized_odds", strength=300.0)
    assert "(missing)" not in found["side"]
    assert (shift_of_codes(groups, found)[groups.codes_RC[:, 0] == 0] == 0).all()
