"""Which files a corpus has, and how each is read: as text in some encoding, as records, as Parquet.

Not here: reading them (`documents.py`).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from tradewind.data.sources.detect import SAMPLE_BYTES, encoding_of, format_of, telling
from tradewind.data.sources.location import File, Found, find, head_of, is_url, reading, shown
from tradewind.errors import DataError
from tradewind.product import Source

_TEXTS, _RECORDS, _PARQUET = (".txt", ".md", ".markdown", ".text"), (".jsonl", ".ndjson", ".json"), (".parquet", ".pq")
_KNOWN = _TEXTS + _RECORDS + _PARQUET


@dataclass(frozen=True)
class Input:
    """A file, what it holds (text, records, parquet) and, for text, its encoding."""

    file: File
    holds: str
    encoding: str


def files_of(path: str, base: Path) -> Found:
    if is_url(path) and not path.startswith("file://"):
        return _remote(path)
    found = find(path, base=base)
    if found.folder is None:
        return found
    with reading(path):
        files = sorted(
            one for one in found.folder.rglob("*") if one.is_file() and _wanted(one.relative_to(found.folder))
        )
    names = [f"{path.rstrip('/')}/{one.relative_to(found.folder).as_posix()}" for one in files]
    return Found(tuple(map(File, files, names)), found.folder, found.spool)


def _remote(path: str) -> Found:
    found = find(path, base=Path())
    if found.folder is None or found.spool is None:
        return found
    files = sorted(one for one in found.spool.rglob("*") if one.is_file() and _wanted(one.relative_to(found.spool)))
    prefix = shown(path).rstrip("/")
    return Found(
        tuple(File(one, f"{prefix}/{one.relative_to(found.spool).as_posix()}") for one in files),
        found.folder,
        found.spool,
    )


def _wanted(path: Path) -> bool:
    return _suffix(path) in _KNOWN and not any(part.startswith((".", "_")) for part in path.parts)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def input_of(file: File, source: Source, said: str) -> Input | None:
    """How a file is read; None for an empty one."""
    suffix = _suffix(file.path)
    sample = head_of(file, SAMPLE_BYTES)
    if not sample.strip(b"\xef\xbb\xbf\xff\xfe\r\n\t \0") and sample.count(0) <= len(sample) // 2:
        return None
    if sample.startswith(b"PAR1"):
        return Input(file, "parquet", "")
    if suffix in _PARQUET:
        raise DataError(
            "It is no Parquet file.", code="format_wrong", where=file.name, hint="Write or fetch the file again."
        )
    _refuse_binary(file, sample)
    encoding = encoding_of(telling(file, sample), source.encoding, whole=len(sample) < SAMPLE_BYTES, where=file.name)
    if suffix not in _RECORDS and said in ("auto", "text") and source.format in ("auto",):
        return Input(file, "text", encoding)
    if suffix in _TEXTS and source.format != "jsonl":
        raise DataError(
            f"A text file holds no {said}.", code="format_wrong", where=file.name,
            hint='Write one JSON object a line into a .jsonl file, such as {"question": "…", "answer": "…"}.',
        )  # fmt: skip
    if sample.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(b"["):
        raise DataError(
            "It is one JSON array, but one object a line was expected.", code="json_array", where=file.name,
            hint=f"Rewrite it with: jq -c '.[]' {file.path.name} > {file.path.stem}.jsonl",
        )  # fmt: skip
    return Input(file, "records", encoding)


def _refuse_binary(file: File, sample: bytes) -> None:
    """Raises DataError for a PDF, a picture, an archive, and for bytes that are no text."""
    format_of(file, "auto")
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return
    head = sample[:4096]
    sides = sorted((head[0::2].count(0), head[1::2].count(0)))
    if sides[0] == 0 and sides[1] > 0.1 * len(head):  # UTF-16 without a mark
        return
    controls = sum(sample.count(bytes([code])) for code in range(32) if code not in (8, 9, 10, 12, 13, 27))
    if sides[1] or controls > len(sample) / 50:
        raise DataError(
            "It is a binary file, not text.", code="binary", where=file.name,
            hint="Give text (UTF-8, UTF-16 or GB18030), JSONL or Parquet; convert other documents first.",
        )  # fmt: skip
