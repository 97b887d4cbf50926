"""What a baseline is beside the model, where a report is no table's: its figures, the differences, and a verdict.

Not here: how a difference is resampled (`ranking.py`, `language_figures.py`, `translation.py`), tables (`analysis.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tradewind.evaluate.figures import Figure

Verdict: TypeAlias = Literal["better", "worse", "unclear"]


@dataclass(frozen=True)
class BaselineFigures:
    """`differences` are the model less the baseline; `verdict` is what the model is beside it, in the report's first figure."""

    name: str
    figures: Mapping[str, Figure]
    differences: Mapping[str, Figure]
    verdict: Verdict


def verdict_of(difference: Figure, *, smaller_is_better: bool = False) -> Verdict:
    """Unclear where the interval holds 0, or there is no difference."""
    if difference.value is None:
        return "unclear"
    ends = (
        (difference.value,) if difference.low is None or difference.high is None else (difference.low, difference.high)
    )
    if min(ends) > 0:
        return "worse" if smaller_is_better else "better"
    if max(ends) < 0:
        return "better" if smaller_is_better else "worse"
    return "unclear"
