"""What `/v1/events` expects of a product: a place where a customer's events go. Not any one product's (`window_feed.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tradewind.server.wire import Row


@dataclass(frozen=True)
class Accepted:
    """How many events were taken, and how many were not: known already, or too late for any window."""

    taken: int
    passed_over: int


class EventFeed(Protocol):
    """What a served product does with the events that a customer sends to `/v1/events`."""

    def accept_events(self, rows: Sequence[Row]) -> Accepted:
        """Takes events in their order; durable when it returns. May be called in a thread. Raises DataError for a wrong row,
        with `where` its column, and takes none of them then."""
        ...
