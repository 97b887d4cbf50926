"""Arrays on disk: .npy files written piece by piece and read as memory maps, and rows of different lengths.

Not here: what the arrays mean (`encode.py`, `dataset.py`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tradewind.features.column import TensorFeature

_HEADER_BYTES = 256


class NpyWriter:
    """A .npy file (format 1.0) of shape [rows, *shape] that grows; the header is completed on `close`."""

    def __init__(self, path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
        self.dtype = np.dtype(dtype)
        self.shape = shape
        self.rows = 0
        self._file = path.open("wb", buffering=1 << 20)
        self._file.write(b"\0" * _HEADER_BYTES)

    def write(self, array: NDArray[Any]) -> None:
        """Appends rows [B, *shape] in the file's own type."""
        assert array.shape[1:] == self.shape
        self.rows += len(array)
        self._file.write(np.ascontiguousarray(array, dtype=self.dtype).data)

    def close(self) -> None:
        content = f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': {(self.rows, *self.shape)!r}, }}"
        room = _HEADER_BYTES - 10
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + content.ljust(room - 1).encode() + b"\n")
        self._file.close()

    def abandon(self) -> None:
        """Lets go of the file as it is, after a failure; what the disk refuses again is not worth telling twice."""
        with suppress(OSError):
            self._file.close()


def open_array(path: Path) -> NDArray[Any]:
    """A read-only memory map; an empty array where there are no rows, which cannot be mapped."""
    if path.stat().st_size == _HEADER_BYTES:
        return np.load(path)  # type: ignore[no-any-return]
    mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    return mapped


def tensor_file(index: int, tensor: TensorFeature) -> str:
    """File name of a tensor: its role and its place in the layout, as column names may hold any character."""
    return f"{tensor.role}.{index}.npy"


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row b is flat[offsets[b] : offsets[b + 1]]. `offsets` int64 [B + 1]."""

    flat: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def joined(self, other: Ragged) -> Ragged:
        """The rows of both, these first."""
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return Ragged(np.concatenate([self.flat[: self.offsets[-1]], other.flat]), offsets)

    def pad(self, rows: NDArray[np.int64], *, multiple: int = 1) -> NDArray[Any]:
        """[B, T]: the rows, filled with 0 to the longest of them, at least 1, rounded up to `multiple`."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        longest = max(int(lengths.max()) if len(rows) else 1, 1)
        longest = -(-longest // multiple) * multiple
        padded = np.zeros((len(rows), longest), dtype=self.flat.dtype)
        total = int(lengths.sum())
        if total:
            filled = np.arange(longest) < lengths[:, None]
            before = np.repeat(np.cumsum(lengths) - lengths, lengths)
            places = np.repeat(starts, lengths) + (np.arange(total) - before)
            padded[filled] = self.flat[places]
        return padded
