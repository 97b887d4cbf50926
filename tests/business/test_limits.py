import threading
from fractions import Fraction
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradewind.business.limits import default_burst, refill_and_take
from tradewind.clock import milliseconds

RATES = [1, 50, 333, Fraction(100, 60), Fraction(7, 60), Fraction(7, 3600)]
_accounts = count(1)


def take(database, want=1, *, rate_per_s=10, account_id="acc_1", kind="requests", **options):
    return refill_and_take(database, account_id, kind, rate_per_s=float(rate_per_s), want=want, **options)


def test_a_bucket_is_full_at_first(database):
    assert take(database, 100, burst=30).tokens == 30


def test_the_burst_is_one_second_of_the_rate_unless_said_otherwise(database):
    assert take(database, 100, rate_per_s=12).tokens == 12


def test_a_slow_rate_has_a_burst_of_one_token():
    assert default_burst(1 / 60) == 1


def test_an_empty_bucket_says_when_the_next_token_comes(database):
    take(database, 10)
    refused = take(database)
    assert (refused.tokens, refused.wait_s) == (0, 0.1)


def test_fewer_than_the_least_are_not_taken(database):
    assert take(database, 20, least=11, burst=10).tokens == 0
    assert take(database, 20, least=10, burst=10).tokens == 10


def test_more_than_the_bucket_holds_never_comes(database):
    assert take(database, 11, least=11, burst=10).wait_s is None


def test_buckets_of_accounts_and_kinds_are_apart(database):
    take(database, 10)
    apart = take(database, 10, kind="units"), take(database, 10, account_id="acc_2")
    assert [taken.tokens for taken in apart] == [10, 10]


def test_a_lower_rate_takes_what_is_too_much_out_of_the_bucket(database):
    take(database, 1, rate_per_s=100)
    assert take(database, 100, rate_per_s=10).tokens == 10


def test_a_clock_that_is_behind_refills_nothing(database, clock):
    take(database, 10)
    clock.advance(-60)
    assert take(database).tokens == 0
    clock.advance(60.1)
    assert take(database, 10).tokens == 1


@pytest.mark.parametrize("rate", RATES)
def test_the_wait_is_exact_to_the_millisecond(database, clock, rate):
    while take(database, 1000, rate_per_s=rate).tokens:
        pass
    wait_s = take(database, 1, rate_per_s=rate).wait_s
    clock.advance(wait_s - 0.001)
    before = take(database, 1, rate_per_s=rate).tokens
    clock.advance(0.001)
    assert (before, take(database, 1, rate_per_s=rate).tokens) == (0, 1)


@given(
    rate=st.sampled_from(RATES),
    burst=st.integers(min_value=1, max_value=60),
    asks=st.lists(
        st.tuples(
            st.one_of(st.just(0), st.integers(min_value=0, max_value=3000)),
            st.integers(min_value=1, max_value=20),
            st.integers(min_value=1, max_value=20),
        ),
        max_size=25,
    ),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_window_sees_more_than_burst_and_rate_and_no_token_is_refused(database, clock, rate, burst, asks):
    account_id = f"acc_{next(_accounts)}"
    rate, held, seen = Fraction(rate), Fraction(burst), []
    step = Fraction(rate.limit_denominator(3600).numerator, 1000)  # tokens that come at once
    for pause_ms, want, least in asks:
        least = min(least, want)
        clock.advance(pause_ms / 1000)
        held = min(Fraction(burst), held + rate * pause_ms / 1000)
        tokens = take(
            database, want, least=least, rate_per_s=rate, burst=burst, account_id=account_id, kind="units"
        ).tokens
        assert tokens == 0 or least <= tokens <= want
        assert tokens <= held  # the reference, exact and continuous, has them
        assert tokens >= min(want, int(held - step)) or held - step < least
        held -= tokens
        seen.append((milliseconds(clock), tokens))
    for first in range(len(seen)):
        for last in range(first, len(seen)):
            window_ms = seen[last][0] - seen[first][0]
            assert sum(tokens for _, tokens in seen[first : last + 1]) <= burst + rate * window_ms / 1000


def test_many_at_once_take_exactly_what_is_there(database):
    taken = []

    def ask():
        for _ in range(10):
            taken.append(take(database, 3, rate_per_s=50).tokens)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 50
