"""A thread that does one thing every so often until it is stopped. Not what it does (`observe.py`, `recording.py`, `serving.py`)."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ticker:
    """Calls `work` every `every_s` seconds in a thread called `name`, from `start` to `stop`; first after one pause.

    `work` must catch its own errors. Starting twice and stopping twice are harmless; what was stopped stays so.
    """

    def __init__(self, name: str, work: Callable[[], object], *, every_s: float) -> None:
        self._name, self._work, self._every_s = name, work, every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Returns when `work` runs no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._work()
