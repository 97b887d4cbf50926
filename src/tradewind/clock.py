"""One source of now. No other file asks the operating system for the date; durations use `time.perf_counter`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that stands still until told to move. For tests and for reproducible examples."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def milliseconds(clock: Clock) -> int:
    """Now, in milliseconds since 1970 in UTC: how moments stand in the database."""
    if type(clock) is SystemClock:
        return time.time_ns() // 1_000_000  # asked for each request that is served
    return int(clock.now().timestamp() * 1000)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: 2026-11-23T20:15:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
