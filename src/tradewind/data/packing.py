"""Documents become tokens on disk, as a stream: one flat row a split, where each document begins, and what is learnt.

Not here: which documents (`gathering.py`, `portions.py`), reading the shards (`packed.py`). Memory holds a block of documents
and the starts, never a split.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from tradewind.data.arrays import NpyWriter
from tradewind.data.document_records import Document, Kind
from tradewind.data.ledger import RejectedRow
from tradewind.data.packed import SUMMARY
from tradewind.errors import DataError, InputError, writing
from tradewind.features.bulk import BulkEncoder, Tokens
from tradewind.features.language import LanguageTokenizer
from tradewind.files import write_json

_BLOCK_CHARACTERS = 4 << 20
_UINT16 = 1 << 16


@dataclass
class Written:
    """What stands in one shard. `longest` is that of a document, in tokens."""

    documents: int = 0
    tokens: int = 0
    learnt: int = 0
    bytes: int = 0
    longest: int = 0


class ShardWriter:
    """tokens.npy, starts.npy and mask.npy of one split, piece by piece."""

    def __init__(self, folder: Path, *, vocabulary: int, end: int, masked: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.written = Written()
        self._folder = folder
        self._end = end
        self._open = 0  # tokens of the document that is not ended yet
        self._starts = array("q", [0])
        self._tokens = NpyWriter(folder / "tokens.npy", np.uint16 if vocabulary <= _UINT16 else np.uint32, ())
        self._mask = NpyWriter(folder / "mask.npy", np.uint8, ()) if masked else None

    @property
    def at_start(self) -> bool:
        """Whether the next token begins a document."""
        return self._open == 0

    def add(self, tokens: NDArray[Any], mask: NDArray[np.uint8] | None, *, size: int, ends: bool) -> None:
        """Tokens of one document, or of a part of it where it does not end here; `size` are the bytes that it covers."""
        written = self.written
        self._tokens.write(tokens)
        if self._mask is not None:
            assert mask is not None
            self._mask.write(mask)
        written.learnt += len(tokens) if mask is None else int(mask.sum())
        written.tokens += len(tokens)
        written.bytes += size
        self._open += len(tokens)
        if ends:
            written.documents += 1
            written.longest = max(written.longest, self._open)
            self._open = 0
            self._starts.append(written.tokens)

    def close(self) -> Written:
        """Ends a document that goes on in another split."""
        if self._open:
            self.add(np.array([self._end]), None if self._mask is None else np.zeros(1, np.uint8), size=0, ends=True)
        self._tokens.close()
        if self._mask is not None:
            self._mask.close()
        starts = NpyWriter(self._folder / "starts.npy", np.int64, ())
        starts.write(np.frombuffer(self._starts, dtype=np.int64))
        starts.close()
        write_json(self._folder / SUMMARY, vars(self.written))
        return self.written

    def abandon(self) -> None:
        self._tokens.abandon()
        if self._mask is not None:
            self._mask.abandon()


@dataclass
class Packer:
    """Writes the splits of a dataset folder. `splits` get `raw` documents too where a reader will ask for them."""

    folder: Path
    tokenizer: LanguageTokenizer
    kind: Kind
    names: Sequence[str]
    encoder: BulkEncoder
    raw_names: Sequence[str]
    rejected: list[RejectedRow] = field(default_factory=list)
    _encode: Callable[[Any], bytes] = field(default_factory=lambda: msgspec.json.Encoder().encode)
    _writers: dict[tuple[str, str], ShardWriter] = field(default_factory=dict)
    _raw: dict[str, BinaryIO] = field(default_factory=dict)

    def pack(self, pieces: Iterable[tuple[str, Document]]) -> dict[str, dict[str, Written]]:
        """All pieces (name of the split and document, in order). By split and side: "" or, for preferences, both answers."""
        sides = ("chosen", "rejected") if self.kind == "preferences" else ("",)
        with writing(str(self.folder)):
            try:
                for name in self.names:
                    for side in sides:
                        self._writers[name, side] = ShardWriter(
                            self.folder / "splits" / name / side, vocabulary=self.tokenizer.vocabulary,
                            end=self.tokenizer.specials.eos, masked=self.kind != "text",
                        )  # fmt: skip
                (self.folder / "raw").mkdir(exist_ok=True)
                for name in self.raw_names:
                    self._raw[name] = (self.folder / "raw" / f"{name}.jsonl").open("wb")
                for block in _blocks(pieces):
                    self._block(block)
                return {name: {side: self._writers[name, side].close() for side in sides} for name in self.names}
            except BaseException:
                for writer in self._writers.values():
                    writer.abandon()
                raise
            finally:
                for file in self._raw.values():
                    file.close()

    def _block(self, block: Sequence[tuple[str, Document]]) -> None:
        if self.kind == "text":
            encoded = self.encoder.encode([document.content["text"] for _, document in block])
            for (name, document), tokens in zip(block, encoded, strict=True):
                self._text(name, document, tokens)
                self._keep(name, document)
            return
        for name, document in block:
            try:
                shards = [
                    self._supervised(turns, document.content.get("tools")) for turns in _dialogues(document.content)
                ]
            except (DataError, InputError) as error:  # this conversation, not the others
                reason = f"{error.message} ({error.where})"
                self.rejected.append(RejectedRow(document.file, document.line, error.code.rpartition(".")[2], reason))
                continue
            for side, (ids, mask, size) in zip(_sides(self.kind), shards, strict=True):
                self._writers[name, side].add(ids, mask, size=size, ends=True)
            self._keep(name, document)

    def _text(self, name: str, document: Document, tokens: Tokens) -> None:
        specials, writer = self.tokenizer.specials, self._writers[name, ""]
        begins = [specials.bos] if specials.bos is not None and writer.at_start else []
        ends = [] if document.goes_on else [specials.eos]
        size = len(document.content["text"].encode("utf-8", "replace"))
        whole = np.concatenate([np.array(begins, np.int32), tokens, np.array(ends, np.int32)])
        writer.add(whole, None, size=size, ends=not document.goes_on)

    def _supervised(
        self, turns: Sequence[Mapping[str, Any]], tools: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
        """Tokens, what is learnt of them, and the bytes of that; nothing stands behind the last learnt token.

        Of a preference only the answer that is compared is learnt, not those of its prompt.
        """
        ids, learnt = self.tokenizer.supervised(turns, tools=tools)
        mask = np.array(learnt, dtype=np.uint8)
        places = np.flatnonzero(mask)
        if len(places) == 0:
            raise DataError("Nothing of it would be learnt.", code="nothing_supervised", where="messages")
        if self.kind == "preferences":
            gaps = np.flatnonzero(np.diff(places) > 1)
            mask[: places[gaps[-1] + 1] if len(gaps) else 0] = 0
        end = int(places[-1]) + 1
        tokens = np.array(ids[:end], dtype=np.int64)
        size = len(self.tokenizer.decode(tokens[mask[:end] == 1].tolist()).encode())
        return tokens, mask[:end], size

    def _keep(self, name: str, document: Document) -> None:
        if name in self._raw:
            self._raw[name].write(self._encode(document.content) + b"\n")


def _sides(kind: Kind) -> tuple[str, ...]:
    return ("chosen", "rejected") if kind == "preferences" else ("",)


def _dialogues(content: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The conversation, or for a preference the two that begin with its prompt."""
    if "chosen" not in content:
        return [content["messages"]]
    return [[*content["messages"], {"role": "assistant", "content": content[side]}] for side in ("chosen", "rejected")]


def _blocks(pieces: Iterable[tuple[str, Document]]) -> Iterator[list[tuple[str, Document]]]:
    block: list[tuple[str, Document]] = []
    size = 0
    for name, document in pieces:
        block.append((name, document))
        size += len(document.content.get("text", "")) or 1000
        if size >= _BLOCK_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block
