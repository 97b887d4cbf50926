"""Ends what was built and whose time is over, beside the requests: prepared rows, runs and reports of the products served, what users
of recommenders met, and items that their customers brought.
Not here: stored requests (`recording.py`), nor how long anything is kept (`privacy.keep` of the product file).

Releases go on: nothing that is served reads these folders. Of several workers, and of several servers on one folder, one
does the work at a time.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tradewind.artifacts import Kind, Workspace, expire
from tradewind.clock import milliseconds
from tradewind.errors import TradewindError
from tradewind.privacy.subjects import FOLDER
from tradewind.server import session_people
from tradewind.server.ticker import Ticker

_EVERY_S = 3600.0


@dataclass(frozen=True)
class Kept:
    """How long artifacts of one workspace are kept, in milliseconds by kind, what users of its recommenders met, and items that
    customers brought; others have no end."""

    workspace: Workspace
    keep_ms: Mapping[Kind, int]
    events_ms: int | None = None
    items_ms: int | None = None

    def __bool__(self) -> bool:
        return bool(self.keep_ms) or self.events_ms is not None or self.items_ms is not None


class Keeper:
    """A thread that looks once at its start and then every `every_s` seconds. `log` gets one mapping where something went."""

    def __init__(
        self, kept: Sequence[Kept], *, every_s: float = _EVERY_S, log: Callable[[Mapping[str, Any]], None] | None = None
    ) -> None:
        self._kept = [one for one in kept if one]
        self._log = log or (lambda event: None)
        self._ticker = Ticker("keep", self.sweep, every_s=every_s)

    def start(self) -> None:
        if self._kept:
            self.sweep()
            self._ticker.start()

    def stop(self) -> None:
        self._ticker.stop()

    def sweep(self) -> None:
        """Ends what is due. What fails is done in the next round."""
        for one in self._kept:
            try:
                gone = self._sweep(one)
            except (TradewindError, OSError) as error:
                code = error.code if isinstance(error, TradewindError) else type(error).__name__
                self._log({"event": "artifacts_not_swept", "code": code})
            else:
                for event, count in gone.items():
                    self._log({"event": event, "count": count})

    def _sweep(self, one: Kept) -> dict[str, int]:
        folder = one.workspace.home / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".keep.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return {}
            now = one.workspace.clock.now()
            artifacts = sum(
                expire(one.workspace, kind, before=now - timedelta(milliseconds=keep))
                for kind, keep in one.keep_ms.items()
            )
            found = {"artifacts_ended": artifacts}
            now_ms, home = milliseconds(one.workspace.clock), one.workspace.home
            if one.events_ms is not None:
                found["events_ended"] = session_people.expire_events(home, now_ms - one.events_ms)
            if one.items_ms is not None:
                found["items_ended"] = session_people.expire_items(home, now_ms - one.items_ms)
            return {name: count for name, count in found.items() if count}
