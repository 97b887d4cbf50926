"""Watches the scores that a release gives against those it gave when it was measured; tells once when they have moved.

Not here: the arithmetic (`features/drift.py`), what the report says of columns (`evaluate/drift.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewind.features.drift import Moved, Reference


@dataclass(frozen=True)
class Bounds:
    """From which population stability index on it is told, over so many latest scores, and not before so many."""

    psi: float = 0.2
    window: int = 2000
    least: int = 500


class DriftWatch:
    """`note` is called in the event loop and only remembers; `look` compares, in a thread. Of one worker: each sees its own
    share of the requests."""

    def __init__(self, reference: Reference | None, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.latest: Moved | None = None
        self.alarmed = False
        self._reference = reference
        self._scores: deque[float] = deque(maxlen=self.bounds.window)
        self._noted = self._looked = 0

    def note(self, score: float) -> None:
        if self._reference is not None:
            self._scores.append(score)
            self._noted += 1

    def look(self) -> bool:
        """Compares what is new; True when an alarm begins. It ends when the scores are back under half of the bound."""
        if self._reference is None or self._noted == self._looked or len(self._scores) < self.bounds.least:
            return False
        self._looked = self._noted
        self.latest = self._reference.moved(np.array(tuple(self._scores)))
        if self.alarmed:
            self.alarmed = self.latest.psi >= self.bounds.psi / 2
            return False
        self.alarmed = self.latest.alarming(self.bounds.psi)
        return self.alarmed

    def told(self, product: str, release: str) -> dict[str, Any]:
        """The event for the log. No input and no customer is in it."""
        assert self.latest is not None
        return {
            "event": "score_drift", "product": product, "release": release, "psi": round(self.latest.psi, 4),
            "ks": round(self.latest.ks, 4), "rows": self.latest.rows, "bound": self.bounds.psi,
        }  # fmt: skip
