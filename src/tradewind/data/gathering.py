"""The first pass over a corpus: documents are read, repaired, judged and hashed, and put down in a spool on disk.

Not here: which split a document comes to, and which copies go (`portions.py`). Memory holds a block of documents and a few
numbers for each of all.

Legend: D documents that are kept in the spool, P permutations of MinHash.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tradewind.data.arrays import NpyWriter, open_array
from tradewind.data.document_records import NAMES, Document, Kind, texts_of
from tradewind.data.documents import Documents
from tradewind.data.duplicates import PERMUTATIONS
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.quality import Verdict, judge
from tradewind.data.shingles import Units, units
from tradewind.data.spool import Spool
from tradewind.errors import DataError, writing
from tradewind.privacy import pii
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import strike
from tradewind.product import Clean

_BLOCK_CHARACTERS = 2 << 20
_BLOCK_DOCUMENTS = 4096
_SHOWN = 200
_THREADS = 2


@dataclass
class Gathered:
    """Every document that the rules let through, in order. By document [D]: `hashes` uint64 of all it says, `characters`,
    `bytes`, `origin` (0 the corpus, 1 validation's own source, 2 test's). `signatures` uint32 [D, P] or None; `units` are the
    hashes of their words, one document behind the other, those of document d from unit_offsets[d] on, or None.
    """

    kind: Kind
    spool: Spool[Document]
    hashes: NDArray[np.uint64]
    characters: NDArray[np.int64]
    bytes: NDArray[np.int64]
    origin: NDArray[np.int64]
    signatures: NDArray[np.uint32] | None
    units: NDArray[np.uint64] | None
    unit_offsets: NDArray[np.int64]
    languages: Mapping[str, int]
    personal: Mapping[str, Any]
    is_book: bool


@dataclass(frozen=True)
class _Analysed:
    """A block of repaired documents with their hashes, verdicts and signatures; `personal` are kinds by affected document."""

    documents: Sequence[Document]
    texts: Sequence[str]
    units: Units
    verdicts: Sequence[Verdict] | None
    signatures: NDArray[np.uint32] | None
    mended: int
    personal: Sequence[Sequence[str]]


@dataclass
class Gatherer:
    """Reads sources into a spool under `folder`. `struck` are the erased whose names no document may say any more."""

    folder: Path
    rules: Clean
    ledger: Ledger
    near: bool
    tell: Callable[[float], None]
    struck: Sequence[Subject] = ()
    _encode: Callable[[Any], bytes] = field(default_factory=lambda: msgspec.json.Encoder().encode)
    _units: array[int] = field(default_factory=lambda: array("q", [0]))
    _hashes: array[int] = field(default_factory=lambda: array("Q"))
    _characters: array[int] = field(default_factory=lambda: array("q"))
    _bytes: array[int] = field(default_factory=lambda: array("q"))
    _origin: array[int] = field(default_factory=lambda: array("q"))
    _languages: Counter[str] = field(default_factory=Counter)
    _personal: Counter[str] = field(default_factory=Counter)
    _affected: int = 0

    def gather(self, main: Documents, *others: Documents | None) -> Gathered:
        """All of them: the corpus first, then validation's and test's own where they are given (else None)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sources = (main, *others)
        is_book = main.is_book and not any(others)
        total = sum(source.bytes for source in sources if source is not None) or 1
        kind: Kind | None = None
        done = 0
        with writing(str(self.folder)):
            spool = Spool(self.folder / "spool.jsonl", Document)
            signatures = NpyWriter(self.folder / "signatures.npy", np.uint32, (PERMUTATIONS,)) if self.near else None
            wanted = self.rules.contamination != "off" and not is_book
            words = NpyWriter(self.folder / "units.npy", np.uint64, ()) if wanted else None
            try:
                for origin, source in enumerate(sources):
                    if source is None:
                        continue
                    for block in _side_by_side(self._analysed, _blocks(source.documents())):
                        kind = kind or block.documents[0].kind
                        _refuse_other_kind(block.documents[0], kind)
                        done += self._take(block, origin, spool, signatures, words, running=source.is_book)
                        self.tell(min(1.0, done / total))
                    for row in source.rejects:
                        self.ledger.reject(row)
            finally:
                spool.finish()
                for writer in (signatures, words):
                    if writer is not None:
                        writer.close()
        assert kind is not None
        return Gathered(
            kind, spool, np.frombuffer(self._hashes, np.uint64), np.frombuffer(self._characters, np.int64),
            np.frombuffer(self._bytes, np.int64), np.frombuffer(self._origin, np.int64),
            None if signatures is None else open_array(self.folder / "signatures.npy"),
            None if words is None else open_array(self.folder / "units.npy"), np.frombuffer(self._units, np.int64),
            dict(self._languages.most_common()), {"documents": self._affected, "findings": dict(sorted(self._personal.items()))},
            is_book,
        )  # fmt: skip

    def _analysed(self, block: Sequence[Document]) -> _Analysed:
        """All that can be found out about a block alone; several at once, so nothing is noted down here."""
        repaired = [self._repaired(document) for document in block]
        documents = [document for document, _, _ in repaired]
        texts = [document.text for document in documents]
        hashed = units([document.own_words for document in documents])
        verdicts = judge(texts, hashed, self.rules.quality) if self.rules.quality.action != "off" else None
        return _Analysed(
            documents, texts, hashed, verdicts, hashed.signatures() if self.near else None,
            sum(mended for _, mended, _ in repaired), [found for _, _, found in repaired if found],
        )  # fmt: skip

    def _take(
        self, block: _Analysed, origin: int, spool: Spool[Document], signatures: NpyWriter | None, words: NpyWriter | None, *,
        running: bool,
    ) -> int:  # fmt: skip
        """Puts down what passes of a block, in order; running text is not judged. Returns the block's bytes."""
        self.ledger.count("line_ends", "", block.mended, action="repaired")
        self._affected += len(block.personal)
        for found in block.personal:
            self._personal.update(found)
        if self.rules.pii == "redact":
            self.ledger.count("pii", "", sum(map(len, block.personal)), action="redacted")
        kept: list[int] = []
        size = 0
        for place, (document, text) in enumerate(zip(block.documents, block.texts, strict=True)):
            encoded = text.encode("utf-8", "replace")
            size += len(encoded)
            if block.verdicts is not None and not self._passes(document, text, block.verdicts[place], running=running):
                continue
            kept.append(place)
            spool.add(document)
            whole = encoded if running else self._encode(document.content)
            self._hashes.append(int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "little"))
            self._characters.append(len(text))
            self._bytes.append(len(encoded))
            self._origin.append(origin)
        if signatures is not None and block.signatures is not None and kept:
            signatures.write(block.signatures[kept])
        if words is not None and kept:
            counts = np.diff(block.units.offsets)
            is_kept = np.zeros(len(counts), dtype=np.bool_)
            is_kept[kept] = True
            hashes = block.units.hashes
            words.write(hashes if len(kept) == len(counts) else hashes[np.repeat(is_kept, counts)])
            self._units.extend((self._units[-1] + np.cumsum(counts[kept])).tolist())
        return size

    def _passes(self, document: Document, text: str, verdict: Verdict, *, running: bool) -> bool:
        self._languages[verdict.language] += 1
        if verdict.rule is None or running:
            return True
        drops = self.rules.quality.action == "drop"
        where = f"{document.file}:{document.line}"
        action = "dropped" if drops else "none"
        self.ledger.count(verdict.rule, "", 1, example=f"{where}: {verdict.found}", action=action)
        if drops:
            self.ledger.reject(RejectedRow(document.file, document.line, verdict.rule, verdict.found, text[:_SHOWN]))
        return not drops

    def _repaired(self, document: Document) -> tuple[Document, bool, list[str]]:
        """The document as the rules want it, whether its line ends were mended, and the kinds of personal data in it."""
        content: Mapping[str, Any] = document.content
        mended = self.rules.whitespace and any("\r" in text or "\0" in text for text in texts_of(content))
        if mended:
            content = _mapped(content, _line_ends)
        found: list[str] = []
        if self.rules.pii != "keep":
            found = [finding.kind for text in texts_of(content) for finding in pii.find(text)]
            if found and self.rules.pii == "redact":
                content = _mapped(content, lambda text: pii.redact(text)[0])
        if self.struck and any(word.appears_in(text) for text in texts_of(content) for word in self.struck):
            content = _mapped(content, lambda text: strike(text, self.struck))
        if content is not document.content:
            document = Document(document.kind, content, document.file, document.line, document.goes_on)
        return document, mended, found


def _refuse_other_kind(document: Document, kind: Kind) -> None:
    if document.kind != kind:
        raise DataError(
            f"It holds {document.kind}, but the corpus holds {kind}.", code="kinds_differ", where=document.file,
            hint="Give sources of one kind under data.source and data.split.",
        )  # fmt: skip


def _side_by_side(
    analyse: Callable[[Sequence[Document]], _Analysed], blocks: Iterable[Sequence[Document]]
) -> Iterator[_Analysed]:
    """Each block analysed, in order; NumPy and rensa let go of the interpreter's lock, so that two at once pay."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[_Analysed]] = deque()
        for block in blocks:
            waiting.append(pool.submit(analyse, block))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _mapped(content: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The same content with every text in it changed."""
    changed = dict(content)
    for name in ("text", "chosen", "rejected"):
        if name in changed:
            changed[name] = change(changed[name])
    if "messages" in changed:
        changed["messages"] = [
            {key: value if key in NAMES else _deep(value, change) for key, value in turn.items()}
            for turn in changed["messages"]
        ]
    return changed


def _deep(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _deep(item, change) for key, item in value.items()}
    return [_deep(item, change) for item in value] if isinstance(value, list) else value


def _blocks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    block: list[Document] = []
    size = 0
    for document in documents:
        block.append(document)
        size += sum(map(len, texts_of(document.content)))
        if size >= _BLOCK_CHARACTERS or len(block) >= _BLOCK_DOCUMENTS:
            yield block
            block, size = [], 0
    if block:
        yield block
