"""The text of a file as blocks of UTF-8 bytes, whatever its encoding, unpacked where it is gzip.

Not here: finding out the encoding (`detect.py`), lines and records (`records.py`).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from tradewind.data.sources.location import File, open_bytes, reading
from tradewind.errors import DataError


def text_blocks(file: File, encoding: str, size: int) -> Iterator[bytes]:
    """Blocks of about `size` bytes; UTF-8 is handed on unchecked, without its mark; lines end with a newline.

    Raises DataError at the line where the bytes are not `encoding`, EnvironmentFailure when the file cannot be read.
    """
    with reading(file.name), open_bytes(file) as stream:
        blocks = iter(lambda: stream.read(size), b"")
        if encoding in ("utf-8", "ascii"):
            texts = _without_mark(blocks)
        else:
            texts = _transcoded(blocks, encoding, file.name)
        yield from _newlines(texts)


def _without_mark(blocks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(blocks, b"")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from blocks


def _transcoded(blocks: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line, first = 1, True
    while True:
        block = next(blocks, b"")
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            offset = getattr(error, "start", 0)
            data = getattr(error, "object", block)
            before = data[:offset].decode(encoding, errors="replace").count("\n")
            raise DataError(
                f"The bytes here are not {encoding} ({getattr(error, 'reason', error)}).", code="encoding_wrong",
                where=f"{name}:{line + before}", hint="Set encoding to the right one, or save the file as UTF-8.",
            ) from error  # fmt: skip
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        encoded = text.encode("utf-8", errors="surrogatepass")
        line += encoded.count(b"\n")
        if encoded:
            yield encoded
        if not block:
            return


def _newlines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Files of the old Macintosh end lines with a carriage return alone: they get newlines."""
    first = next(blocks, b"")
    old = b"\r" in first and b"\n" not in first
    if first:
        yield first.replace(b"\r", b"\n") if old else first
    for block in blocks:
        yield block.replace(b"\r", b"\n") if old else block
