"""Rows of plain numbers and words, all at once: the short way through a table's columns when a service encodes rows.

Not here: columns that need more (dates, quantile maps, text, pictures), which go one by one (`feature_set.py`). Both ways
give the same bits: the operations of `NumberColumn.apply`, in the same order.

Legend: B rows, N number columns, F floats of the encoded row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.features.category import CategoryColumn
from tradewind.features.number import POSITIVE_ZERO, NumberColumn

_NUMBERS = frozenset((float, int))
_LARGEST_INT = 2**53  # larger ones are rounded the long way


class PlainRows:
    """Encodes rows that hold every column, each number a float or an int and each word text that training saw.

    `of` gives None for columns that it does not suit. `encode` gives None for rows that it does not suit: the caller then
    goes the long way, which also says what is wrong.
    """

    def __init__(self, numbers: Sequence[NumberColumn], categories: Sequence[CategoryColumn]) -> None:
        self._width = len(numbers) + len(categories)
        self._number_names = [column.name for column in numbers]
        self._numbers = _getter(self._number_names)
        self._codes = [(column.name, column.codes) for column in categories]
        bounds = ("lowest", "highest", "low", "high", "center", "scale", "furthest")
        self._bounds = {name: np.array([getattr(column, name) for column in numbers]) for name in bounds}
        at, self._z_at, self._flag_at, self._flagged = 0, list[int](), list[int](), list[int]()
        for place, column in enumerate(numbers):
            self._z_at.append(at)
            at += 1
            if column.flag:
                self._flag_at.append(at)
                self._flagged.append(place)
                at += 1
        self._floats = at

    @classmethod
    def of(cls, columns: Sequence[Any]) -> PlainRows | None:
        numbers = [column for column in columns if isinstance(column, NumberColumn) and not column.knots]
        categories = [column for column in columns if isinstance(column, CategoryColumn)]
        suited = numbers and len(numbers) + len(categories) == len(columns)
        return cls(numbers, categories) if suited else None

    def accepts(self, row: Mapping[str, object]) -> bool:
        """Whether a caller's row is plain: then nothing is wrong with it either."""
        if type(row) is not dict or len(row) != self._width:
            return False
        try:
            return _NUMBERS.issuperset(map(type, self._numbers(row))) and all(
                row[name] in codes for name, codes in self._codes
            )
        except (KeyError, TypeError):
            return False

    def encode(self, rows: Sequence[Mapping[str, object]]) -> dict[str, NDArray[Any]] | None:
        """`numbers` float32 [B, F] and, where there are categories, `categories` int64 [B, C]."""
        flat: list[Any] = []
        codes: list[int] = []
        try:
            for row in rows:
                flat += self._numbers(row)
                codes += [known[row[name]] for name, known in self._codes]
        except (KeyError, TypeError):
            return None
        if not _NUMBERS.issuperset(map(type, flat)):
            return None
        try:
            x = np.array(flat)
        except OverflowError:
            return None
        if x.dtype != np.float64:
            if x.dtype != np.int64 or np.abs(x).max(initial=0) > _LARGEST_INT:
                return None
            x = x.astype(np.float64)
        encoded: dict[str, NDArray[Any]] = {"numbers": self._encoded(x.reshape(len(rows), -1))}
        if self._codes:
            encoded["categories"] = np.array(codes, dtype=np.int64).reshape(len(rows), -1)
        return encoded

    def _encoded(self, x_BN: NDArray[np.float64]) -> NDArray[np.float32]:
        bounds = self._bounds
        known_BN = (x_BN >= bounds["lowest"]) & (x_BN <= bounds["highest"])
        all_known = bool(known_BN.all())
        if not all_known:
            x_BN = np.where(known_BN, x_BN, 0.0)
        z_BN = (np.minimum(np.maximum(x_BN, bounds["low"]), bounds["high"]) - bounds["center"]) / bounds["scale"]
        z_BN = np.minimum(np.maximum(z_BN, -bounds["furthest"]), bounds["furthest"])
        if not all_known:
            z_BN = np.where(known_BN, z_BN, 0.0)
        z_BN = z_BN + POSITIVE_ZERO
        if not self._flag_at:
            only_BF: NDArray[np.float32] = z_BN.astype(np.float32)
            return only_BF
        encoded_BF = np.empty((len(x_BN), self._floats), dtype=np.float32)
        encoded_BF[:, self._z_at] = z_BN
        encoded_BF[:, self._flag_at] = ~known_BN[:, self._flagged]
        return encoded_BF


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        only = names[0]
        return lambda row: (row[only],)
    return itemgetter(*names)
