"""Alive, ready, and the figures for Prometheus. Not for customers: neither route says anything about them."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from tradewind.server.desk import Desk
from tradewind.server.gate import Refused
from tradewind.server.served import Served
from tradewind.server.wire import Scope, Send, answer

LIVE = "/health/live"
READY = "/health/ready"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """`/health/live` and `/health/ready`, as bare ASGI. Not ready until a release is on the shelf and the gate is open, nor
    while the server drains.
    """

    def __init__(self, desk: Desk, draining: Callable[[], bool]) -> None:
        self._desk = desk
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["path"] == LIVE:
            await answer(send, 200, b'{"status":"live"}', ())
            return
        missing = self.missing()
        body = b'{"status":"ready"}' if missing is None else b'{"status":"not ready","missing":"%s"}' % missing.encode()
        await answer(send, 200 if missing is None else 503, body, ())

    def missing(self) -> str | None:
        if self._draining():
            return "draining"
        if not len(self._desk.shelf):
            return "release"
        return None if self._desk.gate.ready else "gate"


def router(desk: Desk) -> APIRouter:
    """`GET /metrics`: with `settings.metrics_key` for its bearer, without it for this machine alone."""
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> PlainTextResponse:
        key = desk.settings.metrics_key
        if key is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            allowed = hmac.compare_digest(given.encode(), key.encode())
        else:
            allowed = _local(request)
        if not allowed:
            raise Refused("Only the operator may read the metrics.", code="operator_only")
        gauges = {
            "tradewind_releases_live": float(len(desk.shelf)),
            "tradewind_ready": float(len(desk.shelf) > 0 and desk.gate.ready),
            "process_resident_memory_bytes": _resident_bytes(),
        }
        for served in desk.shelf:
            if isinstance(served, Served) and served.drift.latest is not None:
                label = f'{{product="{served.product}",release="{served.release}"}}'
                gauges[f"tradewind_score_psi{label}"] = served.drift.latest.psi
                gauges[f"tradewind_score_ks{label}"] = served.drift.latest.ks
                gauges[f"tradewind_score_drift{label}"] = float(served.drift.alarmed)
        return PlainTextResponse(desk.observer.render(gauges), media_type=_PROMETHEUS)

    return routes


def _local(request: Request) -> bool:
    if request.client is None:  # a Unix socket
        return True
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _resident_bytes() -> float:
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0.0
