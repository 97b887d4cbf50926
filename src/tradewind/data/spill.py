"""Typed chunks between the two passes: in memory while they are small, on disk when they are not.

Not an artifact: the folder is gone when preparation is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from tradewind.errors import writing


class Spill:
    """A list of frames that moves to `folder` as soon as it holds more than `limit` bytes."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.rows = 0
        self._held: list[pl.DataFrame] = []
        self._bytes = 0
        self._total = 0
        self._paths: list[Path] = []

    @property
    def bytes_per_row(self) -> float:
        return max(self._total / max(self.rows, 1), 1.0)

    def add(self, frame: pl.DataFrame) -> None:
        """Keeps a frame. Raises EnvironmentFailure when the disk is full."""
        self.rows += len(frame)
        self._held.append(frame)
        size = int(frame.estimated_size())
        self._bytes += size
        self._total += size
        if self._bytes > self.limit:
            self._write()

    def _write(self) -> None:
        with writing(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            for frame in self._held:
                path = self.folder / f"{len(self._paths):06d}.arrow"
                frame.write_ipc(path, compression="uncompressed")
                self._paths.append(path)
        self._held, self._bytes, self.limit = [], 0, 0

    def frames(self) -> Iterator[pl.DataFrame]:
        """The frames in the order in which they came; as often as asked."""
        for path in self._paths:
            with pa.OSFile(str(path)) as file:  # read, not mapped: mapped pages would count as resident
                yield pl.DataFrame(pa.ipc.open_file(file).read_all())
        yield from self._held

    def close(self) -> None:
        self._held = []
        shutil.rmtree(self.folder, ignore_errors=True)
