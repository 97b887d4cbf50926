"""What one request costs, as the report says it: measured seconds, and in money where the product file names the price of
the machine's hour. From the section as it is stored the whole can be computed again, all but the seconds.

Not here: the measuring (`cli/timing.py`), the arithmetic of money (`business/cost.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from tradewind.business.cost import Sale, UnitCost, check_prices, sales
from tradewind.evaluate.figures import rounded
from tradewind.money import Price, parse_price
from tradewind.tariff import Plan

HOW = (
    "processor seconds of one thread, from a row as a client sends it to its answer: the median over {calls} calls of one "
    "row each, and {bulk_rows} rows in bulk divided by their number; HTTP, keys and metering come on top"
)

HOW_UNIT = (
    "processor seconds of one thread for one {unit} of texts that are translated: {calls} texts alone, and {bulk_rows} texts in "
    "bulk, each sum over the units that a plan counts of them; HTTP, keys and metering come on top"
)


@dataclass(frozen=True)
class RequestTime:
    """Processor seconds of one row, alone and in bulk, as measured on `processor`; `processors` is how many there are. Of a
    translator they are of one unit, and calls and bulk rows are texts."""

    alone_seconds: float
    calls: int
    bulk_seconds: float
    bulk_rows: int
    processor: str
    processors: int


@dataclass(frozen=True)
class RequestCost:
    """What was measured, and the prices of the product file to set beside it. Without `machine_hour` there is no money. `unit` is
    what a plan counts of a text, where rows are not what is sold."""

    time: RequestTime
    machine_hour: Price | None = None
    plans: Mapping[str, Plan] | None = None
    unit: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report's section `cost`; a lone request stands for the unit wherever plans are compared with it."""
        time = self.time
        how = HOW if self.unit is None else HOW_UNIT
        section: dict[str, Any] = {
            "request": {
                **asdict(time), "alone_seconds": rounded(time.alone_seconds), "bulk_seconds": rounded(time.bulk_seconds),
                "how": how.format(calls=time.calls, bulk_rows=time.bulk_rows, unit=self.unit),
                **({} if self.unit is None else {"unit": self.unit}),
            },
            "machine_hour": None, "alone": None, "bulk": None, "plans": {}, "sales": [], "below": [],
        }  # fmt: skip
        if self.machine_hour is None:
            return section
        request, plans = section["request"], self.plans or {}
        alone = unit_cost(request, self.machine_hour)
        bulk = UnitCost(Decimal(str(request["bulk_seconds"])), self.machine_hour, time.processors)
        return section | {
            "machine_hour": str(self.machine_hour),
            "alone": str(alone.price),
            "bulk": str(bulk.price),
            "plans": {name: plan.model_dump(mode="json") for name, plan in plans.items()},
            "sales": [_sale(one) for one in sales(plans, alone)],
            "below": check_prices(plans, alone),
        }


def unit_cost(request: Mapping[str, Any], hour: Price) -> UnitCost:
    """The cost of a lone request from the section `cost.request` of a report."""
    return UnitCost(Decimal(str(request["alone_seconds"])), hour, int(request["processors"]))


def again(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section computed again from the seconds, the hour and the plans that stand in it.

    Raises KeyError, TypeError, ValueError or InputError for what is no such section.
    """
    request = dict(section["request"])
    unit = request.pop("unit", None)
    del request["how"]
    time = RequestTime(**request)
    hour = None if section["machine_hour"] is None else parse_price(section["machine_hour"])
    plans = {name: Plan.model_validate(plan) for name, plan in section["plans"].items()}
    return RequestCost(time, hour, plans, unit).to_json()


def _sale(sale: Sale) -> dict[str, Any]:
    return {
        "plan": sale.plan,
        "units": sale.units,
        "price": str(sale.price),
        "cost": str(sale.cost),
        "margin": None if sale.margin is None else float(sale.margin),
        "below": sale.below,
        "allowed": sale.allowed,
    }
