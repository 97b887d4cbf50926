"""Money as integer minor units with a currency, and prices as exact decimals. Never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from tradewind.errors import InputError

# ISO 4217: digits after the point of each currency that the house bills in.
CURRENCY_DIGITS = {
    "CNY": 2, "USD": 2, "EUR": 2, "GBP": 2, "HKD": 2, "TWD": 2, "SGD": 2, "CHF": 2, "AUD": 2, "CAD": 2, "INR": 2,
    "JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3,
}  # fmt: skip

_AMOUNT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})\s*$")


@dataclass(frozen=True, order=False)
class Money:
    """`amount_minor` in the smallest unit of `currency` (fen, cents, yen)."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        assert isinstance(self.amount_minor, int)
        _known(self.currency)

    def __add__(self, other: Money) -> Money:
        assert self.currency == other.currency
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        assert self.currency == other.currency
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def __str__(self) -> str:
        digits = CURRENCY_DIGITS[self.currency]
        return f"{Decimal(self.amount_minor).scaleb(-digits):.{digits}f} {self.currency}"


@dataclass(frozen=True)
class Price:
    """An exact decimal per unit; it may be finer than the currency's smallest coin."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        _known(self.currency)

    def times(self, units: int) -> Money:
        """The amount for `units`, rounded once, half to even, to the currency's smallest unit."""
        digits = CURRENCY_DIGITS[self.currency]
        minor = (self.amount * units).scaleb(digits).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
        return Money(int(minor), self.currency)

    def units_within(self, most: Money) -> int:
        """The largest number of units whose amount, as `times` rounds it, is at most `most`. The price is above 0."""
        assert most.currency == self.currency
        assert self.amount > 0
        minor = self.amount.scaleb(CURRENCY_DIGITS[self.currency])
        units = int((most.amount_minor + Decimal("0.5")) / minor) + 1
        while units > 0 and self.times(units).amount_minor > most.amount_minor:
            units -= 1
        return units

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"  # never 5E-7, which nobody reads back


def _known(currency: str) -> None:
    if currency not in CURRENCY_DIGITS:
        raise InputError(
            f"Currency {currency} is not known.", code="currency", hint=f"Known: {', '.join(sorted(CURRENCY_DIGITS))}."
        )


def parse_price(text: str) -> Price:
    """'0.002 CNY' to a Price. Raises InputError for anything else."""
    match = _AMOUNT.match(text)
    if not match:
        raise InputError(
            f"{text!r} is no amount.", code="amount", hint="Write a number, a space and a currency: 299 CNY."
        )
    try:
        return Price(Decimal(match[1]), match[2])
    except InvalidOperation as error:  # pragma: no cover - the pattern admits only decimals
        raise InputError(f"{text!r} is no amount.", code="amount") from error


def parse_money(text: str) -> Money:
    """'299 CNY' to Money. Raises InputError when it has more digits than the currency's smallest unit."""
    price = parse_price(text)
    minor = price.amount.scaleb(CURRENCY_DIGITS[price.currency])
    if minor != minor.to_integral_value():
        raise InputError(f"{text!r} is finer than the smallest coin of {price.currency}.", code="amount")
    return Money(int(minor), price.currency)
