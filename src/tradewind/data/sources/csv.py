"""Delimited text (CSV, TSV and their kin) as frames of strings, parsed by pyarrow block by block on a few threads.

Blocks are cut here, at record boundaries, so that every row keeps its true line and every bad row its reason.
Not here: finding out encoding and dialect (`detect.py`); trimming or reading values (cleaning).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from tradewind.data.sources import records
from tradewind.data.sources.contract import TEXT_KEPT, Chunk, Reject, Request, check_names, chosen, listed, same_columns
from tradewind.data.sources.detect import (
    SAMPLE_BYTES,
    dialect_of,
    encoding_of,
    is_number,
    looks_like_data,
    rows_of,
    suffix_of,
    telling,
)
from tradewind.data.sources.digests import digest_of
from tradewind.data.sources.location import File, head_of
from tradewind.data.sources.records import Dialect
from tradewind.data.sources.text import text_blocks
from tradewind.errors import DataError

# Larger blocks are slower: they leave the cache, and their memory goes back to the system after each.
_LARGEST_BLOCK, _SMALLEST_BLOCK = 1 << 20, 64 << 10
_ARROW_BLOCK = 2 << 20
# Of the bytes that may be held: blocks in flight, each as text, as Arrow and as Polars, and what is built upon them.
_SHARE = 48
_WORKERS = max(1, min(4, len(os.sched_getaffinity(0)))) if hasattr(os, "sched_getaffinity") else 2


@dataclass(frozen=True)
class _Table:
    """One file and what was found out about it. `skip_header`: its first record is the header row."""

    file: File
    encoding: str
    dialect: Dialect
    names: tuple[str, ...]
    skip_header: bool


@dataclass(frozen=True)
class _Parsed:
    chunk: Chunk
    rejects: list[Reject]


class CsvReader:
    """CSV files with the same columns, read one after another. Every value is a string; an empty field is ''."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._tables = [_look(file, request) for file in request.files]
        first = self._tables[0]
        for table in self._tables[1:]:
            same_columns(table.names, first.names, where=table.file.name, first=first.file.name)
        self._names = chosen(first.names, request, where=first.file.name)
        self._block = max(_SMALLEST_BLOCK, min(_LARGEST_BLOCK, request.memory // _SHARE))

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        first = self._tables[0]
        return {
            "format": "csv", "encoding": first.encoding, "delimiter": first.dialect.delimiter,
            "quote": first.dialect.quote, "header": "in the file" if first.skip_header else "given",
        }  # fmt: skip

    def fingerprint(self) -> str:
        return digest_of(self._request.files)

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        for table in self._tables:
            yield from self._chunks_of(table, rejects)

    def _chunks_of(self, table: _Table, rejects: list[Reject]) -> Iterator[Chunk]:
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="tradewind-csv") as pool:
            waiting: deque[Future[_Parsed]] = deque()
            try:
                for block, line in _blocks(table, self._block, self._request.memory):
                    waiting.append(pool.submit(_parse, block, line, table, self._names))
                    if len(waiting) > _WORKERS:
                        yield from _deliver(waiting.popleft(), rejects)
                while waiting:
                    yield from _deliver(waiting.popleft(), rejects)
            finally:
                for future in waiting:
                    future.cancel()


def _deliver(future: Future[_Parsed], rejects: list[Reject]) -> Iterator[Chunk]:
    parsed = future.result()
    rejects.extend(parsed.rejects)
    if parsed.chunk.frame.height:
        yield parsed.chunk


# ---------------------------------------------------------------- what a file is like


def _look(file: File, request: Request) -> _Table:
    """Reads the beginning of `file`. Raises DataError when it cannot be a table."""
    sample = head_of(file, SAMPLE_BYTES)
    if not sample.strip(b"\xef\xbb\xbf\xff\xfe\r\n\t \0"):
        raise DataError(
            "The file is empty.", code="empty", where=file.name, hint="Give a file with a header row and rows."
        )
    whole = len(sample) < SAMPLE_BYTES
    encoding = encoding_of(telling(file, sample), request.source.encoding, whole=whole, where=file.name)
    text = _sample_text(file, encoding, whole=whole)
    dialect = dialect_of(text, request.source.delimiter, suffix=suffix_of(file), where=file.name)
    rows = rows_of(text, dialect)
    names, skip_header = _header(rows, request.source.header, file.name, whole=whole)
    _check_width(names, rows[skip_header:], file.name, given=request.source.header is not None)
    return _Table(file, encoding, dialect, names, skip_header)


def _sample_text(file: File, encoding: str, *, whole: bool) -> str:
    block = next(text_blocks(file, encoding, SAMPLE_BYTES), b"")
    text = block.decode("utf-8", errors="replace")
    return text if whole else text[: text.rfind("\n") + 1] or text


def _header(rows: list[list[str]], given: list[str] | None, where: str, *, whole: bool) -> tuple[tuple[str, ...], bool]:
    """Names, and whether they stand in the file. A given header that the file repeats in its first row is skipped."""
    first = [cell.strip() for cell in rows[0]] if rows else []
    if given is not None:
        check_names(given, where=where)
        if first != given and rows and len(first) != len(given):
            raise DataError(
                f"header gives {len(given)} names, but the first row has {len(first)} fields.",
                code="header_length", where=f"{where}:1", hint=f"Name every field; the row begins {_begin(first)}.",
            )  # fmt: skip
        return tuple(given), first == given
    repeated = len(set(first)) < len(first)
    if looks_like_data(rows[0], rows[1:]) or (repeated and any(is_number(cell) for cell in first)):
        raise DataError(
            f"The first row looks like data, not like column names: {_begin(first)}.",
            code="header_missing", where=f"{where}:1",
            hint=f"Name its {len(first)} columns: source: {{path: …, header: [name, …]}}.",
        )  # fmt: skip
    check_names(first, where=f"{where}:1")
    if whole and len(rows) < 2:
        raise DataError(
            f"It has a header row ({listed(first)}) and no rows.", code="no_rows", where=where,
            hint="Give a file with rows; if this line is data, name the columns with header: [...].",
        )  # fmt: skip
    return tuple(first), True


def _begin(cells: list[str]) -> str:
    return ", ".join(cell[:30] for cell in cells[:6]) + (", …" if len(cells) > 6 else "")


def _check_width(names: tuple[str, ...], rows: list[list[str]], where: str, *, given: bool) -> None:
    widths = {len(row) for row in rows}
    if not widths or len(names) in widths:
        return
    width = max(widths, key=lambda count: sum(len(row) == count for row in rows))
    whose = "header gives" if given else "The header row has"
    raise DataError(
        f"{whose} {len(names)} names, but the rows have {width} fields.", code="header_length", where=f"{where}:1",
        hint="Give one name for each field, or say the delimiter if it was taken for another.",
    )  # fmt: skip


# ---------------------------------------------------------------- blocks and their parsing


def _blocks(table: _Table, size: int, memory: int) -> Iterator[tuple[bytes, int]]:
    """Whole records of about `size` bytes, UTF-8, and the 1-based line on which they begin."""
    rest, line, header = b"", 1, table.skip_header
    longest = max(4 * size, memory // 8)
    for block in text_blocks(table.file, table.encoding, size):
        rest += block
        end = records.whole(rest, table.dialect)
        if end == 0:
            if len(rest) > longest:
                raise _too_long(rest, line, table)
            continue
        ready, rest = rest[:end], rest[end:]
        lines = ready.count(b"\n")
        if header:
            start, below = _after_header(ready, table.dialect)
            ready, header = ready[start:], False
            line, lines = line + below, lines - below
        if ready:
            yield ready, line
        line += lines
    if rest:
        if records.open_quote(rest, table.dialect) >= 0:
            raise _too_long(rest, line, table)
        if header:
            rest = rest[_after_header(rest, table.dialect)[0] :]
        if rest:
            yield rest, line


def _after_header(block: bytes, dialect: Dialect) -> tuple[int, int]:
    """Where the record after the first one begins: position and lines passed."""
    start = 0
    while block[start : start + 1] in (b"\n", b"\r", b" ", b"\t") and not block[start:].partition(b"\n")[0].strip():
        start = block.find(b"\n", start) + 1
        if start == 0:
            return len(block), block.count(b"\n")
    end = start
    while (end := block.find(b"\n", end)) >= 0:
        if len(records.marks(block[start : end + 1], dialect)) % 2 == 0:
            return end + 1, block.count(b"\n", 0, end + 1)
        end += 1
    return len(block), block.count(b"\n")


def _too_long(rest: bytes, line: int, table: _Table) -> DataError:
    place = records.open_quote(rest, table.dialect)
    if place < 0:
        return DataError(
            f"A line is longer than {len(rest) >> 20} MiB.", code="line_too_long", where=f"{table.file.name}:{line}",
            hint="Is it a table of lines? If so, raise memory.",
        )  # fmt: skip
    line += rest.count(b"\n", 0, place)
    text = rest[place : place + 40].decode("utf-8", errors="replace").partition("\n")[0]
    return DataError(
        f"The quote that opens here is never closed: {text}",
        code="quote_open",
        where=f"{table.file.name}:{line}",
        hint=f"Close it with {table.dialect.quote}, or double the quotes inside the field.",
    )


def _parse(block: bytes, line: int, table: _Table, names: tuple[str, ...]) -> _Parsed:
    where = table.file.name
    try:
        try:
            found, bad = _fields(block, table, names, _ARROW_BLOCK)
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error):
                raise
            found, bad = _fields(block, table, names, len(block) + 1)  # one record is larger than Arrow's block
    except pa.ArrowInvalid as error:
        raise _undecodable(block, line, where, table.encoding) or DataError(
            f"It cannot be parsed: {str(error).partition(chr(10))[0][:200]}", code="unreadable", where=f"{where}:{line}"
        ) from error
    if (null := block.find(b"\0")) >= 0:
        raise DataError(
            "There is a null byte, which no text has.", code="null_byte",
            where=f"{where}:{line + block.count(bytes([10]), 0, null)}",
            hint="The file is damaged or in another encoding (try encoding: utf-16).",
        )  # fmt: skip
    # Polars holds strings as views; Arrow makes them faster than Polars would.
    views = pa.table([column.cast(pa.string_view()) for column in found.columns], names=list(names))
    frame = cast(pl.DataFrame, pl.from_arrow(views))
    rows = frame.height + len(bad)
    if block.count(b"\n") + (not block.endswith(b"\n")) == rows:
        lines = np.arange(line, line + rows, dtype=np.int64)
    else:
        lines = records.record_lines(block, table.dialect) + line
        assert len(lines) == rows, f"{where}: {len(lines)} records were counted and {rows} parsed"
    rejects = [
        Reject(where, int(lines[number - 1]), reason, "row.fields", text[:TEXT_KEPT])
        for number, reason, text in bad
        if text.strip()
    ]
    kept = np.delete(lines, [number - 1 for number, _, _ in bad]) if bad else lines
    return _Parsed(Chunk(frame, kept, where), rejects)


def _fields(
    block: bytes, table: _Table, names: tuple[str, ...], size: int
) -> tuple[pa.Table, list[tuple[int, str, str]]]:
    """The chosen columns, and each bad record with its 1-based number, why it is bad, and its text."""
    bad: list[tuple[int, str, str]] = []

    def reject(row: arrow_csv.InvalidRow) -> Literal["skip"]:
        noun = "field" if row.actual_columns == 1 else "fields"
        reason = f"{row.actual_columns} {noun}, but {row.expected_columns} were expected"
        bad.append((cast(int, row.number), reason, row.text))
        return "skip"

    found = arrow_csv.read_csv(
        pa.BufferReader(block),
        read_options=arrow_csv.ReadOptions(column_names=list(table.names), use_threads=False, block_size=size),
        parse_options=arrow_csv.ParseOptions(
            delimiter=table.dialect.delimiter, quote_char=table.dialect.quote,
            double_quote=not table.dialect.escape, escape_char=table.dialect.escape or False,
            newlines_in_values=True, ignore_empty_lines=True, invalid_row_handler=reject,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, include_columns=list(names),
            null_values=[], strings_can_be_null=False,
        ),
    )  # fmt: skip
    return found, bad


def _undecodable(block: bytes, line: int, where: str, encoding: str) -> DataError | None:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return DataError(
            f"The byte 0x{block[error.start]:02x} is not {encoding}, as the lines before it are.",
            code="encoding_mixed", where=f"{where}:{line + block.count(bytes([10]), 0, error.start)}",
            hint="Save the whole file in one encoding, or say which with encoding: gb18030.",
        )  # fmt: skip
    return None
