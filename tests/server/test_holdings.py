"""What a worker holds in memory: never more given out than was granted or than the rate allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.business.settlement import Key
from tradewind.server.holdings import SLICE_S, Holding, Tokens

KEY = Key("acc_1", 0, "rows")


def test_free_units_are_those_that_are_neither_running_nor_unsettled():
    holding = Holding(KEY)
    holding.filled(10, 90)
    holding.reserve(4)
    assert holding.free == 6
    holding.reserved -= 4
    holding.unsettled += 4
    assert holding.free == 6


def test_more_than_is_free_cannot_be_reserved():
    holding = Holding(KEY, lease=3)
    with pytest.raises(AssertionError):
        holding.reserve(4)


def test_without_a_cap_a_slice_outlasts_a_minute_without_the_database():
    assert Holding(KEY).slice(capped=False) >= 60 * 10_000


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_under_a_cap_a_slice_leaves_others_theirs(beyond, spent):
    holding = Holding(KEY, beyond=beyond, spent=spent)
    assert 1 <= holding.slice(capped=True) <= max(1, beyond // 8)


@given(st.floats(0.02, 1e5), st.lists(st.integers(1, 50), max_size=200))
def test_alone_a_worker_gives_no_more_than_its_own_bucket_held(rate, wants):
    tokens = Tokens("requests", rate)
    started = tokens._own_s
    given_out = sum(tokens.alone(want, 1).tokens for want in wants)
    assert given_out <= rate * (tokens._own_s - started) + 1


def test_a_slow_rate_takes_nothing_ahead():
    assert Tokens("requests", 5.0).ahead == 0
    assert Tokens("requests", 1000.0).ahead == int(1000 * SLICE_S)


def test_spent_tokens_are_gone():
    tokens = Tokens("requests", 100.0, left=2)
    assert tokens.spend(2)
    assert not tokens.spend(1)
