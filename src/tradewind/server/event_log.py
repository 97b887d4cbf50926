"""The events of one customer of one product on this machine's disk: written before a reply leaves, read by every worker.

One file that all workers append to in turn, under a lock: whoever has the turn first reads what others wrote since, so all
see the events in one order and none is missed. A killed process loses nothing that it wrote; what it wrote half is cut off
by the next one. Not here: what an event means (`window_feed.py`).

    lock                 8 bytes: the number of the file that holds now
    events.N             16 bytes: a mark, and how many bytes behind it were copied from events.N-1; then records
    record               length (4 bytes), CRC-32 (4 bytes), payload; all little-endian
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tradewind.errors import EnvironmentFailure, VerificationFailed, writing

_NUMBER = struct.Struct("<Q")
_HEADER = struct.Struct("<8sQ")
_MARK = b"twevent1"
_HEAD = struct.Struct("<II")
_MOST_BYTES = 1 << 20  # of one payload; a longer length is damage
_READ_BYTES = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class News:
    """Payloads, oldest first. `anew`: they are all there are, in place of what was given before."""

    payloads: Sequence[bytes]
    anew: bool = False

    def then(self, later: News) -> News:
        return later if later.anew else News([*self.payloads, *later.payloads], self.anew)


class EventLog:
    """Open for reading and appending; safe for threads and processes. `size` is the length of the file that holds now.

    Raises EnvironmentFailure (disk_full, permission, read_only) where the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mine = threading.Lock()
        with writing(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._number = -1
        self._file = -1
        self._end = 0
        self._known = 0  # how far turns have given what there is
        self._inside = False
        self._unread = News(())  # what a compaction read on its way

    @property
    def size(self) -> int:
        return self._end

    @contextmanager
    def turn(self) -> Iterator[News]:
        """This process's turn: gives what was written since the last one; `append` within."""
        with self._mine:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._inside = True
            try:
                news, self._unread = self._unread.then(self._news()), News(())
                yield news
            finally:
                self._known = self._end
                self._inside = False
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def append(self, payload: bytes) -> None:
        """Within a turn. The operating system has it when this returns. Raises EnvironmentFailure disk_full, with the file at
        its former length."""
        assert self._inside
        assert len(payload) <= _MOST_BYTES
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = os.pwrite(self._file, record, self._end)
            if written != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, self._end)
            code = "disk_full" if error.errno in _FULL else "disk_failed"
            raise EnvironmentFailure(
                f"The event could not be written ({error.strerror}).", code=code, where=str(self.folder)
            ) from error
        self._end += len(record)

    def sync(self) -> None:
        """Everything written so far is on the disk when this returns: a power cut takes no more of it."""
        with self._mine:
            if self._file >= 0:
                os.fdatasync(self._file)

    def compact(self, keep: Callable[[bytes], bool]) -> bool:
        """Leaves out the payloads that `keep` is done with, of those that turns have given to this process: what others wrote
        since stays, and comes with the next turn. Others wait only while the newest events are copied. False where another
        process did so meanwhile, by what it knew: who must be sure takes a turn and asks again."""
        with self._mine:
            number, end, source = self._number, self._known, os.dup(self._file)
        part = self.folder / f"part.{secrets.token_hex(8)}"  # of its own: another worker may compact, too
        known = _HEADER.size
        try:
            with writing(str(part)), part.open("w+b") as file:
                file.write(_HEADER.pack(_MARK, 0))
                for payload, _ in _records(source, _HEADER.size, end):
                    if keep(payload):
                        file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
                kept = file.tell()
                with self.turn() as news:
                    self._unread = news
                    if self._number != number:  # another worker was first
                        return False
                    file.write(os.pread(source, self._end - end, end))
                    copied = file.tell() - _HEADER.size
                    file.seek(0)
                    file.write(_HEADER.pack(_MARK, copied))
                    file.flush()
                    os.fsync(file.fileno())
                    part.rename(self.folder / f"events.{number + 1}")
                    os.pwrite(self._lock, _NUMBER.pack(number + 1), 0)
                    self._open(number + 1, at=_HEADER.size + copied)
                    known = kept
                    for stray in self.folder.glob("part.*"):  # of whoever was killed, or comes too late
                        stray.unlink(missing_ok=True)
            (self.folder / f"events.{number}").unlink(missing_ok=True)
            return True
        finally:
            self._known = known
            os.close(source)
            part.unlink(missing_ok=True)

    def close(self) -> None:
        with self._mine:
            for file in (self._file, self._lock):
                if file >= 0:
                    os.close(file)
            self._file = self._lock = -1

    # ------------------------------------------------------------ within a turn

    def _news(self) -> News:
        raw = os.pread(self._lock, _NUMBER.size, 0)
        number = _NUMBER.unpack(raw)[0] if len(raw) == _NUMBER.size else 0
        if number == self._number:
            return News(self._read())
        if self._file >= 0 and number == self._number + 1:
            rest = self._read()  # what others still wrote to the former file; then comes a copy of what was read
            self._open(number, at=_HEADER.size + self._copied(number))
            return News(rest + self._read())
        self._open(number, at=_HEADER.size)
        return News(self._read(), anew=True)

    def _read(self) -> list[bytes]:
        size = os.fstat(self._file).st_size
        if size == self._end:
            return []
        found = []
        for payload, end in _records(self._file, self._end, size):
            found.append(payload)
            self._end = end
        if self._end < size:
            self._mend(size)
        return found

    def _mend(self, size: int) -> None:
        """A half record at the end is one whose writer was killed: nobody was told that it is there. Elsewhere it is damage."""
        rest = os.pread(self._file, min(size - self._end, _READ_BYTES), self._end)
        length = _HEAD.unpack_from(rest)[0] if len(rest) >= _HEAD.size else 0
        if length <= _MOST_BYTES and self._end + _HEAD.size + length < size:
            raise VerificationFailed(
                f"The event at byte {self._end} is damaged.", code="events_damaged", where=str(self.folder),
                hint="Check the disk, and move the file away: windows then begin anew.",
            )  # fmt: skip
        os.ftruncate(self._file, self._end)

    def _copied(self, number: int) -> int:
        with (self.folder / f"events.{number}").open("rb") as file:
            copied: int = _HEADER.unpack(file.read(_HEADER.size))[1]
        return copied

    def _open(self, number: int, *, at: int) -> None:
        if self._file >= 0:
            os.close(self._file)
        path = self.folder / f"events.{number}"
        with writing(str(path)):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.fstat(self._file).st_size < _HEADER.size:
                os.pwrite(self._file, _HEADER.pack(_MARK, 0), 0)
        self._number, self._end = number, at


def _records(file: int, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Payloads between two places with the place behind each; stops before what is not whole."""
    held, at = b"", start
    while True:
        more = os.pread(file, min(_READ_BYTES, end - at), at)
        at += len(more)
        held += more
        place = 0
        while len(held) - place >= _HEAD.size:
            length, checked = _HEAD.unpack_from(held, place)
            if length > _MOST_BYTES or len(held) - place < _HEAD.size + length:
                break
            payload = held[place + _HEAD.size : place + _HEAD.size + length]
            if zlib.crc32(payload) != checked:
                return
            place += _HEAD.size + length
            start += _HEAD.size + length
            yield payload, start
        held = held[place:]
        if not more or at >= end:
            return
