"""Money is exact: integers with a currency, decimals for prices, one rounding."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import InputError
from tradewind.money import CURRENCY_DIGITS, Money, Price, parse_money, parse_price

CURRENCIES = st.sampled_from(sorted(CURRENCY_DIGITS))


@given(st.integers(0, 10**15), CURRENCIES)
def test_money_reads_back_what_it_prints(amount, currency):
    assert parse_money(str(Money(amount, currency))) == Money(amount, currency)


@given(st.decimals(0, 1000, places=6), st.integers(0, 10**7), st.integers(0, 10**7), CURRENCIES)
def test_rounding_once_is_never_more_than_half_a_coin_away(amount, first, second, currency):
    price = Price(amount, currency)
    exact = (amount * (first + second)).scaleb(CURRENCY_DIGITS[currency])
    assert abs(price.times(first + second).amount_minor - exact) <= Decimal("0.5")


def test_the_yen_has_no_cents():
    assert str(Money(299, "JPY")) == "299 JPY"
    with pytest.raises(InputError, match="finer than the smallest coin"):
        parse_money("2.5 JPY")


@pytest.mark.parametrize("text", ["299", "CNY", "299CN", "-1 CNY", "1e3 CNY", "1,000 CNY", "", "1 XXX"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError):
        parse_price(text)


def test_a_tiny_price_is_written_so_that_it_can_be_read_back():
    price = parse_price("0.0000005 CNY")
    assert str(price) == "0.0000005 CNY"
    assert parse_price(str(price)) == price
