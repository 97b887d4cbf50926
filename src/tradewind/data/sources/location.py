"""Where bytes come from: a path, glob, folder or fsspec URL becomes files on this machine.

Remote files are fetched once, whole, into a temporary folder (under TMPDIR): every pass then sees the same bytes.
Not here: what the bytes mean (`detect.py` and the readers); SQL URLs (`sql.py`).
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from tradewind.data.sources.remote import fetch
from tradewind.errors import DataError, EnvironmentFailure, nearest, writing

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".xlsx", ".xls", ".xlsb", ".ods")
DICOM = (".dcm", ".dicom")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", *DICOM)
RECORDINGS = (".wav", ".flac", ".mp3", ".ogg", ".oga")
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_GLOB = re.compile(r"[*?\[]")
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class File:
    """One file on this machine and the `name` under which errors show it (a path as written, or a URL)."""

    path: Path
    name: str

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True)
class Found:
    """The files of a source in order, the folder when it is one, and the temporary folder to remove, if any."""

    files: tuple[File, ...]
    folder: Path | None = None
    spool: Path | None = None


def is_url(path: str) -> bool:
    return bool(_URL.match(path))


def shown(path: str) -> str:
    """`path` without a user, a password or a query: what may stand in errors, logs and provenance."""
    if not is_url(path):
        return path
    parts = urlsplit(path)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def find(path: str, *, base: Path) -> Found:
    """The files behind `path`, a relative one taken from `base`; a folder or glob gives its files sorted by name.

    Raises DataError when there is nothing there, EnvironmentFailure when it may not be read or reached.
    """
    if path.startswith("file://"):
        path = path.removeprefix("file://")
    if is_url(path):
        return _remote(path)
    place = base / Path(path).expanduser()
    with reading(path):
        if place.is_file():
            return Found((File(place, path),))
        if place.is_dir():
            return Found(_tables(place, path), folder=place)
        if _GLOB.search(path):
            return _glob(path, base)
        if place.exists():
            raise DataError("It is neither a file nor a folder.", code="not_a_file", where=path)
    near = nearest(place.name, _neighbours(place.parent))
    raise DataError(
        "There is no such file.", code="missing", where=path,
        hint=f"It was looked for at {place.absolute()}." + (f" {near}" if near else ""),
    )  # fmt: skip


def _neighbours(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _visible(path: Path) -> bool:
    return not path.name.startswith((".", "_"))


def _glob(pattern: str, base: Path) -> Found:
    place = Path(pattern).expanduser()
    root, tail = (Path(place.anchor), str(place.relative_to(place.anchor))) if place.is_absolute() else (base, pattern)
    matches = sorted(found for found in root.glob(tail) if found.is_file() and _visible(found))
    if not matches:
        raise DataError(
            "No file matches this pattern.", code="missing", where=pattern,
            hint=f"It was looked for below {root.absolute()}.",
        )  # fmt: skip
    return Found(tuple(File(match, _relative(match, base)) for match in matches))


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


def _tables(folder: Path, name: str) -> tuple[File, ...]:
    """The table files directly in `folder`, sorted; none when it holds none (it may be a folder of images)."""
    files = [entry for entry in sorted(folder.iterdir()) if entry.is_file() and _visible(entry) and table_suffix(entry)]
    return tuple(File(entry, f"{name.rstrip('/')}/{entry.name}") for entry in files)


def table_suffix(path: Path) -> str:
    """The suffix that says which table format it is, without .gz; empty when it is no table."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in TABLES else ""


def _remote(path: str) -> Found:
    with writing(tempfile.gettempdir()):
        spool = Path(tempfile.mkdtemp(prefix="tradewind-"))
    try:
        fetched = fetch(path, spool, shown=shown(path))
    except BaseException:
        shutil.rmtree(spool, ignore_errors=True)
        raise
    prefix = shown(path).rstrip("/")
    if fetched.single:
        return Found((File(fetched.paths[0], prefix),), spool=spool)
    tables = [found for found in fetched.paths if table_suffix(found)]
    root = re.sub(r"/[^/]*[*?\[].*$", "", prefix)
    files = tuple(File(found, f"{root}/{found.relative_to(spool).as_posix()}") for found in tables)
    return Found(files, folder=spool, spool=spool)


def remove_with(owner: object, spool: Path | None) -> None:
    """Removes the temporary folder when `owner` is gone, at the latest when the process ends."""
    if spool is not None:
        weakref.finalize(owner, shutil.rmtree, spool, ignore_errors=True)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns the operating system's refusal to read `name` into one clear error."""
    try:
        yield
    except PermissionError as error:
        raise EnvironmentFailure(
            "It may not be read.", code="permission", where=name, hint="Check the owner and mode of the file."
        ) from error
    except FileNotFoundError as error:
        raise DataError("The file went away while it was read.", code="missing", where=name) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            "It begins as a gzip file, but its end is missing or damaged.", code="gzip_broken", where=name,
            hint="Fetch or write the file again.",
        ) from error  # fmt: skip
    except OSError as error:
        raise EnvironmentFailure(
            f"It cannot be read ({error.strerror or error}).", code="unreadable", where=name
        ) from error


def open_bytes(file: File) -> BinaryIO:
    """The bytes of `file`, unpacked where it is gzip. Read inside `reading(file.name)`."""
    stream = file.path.open("rb")
    head = stream.read(2)
    stream.seek(0)
    if head != GZIP:
        return stream
    stream.close()
    return cast(BinaryIO, io.BufferedReader(gzip.open(file.path, "rb"), 1 << 20))


def head_of(file: File, count: int) -> bytes:
    """The first `count` bytes, unpacked where it is gzip."""
    with reading(file.name), open_bytes(file) as stream:
        return stream.read(count)
