"""The sources: opening what a product file names, whatever its format and wherever it lies, as chunks of rows.

Not here: the formats themselves (one file each, found as entry points of `tradewind.sources`), checks and cleaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl

from tradewind import plugins
from tradewind.data.sources.contract import Chunk, Reader, Reject, Request
from tradewind.data.sources.detect import format_of
from tradewind.data.sources.location import IMAGES, RECORDINGS, Found, find, is_url, remove_with, shown
from tradewind.errors import DataError
from tradewind.product import Source

__all__ = ["Chunk", "OpenSource", "Reject", "open_source"]

_LABELLED = {"images": IMAGES, "audio": RECORDINGS}  # formats that are a folder for each class, and their suffixes
_DATABASES = ("sqlite", "postgres", "postgresql", "mysql", "mariadb", "oracle", "mssql")
Extension = Callable[[Chunk, int, list[Reject]], Chunk]
# So many rejected rows, and more of them than rows that could be read, mean that the file was misunderstood.
_MANY_REJECTS = 100_000


class OpenSource:
    """One source of a product, ready to be read as often as needed.

    `names` are the chosen columns in the source's order; `rejects` are those of the latest pass, complete when its
    last chunk was taken; `rows` counts that pass.
    """

    def __init__(self, source: Source, reader: Reader, found: Found | None, base: Path) -> None:
        self.source = source
        self.rejects: list[Reject] = []
        self.rows = 0
        self.head: pl.DataFrame | None = None  # its first rows, once somebody has asked for them
        self._reader = reader
        self._further: tuple[str, ...] = ()
        self._extensions: tuple[Extension, ...] = ()
        self._files = found.files if found else ()
        self._base = found.folder if found and found.folder else base
        if found and found.files and not found.folder:
            self._base = found.files[0].path.parent
        self._product_folder = base
        self._fingerprint: str | None = None
        remove_with(self, found.spool if found else None)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._reader.names, *self._further)

    def extend(self, names: Sequence[str], extension: Extension) -> None:
        """From now on each chunk has further columns, which `extension` adds: it is given the chunk, how many rows came
        before it, and where to put rows that it leaves out."""
        self._further, self._extensions = (*self._further, *names), (*self._extensions, extension)

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order, from the beginning on every call.

        Raises DataError when no row can be read, or nearly none, and for damage that makes the rest unreadable.
        """
        rejects: list[Reject] = []
        self.rejects, self.rows = rejects, 0
        for chunk in self._reader.chunks(rejects):
            before = self.rows
            self.rows += chunk.frame.height
            for extension in self._extensions:
                chunk = extension(chunk, before, rejects)
            if len(rejects) > _MANY_REJECTS and len(rejects) > self.rows:
                raise self._rejected(rejects, "More rows were rejected than read")
            yield chunk
        if len(rejects) > self.rows > 0:
            raise self._rejected(rejects, "More rows were rejected than read")
        if self.rows == 0:
            if rejects:
                raise self._rejected(rejects, "Every row was rejected")
            raise DataError("There are no rows.", code="no_rows", where=shown(self.source.path))

    def _rejected(self, rejects: list[Reject], what: str) -> DataError:
        first = rejects[0]
        return DataError(
            f"{what} ({len(rejects)}). The first: {first.reason}: {first.text[:80]}",
            code="all_rejected", where=f"{first.file}:{first.line}",
            hint="Compare this line with the header; say delimiter, header or format if they were taken for others.",
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Digest of the files' bytes (several: of their digests in order), or of a database's rows."""
        if self._fingerprint is None:
            self._fingerprint = self._reader.fingerprint()
        return self._fingerprint

    def provenance(self) -> dict[str, Any]:
        """Where the rows came from, as JSON: uri, files, bytes, digest, licence and what was found out. No secrets."""
        return {
            "uri": shown(self.source.path),
            "files": [file.name for file in self._files],
            "bytes": sum(file.bytes for file in self._files) if self._files else None,
            "digest": self.fingerprint(),
            "licence": self.source.licence,
            **self._reader.facts,
        }

    def locate(self, value: str) -> str:
        """The absolute path of a file named in a table: beside the table if it is there, else in the product's folder."""
        path = Path(value).expanduser()
        if path.is_absolute():
            return str(path)
        beside = self._base / path
        return str((beside if beside.exists() else self._product_folder / path).absolute())


def open_source(
    source: Source, *, base: Path, memory: int, only: Sequence[str] | None = None, drop: Sequence[str] = ()
) -> OpenSource:
    """Opens `source`, relative paths taken from `base`; reading holds at most a part of `memory` bytes at once.

    Raises DataError when it is missing, not what it says, or lacks a named column; EnvironmentFailure when a package,
    a permission, the network or a credential is missing.
    """
    where = shown(source.path)
    chosen = tuple(only) if only is not None else None
    if source.format == "sql" or (is_url(source.path) and _scheme(source.path) in _DATABASES):
        request = Request(source, (), base, memory, chosen, tuple(drop))
        return OpenSource(source, _reader("sql", request), None, base)
    found = find(source.path, base=base)
    labelled: str | None = source.format if source.format in _LABELLED else None
    if source.format == "auto" and not found.files:
        labelled = next((name for name, suffixes in _LABELLED.items() if _has_files(found, suffixes)), None)
    if labelled is not None:
        request = Request(source, (), found.folder or base, memory, chosen, tuple(drop))
        if found.folder is None:
            raise DataError(
                f"A folder with one folder of {labelled} for each class was expected.", code="not_a_folder", where=where
            )
        return OpenSource(source, _reader(labelled, request), found, base)
    if not found.files:
        raise DataError(
            "The folder holds no table (CSV, TSV, JSONL, Parquet, Excel) and no folders of images or audio.",
            code="folder_empty", where=where, hint="Give the file itself, or a pattern such as data/*.csv.",
        )  # fmt: skip
    formats = {file.name: format_of(file, source.format) for file in found.files}
    if len(set(formats.values())) > 1:
        kinds = ", ".join(f"{name} ({kind})" for name, kind in list(formats.items())[:6])
        raise DataError(
            f"The files are of different formats: {kinds}.", code="formats_differ", where=where,
            hint="Give a pattern for those of one format, such as data/*.parquet.",
        )  # fmt: skip
    request = Request(source, found.files, base, memory, chosen, tuple(drop))
    return OpenSource(source, _reader(next(iter(formats.values())), request), found, base)


def _scheme(path: str) -> str:
    return path.partition("://")[0].partition("+")[0].lower()


def _has_files(found: Found, suffixes: tuple[str, ...]) -> bool:
    folder = found.folder
    return folder is not None and any(
        entry.suffix.lower() in suffixes for inner in folder.iterdir() if inner.is_dir() for entry in inner.iterdir()
    )


def _reader(name: str, request: Request) -> Reader:
    opener = cast(Callable[[Request], Reader], plugins.load("sources", name))
    return opener(request)
