"""`GET /v1/models`: what is served, as OpenAI's API lists it, with what a caller needs to make a row. Not who may use it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from tradewind.errors import InputError
from tradewind.server.desk import Desk
from tradewind.server.gate import Call
from tradewind.server.openers import Item
from tradewind.server.served_encoder import ServedEncoder
from tradewind.server.served_language import ServedLanguage
from tradewind.server.served_rows import ServedRows


def router(desk: Desk) -> APIRouter:
    routes = APIRouter(tags=["models"])

    @routes.get("/v1/models", summary="List the models that are served")
    async def models(request: Request) -> dict[str, Any]:
        await _known(desk, request)
        shown = [[_shown(desk, served), *_adapters(desk, served)] for served in desk.shelf]
        return {"object": "list", "data": [one for several in shown for one in several]}

    @routes.get("/v1/models/{model}", summary="One model: its columns, classes and releases")
    async def model(model: str, request: Request) -> dict[str, Any]:
        await _known(desk, request)
        name, _, release = model.partition("@")
        product, _, adapter = name.partition(":")
        served = desk.shelf.get(product, release or None) or await desk.shelf.fetch(product, release or None)
        if not adapter:
            return _shown(desk, served)
        for one in _adapters(desk, served):
            if one["id"] == name:
                return one
        raise InputError(f"There is no model {name[:80]!r}.", code="model_unknown", where="model")

    return routes


async def _known(desk: Desk, request: Request) -> None:
    authorization = request.headers.get("authorization")
    call = Call(
        authorization=None if authorization is None else authorization.encode("latin-1"),
        method=request.method,
        path=request.url.path,
        request_id=request.state.request_id,
    )
    desk.gate.release(desk.gate.enter_now(call) or await desk.gate.enter(call))


def _adapters(desk: Desk, served: Item) -> list[dict[str, Any]]:
    """Each adapter is a model of its own, as vLLM lists them: `parent` is the one whose weights it changes."""
    if not isinstance(served, ServedLanguage) or not served.adapters:
        return []
    base = _shown(desk, served)
    return [base | {"id": f"{served.product}:{name}", "parent": served.product} for name in served.adapters]


def _shown(desk: Desk, served: Item) -> dict[str, Any]:
    common = {
        "id": served.product,
        "object": "model",
        "created": served.created_s,
        "owned_by": "tradewind",
        "release": served.release,
        "releases": desk.shelf.versions(served.product),
        "digest": served.digest,
    }
    if isinstance(served, ServedLanguage):
        return common | {
            "task": "generation", "context": served.engine.context, "precision": served.precision,
            "chat": served.chats, "writing": list(served.jobs), "tools": served.has_tools, "repeats": served.repeats,
        }  # fmt: skip
    if isinstance(served, ServedEncoder):
        return common | {"task": "embedding", "context": served.engine.context, "width": served.engine.width}
    if isinstance(served, ServedRows):
        return common | {
            "task": served.task,
            "input": served.row_schema,
            "output": served.output_schema,
            **served.facts(),
        }
    return common | {
        "task": served.decision.task,
        "classes": list(served.classes),
        "abstain_below": served.abstain_below,
        **served.purpose,
        "input": served.row_schema,
        "output": served.output_schema,
    }
