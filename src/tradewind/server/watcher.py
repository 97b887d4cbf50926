"""What a worker does beside its requests for products with events: logs to the disk, scores compared. Not how either is done
(`window_feed.py`, `drift_watch.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tradewind.errors import TradewindError
from tradewind.server.outgoing import Outgoing
from tradewind.server.served import Served
from tradewind.server.serving import Shelf
from tradewind.server.ticker import Ticker
from tradewind.server.window_feed import Feeds

_SYNC_S, _LOOK_S = 1.0, 5.0


class Watcher:
    """Two threads, from `start` to `stop`. `log` gets one mapping an event; `outgoing` those that a person should see."""

    def __init__(
        self, shelf: Shelf, feeds: Feeds, *, log: Callable[[Mapping[str, Any]], None], outgoing: Outgoing | None = None
    ) -> None:
        self._shelf, self._feeds, self._log, self._outgoing = shelf, feeds, log, outgoing
        self._tickers = (Ticker("events", self.sync, every_s=_SYNC_S), Ticker("drift", self.look, every_s=_LOOK_S))

    def start(self) -> None:
        for ticker in self._tickers:
            ticker.start()

    def stop(self) -> None:
        for ticker in self._tickers:
            ticker.stop()
        self._feeds.close()

    def sync(self) -> None:
        try:
            self._feeds.sync()
        except (OSError, TradewindError) as error:  # the next round tries again; requests fail by themselves
            self._log({"event": "events_not_synced", "error": type(error).__name__})

    def look(self) -> None:
        for served in self._shelf:
            if isinstance(served, Served) and served.drift.look():
                told = served.drift.told(served.product, served.release)
                self._log(told)
                if self._outgoing is not None:
                    self._outgoing.tell(served.product, told)
