"""Targets: classes as integers, numbers in normalised units, and the way back.

Not here: input columns (the files beside it), which rows have a target at all (`data/checks.py`), losses (`train/`).

Legend: B rows, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.features.category import count_keys, keys_of
from tradewind.features.column import Values
from tradewind.features.number import LIMIT, parse_number, to_numbers


@dataclass(frozen=True)
class ClassTarget:
    """K classes in natural order: "2" before "10", numbers before words."""

    kind: ClassVar[str] = "classes"

    classes: tuple[str, ...]
    _codes: Mapping[str | None, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_codes", {name: code for code, name in enumerate(self.classes)})

    @classmethod
    def fit(cls, values: Values) -> Self:
        """Fits on training values, shape [B]; their order does not matter. Raises DataError for fewer than two classes."""
        classes = sorted(count_keys(values), key=natural_key)
        if not classes:
            raise _no_target("no training row has a target")
        if len(classes) == 1:
            raise DataError(
                f"The target has one class only: {classes[0]}.",
                code="target_constant",
                where="data.target",
                hint="Give training rows of at least two classes, or name another target.",
            )
        return cls(classes=tuple(classes))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(classes=tuple(state["classes"]))

    def state(self) -> dict[str, Any]:
        return {"kind": self.kind, "classes": list(self.classes)}

    def encode(self, values: Values) -> NDArray[np.int64]:
        """int64 [B], 0 … K-1; -1 for a missing value and for a class that training did not have."""
        return np.array([self._codes.get(key, -1) for key in keys_of(values)], dtype=np.int64)

    def decode(self, codes_B: NDArray[np.int64]) -> NDArray[np.object_]:
        """Class names [B], None for -1."""
        names = np.array([*self.classes, None], dtype=object)
        return names[codes_B]


@dataclass(frozen=True)
class NumberTarget:
    """A number to predict; the model sees (y - mean) / scale."""

    kind: ClassVar[str] = "number"

    mean: float
    scale: float

    @classmethod
    def fit(cls, values: Values) -> Self:
        """Fits on training values, shape [B]; their order does not matter. Raises DataError where nothing varies."""
        y = to_numbers(values)
        y = np.sort(y[np.abs(y) <= LIMIT])
        if not y.size:
            raise _no_target("no training row has a number as its target")
        if y[0] == y[-1]:
            raise DataError(
                f"The target is {y[0]:g} in every training row.",
                code="target_constant",
                where="data.target",
                hint="Name a target that varies.",
            )
        scale = float(y.std())
        return cls(mean=float(y.mean()), scale=scale if scale > 1e-100 else 1.0)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(mean=state["mean"], scale=state["scale"])

    def state(self) -> dict[str, Any]:
        return {"kind": self.kind, "mean": self.mean, "scale": self.scale}

    def encode(self, values: Values) -> NDArray[np.float32]:
        """float32 [B] in normalised units; NaN for what is missing or no number."""
        y_B = to_numbers(values)
        y_B = np.where(np.abs(y_B) <= LIMIT, y_B, np.nan)
        z_B = np.clip((y_B - self.mean) / self.scale, -LIMIT, LIMIT)
        return z_B.astype(np.float32)

    def decode(self, z_B: NDArray[Any]) -> NDArray[np.float64]:
        """float64 [B] in the target's own units."""
        return np.asarray(z_B, dtype=np.float64) * self.scale + self.mean


Target: TypeAlias = ClassTarget | NumberTarget

_TARGETS: dict[str, type[ClassTarget] | type[NumberTarget]] = {
    "classification": ClassTarget,
    "regression": NumberTarget,
}
_KINDS: dict[str, type[ClassTarget] | type[NumberTarget]] = {
    ClassTarget.kind: ClassTarget,
    NumberTarget.kind: NumberTarget,
}


def fit_target(task: str, values: Values) -> Target:
    """The target of a classification or a regression, fitted on training values, shape [B].

    Raises DataError where no row has a target, where it does not vary, and for a task that has no such target.
    """
    if task not in _TARGETS:
        raise DataError(
            f"A {task} has no target column to fit.",
            code="target_task",
            where="task",
            hint=f"Tasks with one: {', '.join(_TARGETS)}.",
        )
    return _TARGETS[task].fit(values)


def target_from_state(state: dict[str, Any]) -> Target:
    return _KINDS[state["kind"]].from_state(state)


def natural_key(text: str) -> tuple[tuple[int, float, str], ...]:
    """Sorts numbers by size and before words, and numbers inside words by size: -1, 2, 10, level 2, level 10."""
    number = parse_number(text)
    if number == number:
        return ((0, number, text),)
    parts = re.split(r"(\d+)", text)
    ranked = [(1, float(part), "") if part.isdecimal() else (2, 0.0, part) for part in parts]
    return (*ranked, (3, 0.0, text))


def _no_target(found: str) -> DataError:
    return DataError(
        f"Nothing can be learnt: {found}.",
        code="target_missing",
        where="data.target",
        hint="Name the column that holds the target, or drop the rows without one.",
    )
