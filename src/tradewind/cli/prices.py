"""No plan sells a unit below what it was measured to cost, unless the plan says so. Not here: the measuring
(`timing.py`), the sum (`business/cost.py`). Needs neither torch nor Polars: `serve` asks it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradewind.artifacts import Workspace
from tradewind.business.cost import UnitCost, check_prices
from tradewind.cli.session import Session
from tradewind.errors import GateFailed
from tradewind.files import read_json
from tradewind.money import Price
from tradewind.product import Serve
from tradewind.release.registry import Registry
from tradewind.tariff import Plan


def below_cost(plans: Mapping[str, Plan], hour: Price | None, report: Mapping[str, Any]) -> list[str]:
    """A sentence for each plan that sells below what the report measured; none without a price of the hour, or where
    the report measured nothing. Raises InputError `currencies_mixed`."""
    measured = (report.get("cost") or {}).get("request")
    if hour is None or measured is None:
        return []
    return check_prices(plans, UnitCost(Decimal(str(measured["alone_seconds"])), hour, int(measured["processors"])))


def prices_of(serve: Serve) -> dict[str, Any]:
    """What of the prices a report is made of: they stand in it, so another price is another report. Nothing without a price of
    the machine's hour."""
    if serve.machine_hour is None:
        return {}
    said = serve.model_dump(mode="json")
    return {"prices": {"machine_hour": said["machine_hour"], "plans": said["plans"]}}


def heard_cost(session: Session, cost: Mapping[str, Any]) -> None:
    """Says what a report measured, and keeps which plans sell below it."""
    request = cost["request"]
    took = f"one {request.get('unit', 'request')} takes {request['alone_seconds'] * 1e3:.3g} ms of one processor"
    session.voice.say(took if cost["alone"] is None else f"{took}: {cost['alone']}")
    session.outcome.below_cost = list(cost["below"])


def refuse_below_cost(sentences: list[str]) -> None:
    """Raises GateFailed where there is one."""
    if sentences:
        raise GateFailed(" ".join(sentences), code="below_cost", where="serve.plans")


def sold(plans: Mapping[str, Plan], product: str) -> dict[str, Plan]:
    """The plans that may use a product."""
    return {name: plan for name, plan in plans.items() if plan.products is None or product in plan.products}


def released_below_cost(workspace: Workspace, serve: Serve, *, product: str) -> list[str]:
    """As `below_cost`, from the report in the live release (the newest where none is live) of `product`, with the plans
    of a product file as they are now. None where nothing is released; a release whose report cannot be read says nothing
    here: it is refused where it is loaded."""
    registry = Registry.open(workspace)
    name = next((alias for alias in ("live", "candidate") if alias in registry.aliases), None)
    if serve.machine_hour is None or name is None:
        return []
    folder = registry.path(registry.find(name))
    try:
        # What a token costs stands in the manifest of a language model: its graph is made after the report.
        manifest = read_json(folder / "manifest.json")
        report = manifest if manifest.get("cost") else read_json(folder / "report" / "report.json")
    except (OSError, ValueError):
        return []
    return below_cost(sold(serve.plans, product), serve.machine_hour, report)
