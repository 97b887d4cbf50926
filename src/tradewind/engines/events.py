"""Who met what since the release was made: the seam to a store, and one that lives in memory. The next answer knows the last event.

Not here: a store that survives a restart (the server keeps one), what an event is worth for learning (`data/events.py`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tradewind.errors import DataError

MOST_USERS, MOST_EVENTS = 1_000_000, 200


@dataclass(frozen=True)
class Event:
    """Somebody met something. `at` is seconds since 1970; `id` makes an event count once, however often it is sent."""

    user: str
    item: str
    at: float
    kind: str = ""
    id: str = ""


class EventStore(Protocol):
    """Events by user, of one account."""

    def append(self, events: Sequence[Event]) -> int:
        """Keeps events; gives how many are new. Safe from several threads."""
        ...

    def history(self, user: str) -> list[str]:
        """The items of a user, oldest first; empty for nobody."""
        ...

    def forget(self, user: str) -> int:
        """Removes everything of a user; gives how many events went."""
        ...


class MemoryEvents:
    """In memory: the latest events of the users seen last. Events that come late are put where their time says."""

    def __init__(self, *, most_users: int = MOST_USERS, most_events: int = MOST_EVENTS) -> None:
        self._most_users, self._most_events = most_users, most_events
        self._events: OrderedDict[str, list[Event]] = OrderedDict()
        self._lock = threading.Lock()

    def append(self, events: Sequence[Event]) -> int:
        """Raises DataError for an event without a user or an item."""
        for event in events:
            if not event.user or not event.item:
                raise DataError(
                    "An event has a user and an item.",
                    code="event_incomplete",
                    where="user" if not event.user else "item",
                )
        new = 0
        with self._lock:
            for event in events:
                mine = self._events.setdefault(event.user, [])
                self._events.move_to_end(event.user)
                if event.id and any(one.id == event.id for one in mine):
                    continue
                new += 1
                place = len(mine)
                while place and mine[place - 1].at > event.at:
                    place -= 1
                mine.insert(place, event)
                del mine[: -self._most_events]
            while len(self._events) > self._most_users:
                self._events.popitem(last=False)
        return new

    def known(self, event: Event) -> bool:
        """Whether one of the user's events has its `id`."""
        with self._lock:
            return bool(event.id) and any(one.id == event.id for one in self._events.get(event.user, ()))

    def holds(self, event: Event) -> bool:
        """Whether it is kept still."""
        with self._lock:
            return event in self._events.get(event.user, ())

    def history(self, user: str) -> list[str]:
        with self._lock:
            return [event.item for event in self._events.get(user, ())]

    def forget(self, user: str) -> int:
        with self._lock:
            return len(self._events.pop(user, ()))

    def count_before(self, at: float) -> int:
        """How many happened before a moment."""
        with self._lock:
            return sum(event.at < at for mine in self._events.values() for event in mine)

    def expire(self, at: float) -> None:
        """Removes what happened before a moment."""
        with self._lock:
            for user, mine in list(self._events.items()):
                left = [event for event in mine if event.at >= at]
                if left:
                    self._events[user] = left
                else:
                    del self._events[user]
