"""What one unit costs on this machine, what each plan sells it for, and which plans sell it below that.
Not here: measuring (`cli/timing.py`), nor who is stopped by it (`cli/prices.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext
from typing import Literal

from tradewind.errors import InputError
from tradewind.money import Price
from tradewind.tariff import Plan

_HOUR_S = 3600
_DIGITS = Decimal("1e-12")
_SHARE_DIGITS = Decimal("1e-6")


@dataclass(frozen=True)
class UnitCost:
    """Seconds of one processor that a unit took, as measured, and the price of an hour of the machine with all of its
    processors: at full use each carries its share of the hour."""

    seconds: Decimal
    hour: Price
    processors: int = 1

    def __post_init__(self) -> None:
        if not self.seconds.is_finite() or self.seconds < 0:
            raise InputError(f"{self.seconds} s is no measured time.", code="cost_seconds")
        if self.processors < 1:
            raise InputError(f"{self.processors} is no number of processors.", code="cost_processors")

    @property
    def price(self) -> Price:
        """The cost of one unit, rounded up to twelve digits after the point."""
        with localcontext() as context:
            context.prec = 60
            exact = self.seconds * self.hour.amount / (_HOUR_S * self.processors)
            return Price(exact.quantize(_DIGITS, rounding=ROUND_CEILING).normalize(), self.hour.currency)

    def above(self, amount: Decimal, *, units: int = 1) -> bool:
        """Whether `units` cost more than `amount`; compared exactly, without a division."""
        with localcontext() as context:
            context.prec = 60
            return self.seconds * self.hour.amount * units > amount * _HOUR_S * self.processors


@dataclass(frozen=True)
class Sale:
    """One way in which a plan sells a unit: an included one when all of them are used, or a further one.

    `price` and `cost` are of one unit; `margin` is the share of the price that is left, None at a price of 0.
    `allowed` is what the plan says itself: below_cost.
    """

    plan: str
    units: Literal["included", "further"]
    price: Price
    cost: Price
    margin: Decimal | None
    below: bool
    allowed: bool


def sales(plans: Mapping[str, Plan], cost: UnitCost) -> tuple[Sale, ...]:
    """Every way of every plan, beside the cost. A plan in another currency is left out if it says `below_cost: true`.

    Raises InputError `currencies_mixed` for another plan in another currency than the machine's hour.
    """
    return tuple(sale for name, plan in plans.items() for sale in _of_plan(name, plan, cost))


def check_prices(plans: Mapping[str, Plan], cost: UnitCost) -> list[str]:
    """A sentence for each way of selling a unit below its cost where the plan does not say `below_cost: true`.

    Raises InputError `currencies_mixed` as `sales` does.
    """
    says = []
    for sale in sales(plans, cost):
        if not sale.below or sale.allowed:
            continue
        plan = plans[sale.plan]
        if sale.units == "further":
            says.append(
                f"The plan {sale.plan} sells a further unit for {sale.price}, below its cost of {sale.cost}. "
                "Raise overage, or say below_cost: true."
            )
        else:
            says.append(
                f"The plan {sale.plan} includes {plan.included} units for {plan.monthly}, below their cost of "
                f"{sale.cost} each. Raise monthly, include fewer, or say below_cost: true."
            )
    return says


def _of_plan(name: str, plan: Plan, cost: UnitCost) -> Iterator[Sale]:
    if plan.currency != cost.hour.currency:
        if plan.below_cost:
            return
        raise InputError(
            f"The plan {name} is in {plan.currency}, an hour of the machine in {cost.hour.currency}.",
            code="currencies_mixed",
            hint="Give the price of an hour in the plan's currency.",
        )
    if plan.included:
        monthly = Decimal(str(plan.monthly).split()[0])
        with localcontext() as context:
            context.prec = 60
            each = (monthly / plan.included).quantize(_DIGITS, rounding=ROUND_HALF_EVEN).normalize()
        below = cost.above(monthly, units=plan.included)
        yield _sale(name, plan, "included", Price(each, plan.currency), cost, below=below)
    if plan.overage is not None:
        yield _sale(name, plan, "further", plan.overage, cost, below=cost.above(plan.overage.amount))


def _sale(
    name: str, plan: Plan, units: Literal["included", "further"], price: Price, cost: UnitCost, *, below: bool
) -> Sale:
    margin = None
    if price.amount > 0:
        with localcontext() as context:
            context.prec = 60
            share = (price.amount - cost.price.amount) / price.amount
            margin = share.quantize(_SHARE_DIGITS, rounding=ROUND_HALF_EVEN)
    return Sale(name, units, price, cost.price, margin, below, plan.below_cost)
