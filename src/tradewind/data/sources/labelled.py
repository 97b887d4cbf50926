"""A folder of files, one folder for each class: columns `image` or `audio` (absolute path) and `label` (the folder's name).

Not here: decoding them (`features/image.py`, `features/recording.py`); a table that names files is a table (`csv.py` …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tradewind.data.sources.contract import Chunk, Reject, Request, chosen
from tradewind.data.sources.location import IMAGES, RECORDINGS, reading, shown
from tradewind.errors import DataError
from tradewind.files import digest_file, digest_json

_CHUNK_ROWS = 4096


class _LabelledFolder:
    """FOLDER/CLASS/**/*.SUFFIX, sorted by path. `lines` count the files from 1. A subclass says what the files are."""

    format: ClassVar[str]
    column: ClassVar[str]
    noun: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def __init__(self, request: Request) -> None:
        self._where = shown(request.source.path)
        self._folder = request.base
        with reading(self._where):
            classes = sorted(inner for inner in self._folder.iterdir() if inner.is_dir() and inner.name[0] not in "._")
            self._found = [(path, inner.name) for inner in classes for path in self._files(inner)]
            loose = any(path.suffix.lower() in self.suffixes for path in self._folder.iterdir())
        if not self._found:
            raise DataError(
                f"The {self.noun} lie in no folders." if loose else f"There are no {self.noun} in the folders below.",
                code=f"{self.format}_missing", where=self._where,
                hint=f"Put them in one folder for each class: {self._where.rstrip('/')}/CLASS/NAME{self.suffixes[0]} "
                f"({', '.join(self.suffixes)}).",
            )  # fmt: skip
        if len({label for _, label in self._found}) < 2:
            raise DataError(
                f"All {self.noun} are of one class, {self._found[0][1]!r}.", code=f"{self.format}_one_class", where=self._where,
                hint="Give the folder that holds one folder for each of two or more classes.",
            )  # fmt: skip
        self._names = chosen((self.column, "label"), request, where=self._where)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        return {
            "format": self.format,
            "files": [],
            self.noun: len(self._found),
            "bytes": sum(path.stat().st_size for path, _ in self._found),
        }

    def fingerprint(self) -> str:
        with reading(self._where):
            return digest_json([[self._relative(path), digest_file(path)] for path, _ in self._found])

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        for start in range(0, len(self._found), _CHUNK_ROWS):
            part = self._found[start : start + _CHUNK_ROWS]
            data = {self.column: [str(path.absolute()) for path, _ in part], "label": [label for _, label in part]}
            frame = pl.DataFrame(data, schema={self.column: pl.String, "label": pl.String}).select(self._names)
            yield Chunk(frame, np.arange(start + 1, start + 1 + len(part), dtype=np.int64), self._where)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _files(self, folder: Path) -> list[Path]:
        return sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in self.suffixes and path.name[0] != "." and path.is_file()
        )


class ImagesReader(_LabelledFolder):
    format = "images"
    column = "image"
    noun = "images"
    suffixes = IMAGES


class AudioReader(_LabelledFolder):
    format = "audio"
    column = "audio"
    noun = "recordings"
    suffixes = RECORDINGS
