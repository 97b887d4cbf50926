"""What an engine promises: raw rows in, predictions and counts out. Not any one runtime (`onnx.py`, `fake.py`).

Legend: B rows, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tradewind.features.column import Values
from tradewind.features.shifts import Shifts, moved, shift_of, shift_of_rows


@dataclass(frozen=True)
class Usage:
    """Counts that a meter may price. An engine knows no price."""

    rows: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Decision:
    """How outputs become answers: class names in the order of the outputs, and for two classes the threshold.

    A row counts as `positive` when the probability of that class is at least `threshold`. Where groups have thresholds of
    their own, `shifts` moves it, in log-odds, by what the row is in the columns named there: these columns are read for the
    decision only, and a group that is missing or unknown has the common threshold.
    """

    task: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()
    positive: str | None = None
    threshold: float = 0.5
    shifts: Shifts = field(default_factory=dict)

    def cuts(self, values: Mapping[str, Values], *, rows: int) -> NDArray[np.float32] | None:
        """The threshold of each row [B], from raw columns; None where all have the common one."""
        return (
            moved(self.threshold, shift_of(self.shifts, values, rows=rows)).astype(np.float32) if self.shifts else None
        )

    def cuts_of_rows(self, rows: Sequence[Mapping[str, object]]) -> NDArray[np.float32] | None:
        """The same from rows as JSON objects."""
        return moved(self.threshold, shift_of_rows(self.shifts, rows)).astype(np.float32) if self.shifts else None

    def labels(self, probabilities_BK: NDArray[np.float32], cut_B: NDArray[np.float32] | None = None) -> NDArray[Any]:
        """Class names, shape [B], object. The largest probability wins, or for two classes the threshold decides: the common
        one, or `cut_B`."""
        names = np.asarray(self.classes, dtype=object)
        if len(self.classes) == 2 and self.positive is not None:
            index = self.classes.index(self.positive)
            chosen = np.where(
                probabilities_BK[:, index] >= (np.float32(self.threshold) if cut_B is None else cut_B), index, 1 - index
            )
        else:
            chosen = probabilities_BK.argmax(axis=1)
        return names[chosen]


@dataclass(frozen=True)
class Predictions:
    """Answers for B rows: `probabilities` [B, K] with `labels` [B], or `values` [B] in the target's own units."""

    rows: int
    classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None
    labels: NDArray[Any] | None = None
    values: NDArray[np.float64] | None = None
    usage: Usage = field(default_factory=Usage)

    def to_rows(self) -> list[dict[str, Any]]:
        """One JSON object a row: {"label", "probabilities"} or {"value"}."""
        if self.probabilities is not None:
            assert self.labels is not None
            return [
                {"label": label, "probabilities": dict(zip(self.classes, map(float, row), strict=True))}
                for label, row in zip(self.labels, self.probabilities, strict=True)
            ]
        assert self.values is not None
        return [{"value": float(value)} for value in self.values]


class Predictor(Protocol):
    """Predicts from raw values. Deterministic: a row's answer does not depend on its neighbours beyond rounding."""

    @property
    def decision(self) -> Decision: ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it reads."""
        ...

    def predict(self, values: Mapping[str, Values]) -> Predictions:
        """Raw columns, each [B]; columns it does not read are passed over, a column left out counts as missing."""
        ...

    def predict_rows(self, rows: Sequence[Mapping[str, object]]) -> Predictions:
        """Raw rows as JSON objects. Raises DataError for a value of a wrong type or an unknown column."""
        ...
