"""OpenAPI of translations, where a translator is live. Not the route (`translations.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tradewind.server import translations
from tradewind.server.served_translation import OUTPUT, ROW, SEARCH, ServedTranslator

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}


def paths(live: Iterable[object], errors: Mapping[str, Any]) -> dict[str, Any]:
    """The route, where anything of `live` translates; `errors` are the replies that every route may give."""
    served = [one for one in live if isinstance(one, ServedTranslator)]
    if not served:
        return {}
    text = ROW["properties"]["text"]
    common = {
        "model": {"enum": [one.product for one in served], "description": "Or NAME@v3 for one release."},
        "from": {
            "enum": sorted({one.engine.facts.source for one in served}),
            "description": "Said to be sure: another language than the product's is refused.",
        },
        "to": {"enum": sorted({one.engine.facts.target for one in served})},
        **{name: ROW["properties"][name] for name in SEARCH},
    }
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": translations.MOST_TEXTS}
    request = {"anyOf": [_request(common, "text", text), _request(common, "texts", texts)]}
    usage = {"type": "object", "properties": {"units": _COUNT}, "required": ["units"], "additionalProperties": _COUNT}
    reply = {
        "type": "object",
        "properties": {
            "id": _TEXT, "model": _TEXT, "release": _TEXT, "price_version": _TEXT,
            "translations": {"type": "array", "items": OUTPUT}, "usage": usage,
        },
        "required": ["id", "model", "release", "price_version", "translations", "usage"],
    }  # fmt: skip
    operation = {
        "summary": "Translate texts", "operationId": "translate", "tags": ["translation"],
        "description": "One unit is a text, a character or a token, as the product says (`unit` of GET /v1/models).",
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {"200": {"description": "The translations.", "content": {"application/json": {"schema": reply}}}, **errors},
    }  # fmt: skip
    return {translations.ROUTE: {"post": operation}}


def _request(common: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": {**common, name: schema}, "required": ["model", name], "additionalProperties": False,
    }  # fmt: skip
