"""Records put down on disk between two passes, so that none has to be read, repaired and judged twice.

Not here: what they are (`document_records.py`, `text_pairs.py`). A spool lies in the unfinished artifact and goes when that is finished.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

Record = TypeVar("Record")


class Spool(Generic[Record]):
    """Dataclasses of one `kind` on disk, one JSON a line, read again in any order."""

    def __init__(self, path: Path, kind: type[Record]) -> None:
        self._path = path
        self._file = path.open("wb", buffering=1 << 20)
        self._at = array("q", [0])
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(kind).decode

    def __len__(self) -> int:
        return len(self._at) - 1

    def add(self, record: Record) -> None:
        line = self._encode(record)
        self._file.write(line)
        self._at.append(self._at[-1] + len(line))

    def finish(self) -> None:
        self._file.close()

    def read(self, places: Iterable[int]) -> Iterator[Record]:
        """The records at `places`; quick where these grow."""
        with self._path.open("rb", buffering=1 << 20) as file:
            here = 0
            for place in places:
                begin, end = self._at[place], self._at[place + 1]
                if begin != here:
                    file.seek(begin)
                yield self._decode(file.read(end - begin))
                here = end

    def remove(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
