"""Server-sent events: an answer leaves as it is written, is settled before its last byte, and stops when nobody reads.

Not here: the shape of the events (`chat.py`, `completions.py`, `responses.py`), what is billed (`generating.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from tradewind.errors import EnvironmentFailure
from tradewind.server.gate import Headers
from tradewind.server.generating import Bill, Gone, Pieces, Running, Tokens, watch
from tradewind.server.problems import Problem, problem_of
from tradewind.server.wire import JSON, Receive, Send

_GONE = 499  # in counters and lines only: nobody reads the status
_BROKEN = 500
HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_CHARGED = "The answer broke off. What was written until then is charged, the rest is not."


class Writer(Protocol):
    """Writes the events of one answer down, whatever route it came by."""

    def begin(self) -> bytes: ...
    def pieces(self, found: Pieces) -> bytes: ...
    def end(self, tokens: Tokens) -> bytes:
        """All that follows the last piece. It leaves after the bill is settled."""
        ...

    def failed(self, problem: Problem, request_id: str) -> bytes:
        """What a client is told when an answer breaks off; a mark that is due stands before it."""
        ...


class Streaming:
    """One streamed reply. `first` pieces are there already: until then an error is a plain reply."""

    def __init__(
        self, *, headers: Headers, writer: Writer, running: Running, bill: Bill, first: Pieces, request_id: str,
        receive: Receive, send_seconds: float, deadline: float,
        failed: Callable[[BaseException, Problem], None], closed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._headers = headers
        self._writer = writer
        self._running = running
        self._bill = bill
        self._first = first
        self._request_id = request_id
        self._receive = receive
        self._send_seconds = send_seconds
        self._deadline = deadline
        self._failed = failed
        self._closed = closed
        self._sending_s: float | None = None  # since when the client has not taken what was sent
        self._stuck = False

    async def __call__(self, send: Send) -> int:
        task = asyncio.current_task()
        assert task is not None
        beside = [asyncio.create_task(watch(self._receive, self._running)), asyncio.create_task(self._guard(task))]
        try:
            return await self._run(send)
        except asyncio.CancelledError:
            if not self._stuck:
                raise
            task.uncancel()
            return _GONE
        finally:
            for one in beside:
                one.cancel()
            self._running.cancel()
            # Whatever ended it without a bill: the worker is told to stop at once, say.
            with suppress(EnvironmentFailure):
                self._bill.left()
            self._closed()

    async def _run(self, send: Send) -> int:
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._out(send, {"type": "http.response.start", "status": 200, "headers": self._headers})
                found, text = self._first, self._writer.begin()
                while found:
                    text += self._writer.pieces(found)
                    if text:
                        await self._part(send, text)
                    found, text = await self._running.next(), b""
            tokens = self._bill.settle()
            await self._part(send, self._writer.end(tokens), last=True)
        except Gone:
            return _GONE
        except Exception as caught:  # noqa: BLE001  the process edge: the status has left, so it becomes an event
            await self._break_off(send, caught)
            return _BROKEN
        return 200

    async def _break_off(self, send: Send, caught: Exception) -> None:
        self._running.cancel()
        error: Exception = caught
        if isinstance(caught, TimeoutError):
            error = EnvironmentFailure("The answer took too long.", code="timeout")
        problem = problem_of(error)
        self._failed(error, problem)
        with suppress(EnvironmentFailure):
            self._bill.left()
        if problem.status >= 500 and self._bill.charged:
            problem = replace(problem, message=_CHARGED)
        await self._part(send, self._writer.failed(problem, self._request_id), last=True)

    async def _part(self, send: Send, text: bytes, *, last: bool = False) -> None:
        await self._out(send, {"type": "http.response.body", "body": text, "more_body": not last})

    async def _out(self, send: Send, message: dict[str, object]) -> None:
        self._sending_s = time.monotonic()
        await send(message)
        self._sending_s = None

    async def _guard(self, task: asyncio.Task[Any]) -> None:
        """Gives up a client that takes nothing for so long: what waits for it is bounded by the socket's buffer. One task
        beside the stream costs less than a timer round each token."""
        while True:
            await asyncio.sleep(self._send_seconds / 4)
            if self._sending_s is not None and time.monotonic() - self._sending_s > self._send_seconds:
                self._stuck = True
                task.cancel()
                return


def event(content: object, *, kind: str | None = None) -> bytes:
    """One event (HTML Living Standard, 9.2): its name where it has one, and its data as one line of JSON."""
    head = b"" if kind is None else b"event: " + kind.encode() + b"\n"
    return head + b"data: " + JSON.encode(content) + b"\n\n"


DONE = b"data: [DONE]\n\n"
# Most events of a stream differ in their text alone: they are encoded once, with a hole in its place.
HOLE = "\ue000hole"


def frame(made: bytes) -> tuple[bytes, bytes]:
    """What stands before and behind the hole of an event."""
    before, behind = made.split(JSON.encode(HOLE))
    return before, behind


def filled(around: tuple[bytes, bytes], text: str) -> bytes:
    return around[0] + JSON.encode(text) + around[1]
