"""Plan, price and rate as written in the product file. Not here: subscriptions and bills (`business/`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from tradewind.errors import InputError
from tradewind.money import Money, Price, parse_money, parse_price

_RATE = re.compile(r"^\s*(\d+)\s*/\s*(s|min|h)\s*$")


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
    """What a customer pays and gets: a monthly price, included units, then a price per further unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    monthly: MoneyField = Field(description="Price per month: 299 CNY")
    included: int = Field(ge=0, description="Units included per month")
    overage: PriceField | None = Field(None, description="Price of one further unit; without it the quota is hard")
    rate: RateField | None = Field(None, description="Most requests in a time: 50/s")

    @model_validator(mode="after")
    def _one_currency(self) -> Plan:
        if self.overage is not None and self.overage.currency != self.monthly.currency:
            raise ValueError(f"monthly is in {self.monthly.currency} but overage in {self.overage.currency}")
        return self

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second, or None for no limit."""
        if self.rate is None:
            return None
        match = _RATE.match(self.rate)
        assert match
        return int(match[1]) / {"s": 1, "min": 60, "h": 3600}[match[2]]
