"""What `tradewind stream` writes: decisions, rejected rows, and how far it came, so that a killed one goes on without a gap.

The decisions are the books: each says which row it is of. The kept position may lag behind them; what stands after it in the
two files is read at the next start. Not here: where rows come from (`stream_source.py`), what is decided (`stream.py`).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tradewind.cli.stream_source import At, Taken
from tradewind.errors import InputError, TradewindError, writing
from tradewind.files import read_json, write_json


class Ledgered:
    """A file of JSON lines that is appended to. A line that a kill left half is cut off at the next start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("ab")

    @property
    def bytes(self) -> int:
        return self._file.tell()

    def since(self, start: int) -> Iterator[At]:
        """Which rows are told of behind `start`."""
        if start > self.path.stat().st_size:  # taken away and begun anew
            start = 0
        with self.path.open("r+b") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(start)
                    break
                start += len(line)
                yield json.loads(line)["at"]
        self._file.seek(0, os.SEEK_END)

    def write(self, line: Mapping[str, Any]) -> None:
        with writing(str(self.path)):
            self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def flush(self) -> None:
        with writing(str(self.path)):
            self._file.flush()

    def sync(self) -> None:
        with writing(str(self.path)):
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Books:
    """`out` None: decisions go to stdout, which nobody can read again. `place` holds the position; one stream at a time has it.

    Raises InputError stream_running, EnvironmentFailure where something cannot be written.
    """

    def __init__(self, *, out: Path | None, rejects: Path, place: Path) -> None:
        self._place = place
        with writing(str(place)):
            place.parent.mkdir(parents=True, exist_ok=True)
            self._lock = place.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise InputError(
                "Another stream reads the same transactions into the same file.", code="stream_running", where=str(place),
                hint="End that one, or give another --out.",
            ) from error  # fmt: skip
        self._out = Ledgered(out) if out is not None else None
        self._rejects_path, self._rejects = rejects, Ledgered(rejects) if rejects.exists() else None
        self._kept: At | None = None

    def recover(self) -> tuple[At | None, list[At]]:
        """The kept position, and the rows that were decided or rejected after it."""
        if not self._place.exists():
            return None, []
        kept = read_json(self._place)
        self._kept = kept["position"]
        found = list(self._out.since(kept["out_bytes"])) if self._out is not None else []
        if self._rejects is not None:
            found += self._rejects.since(kept["rejects_bytes"])
        return kept["position"], found

    def decided(self, decision: Mapping[str, Any]) -> None:
        if self._out is not None:
            self._out.write(decision)
        else:
            sys.stdout.write(json.dumps(decision, ensure_ascii=False, allow_nan=False) + "\n")

    def rejected(self, taken: Taken, error: TradewindError) -> None:
        """Keeps a row whole, with what is wrong with it. Decisions before it go first: the furthest row of both files tells
        how far the stream came."""
        self.flush()
        if self._rejects is None:
            self._rejects = Ledgered(self._rejects_path)
        try:
            kept = {"text": taken.text.decode()}
        except UnicodeDecodeError:
            kept = {"base64": base64.b64encode(taken.text).decode()}
        told = {"where": taken.where, "column": error.where, "code": error.code, "message": error.message}
        self._rejects.write({**told, **kept, "at": dict(taken.at)})
        self._rejects.flush()

    def flush(self) -> None:
        """Whoever reads along sees everything that was decided; a kill loses none of it."""
        if self._out is not None:
            self._out.flush()
        else:
            sys.stdout.flush()

    def keep(self, position: At | None) -> None:
        """Position and files to the disk: a power cut takes nothing of what is kept."""
        self.flush()
        if position is None or position == self._kept:
            return
        for file in (self._out, self._rejects):
            if file is not None:
                file.sync()
        sizes = {
            "out_bytes": self._out.bytes if self._out is not None else 0,
            "rejects_bytes": self._rejects.bytes if self._rejects is not None else 0,
        }
        write_json(self._place, {"position": position, **sizes})
        self._kept = position

    def close(self) -> None:
        for file in (self._out, self._rejects, self._lock):
            if file is not None:
                file.close()
