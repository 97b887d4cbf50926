"""A worker's journal: what it served, written down before the reply leaves. Not here: the database (`ledger.py`).

A journal is a folder of segments, each named by the offset of its first byte, so that offsets only grow while settled
segments are deleted. A record is a length (4 bytes), a CRC-32 of the payload (4 bytes), both little-endian, and the
payload: all events of one request in MessagePack, so that a request is there whole or not at all. The writer holds a
lock on the folder while it lives: whoever gets that lock knows that the writer is gone. (A child forked without exec
would hold it too: a worker starts its children by spawning.)
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from tradewind.errors import EnvironmentFailure, VerificationFailed, writing

_HEAD = struct.Struct("<II")
_MOST_BYTES = 1 << 16  # of one payload; a longer length is damage
_SEGMENT_BYTES = 16 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one request used of one meter: one row of `usage_events`. New fields go to the end, with a default.

    `units` is 0 or more; `outcome` is complete or disconnected; moments are milliseconds since 1970 in UTC.
    """

    request_id: str
    account_id: str
    key_id: str
    subscription_id: str
    period_start_ms: int
    meter: str
    units: int
    product: str
    release: str
    price_version: str
    outcome: str
    at_ms: int

    def __post_init__(self) -> None:
        # What the database would refuse must not come into a journal: it could never be settled.
        assert len(self.request_id) <= 64
        assert self.units >= 0


@dataclass(frozen=True)
class Record:
    """The events of one request, and the offset behind it: the place to go on from once they are settled."""

    events: tuple[Event, ...]
    end: int


class JournalDamaged(VerificationFailed):
    """A record in the middle of a journal does not hold. `resume_at` is the offset of the next one that does."""

    def __init__(self, message: str, *, where: str, resume_at: int) -> None:
        super().__init__(
            message,
            code="journal_damaged",
            where=where,
            hint="Replies recorded there cannot be billed. Check the disk; later records are whole.",
        )
        self.resume_at = resume_at


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[Event, ...])


class Journal:
    """The journal at `folder`, open for appending; safe for threads. One writer: a second one raises.

    Raises EnvironmentFailure `journal_in_use` where another writer lives, `disk_full`, `permission` or `read_only`
    where the folder cannot be made. A torn tail left by a killed writer is cut off.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._turn = threading.Lock()
        self._syncing = threading.Lock()
        self._torn = False
        self._failure: EnvironmentFailure | None = None
        with writing(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder)
        if self._lock is None:
            raise EnvironmentFailure("Another process writes this journal.", code="journal_in_use", where=str(folder))
        try:
            self._start = max(_segments(folder), default=0)
            self._end = max((record.end for record in replay(folder, self._start)), default=self._start)
            with writing(str(folder)):
                self._fd = self._open(self._start)
                os.ftruncate(self._fd, self._end - self._start)
        except BaseException:
            os.close(self._lock)
            raise
        self._synced = self._start

    @property
    def end(self) -> int:
        """The offset behind the last record."""
        return self._end

    def append(self, events: Sequence[Event]) -> int:
        """Writes the events of one request as one record and returns the offset behind it. The operating system has
        it then: a killed process loses nothing; a power cut may, until `sync`.

        Raises EnvironmentFailure `disk_full` with the journal at its former length; any other failure of the disk
        raises `journal_failed`.
        """
        payload = _encode(events)
        assert 0 < len(payload) <= _MOST_BYTES
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        with self._turn:
            if self._failure is not None or self._torn:
                self._mend()
            try:
                if self._end - self._start >= self._segment_bytes:
                    self._next_segment()
                written = os.write(self._fd, record)
            except OSError as error:
                self._cut()
                raise self._refusal(error) from error
            if written != len(record):
                self._cut()
                raise self._refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            self._end += written
            return self._end

    def sync(self, offset: int | None = None) -> None:
        """Returns when every record before `offset` (all of them by default) is on the disk; one fdatasync serves all
        threads that wait for it.

        Raises EnvironmentFailure `journal_failed` where the disk says no. From then on the journal takes no record:
        a second fdatasync may report success for pages that were lost (https://lwn.net/Articles/752063/).
        """
        wanted = self._end if offset is None else offset
        with self._syncing:
            if self._synced >= wanted:
                return
            with self._turn:
                if self._failure is not None:
                    raise self._failure
                end, fd = self._end, os.dup(self._fd)
            try:
                os.fdatasync(fd)
            except OSError as error:
                self._failure = _failed(self.folder, error)
                raise self._failure from error
            finally:
                os.close(fd)
            self._synced = end

    def trim(self, settled: int) -> None:
        """Deletes the segments that lie wholly before `settled`, the offset that the database holds."""
        starts = _segments(self.folder)
        for start, following in pairwise(starts):
            if following <= settled:
                _segment(self.folder, start).unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the files and of the lock. Closing twice is harmless; a record after it is refused."""
        with self._turn:
            if self._lock is not None:
                self._failure = self._failure or _failed(self.folder, OSError(errno.EBADF, os.strerror(errno.EBADF)))
                os.close(self._fd)
                os.close(self._lock)
                self._lock = None

    def _open(self, start: int) -> int:
        path = _segment(self.folder, start)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        assert self._lock is not None
        try:
            os.fsync(self._lock)  # the folder: the name of a new file is data too
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _next_segment(self) -> None:
        fd = self._open(self._end)
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            os.close(fd)
            self._failure = _failed(self.folder, error)
            raise
        os.close(self._fd)
        self._fd, self._start, self._synced = fd, self._end, self._end

    def _cut(self) -> None:
        try:
            os.ftruncate(self._fd, self._end - self._start)
            self._torn = False
        except OSError:
            self._torn = True

    def _mend(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._cut()
        if self._torn:
            raise _failed(self.folder, OSError(errno.EIO, os.strerror(errno.EIO)))

    def _refusal(self, error: OSError) -> EnvironmentFailure:
        if error.errno in _FULL:
            return EnvironmentFailure(
                "No space is left for the journal, so the reply was not let go and is not billed.",
                code="disk_full",
                where=str(self.folder),
                hint="Free some space, or set TRADEWIND_HOME to another disk.",
            )
        return _failed(self.folder, error)


def replay(folder: Path, offset: int = 0) -> Iterator[Record]:
    """The records from `offset` on, in order; a torn tail ends them quietly, for its reply never left.

    May be read while the writer lives. Raises JournalDamaged where records that hold follow one that does not, or a
    segment is missing; FileNotFoundError where there is no journal.
    """
    starts = _segments(folder)
    if not starts:
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        return
    if starts[0] > offset:
        raise _damaged(folder, offset, resume_at=starts[0])
    for position, start in enumerate(starts):
        following = starts[position + 1] if position + 1 < len(starts) else None
        if following is not None and following <= offset:
            continue
        data = _segment(folder, start).read_bytes()
        place = max(offset - start, 0)
        while (record := _record(data, place)) is not None:
            place += _HEAD.size + len(record)
            yield Record(_decoder.decode(record), start + place)
        if place < len(data):
            later = _next_whole(data, place + 1)
            if later is not None:
                raise _damaged(folder, start + place, resume_at=start + later)
        if following is not None and start + place != following:
            raise _damaged(folder, start + place, resume_at=following)


def abandoned(folder: Path) -> bool:
    """Whether the journal lies here and nobody writes it: its worker has died, or ended."""
    if not folder.is_dir():
        return False
    lock = _lock(folder)
    if lock is None:
        return False
    os.close(lock)
    return True


def discard(folder: Path) -> None:
    """Deletes a journal that is settled whole."""
    shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> int | None:
    # The folder itself is locked: a lock file could be deleted and made again under another writer.
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _segment(folder: Path, start: int) -> Path:
    return folder / f"{start:020d}.journal"


def _segments(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.journal"))


def _record(data: bytes, place: int) -> bytes | None:
    if len(data) - place < _HEAD.size:
        return None
    length, crc = _HEAD.unpack_from(data, place)
    payload = data[place + _HEAD.size : place + _HEAD.size + length]
    # Length 0 is what a power cut leaves: a tail of zeros, whose CRC would hold.
    if not 0 < length <= _MOST_BYTES or len(payload) != length or zlib.crc32(payload) != crc:
        return None
    return payload


def _next_whole(data: bytes, place: int) -> int | None:
    for start in range(place, len(data) - _HEAD.size):
        if _record(data, start) is not None:
            return start
    return None


def _damaged(folder: Path, offset: int, *, resume_at: int) -> JournalDamaged:
    return JournalDamaged(
        f"The bytes from {offset} to {resume_at} are no record.", where=f"{folder}:{offset}", resume_at=resume_at
    )


def _failed(folder: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"The journal cannot be written: {os.strerror(error.errno or errno.EIO)}.",
        code="journal_failed",
        where=str(folder),
        hint="Check the disk, then start the worker again.",
    )
