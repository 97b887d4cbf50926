"""What `tradewind stream` expects of a place that transactions come from, and the simplest one: standard input.

Not here: a file that is followed (`stream_file.py`), Kafka (`stream_kafka.py`), what becomes of a row (`stream.py`).
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

MOST_BYTES = 16 << 20  # of one line; a longer one is rejected, piece by piece
BLOCK_BYTES = 1 << 18

At: TypeAlias = Mapping[str, Any]
Say: TypeAlias = Callable[[str], None]
Pause: TypeAlias = Callable[[float], bool]  # waits so many seconds; False where it is time to end


@dataclass(frozen=True)
class Taken:
    """One row as it came. `where` names it for people, `at` for a program; `name` is the same whenever it is read again, None
    where it cannot be. `flaw` says why it cannot be a row at all."""

    text: bytes
    where: str
    at: At
    name: str | None = None
    flaw: str | None = None


class Source(Protocol):
    """Rows in their order. A row is done with when the next one is asked for."""

    def resume(self, position: At | None, decided: Sequence[At]) -> None:
        """Goes on behind a position that was kept, and behind the rows that were decided after it (`Taken.at`)."""
        ...

    def rows(self) -> Iterator[Taken | None]:
        """None where nothing is there at present, or where another file begins: a moment to keep the position."""
        ...

    @property
    def position(self) -> At | None:
        """Behind the last row that is done with; None where nothing can be read again."""
        ...

    def kept(self) -> None:
        """Everything up to `position` is decided, and that is on the disk."""
        ...

    def close(self) -> None: ...


class Lines:
    """Bytes to lines. `offset` is where the next line begins, `line` how many came before it; `unended`: the one before was
    taken without its end, which may still come."""

    def __init__(self, *, offset: int = 0, line: int = 0, unended: bool = False) -> None:
        self.offset, self.line = offset, line
        self.rest = b""
        self._unended = unended
        self._long = False

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, int, bool]]:
        """Each line that is whole, without its end, with where it began, and whether it is a piece of one that is too long."""
        if self._unended and piece.startswith(b"\n"):
            self.offset, piece = self.offset + 1, piece[1:]
        self._unended = False
        *whole, self.rest = (self.rest + piece).split(b"\n")
        for text in whole:
            yield self._taken(text, len(text) + 1, ends=True)
        if len(self.rest) > MOST_BYTES:
            text, self.rest = self.rest, b""
            self._long = True
            yield self._taken(text, len(text), ends=False)

    def end(self) -> Iterator[tuple[bytes, int, bool]]:
        """The last line, where it has no end of its own."""
        if self.rest:
            text, self.rest = self.rest, b""
            yield self._taken(text, len(text), ends=True)

    def _taken(self, text: bytes, length: int, *, ends: bool) -> tuple[bytes, int, bool]:
        start, long = self.offset, self._long
        self.offset += length
        self.line += ends
        self._long = long and not ends
        return (text.removeprefix(b"\xef\xbb\xbf") if start == 0 else text).strip(), start, long


class StandardInput:
    """Lines of a pipe until its end. What was read cannot be read again, so nothing is kept."""

    position: At | None = None

    def __init__(self, file: int, *, pause: Pause) -> None:
        self._file, self._pause = file, pause
        self._lines = Lines()

    def resume(self, position: At | None, decided: Sequence[At]) -> None:
        pass

    def rows(self) -> Iterator[Taken | None]:
        while self._pause(0):
            ready, _, _ = select.select([self._file], [], [], 0.2)
            if not ready:
                yield None
                continue
            piece = os.read(self._file, BLOCK_BYTES)
            for text, _, long in self._lines.feed(piece) if piece else self._lines.end():
                if text:
                    line, flaw = self._lines.line, "line_too_long" if long else None
                    yield Taken(text, f"stdin:{line}", {"line": line}, flaw=flaw)
            if not piece:
                return

    def kept(self) -> None:
        pass

    def close(self) -> None:
        pass
