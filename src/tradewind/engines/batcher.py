"""Micro-batches that never delay a lone request: what waits at the same moment is predicted together.

Not here: what a request is (`server/`), nor what a model is (`onnx.py`). There is no timer: a fast model runs in the event
loop, over all requests that arrived in the same turn of it, or in those after while more arrive; a slow one runs in a thread,
and what comes while it is busy goes together as soon as it is free.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Row = TypeVar("Row")
Answer = TypeVar("Answer")

INLINE_S = 0.001  # a model that takes longer over one row does not run in the event loop
_INLINE_TURN_S = 0.004  # how long one turn of the event loop may be held
_PUT_OFF_MOST = 16  # times that a turn is put off because more arrive
_MOST_ROWS = 1024


class Batcher(Generic[Row, Answer]):
    """`predict` answers rows in order, one answer a row, and may be called from a thread.

    `seconds_a_row` is measured (`measure`). `most_rows` bounds a batch; a single request of more rows still goes whole.
    One event loop uses it at a time.
    """

    def __init__(
        self,
        predict: Callable[[Sequence[Row]], Sequence[Answer]],
        *,
        seconds_a_row: float,
        executor: Executor | None = None,
        most_rows: int = _MOST_ROWS,
    ) -> None:
        self._predict = predict
        self._executor = executor
        self._most_rows = most_rows
        self.inline = seconds_a_row < INLINE_S
        self.inline_rows = min(most_rows, max(1, int(_INLINE_TURN_S / max(seconds_a_row, 1e-7)))) if self.inline else 0
        self._here: deque[_Waiting[Row, Answer]] = deque()
        self._there: deque[_Waiting[Row, Answer]] = deque()
        self._planned = False
        self._seen = 0  # how many waited when this turn was last put off
        self._last = 0  # how many the batch before had
        self._put_off = 0  # how often this turn was put off
        self._busy = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, rows: Sequence[Row]) -> asyncio.Future[Sequence[Answer]]:
        """The answers to `rows`, in order. Rows must have been checked: what `predict` raises falls on their sender."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._planned, self._busy = loop, False, False
            self._seen = self._last = self._put_off = 0
            self._here.clear()
            self._there.clear()
        waiting = _Waiting(rows, loop.create_future())
        if len(rows) <= self.inline_rows:
            self._here.append(waiting)
            if not self._planned:
                self._planned = True
                loop.call_soon(self._turn)
        else:
            self._there.append(waiting)
            if not self._busy:
                self._start()
        return waiting.future

    def _turn(self) -> None:
        """Everything that arrived in this turn of the loop, up to a bound; the rest has the next turn.

        Where the batch before had company, it waits turn by turn while more arrive: a call for twenty rows costs little more
        than one for two. Whoever is alone is answered in the turn after he came, at most one later where he was not before.
        """
        found = len(self._here)
        if self._last > 1 and self._seen < found < self.inline_rows and self._put_off < _PUT_OFF_MOST:
            self._seen = found
            self._put_off += 1
            assert self._loop is not None
            self._loop.call_soon(self._turn)
            return
        self._planned, self._seen, self._put_off = False, 0, 0
        batch = _take(self._here, self.inline_rows)
        self._last = len(batch)
        if self._here:
            assert self._loop is not None
            self._planned = True
            self._loop.call_soon(self._turn)
        for waiting, outcome in zip(batch, _outcomes(self._predict, [one.rows for one in batch]), strict=True):
            waiting.tell(outcome)

    def _start(self) -> None:
        """Hands all that waits, up to a bound, to the thread."""
        batch = _take(self._there, self._most_rows)
        if not batch:
            return
        assert self._loop is not None
        self._busy = True
        rows = [one.rows for one in batch]
        running = self._loop.run_in_executor(self._executor, _outcomes, self._predict, rows)
        running.add_done_callback(lambda done: self._done(batch, done))

    def _done(
        self, batch: list[_Waiting[Row, Answer]], done: asyncio.Future[list[Sequence[Answer] | Exception]]
    ) -> None:
        self._busy = False
        self._start()
        if done.cancelled() or (fault := done.exception()) is not None:
            stopped: Exception = RuntimeError("The model's thread was stopped.")
            for waiting in batch:
                waiting.tell(stopped if done.cancelled() or not isinstance(fault, Exception) else fault)
            return
        for waiting, outcome in zip(batch, done.result(), strict=True):
            waiting.tell(outcome)


class _Waiting(Generic[Row, Answer]):
    __slots__ = ("future", "rows")

    def __init__(self, rows: Sequence[Row], future: asyncio.Future[Sequence[Answer]]) -> None:
        self.rows = rows
        self.future = future

    def tell(self, outcome: Sequence[Answer] | Exception) -> None:
        if self.future.done():  # its sender has gone
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


def _take(queue: deque[_Waiting[Row, Answer]], most_rows: int) -> list[_Waiting[Row, Answer]]:
    """From the front, those whose sender still waits: at least one, and together at most `most_rows`."""
    batch: list[_Waiting[Row, Answer]] = []
    rows = 0
    while queue:
        if queue[0].future.done():
            queue.popleft()
            continue
        rows += len(queue[0].rows)
        if batch and rows > most_rows:
            break
        batch.append(queue.popleft())
    return batch


def _outcomes(
    predict: Callable[[Sequence[Row]], Sequence[Answer]], requests: Sequence[Sequence[Row]]
) -> list[Sequence[Answer] | Exception]:
    """Answers by request. Where the batch fails each request is tried alone, so that a fault stays with its sender."""
    if not requests:
        return []
    try:
        if len(requests) == 1:
            return [predict(requests[0])]
        answers = predict([row for rows in requests for row in rows])
    except Exception as error:  # noqa: BLE001  the edge between a request and its model
        return [error] if len(requests) == 1 else [_outcomes(predict, [rows])[0] for rows in requests]
    found: list[Sequence[Answer] | Exception] = []
    start = 0
    for rows in requests:
        found.append(answers[start : start + len(rows)])
        start += len(rows)
    return found


def measure(predict: Callable[[Sequence[Row]], object], row: Row, *, repeats: int = 7) -> float:
    """Seconds that one row alone takes: the median of a few calls after a first one that is not counted."""
    predict([row])
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        predict([row])
        times.append(time.perf_counter() - started)
    return statistics.median(times)
