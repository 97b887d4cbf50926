"""Reads an iterator ahead in a thread of its own, so that decoding and cleaning go on at the same time.

Not a pool: one thread, a few items ahead, order kept.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_WAIT_S = 0.2


def ahead(items: Iterator[T], *, depth: int = 1) -> Iterator[T]:
    """The same items in the same order; at most `depth` wait. An error of the iterator is raised here.

    When the consumer stops early, the thread stops after the item that it is at.
    """
    waiting: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=_WAIT_S)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items:
                put((True, item))
                if stopped.is_set():
                    return
            put((False, None))
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            put((False, error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while True:
            more, item = waiting.get()
            if not more:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
