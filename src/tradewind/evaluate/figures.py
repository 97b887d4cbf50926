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

    `value` is None where the figure does not exist, and `absent` says why. `unsure` says why no verdict may rest on it: a gate on
    such a figure never passes.
    """

    value: float | None
    how: str
    split: str
    rows: int
    predictions: str
    low: float | None = None
    high: float | None = None
    absent: str | None = None
    unsure: str | None = None

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "value": self.value, "low": self.low, "high": self.high, "how": self.how, "split": self.split,
            "rows": self.rows, "predictions": self.predictions,
        }  # fmt: skip
        why = {"absent": self.absent, "unsure": self.unsure}
        return content | {name: text for name, text in why.items() if text is not None}


Figures = Mapping[str, Figure]


def figures_to_json(figures: Figures) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}
