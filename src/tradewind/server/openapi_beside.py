"""What may be asked for beside an answer, and what then stands there, as JSON Schema. Not the routes (`openapi.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.server.settings import Settings

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_END = {"type": ["number", "null"]}


def requested(settings: Settings) -> dict[str, Any]:
    """Fields of the request."""
    rows = f"for at most {settings.reason_rows} rows"
    return {
        "reasons": {
            "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": settings.reasons}],
            "description": f"The columns that brought about each answer, strongest first, {rows}. Where the product names a "
            "favourable answer and it was not given: those that counted against it.",
        },
        "counterfactuals": {
            "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": settings.counterfactuals}],
            "description": f"The few changes of a row that would turn its answer, {rows}.",
        },
        "sets": {"type": "boolean", "description": "The classes, or the interval, that hold the truth as often as promised."},
        "domain": {"type": "boolean", "description": "Whether the row is of the kind that the model was made for."},
        "language": {"enum": ["en", "zh", None], "description": "Of the text beside each answer, where the product has texts."},
        "heatmap": {"type": "boolean", "description": f"What in texts, pictures and recordings each answer rests on, {rows}."},
    }  # fmt: skip


def answered(output: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that stand beside an answer of schema `output` where they were asked for."""
    reason = _object({"column": _TEXT, "value": {}, "effect": _NUMBER}, text=_TEXT)
    change = _object({"column": _TEXT, "from": {}, "to": {}})
    changes = {"changes": {"type": "array", "items": change, "minItems": 1, "maxItems": 4}}
    counterfactual = {
        "type": "object",
        "properties": {**changes, **output.get("properties", {})},
        "required": ["changes", *output.get("required", [])],
    }
    span = _object({"start": {"type": "integer"}, "end": {"type": "integer"}, "text": _TEXT, "effect": _NUMBER})
    second = _object({"start": _NUMBER, "end": _NUMBER, "effect": _NUMBER})
    grid = {"type": "array", "items": {"type": "array", "items": _NUMBER}}
    png = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    heat = {
        "anyOf": [
            _object({"spans": {"type": "array", "items": span}}),
            _object({"grid": grid, "png": png}),
            _object({"stretches": {"type": "array", "items": second}}),
        ]
    }
    labels = {"type": "array", "items": _TEXT}
    return {
        "reasons": {"type": "array", "items": reason},
        "counterfactuals": {"type": "array", "items": counterfactual},
        "set": {"anyOf": [_object({"promise": _NUMBER, "labels": labels}), _object({"promise": _NUMBER, "low": _END, "high": _END})]},
        "answer": {"type": "string", "description": "What is said, where the product has texts for its answers."},
        "fallback": {"const": True, "description": "Where that is the fallback."},
        "domain": _object({"score": {"type": "number", "minimum": 0, "maximum": 1}, "unusual": labels}),
        "heatmap": {"type": "object", "additionalProperties": heat},
    }  # fmt: skip


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}
