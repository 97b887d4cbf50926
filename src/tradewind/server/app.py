"""Puts the server together: the hot routes by hand, everything else under FastAPI. Not what any route does.

/v1/predict            predict.py     bare ASGI
/v1/search             search.py      bare ASGI
/v1/translations       translations.py bare ASGI
/v2…                   oip.py         bare ASGI
/v1/chat/completions … openai.py      bare ASGI
/health/…              health.py      bare ASGI
all else               FastAPI        models.py, openapi.py, /metrics, and the routers that are handed in
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tradewind.errors import EnvironmentFailure, InputError, TradewindError
from tradewind.server import decisions, events, health, items, models, openapi, search, translations
from tradewind.server.decisions import Decisions
from tradewind.server.desk import Desk
from tradewind.server.events import Events
from tradewind.server.gate import Gate, Refused
from tradewind.server.health import Health
from tradewind.server.items import Items
from tradewind.server.library import Library
from tradewind.server.observe import Observer
from tradewind.server.oip import Oip
from tradewind.server.openai import OpenAI
from tradewind.server.predict import ROUTE, Predict
from tradewind.server.problems import problem_of
from tradewind.server.recording import Recorder
from tradewind.server.review_queue import ReviewQueue
from tradewind.server.search import Search
from tradewind.server.serving import Shelf
from tradewind.server.settings import Settings
from tradewind.server.subjects import Subjects
from tradewind.server.translations import Translations
from tradewind.server.window_feed import Feeds
from tradewind.server.wire import (
    Asked,
    Disconnected,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    new_request_id,
    read_body,
)

_NO_ROUTE = ("", "(no such route)")


class App:
    """The ASGI application. `desk` holds its rooms; `draining` is set when the server is about to stop.

    `on_start` and `on_stop` are called in the event loop, in order, where the server speaks ASGI's lifespan protocol.
    """

    def __init__(
        self,
        desk: Desk,
        rest: FastAPI,
        *,
        on_start: Sequence[Callable[[], object]] = (),
        on_stop: Sequence[Callable[[], object]] = (),
    ) -> None:
        self.desk = desk
        self.rest = rest
        self.draining = False
        self._on_start = on_start
        self._on_stop = on_stop
        self._predict = Predict(desk)
        self._oip = Oip(desk)
        self._openai = OpenAI(desk)
        self._search = Search(desk)
        self._translations = Translations(desk)
        self._decisions = Decisions(desk)
        self._events = Events(desk)
        self._items = Items(desk)
        self._health = Health(desk, lambda: self.draining)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path: str = scope["path"]
            if path == ROUTE:
                await self._predict(scope, receive, send)
            elif path == decisions.ROUTE:
                await self._decisions(scope, receive, send)
            elif path == events.ROUTE:
                await self._events(scope, receive, send)
            elif path == items.ROUTE and scope["method"] != "GET":
                await self._items(scope, receive, send)
            elif path == search.ROUTE:
                await self._search(scope, receive, send)
            elif path == translations.ROUTE:
                await self._translations(scope, receive, send)
            elif path.startswith("/v2/") or path == "/v2":
                await self._oip(scope, receive, send)
            elif path in self._openai.routes:
                await self._openai(scope, receive, send)
            elif path in (health.LIVE, health.READY) and scope["method"] in ("GET", "HEAD"):
                await self._health(scope, receive, send)
            else:
                await self._elsewhere(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        else:  # no WebSocket is spoken here
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A route under FastAPI, with its request id on the reply and its line in the log."""
        started = time.perf_counter()
        request_id = new_request_id()
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        status = 0
        asked = Asked(scope["headers"])

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-request-id"]
                message = {**message, "headers": [*headers, (b"x-request-id", request_id.encode())]}
            await send(message)

        settings = self.desk.settings
        try:
            async with asyncio.timeout(settings.seconds):
                body = await read_body(receive, limit=settings.body_bytes, announced=asked.content_length)
                await self.rest(scope, _again(body, receive), send_named)
        except Disconnected:
            pass
        except Exception as caught:  # noqa: BLE001  the process edge
            error: Exception = caught
            if isinstance(caught, TimeoutError):
                error = EnvironmentFailure(f"No answer within {settings.seconds:g} s.", code="timeout")
            if status == 0:  # else Starlette has answered, by our handler, and passes the error on
                problem = problem_of(error)
                self.desk.failed(error, problem, request_id)
                await answer(send_named, problem.status, problem.body(request_id), problem.headers)
        finally:
            # The pattern of the route, never the path: paths hold names of accounts, and there is no end of them.
            found = getattr(scope.get("route"), "path", _NO_ROUTE[1])
            work = scope["state"].get("work")  # of a route that is charged
            told = ("", 0, "", "") if work is None else (work.product, work.rows, work.account, work.release)
            self.desk.observer.record(
                found, told[0], status, time.perf_counter() - started, rows=told[1], request_id=request_id,
                account=told[2], release=told[3], traceparent=asked.traceparent,
            )  # fmt: skip

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                for start in self._on_start:
                    start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.draining = True
                for stop in self._on_stop:
                    stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def create_app(
    shelf: Shelf,
    gate: Gate,
    settings: Settings | None = None,
    *,
    observer: Observer | None = None,
    recorder: Recorder | None = None,
    subjects: Subjects | None = None,
    library: Library | None = None,
    feeds: Feeds | None = None,
    queue: ReviewQueue | None = None,
    extra_routers: Sequence[APIRouter] = (),
    on_start: Sequence[Callable[[], object]] = (),
    on_stop: Sequence[Callable[[], object]] = (),
) -> App:
    """The whole server over a shelf and a gate. Opens, watches and closes neither: `on_start`, `on_stop` may."""
    settings = settings or Settings()
    observer = observer or Observer()
    desk = Desk(shelf, gate, settings, observer, recorder, subjects, library, feeds, queue)
    rest = FastAPI(title=settings.title, openapi_url=None, docs_url=None, redoc_url=None)
    for kind in (TradewindError, HTTPException, RequestValidationError, Exception):
        rest.add_exception_handler(kind, _told(desk))
    rest.state.shelf, rest.state.library, rest.state.queue = shelf, library, queue
    rest.include_router(models.router(desk))
    if settings.metrics:
        rest.include_router(health.router(desk))
    for extra in extra_routers:
        rest.include_router(extra)
    if settings.docs:
        rest.include_router(openapi.router(desk, rest))
    return App(desk, rest, on_start=[observer.start, *on_start], on_stop=[*on_stop, observer.stop])


def _told(desk: Desk) -> Any:
    async def handler(request: Request, error: Exception) -> Response:
        request_id = request.state.request_id
        problem = problem_of(_of_the_house(request, error))
        if problem.status >= 500:
            desk.failed(error, problem, request_id)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in problem.headers}
        return Response(problem.body(request_id), problem.status, headers, "application/json")

    return handler


def _of_the_house(request: Request, error: Exception) -> BaseException:
    """Starlette's and FastAPI's own refusals, in our words."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
        return InputError(f"{first['msg']}.", code="field", where=place or None)
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return InputError(f"There is no route {request.url.path[:200]}.", code="route_unknown")
        if error.status_code == 405:
            allow = (error.headers or {}).get("allow", (error.headers or {}).get("Allow", ""))
            return Refused(
                f"The route does not take {request.method[:20]}.", code="method_not_allowed", headers=((b"allow", allow.encode()),)
            )  # fmt: skip
        if error.status_code < 500:
            return InputError(str(error.detail), code="request")
    return error
