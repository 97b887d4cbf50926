"""Rows that are added to while others read: room for twice as many is made when it is full, so that a row is copied once on average.
Not a lock: whoever adds holds one.

Legend: I rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Growing:
    """`rows` [I, …] never change: what comes later stands behind them, where they do not reach."""

    def __init__(self, rows: NDArray[Any], room: NDArray[Any] | None = None) -> None:
        self.rows = rows
        self._room = rows if room is None else room

    def joined(self, more: NDArray[Any] | Sequence[Any]) -> Growing:
        """With further rows behind. Only of the newest: of an older one, what came since would be written over."""
        end = len(self.rows) + len(more)
        room = self._room
        if end > len(room):
            room = np.empty((max(end, 2 * len(room)), *self.rows.shape[1:]), self.rows.dtype)
            room[: len(self.rows)] = self.rows
        room[len(self.rows) : end] = more
        return Growing(room[:end], room)

    def chosen(self, rows: Sequence[int]) -> Growing:
        """Some of the rows, in a place of their own."""
        return Growing(self.rows[np.array(rows, np.int64)])
