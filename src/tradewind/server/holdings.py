"""What one worker holds in memory of its leases: units to reserve from, and tokens taken ahead from rate limits.

Not here: the database behind them (`business/ledger.py`, `business/limits.py`), nor who may call (`auth.py`). Only the
event loop's thread touches these objects.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tradewind.business.limits import Taken, default_burst
from tradewind.business.settlement import Key

_FIRST_SLICE = 64
# Without a cap units are not scarce: so many in hand outlast a minute without the database.
_UNCAPPED_SLICE = 10_000_000
_AHEAD_S = 60.0  # under a cap a slice is what this many seconds use, but at most this share of what is left
_SHARE = 8
_IDLE_S = 2.0


@dataclass(slots=True)
class Holding:
    """One lease. `lease` = `free` + `reserved` (running) + `unsettled` (in the journal, not yet in the database)."""

    key: Key
    lease: int = 0
    reserved: int = 0
    unsettled: int = 0
    beyond: int | None = None  # units that were left in the quota when it was last asked; None without a cap
    spent: int = 0  # units reserved since `since_s`
    since_s: float = field(default_factory=time.monotonic)
    used_s: float = 0.0
    last_slice: int = 0
    refilling: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    exhausted_s: float = 0.0  # when the asking began that found the quota used up
    exhausted_units: int = 0

    @property
    def free(self) -> int:
        return self.lease - self.reserved - self.unsettled

    def reserve(self, units: int) -> None:
        assert units <= self.free
        self.reserved += units
        self.spent += units
        self.used_s = time.monotonic()

    def slice(self, *, capped: bool) -> int:
        """Units to ask for: enough for a minute without the database, but no more than leaves others theirs."""
        if not capped:
            return _UNCAPPED_SLICE
        per_s = self.spent / max(1.0, time.monotonic() - self.since_s)
        wanted = max(_FIRST_SLICE, int(per_s * _AHEAD_S))
        return max(1, wanted if self.beyond is None else min(wanted, self.beyond // _SHARE))

    def filled(self, units: int, beyond: int | None) -> None:
        """A grant came in."""
        self.lease += units
        self.last_slice = units
        self.beyond = beyond
        self.spent, self.since_s = 0, time.monotonic()

    @property
    def low(self) -> bool:
        """Time to fetch the next slice while this one lasts."""
        return self.free < self.last_slice // 2

    @property
    def idle(self) -> bool:
        return self.free > 0 and time.monotonic() - self.used_s > _IDLE_S


SLICE_S = 0.1


@dataclass(slots=True)
class Tokens:
    """Tokens of one rate limit that this worker took ahead: at most what the rate gives in `SLICE_S` seconds, so a window
    sees at most that much more than the rate allows, for each worker. A rate below ten a second takes none ahead.
    """

    kind: str
    rate_per_s: float
    left: int = 0
    refilling: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _own: float = 0.0
    _own_s: float = field(default_factory=time.monotonic)

    def spend(self, tokens: int) -> bool:
        if self.left < tokens:
            return False
        self.left -= tokens
        return True

    @property
    def ahead(self) -> int:
        return int(self.rate_per_s * SLICE_S)

    @property
    def low(self) -> bool:
        return 2 * self.left < self.ahead

    def alone(self, want: int, least: int) -> Taken:
        """A bucket of this worker's own, for as long as the shared one cannot be asked."""
        now_s = time.monotonic()
        full = float(default_burst(self.rate_per_s))
        self._own = min(full, self._own + (now_s - self._own_s) * self.rate_per_s)
        self._own_s = now_s
        tokens = min(want, int(self._own))
        if tokens < least:
            return Taken(0, int(self._own), None if least > full else (least - self._own) / self.rate_per_s)
        self._own -= tokens
        return Taken(tokens, int(self._own), 0.0)
