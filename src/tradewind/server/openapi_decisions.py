"""OpenAPI of decisions and events, for products that have them. Not the routes (`decisions.py`, `events.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tradewind.features.actions import ACTIONS
from tradewind.server import decisions, events
from tradewind.server.served import Served

_TEXT, _NUMBER, _COUNT = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}


def paths(tables: Iterable[Served], errors: Mapping[str, Any]) -> dict[str, Any]:
    """The two routes where a product of two classes, or one with windows, is live."""
    deciding = [one for one in tables if one.decision.positive is not None]
    found: dict[str, Any] = {}
    if deciding:
        found[decisions.ROUTE] = {"post": _decide([one.product for one in deciding], errors)}
    if fed := [one.product for one in deciding if one.windows is not None]:
        found[events.ROUTE] = {"post": _tell(fed, errors)}
    return found


def _decide(names: list[str], errors: Mapping[str, Any]) -> dict[str, Any]:
    request = _object(
        {"model": {"enum": names}, "transaction": {"type": "object"}},
        reasons={"type": "boolean", "description": "By default beside all but allowed ones."},
    )
    reply = _object(
        {
            "id": _TEXT, "model": _TEXT, "release": _TEXT, "price_version": _TEXT, "decision": {"enum": list(ACTIONS)},
            "score": {**_NUMBER, "description": "Probability of the positive class."},
            "usage": _object({"units": _COUNT}),
        },
        reasons={"type": "array", "items": {"type": "object"}},
        windows={"type": "object", "additionalProperties": {"type": ["number", "null"]}},
        ignored={"type": "array", "items": _TEXT, "description": "Names that nobody reads."},
        review={**_TEXT, "description": "The decision's place in the queue of the operator."},
    )  # fmt: skip
    return _operation("Allow, review or refuse a transaction, which the next one sees", request, reply, errors)


def _tell(names: list[str], errors: Mapping[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "items": {"type": "object"}}
    reply = _object({"id": _TEXT, "model": _TEXT, "release": _TEXT, "taken": _COUNT, "passed_over": _COUNT})
    return _operation(
        "What happened outside, so that the next answer knows of it",
        _object({"model": {"enum": names}, "events": rows}),
        reply,
        errors,
    )


def _operation(
    summary: str, request: dict[str, Any], reply: dict[str, Any], errors: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": ["decisions"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {"200": {"description": "Done.", "content": {"application/json": {"schema": reply}}}, **errors},
    }


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}
