"""OpenAPI 3.1 over everything that is served now, with each live product's own schema, and the page that shows it.

Not here: the routes themselves. The page is one file of ours with its script and style inside: nothing is fetched from
anywhere but this server.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, TypeAlias

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from tradewind import __version__
from tradewind.server import (
    openapi_beside,
    openapi_decisions,
    openapi_recommendation,
    openapi_text,
    openapi_translation,
)
from tradewind.server.desk import Desk
from tradewind.server.served import Served
from tradewind.server.served_encoder import ServedEncoder
from tradewind.server.served_language import ServedLanguage
from tradewind.server.served_rows import ServedRows

_JSON = "application/json"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ERRORS = {
    "400": "The request is wrong; `param` names the column or field.",
    "401": "The key is missing, unknown, expired or revoked.",
    "403": "The key or the plan does not allow this.",
    "404": "There is no such model, release or route.",
    "405": "The route takes another method.",
    "408": "The body did not arrive in time.",
    "409": "A request with this idempotency key is still running.",
    "413": "Too many bytes or rows.",
    "415": "Another content type or encoding was expected.",
    "422": "The idempotency key was used for another body.",
    "429": "A rate or quota is used up; see `retry-after` and `x-ratelimit-*`.",
    "500": "A fault of ours. Nothing was charged.",
    "503": "Out of service for the moment. Nothing was charged.",
    "504": "The answer took too long. Nothing was charged.",
}

Answering: TypeAlias = Served | ServedRows


def router(desk: Desk, app: FastAPI) -> APIRouter:
    """`/openapi.json`, made anew for each asking since releases change, and `/docs`."""
    routes = APIRouter()
    page = files("tradewind.server").joinpath("docs.html").read_text(encoding="utf-8")

    @routes.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(document(desk, app))

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        headers = {
            "content-security-policy": _PAGE_POLICY,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return HTMLResponse(page, headers=headers)

    return routes


def document(desk: Desk, app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: the routes of `app`, and those beside it, with the schemas of what is live."""
    title = desk.settings.title
    made = get_openapi(title=title, version=__version__, openapi_version="3.1.0", routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    tables = [one for one in desk.shelf if isinstance(one, Served)]
    live = [one for one in desk.shelf if isinstance(one, Served | ServedRows)]
    for served in live:
        schemas[f"row.{served.product}"] = {k: v for k, v in served.row_schema.items() if k != "$schema"}
        schemas[f"predict.{served.product}"] = _request(desk, served)
        schemas[f"answer.{served.product}"] = _reply(served)
        if isinstance(served, Served) and served.purpose:
            schemas[f"predict.{served.product}"]["description"] = _purpose(served)
    schemas["Error"] = _ERROR
    writers = [one.product for one in desk.shelf if isinstance(one, ServedLanguage)]
    encoders = [one.product for one in desk.shelf if isinstance(one, ServedEncoder)]
    schemas |= (text := openapi_text.schemas(writers, encoders, desk.settings))
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    described: dict[str, Any] = {
        **_paths(live, tables),
        **openapi_text.paths(text, _errors()),
        **openapi_recommendation.paths(live, _errors()),
        **openapi_decisions.paths(tables, _errors()),
        **openapi_translation.paths(live, _errors()),
    }
    for path, operations in made.get("paths", {}).items():
        described[path] = {**described.get(path, {}), **operations}
    made["paths"] = described
    return made


def _purpose(served: Served) -> str:
    said = {"intended_use": "Intended use", "excluded_use": "Not for"}
    return " ".join(f"{said[name]}: {text.strip()}" for name, text in served.purpose.items())


def _paths(live: list[Answering], tables: list[Served]) -> dict[str, Any]:
    parameters = [
        {
            "name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "The same key with the same body gets the same reply for 24 hours, charged once.",
        }
    ]  # fmt: skip
    predict = {
        "summary": "Predict rows", "operationId": "predict", "tags": ["predict"], "parameters": parameters,
        "description": "One unit a row, with whatever stands beside its answer. A row on which the model abstains is not charged.",
        "requestBody": {"required": True, "content": {_JSON: {"schema": _any("predict", live)}}},
        "responses": _responses(_any("answer", live)),
    }  # fmt: skip
    infer = {
        "summary": "Open Inference Protocol: infer", "operationId": "infer", "tags": ["open inference protocol"],
        "parameters": [_model_name(tables), *parameters],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _INFER}}},
        "responses": _oip_responses(),
    }  # fmt: skip
    metadata = {
        "summary": "Open Inference Protocol: model metadata", "operationId": "model_metadata",
        "tags": ["open inference protocol"], "parameters": [_model_name(tables)], "responses": _oip_responses(),
    }  # fmt: skip
    plain = {"200": {"description": "Yes"}, "503": {"description": "Not now"}}
    return {
        "/v1/predict": {"post": predict},
        "/v2/models/{model_name}/infer": {"post": infer},
        "/v2/models/{model_name}": {"get": metadata},
        "/v2": {"get": {"summary": "Open Inference Protocol: server metadata", "operationId": "server_metadata", "tags": ["open inference protocol"], "security": [], "responses": _oip_responses()}},
        "/health/live": {"get": {"summary": "Alive", "operationId": "live", "tags": ["health"], "security": [], "responses": plain}},
        "/health/ready": {"get": {"summary": "Ready", "operationId": "ready", "tags": ["health"], "security": [], "responses": plain}},
    }  # fmt: skip


_SUBJECT = {"type": "string", "minLength": 1, "maxLength": 500}


def _model_name(tables: list[Served]) -> dict[str, Any]:
    schema = (
        {"type": "string", "enum": [served.product for served in tables]}
        if tables
        else {"type": "string", "minLength": 1}
    )
    return {"name": "model_name", "in": "path", "required": True, "schema": schema}


def _request(desk: Desk, served: Answering) -> dict[str, Any]:
    row = {"$ref": f"#/components/schemas/row.{served.product}"}
    return {
        "type": "object",
        "properties": {
            "model": {"type": "string", "const": served.product, "description": "Or NAME@v3 for one release."},
            "inputs": {"type": "array", "items": row, "minItems": 1, "maxItems": desk.settings.rows},
            **(openapi_beside.requested(desk.settings) if isinstance(served, Served) else {}),
            "subject": {
                "anyOf": [
                    {"type": "null"},
                    _SUBJECT,
                    {"type": "array", "items": {"anyOf": [{"type": "null"}, _SUBJECT]}},
                ],
                "description": "Whom all rows are about, or each: kept as a keyed hash, so that erasing finds them.",
            },
            "release": {"type": ["string", "null"], "pattern": "^v[1-9][0-9]{0,8}$", "examples": [served.release]},
        },
        "required": ["model", "inputs"],
        "additionalProperties": False,
    }


def _reply(served: Answering) -> dict[str, Any]:
    output = dict(served.output_schema)
    outputs: dict[str, Any] = output
    if isinstance(served, Served):
        output["properties"] = {**output.get("properties", {}), **openapi_beside.answered(output)}
    if isinstance(served, Served) and served.abstain_below is not None:
        silent = {
            "type": "object",
            "properties": {
                "abstained": {"const": True},
                "confidence": {"type": "number"},
                "answer": {"type": "string"},
                "fallback": {"const": True},
            },
            "required": ["abstained", "confidence"],
        }
        outputs = {"anyOf": [output, silent]}
    units = {"type": "object", "properties": {"units": {"type": "integer", "minimum": 0}}, "required": ["units"]}
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "id": text, "model": text, "release": text, "price_version": text,
            "outputs": {"type": "array", "items": outputs}, "usage": units,
        },
        "required": ["id", "model", "release", "price_version", "outputs", "usage"],
    }  # fmt: skip


def _any(kind: str, live: list[Answering]) -> dict[str, Any]:
    if not live:
        return {"type": "object"}
    return {"anyOf": [{"$ref": f"#/components/schemas/{kind}.{served.product}"} for served in live]}


def _responses(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "The answers.", "content": {_JSON: {"schema": schema}}}, **_errors()}


def _errors() -> dict[str, Any]:
    error = {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": text, "content": error} for status, text in _ERRORS.items()}


def _oip_responses() -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    found: dict[str, Any] = {
        "200": {"description": "As the protocol says.", "content": {_JSON: {"schema": {"type": "object"}}}}
    }
    return found | {
        status: {"description": text, "content": {_JSON: {"schema": error}}} for status, text in _ERRORS.items()
    }


_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2},
        "datatype": {"enum": ["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"]},
        "data": {"type": "array"},
    },
    "required": ["name", "shape", "datatype", "data"],
}
_INFER = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": _TENSOR, "minItems": 1}},
    "required": ["inputs"],
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
            "required": ["message", "type", "param", "code"],
        },
        "request_id": {"type": "string"},
    },
    "required": ["error", "request_id"],
}
