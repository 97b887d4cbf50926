"""The Open Inference Protocol, version 2: what KServe and Triton clients speak. Same key, gate and price as `/v1/predict`.

Specification: https://github.com/kserve/open-inference-protocol, with Triton's binary data extension. One input tensor a
column; outputs `label` and `probabilities`, or `value`. Errors are the protocol's own, {"error": message}.
"""

from __future__ import annotations

from typing import Any

from tradewind import __version__
from tradewind.errors import InputError
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.tensors import decode_infer, inputs_schema, outputs_of, outputs_schema, rows_of
from tradewind.server.wire import Receive, Scope, Send, encode

PREFIX = "/v2"
_KIND = b"application/json"
_BINARY_KIND = b"application/octet-stream"
_INFER = "/v2/models/{model}/infer"


class Oip:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        route = _INFER if path.endswith("/infer") else PREFIX
        await self._desk.serve(route, self.handle, scope, receive, send, oip=True)

    async def handle(self, work: Work) -> Reply:
        parts = work.path.removesuffix("/").split("/")[2:]
        match parts:
            case []:
                _takes(work, "GET")
                return _reply(work, 200, _SERVER)
            case ["health", "live"]:
                _takes(work, "GET")
                return _reply(work, 200, {"live": True})
            case ["health", "ready"]:
                _takes(work, "GET")
                ready = len(self._desk.shelf) > 0 and self._desk.gate.ready
                return _reply(work, 200 if ready else 503, {"ready": ready})
            case ["models", name]:
                return await self._metadata(work, name, None)
            case ["models", name, "versions", version]:
                return await self._metadata(work, name, version)
            case ["models", name, "ready"]:
                return await self._ready(work, name, None)
            case ["models", name, "versions", version, "ready"]:
                return await self._ready(work, name, version)
            case ["models", name, "infer"]:
                return await self._infer(work, name, None)
            case ["models", name, "versions", version, "infer"]:
                return await self._infer(work, name, version)
        raise InputError(f"There is no route {work.path[:200]}.", code="route_unknown")

    async def _metadata(self, work: Work, name: str, version: str | None) -> Reply:
        _takes(work, "GET")
        await self._desk.known(work)
        served = await self._desk.find_table(work, name, version)
        content = {
            "name": served.product,
            "versions": [release.removeprefix("v") for release in self._desk.shelf.versions(served.product)],
            "platform": "onnxruntime_onnx",
            "inputs": inputs_schema(served),
            "outputs": outputs_schema(served),
        }
        return _reply(work, 200, content)

    async def _ready(self, work: Work, name: str, version: str | None) -> Reply:
        """Without a key, as orchestrators ask it: says nothing but yes or no."""
        _takes(work, "GET")
        try:
            ready = self._desk.shelf.get(name, version) is not None or version in self._desk.shelf.numbers(name)
        except InputError:
            ready = False
        return _reply(work, 200 if ready else 404, {"name": name[:200], "ready": ready})

    async def _infer(self, work: Work, name: str, version: str | None) -> Reply:
        desk = self._desk
        try:
            _takes(work, "POST")
            body = await desk.body(work)
            request, raw = decode_infer(body, work.asked.header_length)
            rows = rows_of(request, raw, most=desk.settings.rows)
        except InputError:
            await desk.known(work)
            raise
        ticket = await desk.admit(work, product=name, release=version, units=len(rows), body=body)
        if ticket.replay is not None:
            return ticket.replay
        try:
            served = await desk.find_table(work, name, version)
            answers = await desk.answers(work, served, rows)
            tensors, parts, charged = outputs_of(request, served, answers)
            content = {
                "model_name": served.product,
                "model_version": str(served.version),
                "id": request.id or work.request_id,
                "parameters": {"release": served.release, "price_version": ticket.price_version, "units": charged},
                "outputs": tensors,
            }
            head = encode(content)
            out = b"".join((head, *parts))
            headers = desk.headers(work, ticket, _BINARY_KIND if parts else _KIND, len(out))
            if parts:
                headers = (*headers, (b"inference-header-content-length", b"%d" % len(head)))
            reply = Reply(200, headers, out)
            desk.conclude(work, ticket, served, units=charged, rows=rows, outputs=answers)
        except BaseException:
            desk.gate.release(ticket)
            raise
        return reply


_SERVER = {"name": "tradewind", "version": __version__, "extensions": ["binary_tensor_data"]}


def _takes(work: Work, method: str) -> None:
    if work.method != method:
        raise InputError(f"{work.path[:200]} takes {method}.", code="method_not_allowed")


def _reply(work: Work, status: int, content: dict[str, Any]) -> Reply:
    body = encode(content)
    headers = (
        (b"content-type", _KIND),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", work.request_id.encode()),
    )
    return Reply(status, headers, body)
