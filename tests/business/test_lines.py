"""A bill is whole numbers that add up, grows with use, and does not change when its facts are cut differently."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.business.lines import Segment, bill, included_units, share
from tradewind.errors import InputError
from tradewind.money import Money, Price
from tradewind.tariff import Plan

PERIOD = (1_772_000_000_000, 1_774_678_400_000)  # 31 days
LENGTH = PERIOD[1] - PERIOD[0]
few = settings(max_examples=50)


def segment(terms, *, units=0, start=0.0, end=1.0, plan="pro", trial_end=None):
    at = [PERIOD[0] + int(LENGTH * part) for part in (start, end)]
    return Segment("sub_1", plan, terms, "v1", at[0], at[1], units, trial_end)


def amounts(made, kind):
    return [line.amount_minor for line in made.lines if line.kind == kind]


currencies = st.sampled_from(["JPY", "CNY", "KWD"])


@st.composite
def plans(draw, currency=None):
    currency = currency or draw(currencies)
    overage = draw(st.none() | st.decimals("0", "20", places=draw(st.integers(0, 6))).map(lambda p: Price(p, currency)))
    cap = Money(draw(st.integers(0, 10**6)), currency) if overage and draw(st.booleans()) else None
    monthly = Money(draw(st.integers(0, 10**7)), currency)
    return Plan(monthly=monthly, included=draw(st.integers(0, 10**5)), overage=overage, spend_cap=cap)


@st.composite
def histories(draw, unchanged=False):
    """Segments that cover the period without a gap, in one currency."""
    currency = draw(currencies)
    cuts = sorted(draw(st.lists(st.integers(PERIOD[0] + 1, PERIOD[1] - 1), max_size=3, unique=True)))
    ends, terms, made = [PERIOD[0], *cuts, PERIOD[1]], draw(plans(currency)), []
    for number, (start, end) in enumerate(pairwise(ends)):
        terms = terms if unchanged else draw(plans(currency))
        made.append(Segment(f"sub_{number}", "p", terms, "v", start, end, draw(st.integers(0, 10**6))))
    return made


PRO = Plan(monthly="299 CNY", included=100_000, overage="0.002 CNY")


def test_a_month_is_its_fee_its_included_units_and_the_further_ones():
    made = bill([segment(PRO, units=150_000)], period=PERIOD)
    assert [(line.kind, line.quantity, line.amount_minor) for line in made.lines] == [
        ("plan", 1, 29_900),
        ("included", 100_000, 0),
        ("overage", 50_000, 10_000),
    ]
    assert made.total_minor == 39_900


@few
@given(histories(), st.integers(0, 10**8))
def test_lines_are_whole_numbers_and_add_up_to_the_total(history, credit):
    made = bill(history, period=PERIOD, credit_minor=credit)
    assert all(type(line.amount_minor) is int for line in made.lines)
    assert sum(line.amount_minor for line in made.lines) == made.total_minor >= 0
    assert made.credit_minor == min(credit, made.subtotal_minor)
    units = [line.quantity for line in made.lines if line.kind in ("included", "overage")]
    assert sum(units) == sum(part.units for part in history)


@few
@given(histories(), st.integers(0, 3), st.integers(1, 10**5))
def test_more_use_never_costs_less(history, at, more):
    at = min(at, len(history) - 1)
    grown = [replace(part, units=part.units + more) if i == at else part for i, part in enumerate(history)]
    if any(part.terms.spend_cap for part in history):
        history = [replace(part, terms=part.terms.model_copy(update={"spend_cap": None})) for part in history]
        grown = [replace(part, terms=part.terms.model_copy(update={"spend_cap": None})) for part in grown]
    assert bill(grown, period=PERIOD).subtotal_minor >= bill(history, period=PERIOD).subtotal_minor


@few
@given(plans(), st.integers(0, 10**6), st.integers(0, 10**5))
def test_more_use_never_costs_less_under_a_spend_cap(terms, units, more):
    first, second = (bill([segment(terms, units=n)], period=PERIOD) for n in (units, units + more))
    assert first.subtotal_minor <= second.subtotal_minor


@few
@given(histories(unchanged=True))
def test_the_parts_of_an_unchanged_plan_cost_the_whole_fee(history):
    made = bill(history, period=PERIOD)
    fees = amounts(made, "proration") + amounts(made, "plan")
    assert sum(fees) == history[0].terms.monthly.amount_minor
    assert included_units(history, period=PERIOD) == history[0].terms.included


@few
@given(histories(unchanged=True))
def test_cutting_a_plan_in_parts_charges_the_same_units(history):
    whole = replace(history[0], end_ms=PERIOD[1], units=sum(part.units for part in history))
    cut, one = (bill(parts, period=PERIOD) for parts in (history, [whole]))
    beyond = [sum(x.quantity for x in made.lines if x.kind == "overage") for made in (cut, one)]
    assert beyond[0] == beyond[1]
    # Each line is rounded once, so n lines stand within n half units of one.
    assert abs(cut.subtotal_minor - one.subtotal_minor) <= len(history)


@few
@given(st.integers(0, 10**9), st.integers(0, LENGTH), st.integers(0, LENGTH))
def test_a_share_is_within_one_unit_of_the_exact_one(amount, one, two):
    start, end = sorted((one, two))
    made = share(amount, start_ms=PERIOD[0] + start, end_ms=PERIOD[0] + end, period=PERIOD)
    assert abs(made - Fraction(amount * (end - start), LENGTH)) <= 1


@few
@given(st.decimals("0", "10", places=6), st.integers(1, 10**7), currencies)
def test_further_units_are_rounded_once_and_half_to_even(price, units, currency):
    terms = Plan(monthly=Money(0, currency), included=0, overage=Price(price, currency))
    digits = {"JPY": 0, "CNY": 2, "KWD": 3}[currency]
    exact = round(Fraction(price) * units * 10**digits)  # Python rounds a Fraction half to even
    assert amounts(bill([segment(terms, units=units)], period=PERIOD), "overage") == [exact]


def test_half_a_coin_goes_to_the_even_one():
    terms = Plan(monthly="0 CNY", included=0, overage=Price(Decimal("0.005"), "CNY"))
    made = [amounts(bill([segment(terms, units=units)], period=PERIOD), "overage")[0] for units in (1, 3)]
    assert made == [0, 2]


@few
@given(histories())
def test_money_for_further_units_stays_within_every_cap_that_was_in_force(history):
    made = bill(history, period=PERIOD)
    spent = 0
    for line in (line for line in made.lines if line.kind == "overage"):
        cap = next(part.terms.spend_cap for part in history if part.subscription_id == line.evidence["subscription"])
        spent += line.amount_minor
        assert cap is None or line.amount_minor == 0 or spent <= cap.amount_minor


def test_a_capped_line_says_what_it_would_have_been():
    terms = Plan(monthly="0 CNY", included=0, overage="1 CNY", spend_cap="5 CNY")
    made = bill([segment(terms, units=9)], period=PERIOD)
    assert made.total_minor == 500
    assert made.lines[-1].evidence["without_cap_minor"] == 900


def test_time_on_trial_is_free_and_the_rest_is_due():
    made = bill([segment(PRO, trial_end=PERIOD[0] + LENGTH // 2)], period=PERIOD)
    assert (amounts(made, "trial"), amounts(made, "proration")) == ([0], [14_950])
    assert bill([segment(PRO, trial_end=PERIOD[1] + 1)], period=PERIOD).total_minor == 0


def test_an_upgrade_halfway_pays_half_of_each_and_pools_the_included_units():
    small = Plan(monthly="100 CNY", included=1_000, overage="1 CNY")
    large = Plan(monthly="300 CNY", included=9_000, overage="0.1 CNY")
    made = bill([segment(small, units=900, end=0.5), segment(large, units=4_200, start=0.5)], period=PERIOD)
    assert amounts(made, "proration") == [5_000, 15_000]
    assert [line.quantity for line in made.lines if line.kind == "included"] == [900, 4_100]  # 500 + 4500 in all
    assert amounts(made, "overage") == [1_000]


def test_a_last_day_on_a_large_plan_does_not_include_its_whole_month():
    free, large = Plan(monthly="0 CNY", included=0), PRO
    made = bill([segment(free, end=0.99), segment(large, units=100_000, start=0.99)], period=PERIOD)
    assert amounts(made, "overage") == [19_800]


def test_a_hard_quota_charges_nothing_for_units():
    made = bill([segment(Plan(monthly="0 CNY", included=10), units=12)], period=PERIOD)
    assert (made.total_minor, made.lines[1].quantity) == (0, 12)


@few
@given(histories(), st.integers(0, 10**8))
def test_credit_never_pays_more_than_there_is(history, credit):
    made = bill(history, period=PERIOD, credit_minor=credit)
    assert 0 <= made.credit_minor <= credit
    assert [-made.credit_minor] == amounts(made, "credit") or made.credit_minor == 0


def test_two_currencies_are_refused():
    other = Plan(monthly="10 USD", included=0)
    with pytest.raises(InputError, match="CNY and USD") as error:
        bill([segment(PRO, end=0.5), segment(other, start=0.5)], period=PERIOD)
    assert error.value.code == "input.currencies_mixed"
