"""A figure: one number of a report with everything that is needed to obtain it again.

Not here: how it is computed (`metrics.py`, `intervals.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIGITS = 10


def rounded(value: float | None, digits: int = DIGITS) -> float | None:
    """`value` to `digits` significant digits; None for None, NaN and infinity.

    What two machines compute differs in the sixteenth digit; what they write down must not.
    """
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits - 1}e}") + 0.0


@dataclass(frozen=True)
class Figure:
    """One number. `low` and `high` bound its interval; `predictions` is the file and column that it came from.

    `value` is None where the figure does not exist, and `absent` says why.
    """

    value: float | None
    how: str
    split: str
    rows: int
    predictions: str
    low: float | None = None
    high: float | None = None
    absent: str | None = None

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "value": self.value, "low": self.low, "high": self.high, "how": self.how, "split": self.split,
            "rows": self.rows, "predictions": self.predictions,
        }  # fmt: skip
        return content if self.absent is None else {**content, "absent": self.absent}


Figures = Mapping[str, Figure]


def figures_to_json(figures: Figures) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}
