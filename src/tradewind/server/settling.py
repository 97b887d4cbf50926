"""From the journal to the database, in batches beside the requests. Not here: what is written down (`metering.py`)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from tradewind.business.journal import Event, Journal, replay
from tradewind.business.ledger import Ledger

SETTLE_S = 0.25
_BATCH = 2000
_KEPT = 20_000


class Settler:
    """Events that the journal holds and the database does not. `ask` runs a function in a thread, `settled` is told
    each event that the database has taken. At most `kept` events wait in memory; the rest is read from the journal again.
    """

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        ask: Callable[..., Awaitable[Any]],
        settled: Callable[[Event], None],
        *,
        kept: int = _KEPT,
    ) -> None:
        self._kept = kept
        self.turn = asyncio.Lock()
        self._journal = journal
        self._ledger = ledger
        self._ask = ask
        self._settled = settled
        # The events of one request stay together, with the journal's offset behind them: all are settled, or none.
        self._pending: deque[tuple[tuple[Event, ...], int]] = deque()
        self._overflowed = False
        self._offset = 0  # what the database holds

    def add(self, events: tuple[Event, ...], end: int) -> None:
        """The events of one request that the journal holds; `end` is the offset behind them."""
        if len(self._pending) >= self._kept:
            self._overflowed = True
        if not self._overflowed:
            self._pending.append((events, end))

    async def flush(self) -> None:
        """Returns when the database holds all that the journal held at the call. Raises EnvironmentFailure."""
        async with self.turn:
            wanted = self._journal.end
            while self._offset < wanted:
                if not self._pending:
                    await self._read_again()
                batch = [self._pending[place] for place in range(min(_BATCH, len(self._pending)))]
                end = batch[-1][1]
                await self._ask(self._ledger.settle, [event for events, _ in batch for event in events], end)
                self._offset = end
                for events, _ in batch:
                    self._pending.popleft()
                    for event in events:
                        self._settled(event)
                self._journal.trim(end)

    async def _read_again(self) -> None:
        """After a long time without the database: the events that found no room in memory."""

        def read() -> list[tuple[tuple[Event, ...], int]]:
            found: list[tuple[tuple[Event, ...], int]] = []
            for record in replay(self._journal.folder, self._offset):
                found.append((record.events, record.end))
                if len(found) >= self._kept:
                    break
            return found

        self._pending.extend(await self._ask(read))
        # Nothing was added meanwhile unless the journal has grown behind the last event that was read.
        self._overflowed = self._pending[-1][1] < self._journal.end
