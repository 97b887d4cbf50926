"""How far a threshold is moved for a row, by its groups: one spelling for training, for a report and for serving.

Not here: finding the shifts (`train/shifts.py`), the common threshold (`evaluate/thresholds.py`). A group is the key of a category;
one that is missing or unknown moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.features.category import category_key
from tradewind.features.column import Values

Shifts: TypeAlias = Mapping[str, Mapping[str, float]]  # column → group → log-odds
Floats: TypeAlias = NDArray[np.float64]

_EDGE = 1e-12


def shift_of(shifts: Shifts, values: Mapping[str, Values], *, rows: int) -> Floats:
    """The shift of each row [rows], from raw columns; a column left out moves nothing."""
    total = np.zeros(rows)
    for column, by_group in shifts.items():
        if column in values:
            total += np.array([_shift(by_group, value) for value in values[column]], dtype=np.float64)
    return total


def shift_of_rows(shifts: Shifts, rows: Sequence[Mapping[str, object]]) -> Floats:
    """The shift of each row [rows], from rows as JSON objects."""
    return np.array(
        [sum(_shift(by, row.get(column)) for column, by in shifts.items()) for row in rows], dtype=np.float64
    )


def _shift(by_group: Mapping[str, float], value: Any) -> float:
    key = category_key(value)
    return 0.0 if key is None else by_group.get(key, 0.0)


def moved(threshold: float, shift_N: Floats) -> Floats:
    """The threshold of each row [N]: the common one, its log-odds moved by `shift_N`. None is moved beyond 0 and 1."""
    common = np.clip(threshold, _EDGE, 1 - _EDGE)
    found = 1 / (1 + np.exp(-(np.log(common / (1 - common)) + shift_N)))
    return np.where(shift_N == 0, threshold, found)
