"""Time limits of requests, cheaper than `asyncio.timeout`: of all that run under one limit only the oldest has a timer.

Not here: what a limit is (`settings.py`), nor what is said of one that was passed (`desk.py`).
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Around what one task does: `with deadlines.within(seconds):`. Cancels the task when its time is up and turns that
    cancellation, not another's, into TimeoutError at the end of the block."""

    __slots__ = ("_at", "_cancelling", "_passed", "_queue", "_task")

    def __init__(self, queue: _Queue) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A deadline stands around what a task does.")
        self._queue = queue
        self._task = task
        self._passed = False
        self._cancelling = 0
        self._at = 0.0

    def __enter__(self) -> Deadline:
        self._cancelling = self._task.cancelling()
        self._at = self._queue.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.remove(self)
        # As asyncio.timeout does: where somebody else has asked for the cancellation too, it stays one.
        if self._passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    @property
    def at(self) -> float:
        """On the clock of its event loop."""
        return self._at

    def expire(self) -> None:
        self._passed = True
        self._task.cancel()


class Deadlines:
    """Those of one process. Limits of equal length wait in one queue, in order of time."""

    def __init__(self) -> None:
        self._queues: dict[float, _Queue] = {}

    def within(self, seconds: float) -> Deadline:
        """To be called, entered and left by one task."""
        loop = asyncio.get_running_loop()
        queue = self._queues.get(seconds)
        if queue is None or queue.loop is not loop:
            queue = self._queues[seconds] = _Queue(seconds, loop)
        return Deadline(queue)


class _Queue:
    """Running deadlines, the oldest first. One timer waits for the oldest there was when it was set."""

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}
        self._planned = False

    def add(self, deadline: Deadline) -> float:
        self._running[deadline] = None
        at = self.loop.time() + self._seconds
        if not self._planned:
            self._planned = True
            self.loop.call_at(at, self._turn)
        return at

    def remove(self, deadline: Deadline) -> None:
        self._running.pop(deadline, None)

    def _turn(self) -> None:
        """Ends those whose time is up, and waits for the next."""
        now = self.loop.time()
        while self._running:
            oldest = next(iter(self._running))
            if oldest.at > now:
                self.loop.call_at(oldest.at, self._turn)
                return
            del self._running[oldest]
            oldest.expire()
        self._planned = False
