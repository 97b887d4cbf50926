"""Plan, price, rate and period as written in the product file. Not here: subscriptions and bills (`business/`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from tradewind.errors import InputError
from tradewind.money import Money, Price, parse_money, parse_price

_RATE = re.compile(r"^\s*([1-9]\d*)\s*/\s*(s|min|h)\s*$")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


def _money(value: object) -> object:
    return _parsed(value, parse_money)


def _price(value: object) -> object:
    return _parsed(value, parse_price)


def _parsed(value: object, parse: Callable[[str], Money | Price]) -> object:
    if isinstance(value, (Money, Price)):
        return value
    try:
        return parse(str(value))
    except InputError as error:
        raise ValueError(str(error)) from error


def _rate(value: object) -> object:
    if value is not None and not _RATE.match(str(value)):
        raise ValueError(f"{value!r} is no rate. Write a number and a time: 50/s, 600/min.")
    return value


MoneyField = Annotated[
    Money, BeforeValidator(_money, json_schema_input_type=str), PlainSerializer(str, return_type=str)
]
PriceField = Annotated[
    Price, BeforeValidator(_price, json_schema_input_type=str), PlainSerializer(str, return_type=str)
]
RateField = Annotated[str, BeforeValidator(_rate)]


class Plan(BaseModel):
    """What a customer pays and gets: a monthly price, included units, then a price per further unit.

    A unit is one row predicted (or what `meters` says of tokens). Included units end with the period. Without `overage`
    the included units are a hard quota; `cap` is a hard quota of its own, counted over included and further units;
    `spend_cap` stops further units whose price would pass it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    monthly: MoneyField = Field(description="Price per month: 299 CNY")
    included: int = Field(ge=0, description="Units included per month")
    overage: PriceField | None = Field(None, description="Price of one further unit; without it the quota is hard")
    rate: RateField | None = Field(None, description="Most requests in a time: 50/s")
    unit_rate: RateField | None = Field(None, description="Most units in a time: 5000/s")
    cap: int | None = Field(None, ge=0, description="Most units per month, hard")
    spend_cap: MoneyField | None = Field(None, description="Most money for further units per month, hard")
    trial_days: int = Field(0, ge=0, description="Days before the first monthly price is due")
    prepaid: bool = Field(False, description="Further units are taken from credit bought in advance, and end with it")
    products: list[str] | None = Field(None, description="Products that the plan may use; all by default")
    below_cost: bool = Field(False, description="May sell a unit below what it costs on this machine")

    @model_validator(mode="after")
    def _one_currency(self) -> Plan:
        for name in ("overage", "spend_cap"):
            other = getattr(self, name)
            if other is not None and other.currency != self.monthly.currency:
                raise ValueError(f"monthly is in {self.monthly.currency} but {name} in {other.currency}")
        if self.overage is None and (self.spend_cap is not None or self.prepaid):
            raise ValueError("spend_cap and prepaid need overage, the price of one further unit")
        return self

    @property
    def currency(self) -> str:
        return self.monthly.currency

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second, or None for no limit."""
        return _per_second(self.rate)

    @property
    def units_per_s(self) -> float | None:
        """Units per second, or None for no limit."""
        return _per_second(self.unit_rate)

    @property
    def hard_cap(self) -> int | None:
        """Most units in a period whatever is paid, or None: the least of cap, included (without overage), spend_cap."""
        limits = [] if self.cap is None else [self.cap]
        if self.overage is None:
            limits.append(self.included)
        elif self.spend_cap is not None and self.overage.amount > 0:
            limits.append(self.included + self.overage.units_within(self.spend_cap))
        return min(limits, default=None)


@dataclass(frozen=True)
class Rate:
    """So many in so many seconds."""

    count: int
    seconds: int


@lru_cache(1024)
def rate_of(written: str) -> Rate:
    """What a `RateField` says: '600/min' is 600 in 60 seconds."""
    match = _RATE.match(written)
    assert match
    return Rate(int(match[1]), _SECONDS[match[2]])


def _per_second(rate: str | None) -> float | None:
    if rate is None:
        return None
    found = rate_of(rate)
    return found.count / found.seconds
