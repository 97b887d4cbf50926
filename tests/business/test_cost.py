"""A unit's cost is exact, and a plan that sells below it is named unless it says so itself."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.business.cost import UnitCost, check_prices, sales
from tradewind.errors import InputError
from tradewind.money import Price
from tradewind.tariff import Plan

# Half a millisecond at 3.6 CNY an hour: 0.0000005 CNY a unit.
COST = UnitCost(Decimal("0.0005"), Price(Decimal("3.6"), "CNY"))


def test_a_unit_costs_its_seconds_of_the_hour():
    assert COST.price == Price(Decimal("5E-7"), "CNY")


def test_a_cost_that_does_not_divide_is_rounded_up():
    assert UnitCost(Decimal(1), Price(Decimal(1), "CNY")).price.amount == Decimal("0.000277777778")


@given(st.decimals("0", "1", places=6), st.decimals("0", "100", places=4), st.decimals("0", "1", places=9))
def test_a_price_is_below_cost_exactly_when_the_fractions_say_so(seconds, hour, price):
    cost = UnitCost(seconds, Price(hour, "CNY"))
    assert cost.above(price) == (Fraction(seconds) * Fraction(hour) / 3600 > Fraction(price))


def test_plans_at_cost_or_above_pass():
    plans = {"pro": Plan(monthly="0.05 CNY", included=100_000, overage="0.0000005 CNY")}
    assert check_prices(plans, COST) == []


def test_each_way_of_selling_below_cost_is_named():
    plans = {
        "free": Plan(monthly="0 CNY", included=1),
        "pro": Plan(monthly="9 CNY", included=0, overage="0.0000001 CNY"),
    }
    free, pro = check_prices(plans, COST)
    assert "plan free includes 1 units for 0.00 CNY, below their cost of 0.0000005 CNY" in free
    assert "plan pro sells a further unit" in pro


def test_a_plan_may_say_that_it_sells_below_cost():
    assert check_prices({"free": Plan(monthly="0 CNY", included=1000, below_cost=True)}, COST) == []


def test_another_currency_is_refused():
    with pytest.raises(InputError, match="in USD"):
        check_prices({"pro": Plan(monthly="9 USD", included=0)}, COST)


@pytest.mark.parametrize("seconds", ["-1", "NaN", "Infinity"])
def test_a_time_that_was_not_measured_is_refused(seconds):
    with pytest.raises(InputError, match="no measured time"):
        UnitCost(Decimal(seconds), COST.hour)


def test_at_full_use_the_processors_share_the_hour():
    assert UnitCost(COST.seconds, COST.hour, processors=5).price == Price(Decimal("1E-7"), "CNY")
    with pytest.raises(InputError, match="number of processors"):
        UnitCost(COST.seconds, COST.hour, processors=0)


@given(st.decimals("0.000001", "10", places=6), st.integers(1, 10_000))
def test_a_sale_is_below_cost_exactly_when_its_margin_is_negative(monthly, included):
    plan = Plan(monthly="1 CNY", included=included, overage=f"{monthly:f} CNY")
    for sale in sales({"pro": plan}, UnitCost(Decimal("0.7"), Price(Decimal("3600"), "CNY"))):
        assert sale.below == (sale.margin < 0)


def test_a_plan_in_another_currency_that_may_sell_below_cost_is_left_out():
    assert sales({"free": Plan(monthly="0 USD", included=1, below_cost=True)}, COST) == ()
