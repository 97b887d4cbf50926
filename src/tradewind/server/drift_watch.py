"""Watches the scores that a release gives against those it gave when it was measured; tells once when they have moved.

Not here: the arithmetic (`features/drift.py`), what the report says of columns (`evaluate/drift.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from tradewind.features.drift import Moved, Reference

LEAST = 500  # scores before anything is said
WINDOW = 2000
_SEND_S = 5.0


@dataclass(frozen=True)
class DriftRule:
    """From the product file: the index from which on somebody is told, over how many of the latest scores, and where."""

    bound: float = 0.2
    window: int = WINDOW
    least: int = LEAST
    webhook: str | None = None


class DriftWatch:
    """`note` is called in the event loop and only remembers; `look` compares, in a thread. Of one worker: each sees its own
    share of the requests."""

    def __init__(self, reference: Reference | None, rule: DriftRule | None = None) -> None:
        self.rule = rule or DriftRule()
        self.latest: Moved | None = None
        self.alarmed = False
        self._reference = reference
        self._scores: deque[float] = deque(maxlen=self.rule.window)
        self._noted = self._looked = 0

    def note(self, score: float) -> None:
        if self._reference is not None:
            self._scores.append(score)
            self._noted += 1

    def look(self) -> bool:
        """Compares what is new; True when an alarm begins. It ends when the scores are back under half of the bound."""
        if self._reference is None or self._noted == self._looked or len(self._scores) < self.rule.least:
            return False
        self._looked = self._noted
        self.latest = self._reference.moved(np.array(tuple(self._scores)))
        if self.alarmed:
            self.alarmed = self.latest.psi >= self.rule.bound / 2
            return False
        self.alarmed = self.latest.alarming(self.rule.bound)
        return self.alarmed

    def told(self, product: str, release: str) -> dict[str, Any]:
        """The event for the log and the webhook. No input and no customer is in it."""
        assert self.latest is not None
        return {
            "event": "score_drift", "product": product, "release": release, "psi": round(self.latest.psi, 4),
            "ks": round(self.latest.ks, 4), "rows": self.latest.rows, "bound": self.rule.bound,
        }  # fmt: skip


def send(url: str, event: Mapping[str, Any], log: Callable[[Mapping[str, Any]], None]) -> None:
    """To the webhook that the product file names, once; a line in the log where it does not take it."""
    try:
        httpx.post(url, json=dict(event), timeout=_SEND_S).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log({"event": "webhook_failed", "product": event["product"], "error": type(error).__name__})
