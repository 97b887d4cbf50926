"""Rows from a file that others write, as `tail -F` follows it: over rotation and truncation, and over the end of this process.

A file is known by its inode and by its first line, so it is found again under another name (`payments.jsonl.1`,
`payments.jsonl-20261128`), also where it was copied and then cut to nothing. What was rotated while nobody looked is read
to its end, oldest first, before the file of that name. Not here: what becomes of a row (`stream.py`).

    position   file        number-bytes-digest: the how many-th file, how long its first line is and what it is
               inode, end (bytes), line
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from tradewind.cli.stream_source import BLOCK_BYTES, At, Lines, Pause, Say, Taken
from tradewind.errors import InputError

POLL_S = 0.25
_HEAD_BYTES = 256
_QUIET = 2  # looks at a file that was moved away before it is taken to be at its end
_NUMBER_DIGITS = 4  # of a suffix that counts (.1 is the newest); a longer one is a date (the largest is the newest)


@dataclass
class _Opened:
    """One file while it is read. `number` counts the files of this stream."""

    file: int
    number: int
    inode: int
    lines: Lines = field(default_factory=Lines)
    head: bytes = b""  # the beginning of its first line, once that is whole

    @property
    def name(self) -> str:
        return _named(self.number, self.head)

    @property
    def read(self) -> int:
        return self.lines.offset + len(self.lines.rest)


class FollowedFile:
    """`follow` False: up to the end of what is there. Raises InputError stream_missing where there is nothing to begin with."""

    def __init__(self, path: Path, *, follow: bool, pause: Pause, say: Say, poll_s: float = POLL_S) -> None:
        if not (path.parent if follow else path).exists():
            raise InputError(
                "There is no such file.", code="stream_missing", where=str(path), hint="Give a file of JSON lines, or - for stdin."
            )  # fmt: skip
        if path.exists() and not path.is_file():
            raise InputError(
                "This is no file that can be read again.", code="stream_kind", where=str(path), hint="Pipe it: … | tradewind stream -"
            )  # fmt: skip
        self._path, self._follow, self._pause, self._say, self._poll_s = path.absolute(), follow, pause, say, poll_s
        self._key = hashlib.blake2b(str(self._path).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        self._rotated = re.compile(
            rf"{re.escape(path.stem)}(?:[.-](\d[\d_:T.-]*))?{re.escape(path.suffix)}(?:[.-](\d[\d_:T.-]*))?"
        )
        self._position: At | None = None
        self._current: _Opened | None = None
        self._waiting: deque[_Opened] = deque()  # to be read behind the current one, oldest first

    # ------------------------------------------------------------ the source

    @property
    def position(self) -> At | None:
        one = self._current
        if one is None:
            return self._position
        return {"file": one.name, "inode": one.inode, "end": one.lines.offset, "line": one.lines.line}

    def resume(self, position: At | None, decided: Sequence[At]) -> None:
        if position is None:
            return
        here = [at for at in decided if at["file"].partition("-")[0] == position["file"].partition("-")[0]]
        latest = max(here, key=lambda at: at["end"], default=position)
        self._position = {**position, **latest} if latest["end"] > position["end"] else position

    def rows(self) -> Iterator[Taken | None]:
        told = False
        while True:
            if not self._next():
                if not told and self._follow:
                    self._say(f"Waiting for {self._path}.")
                told = True
                yield None
                if not self._follow or not self._pause(self._poll_s):
                    return
                continue
            yield None  # the new place is kept before anything is read from it
            ended = yield from self._read()
            if ended:
                return

    def kept(self) -> None:
        pass

    def close(self) -> None:
        for one in [*self._waiting, *([self._current] if self._current else [])]:
            os.close(one.file)
        self._waiting.clear()
        self._position, self._current = self.position, None

    # ------------------------------------------------------------ which file

    def _next(self) -> bool:
        """Opens the file to be read now; False where it is not there yet."""
        if not self._waiting:
            self._waiting.extend(self._found())
        if not self._waiting:
            return False
        if self._current is not None:
            os.close(self._current.file)
        self._current = self._waiting.popleft()
        return True

    def _found(self) -> list[_Opened]:
        """The file that the position is in, where it must be read on, and all that came after it."""
        position = self.position
        if position is None:
            return self._fresh([self._path], number=0)
        number = int(position["file"].partition("-")[0])
        family = [*self._family(), self._path]
        opened = [(path, one) for path in family if (one := _open(path, number)) is not None]
        same = [place for place, (_, one) in enumerate(opened) if _same(one, position)]
        exact = [place for place in same if opened[place][1].inode == position["inode"]]
        for _, one in opened:
            if not same or one is not opened[(exact or same)[-1]][1]:
                os.close(one.file)
        if not same:
            if position["end"] and self._current is None:
                self._say(
                    f"! {self._path} is not the file that was read up to line {position['line']}, and that one is nowhere "
                    "beside it: what came after that line was not seen."
                )
            return self._fresh([self._path], number=number + bool(position["end"]))
        place = (exact or same)[-1]
        one = opened[place][1]
        later = self._fresh([path for path, _ in opened[place + 1 :]], number=number + 1)
        if self._current is not None and self._current.inode == one.inode:  # read to its end just now
            os.close(one.file)
            return later
        end = position["end"]
        unended = end > 0 and os.pread(one.file, 1, end - 1) != b"\n"
        one.lines = Lines(offset=end, line=position["line"], unended=unended)
        one.head = os.pread(one.file, int(position["file"].split("-")[1]), 0)
        os.lseek(one.file, end, os.SEEK_SET)
        return [one, *later]

    def _family(self) -> list[Path]:
        """What was rotated away from the path, the oldest first."""
        found = []
        for path in self._path.parent.iterdir():
            match = self._rotated.fullmatch(path.name)
            suffix = match and (match[1] or match[2])
            if suffix and path != self._path:
                counts = suffix.isdigit() and len(suffix) <= _NUMBER_DIGITS
                found.append(((1, -int(suffix), "") if counts else (0, 0, suffix), path))
        return [path for _, path in sorted(found)]

    def _fresh(self, paths: Sequence[Path], *, number: int) -> list[_Opened]:
        opened = [_open(path, number + place) for place, path in enumerate(paths)]
        return [one for one in opened if one is not None]

    # ------------------------------------------------------------ reading one file

    def _read(self) -> Generator[Taken | None, None, bool]:
        """Its rows to its end. Returns whether the whole stream ends there."""
        one, quiet = self._current, 0
        assert one is not None
        while True:
            piece = os.read(one.file, BLOCK_BYTES)
            if piece:
                quiet = 0
                yield from self._taken(one, piece)
                continue
            fate = self._fate(one)
            if fate == "rewritten":
                yield from self._cut(one)
                return False
            if fate == "moved" and (quiet >= _QUIET or not self._follow or self._waiting):
                yield from self._rest(one)
                return False
            if fate == "here" and not self._follow:
                yield from self._unfinished(one)
                return True
            quiet = quiet + 1 if fate == "moved" else 0
            yield None
            if not self._pause(self._poll_s):
                return True

    def _fate(self, one: _Opened) -> Literal["here", "moved", "rewritten"]:
        size = os.fstat(one.file).st_size
        if size < one.lines.offset or os.pread(one.file, len(one.head), 0) != one.head:
            return "rewritten"
        if size < one.read:  # its writer took half a line back
            one.lines.rest = b""
            os.lseek(one.file, one.lines.offset, os.SEEK_SET)
        try:
            here = self._path.stat().st_ino == one.inode
        except FileNotFoundError:
            here = True  # renamed, and not made anew yet
        return "here" if here else "moved"

    def _taken(self, one: _Opened, piece: bytes) -> Iterator[Taken]:
        for text, start, long in one.lines.feed(piece):
            if not one.head:
                one.head = os.pread(one.file, min(_HEAD_BYTES, one.lines.offset), 0)
            if text:
                yield self._row(one, text, start, "line_too_long" if long else None)

    def _rest(self, one: _Opened) -> Iterator[Taken]:
        """The last line of a file that nobody writes to any more, also where it has no end."""
        for text, start, _ in one.lines.end():
            one.head = one.head or os.pread(one.file, min(_HEAD_BYTES, one.lines.offset), 0)
            if text:
                yield self._row(one, text, start)

    def _unfinished(self, one: _Opened) -> Iterator[Taken]:
        """The last line of a file that may yet grow: a whole object is a row, anything less is left for the next time."""
        if not one.lines.rest.strip():
            return
        try:
            msgspec.json.decode(one.lines.rest, type=dict)
        except (ValueError, RecursionError):
            self._say(
                f"! {self._path}:{one.lines.line + 1}: the last line has no end yet; it is left for the next time."
            )
            return
        yield from self._rest(one)

    def _cut(self, one: _Opened) -> Iterator[Taken]:
        """The file was cut short, or written anew. Where a copy stands beside it the rest is read there."""
        position = self.position
        assert position is not None
        copies = [found for path in self._family() if (found := _open(path, 0)) is not None]
        copied = any(_same(copy, position) for copy in copies)
        for copy in copies:
            os.close(copy.file)
        one.inode = -1  # the path holds another file now, under the inode of this one
        if copied:
            return
        self._say(f"! {self._path} was cut short at line {one.lines.line + 1}: what had not been read of it is gone.")
        start = one.lines.offset
        for text, _, _ in one.lines.end():
            if text:
                yield self._row(one, text, start, "cut_off")
        self._waiting.extend(self._fresh([self._path], number=one.number + 1))

    def _row(self, one: _Opened, text: bytes, start: int, flaw: str | None = None) -> Taken:
        at = {"file": one.name, "end": one.lines.offset, "line": one.lines.line}
        return Taken(text, f"{self._path.name}:{one.lines.line}", at, f"{self._key}-{one.name}-{start}", flaw)


def _open(path: Path, number: int) -> _Opened | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    return _Opened(file, number, os.fstat(file).st_ino)


def _named(number: int, head: bytes) -> str:
    return f"{number}-{len(head)}-{hashlib.blake2b(head, digest_size=6).hexdigest()}"


def _same(one: _Opened, position: At) -> bool:
    """Whether it is the file that the position is in, or a copy of it."""
    name: str = position["file"]
    number, length, _ = name.split("-")
    if os.fstat(one.file).st_size < position["end"]:
        return False
    if length == "0":  # no line of it was whole yet
        inode: int = position["inode"]
        return one.inode == inode
    return _named(int(number), os.pread(one.file, int(length), 0)) == name
