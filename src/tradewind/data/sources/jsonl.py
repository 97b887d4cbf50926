"""JSON Lines: one object a line, as frames of strings; nested objects are flattened with dots, lists stay JSON text.

Numbers keep the digits they were written with; true and false are words; null and a field that is not there are null.
Not here: finding out the encoding (`detect.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from tradewind.data.sources.contract import TEXT_KEPT, Chunk, Reject, Request, check_names, chosen
from tradewind.data.sources.detect import SAMPLE_BYTES, encoding_of, telling
from tradewind.data.sources.digests import digest_of
from tradewind.data.sources.location import File, head_of
from tradewind.data.sources.text import text_blocks
from tradewind.errors import DataError

# Names are collected from so many bytes of each file; a field that first comes later makes its line a reject.
_NAMES_BYTES = 32 << 20
_LARGEST_BLOCK, _SMALLEST_BLOCK = 4 << 20, 64 << 10
_SHARE = 64

Row = dict[str, str | None]


class JsonlReader:
    """JSONL files, read one after another. The columns are the union of the fields seen at their beginnings."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._size = max(_SMALLEST_BLOCK, min(_LARGEST_BLOCK, request.memory // _SHARE))
        self._encodings = [_encoding(file, request.source.encoding) for file in request.files]
        names: dict[str, None] = {}
        first_fault = ""
        for file, encoding in zip(request.files, self._encodings, strict=True):
            first_fault = _collect(file, encoding, names) or first_fault
        where = request.files[0].name
        if not names:
            raise DataError(
                f"No line holds a JSON object{f' (line 1: {first_fault})' if first_fault else ''}.", code="no_rows",
                where=where, hint='Write one object a line, such as {"text": "…", "label": "…"}.',
            )  # fmt: skip
        check_names(list(names), where=where)
        self._all = frozenset(names)
        self._names = chosen(list(names), request, where=where)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"format": "jsonl", "encoding": self._encodings[0]}

    def fingerprint(self) -> str:
        return digest_of(self._request.files)

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        for file, encoding in zip(self._request.files, self._encodings, strict=True):
            line = 1
            for lines in _line_blocks(file, encoding, self._size, self._request.memory):
                chunk = self._chunk(lines, line, file.name, rejects)
                line += len(lines)
                if chunk.frame.height:
                    yield chunk

    def _chunk(self, lines: list[bytes], first: int, name: str, rejects: list[Reject]) -> Chunk:
        rows: list[Row] = []
        places: list[int] = []
        for place, text in enumerate(lines, first):
            if not text.strip():
                continue
            row, fault = _row(text)
            if row is not None and not self._all.issuperset(row):
                unknown = next(key for key in row if key not in self._all)
                row, fault = None, f"the field {unknown!r} was in no line at the beginning of the file"
            if row is None:
                shown = text[: 4 * TEXT_KEPT].decode("utf-8", errors="replace")[:TEXT_KEPT]
                rejects.append(Reject(name, place, fault, "row.json", shown))
            else:
                rows.append(row)
                places.append(place)
        data = {column: [row.get(column) for row in rows] for column in self._names}
        frame = pl.DataFrame(data, schema=dict.fromkeys(self._names, pl.String))
        return Chunk(frame, np.array(places, np.int64), name)


def _encoding(file: File, said: str) -> str:
    sample = head_of(file, SAMPLE_BYTES)
    if not sample.strip(b"\xef\xbb\xbf\xff\xfe\r\n\t \0"):
        raise DataError("The file is empty.", code="empty", where=file.name, hint="Give a file with one object a line.")
    if sample.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(b"["):
        raise DataError(
            "It is one JSON array, but one object a line was expected.", code="json_array", where=file.name,
            hint=f"Rewrite it with: jq -c '.[]' {file.path.name} > {file.path.stem}.jsonl",
        )  # fmt: skip
    return encoding_of(telling(file, sample), said, whole=len(sample) < SAMPLE_BYTES, where=file.name)


def _collect(file: File, encoding: str, names: dict[str, None]) -> str:
    """Adds the fields at the beginning of `file` to `names`; the first fault, if any."""
    seen, fault = 0, ""
    for lines in _line_blocks(file, encoding, _LARGEST_BLOCK, _NAMES_BYTES):
        for text in lines:
            row, reason = _row(text) if text.strip() else ({}, "")
            names.update(dict.fromkeys(row or ()))
            fault = fault or reason
            seen += len(text)
        if seen > _NAMES_BYTES:
            break
    return fault


def _line_blocks(file: File, encoding: str, size: int, memory: int) -> Iterator[list[bytes]]:
    """Lines without their newline, a block's worth at a time."""
    rest, number = b"", 1
    for block in text_blocks(file, encoding, size):
        rest += block
        end = rest.rfind(b"\n") + 1
        if end == 0:
            if len(rest) > max(4 * size, memory // 8):
                raise DataError(
                    f"A line is longer than {len(rest) >> 20} MiB.", code="line_too_long",
                    where=f"{file.name}:{number}", hint="Write one object a line, or raise memory.",
                )  # fmt: skip
            continue
        lines, rest = rest[: end - 1].split(b"\n"), rest[end:]
        number += len(lines)
        yield lines
    if rest:
        yield [rest]


def _nothing(_: str) -> None:
    """NaN and Infinity, which JSON does not have, are missing."""


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_nothing)


def _row(text: bytes) -> tuple[Row | None, str]:
    """The fields of one line, or None and why not."""
    try:
        value = _DECODER.decode(text.decode("utf-8").strip())
    except json.JSONDecodeError as error:
        return None, f"no JSON: {error.msg} at character {error.pos + 1}"
    except UnicodeDecodeError as error:
        return None, f"the byte 0x{text[error.start]:02x} is not UTF-8"
    except RecursionError:
        return None, "nested too deeply"
    if not isinstance(value, dict):
        return None, "not a JSON object"
    row: Row = {}
    if _flatten(value, "", row):
        _keep_lists(json.loads(text), "", row)
    return row, ""


def _flatten(value: Mapping[str, Any], prefix: str, row: Row) -> bool:
    """Adds the fields of `value` to `row`; whether there are lists among them, which `_keep_lists` adds."""
    lists = False
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            lists |= _flatten(item, f"{name}.", row)
        elif isinstance(item, bool):
            row[name] = "true" if item else "false"
        elif isinstance(item, list):
            lists, row[name] = True, None
        else:
            row[name] = item
    return lists


def _keep_lists(value: Mapping[str, Any], prefix: str, row: Row) -> None:
    """Lists as JSON text, from a value whose numbers are numbers."""
    for key, item in value.items():
        if isinstance(item, dict):
            _keep_lists(item, f"{prefix}{key}.", row)
        elif isinstance(item, list):
            row[f"{prefix}{key}"] = json.dumps(item, ensure_ascii=False)
