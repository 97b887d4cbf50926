"""A folder of images, one folder for each class: columns `image` (absolute path) and `label` (the folder's name).

Not here: decoding them (`features/image.py`); a table that names images is a table (`csv.py` …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tradewind.data.sources.contract import Chunk, Reject, Request, chosen
from tradewind.data.sources.location import IMAGES, reading, shown
from tradewind.errors import DataError
from tradewind.files import digest_file, digest_json

_CHUNK_ROWS = 4096


class ImagesReader:
    """FOLDER/CLASS/**/*.png and other images, sorted by path. `lines` count the images from 1."""

    def __init__(self, request: Request) -> None:
        self._where = shown(request.source.path)
        self._folder = request.base
        with reading(self._where):
            classes = sorted(inner for inner in self._folder.iterdir() if inner.is_dir() and inner.name[0] not in "._")
            self._images = [(path, inner.name) for inner in classes for path in _images(inner)]
            loose = any(path.suffix.lower() in IMAGES for path in self._folder.iterdir())
        if not self._images:
            raise DataError(
                "The images lie in no folders." if loose else "There is no image in the folders below.",
                code="images_missing", where=self._where,
                hint=f"Put them in one folder for each class: {self._where.rstrip('/')}/CLASS/NAME.png "
                f"({', '.join(IMAGES)}).",
            )  # fmt: skip
        if len({label for _, label in self._images}) < 2:
            raise DataError(
                f"All images are of one class, {self._images[0][1]!r}.", code="images_one_class", where=self._where,
                hint="Give the folder that holds one folder for each of two or more classes.",
            )  # fmt: skip
        self._names = chosen(("image", "label"), request, where=self._where)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        return {
            "format": "images",
            "files": [],
            "images": len(self._images),
            "bytes": sum(path.stat().st_size for path, _ in self._images),
        }

    def fingerprint(self) -> str:
        with reading(self._where):
            return digest_json([[self._relative(path), digest_file(path)] for path, _ in self._images])

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        for start in range(0, len(self._images), _CHUNK_ROWS):
            part = self._images[start : start + _CHUNK_ROWS]
            data = {"image": [str(path.absolute()) for path, _ in part], "label": [label for _, label in part]}
            frame = pl.DataFrame(data, schema={"image": pl.String, "label": pl.String}).select(self._names)
            yield Chunk(frame, np.arange(start + 1, start + 1 + len(part), dtype=np.int64), self._where)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _images(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in IMAGES and path.name[0] != "." and path.is_file()
    )
