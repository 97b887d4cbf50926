"""What one unit costs on this machine, and which plans sell it below that. Not here: measuring (`tradewind bench`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext

from tradewind.errors import InputError
from tradewind.money import Price
from tradewind.tariff import Plan

_HOUR_S = 3600
_DIGITS = Decimal("1e-12")


@dataclass(frozen=True)
class UnitCost:
    """Processor seconds that one unit took, as measured, and the price of an hour of that processor."""

    seconds: Decimal
    hour: Price

    def __post_init__(self) -> None:
        if not self.seconds.is_finite() or self.seconds < 0:
            raise InputError(f"{self.seconds} s is no measured time.", code="cost_seconds")

    @property
    def price(self) -> Price:
        """The cost of one unit, rounded up to twelve digits after the point."""
        with localcontext() as context:
            context.prec = 60
            exact = self.seconds * self.hour.amount / _HOUR_S
            return Price(exact.quantize(_DIGITS, rounding=ROUND_CEILING).normalize(), self.hour.currency)

    def above(self, amount: Decimal, *, units: int = 1) -> bool:
        """Whether `units` cost more than `amount`; compared exactly, without a division."""
        with localcontext() as context:
            context.prec = 60
            return self.seconds * self.hour.amount * units > amount * _HOUR_S


def check_prices(plans: Mapping[str, Plan], cost: UnitCost) -> list[str]:
    """A sentence for each plan that sells a unit below its cost and does not say `below_cost: true`.

    Compared are the price of a further unit, and the monthly price over the included units, all of them used.
    Raises InputError `currencies_mixed` for a plan in another currency than the machine's hour.
    """
    says = []
    for name, plan in plans.items():
        if plan.below_cost:
            continue
        if plan.currency != cost.hour.currency:
            raise InputError(
                f"The plan {name} is in {plan.currency}, an hour of the machine in {cost.hour.currency}.",
                code="currencies_mixed",
                hint="Give the price of an hour in the plan's currency.",
            )
        if plan.overage is not None and cost.above(plan.overage.amount):
            says.append(
                f"The plan {name} sells a further unit for {plan.overage}, below its cost of {_plain(cost.price)}. "
                "Raise overage, or say below_cost: true."
            )
        monthly = Price(Decimal(str(plan.monthly).split()[0]), plan.currency)
        if plan.included and cost.above(monthly.amount, units=plan.included):
            says.append(
                f"The plan {name} includes {plan.included} units for {plan.monthly}, below their cost of "
                f"{_plain(cost.price)} each. Raise monthly, include fewer, or say below_cost: true."
            )
    return says


def _plain(price: Price) -> str:
    return f"{price.amount:f} {price.currency}"
