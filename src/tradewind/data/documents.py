"""Documents of a corpus, one after another: from a folder or a file of text, Markdown, JSONL and Parquet, near or far.

Not here: what one record means (`document_records.py`), which documents are good (`quality.py`), tables (`sources/`).

A text file is one document; a large one comes in parts of about a megabyte, cut at line ends, so that no file has to fit into
memory. What cannot be read is kept with its file, line and reason, and the rest goes on.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.data.document_files import Input, files_of, input_of
from tradewind.data.document_records import Document, Kind, Unusable, document_of
from tradewind.data.ledger import RejectedRow
from tradewind.data.sources.digests import digest_of
from tradewind.data.sources.location import Found, reading, remove_with, shown
from tradewind.data.sources.text import text_blocks
from tradewind.errors import DataError
from tradewind.product import Source

__all__ = ["Document", "Documents", "open_documents"]

_BLOCK = 1 << 20
_LONGEST_LINE = 64 << 20
_PARQUET_ROWS = 1000
_TEXT_KEPT = 500
_MANY_REJECTS = 100_000


class Documents:
    """One source. `documents` passes over it as often as asked; `rejects` are those of the latest pass.

    `is_book` says that it is running text of a single file, which is split by place and not document by document.
    """

    def __init__(
        self, source: Source, said: str, inputs: list[Input], found: Found, rejects: list[RejectedRow]
    ) -> None:
        self.source = source
        self.rejects: list[RejectedRow] = []
        self.read = 0
        self._said = said
        self._inputs = inputs
        self._found = found
        self._unread = rejects
        self._kind: Kind | None = None
        remove_with(self, found.spool)

    @property
    def is_book(self) -> bool:
        return len(self._inputs) == 1 and self._inputs[0].holds == "text"

    @property
    def bytes(self) -> int:
        return sum(one.file.bytes for one in self._inputs)

    def fingerprint(self) -> str:
        """Digest of the files' bytes, and of how they are to be read."""
        return digest_of([one.file for one in self._inputs])

    def provenance(self) -> dict[str, Any]:
        return {
            "uri": shown(self.source.path),
            "files": len(self._inputs),
            "bytes": self.bytes,
            "digest": self.fingerprint(),
            "licence": self.source.licence,
            "encodings": sorted({one.encoding for one in self._inputs if one.holds == "text"}),
        }

    def documents(self) -> Iterator[Document]:
        """Every document in order. Raises DataError when none can be read, or when more are rejected than read."""
        self.rejects, self.read = list(self._unread), 0
        for one in self._inputs:
            parts = {"text": self._text, "records": self._records, "parquet": self._parquet}[one.holds](one)
            for document in parts:
                self.read += 1
                yield document
            if len(self.rejects) > _MANY_REJECTS and len(self.rejects) > self.read:
                raise self._rejected("More documents were rejected than read")
        if self.read == 0 and not self.rejects:
            raise DataError("The corpus is empty: no file holds any text.", code="corpus_empty",
                            where=shown(self.source.path), hint="Give files with text in them.")  # fmt: skip
        if self.read == 0 or len(self.rejects) > max(self.read, 10):
            raise self._rejected(
                "More documents were rejected than read" if self.read else "Every document was rejected"
            )

    # ---------------------------------------------------------------- one kind of file each

    def _text(self, one: Input) -> Iterator[Document]:
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        line, held = 1, ""
        try:
            for block in text_blocks(one.file, one.encoding, _BLOCK):
                held += decoder.decode(block)
                while len(held) >= 2 * _BLOCK:  # the last part is never empty
                    # Without a line end anywhere the part is cut where it is long enough, not held for ever.
                    cut = held.rfind("\n", 0, _BLOCK) + 1 or _BLOCK
                    part, held = held[:cut], held[cut:]
                    yield Document("text", {"text": part}, one.file.name, line, goes_on=True)
                    line += part.count("\n")
            held += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            bad = line + held.count("\n") + error.object[: error.start].count(b"\n")
            held += error.object[: error.start].decode()
            reason = f"the byte 0x{error.object[error.start]:02x} is not UTF-8: the rest of the file is left out"
            self._reject(one.file.name, bad, reason, "")
        if held.strip() or line > 1:
            yield Document("text", {"text": held}, one.file.name, line)

    def _records(self, one: Input) -> Iterator[Document]:
        decode = msgspec.json.Decoder().decode
        for line, text in _lines(one):
            if not text.strip():
                continue
            try:
                yield self._of_kind(document_of(decode(text), self._said, file=one.file.name, line=line))
            except Unusable as reason:
                self._reject(one.file.name, line, str(reason), _shown(text))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                self._reject(one.file.name, line, f"no JSON: {error}", _shown(text))

    def _parquet(self, one: Input) -> Iterator[Document]:
        try:
            with reading(one.file.name), pq.ParquetFile(one.file.path) as table:
                line = 0
                for batch in table.iter_batches(_PARQUET_ROWS):
                    for record in batch.to_pylist():
                        line += 1
                        try:
                            yield self._of_kind(
                                document_of(_without_nulls(record), self._said, file=one.file.name, line=line)
                            )
                        except Unusable as reason:
                            self._reject(one.file.name, line, str(reason), str(record))
        except pa.ArrowException as error:
            raise DataError(
                f"It is no whole Parquet file ({str(error).partition(chr(10))[0][:120]}).", code="parquet_broken",
                where=one.file.name, hint="Write or fetch the file again.",
            ) from error  # fmt: skip

    # ---------------------------------------------------------------- rejects

    def _of_kind(self, document: Document) -> Document:
        """The first document says what the corpus is made of."""
        if self._kind is None:
            self._kind = document.kind
        if document.kind != self._kind:
            raise Unusable(f"a document of the kind {document.kind} in a corpus of the kind {self._kind}")
        return document

    def _reject(self, file: str, line: int, reason: str, text: str) -> None:
        self.rejects.append(RejectedRow(file, line, "document", reason, text[:_TEXT_KEPT]))

    def _rejected(self, what: str) -> DataError:
        first = self.rejects[0]
        return DataError(
            f"{what} ({len(self.rejects):,}). The first: {first.reason}.", code="all_rejected",
            where=f"{first.file}:{first.line}", hint="Correct the file, or say data.format: text, chat, instructions or preferences.",
        )  # fmt: skip


def open_documents(source: Source, *, said: str, base: Path) -> Documents:
    """Opens what `source` names, relative paths taken from `base`; `said` is data.format of the product file.

    Raises DataError where there is nothing, or where the only file is none that is read.
    """
    found = files_of(source.path, base)
    if not found.files:
        raise DataError(
            "The folder holds no text (.txt, .md), JSONL or Parquet file.", code="folder_empty", where=shown(source.path),
            hint="Give the files one of these endings, or name one file.",
        )  # fmt: skip
    inputs: list[Input] = []
    rejects: list[RejectedRow] = []
    for file in found.files:
        try:
            if (one := input_of(file, source, said)) is not None:
                inputs.append(one)
        except DataError as error:
            if len(found.files) == 1:
                raise
            rejects.append(RejectedRow(file.name, 0, error.code.removeprefix("data."), error.message))
    if not inputs:
        raise DataError(
            f"The corpus is empty: {rejects[0].reason}" if rejects else "The corpus is empty.", code="corpus_empty",
            where=rejects[0].file if rejects else shown(source.path), hint="Give files with text in them.",
        )  # fmt: skip
    return Documents(source, said, inputs, found, rejects)


def _lines(one: Input) -> Iterator[tuple[int, bytes]]:
    number, rest = 1, b""
    for block in text_blocks(one.file, one.encoding, _BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield number, line
            number += 1
        if len(rest) > _LONGEST_LINE:
            raise DataError(f"A line is longer than {len(rest) >> 20} MiB.", code="line_too_long",
                            where=f"{one.file.name}:{number}", hint="Write one object a line.")  # fmt: skip
    if rest:
        yield number, rest


def _shown(text: bytes) -> str:
    return text[: 4 * _TEXT_KEPT].decode("utf-8", errors="replace")


def _without_nulls(value: Any) -> Any:
    """Parquet gives every field of a struct; those without a value were never there."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
