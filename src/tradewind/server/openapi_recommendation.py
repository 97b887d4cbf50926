"""OpenAPI of events and items, where a recommender is live. Not the routes (`events.py`, `items.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tradewind.server import events, items
from tradewind.server.item_feed import MOST_ITEMS
from tradewind.server.served_recommendation import ServedRecommender

_TEXT, _COUNT, _NAME = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": ["string", "integer"]}
_EVENT = {
    "type": "object",
    "properties": {
        "user": _NAME,
        "item": _NAME,
        "time": {"type": ["string", "number"], "description": "2026-01-05T14:30:00Z; now by default."},
        "event": {"type": "string", "description": "Its kind."},
        "id": {"type": "string", "description": "Makes it count once."},
    },
    "required": ["user", "item"],
    "additionalProperties": False,
}


def events_request(names: list[str]) -> dict[str, Any]:
    """What `/v1/events` takes for these recommenders."""
    return _request(names, "events", _EVENT)


def paths(live: Iterable[object], errors: Mapping[str, Any]) -> dict[str, Any]:
    """The two routes; `errors` are the replies that every route may give."""
    served = [one for one in live if isinstance(one, ServedRecommender)]
    if not served:
        return {}
    names = [one.product for one in served]
    found = {events.ROUTE: {"post": _operation(
        "What somebody met, so that the next answer knows of it", "tell", events_request(names), errors
    )}}  # fmt: skip
    described = [one for one in served if one.engine.item_columns is not None]
    if described:
        columns = [one.engine.item_columns.row_schema() for one in described if one.engine.item_columns is not None]
        item = {
            "type": "object",
            "properties": {"item": _NAME, "columns": columns[0] if len(columns) == 1 else {"anyOf": columns}},
            "required": ["item", "columns"],
            "additionalProperties": False,
        }
        found[items.ROUTE] = {"post": _operation(
            f"Items of your own, scored by their columns, at most {MOST_ITEMS:,} between releases; one that came before is replaced",
            "bring", _request([one.product for one in described], "items", item), errors, "replaced",
        )}  # fmt: skip
    return found


def _request(names: list[str], field: str, one: Mapping[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "items": one}
    return {
        "type": "object", "properties": {"model": {"enum": names}, field: rows}, "required": ["model", field],
        "additionalProperties": False,
    }  # fmt: skip


def _operation(
    summary: str, name: str, request: Mapping[str, Any], errors: Mapping[str, Any], *counts: str
) -> dict[str, Any]:
    reply: dict[str, Any] = dict.fromkeys(("id", "model", "release"), _TEXT)
    reply |= dict.fromkeys(("taken", *counts, "passed_over"), _COUNT)
    schema = {"type": "object", "properties": reply, "required": list(reply)}
    return {
        "summary": summary, "operationId": name, "tags": ["recommendation"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}, **errors},
    }  # fmt: skip
