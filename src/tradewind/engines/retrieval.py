"""Finds the passages that answer a question, by words and by meaning, and cites them. Not HTTP (`server/search.py`), the order
of what is found (`retrieval_order.py`), nor how a knowledge base is built (`data/knowledge.py`, `cli/knowledge.py`).

A `Knowledge` is what a release brings along, fixed; an `Own` holds the documents of one customer beside it, which come and go.
Both are searched as one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from tradewind.engines.bm25 import FixedPostings, LivePostings, Postings, weights
from tradewind.engines.retrieval_order import Candidate, Part, candidates, diverse, similarity
from tradewind.engines.vectors import FixedVectors, Floats, LiveVectors, TextVectors, open_text_vectors
from tradewind.errors import ArtifactError
from tradewind.features.function_words import FEW_PASSAGES, telling
from tradewind.features.knowledge_files import BELONGS, DOCUMENTS, FORMAT, MANIFEST, PASSAGES
from tradewind.features.passages import Document, Passage
from tradewind.features.terms import terms as terms_of
from tradewind.files import read_json

Mask: TypeAlias = NDArray[np.bool_] | None


@dataclass(frozen=True)
class Filters:
    """A document passes that has all of the tags, one of the languages and one of the names; what is empty asks nothing."""

    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tags or self.languages or self.documents)

    def let_pass(self, document: Document) -> bool:
        return (
            set(self.tags) <= set(document.tags)
            and (not self.languages or document.language in self.languages)
            and (not self.documents or document.name in self.documents)
        )


@dataclass(frozen=True)
class Hit:
    """A passage that was found, with where it stands.

    `score` is 1 for the first by words and by meaning alike; it orders the hits of one question. `similarity` is the cosine of
    the vectors, None where there are none. `coverage` is the share of the question's words, weighed by how rare they are, that
    the passage holds. `confidence` compares over questions: how probable it is that the passage answers.
    """

    document: str
    source: str
    title: str
    heading: str
    line: int
    last: int
    language: str
    tags: tuple[str, ...]
    question: str
    text: str
    score: float
    similarity: float | None
    coverage: float
    confidence: float
    own: bool = False  # of the customer's documents, not of the release's

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tags": list(self.tags)}


@dataclass(frozen=True)
class Blend:
    """How the two orders are weighed, and how sure an answer is: a logistic in similarity and coverage, fitted on questions
    whose answer is known (`evaluate/retrieval.py`)."""

    words: float = 1.0
    vectors: float = 1.0
    bias: float = -4.0
    similarity: float = 4.0
    coverage: float = 3.0

    def confidence(self, near: float | None, coverage: float) -> float:
        return 1 / (1 + math.exp(-(self.bias + self.similarity * (near or 0.0) + self.coverage * coverage)))


NO_FILTERS = Filters()
BOUND = 0.5  # of a knowledge base that says none: below it a passage is more likely wrong than right


class Knowledge:
    """The folder `knowledge/` of a release. Safe for threads. Raises ArtifactError when a part is missing or broken.

    `encoder` is taken in place of the folder's own, where it is open already.
    """

    def __init__(self, folder: Path, *, threads: int = 1, encoder: TextVectors | None = None) -> None:
        try:
            manifest = read_json(folder / MANIFEST)
            self._lines = _Lines(folder / PASSAGES)
            self._document_N: NDArray[np.int32] = np.load(folder / BELONGS, allow_pickle=False)
            self.documents = [_document(line) for line in (folder / DOCUMENTS).read_bytes().splitlines()]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"The knowledge base cannot be read ({error}).", code="knowledge_broken", where=str(folder)
            ) from error
        if manifest.get("format") != FORMAT:
            raise ArtifactError(
                f"The knowledge base has format {manifest.get('format')}, this version reads {FORMAT}.",
                code="knowledge_format", where=str(folder), hint="Make the release again: tradewind release.",
            )  # fmt: skip
        self.manifest: Mapping[str, Any] = manifest
        self.blend = Blend(**manifest["blend"])
        self.bound: float = manifest.get("bound", BOUND)  # from this confidence on a passage may answer by itself
        self.encoder: TextVectors | None = encoder or open_text_vectors(folder, manifest["encoder"], threads=threads)
        self.postings: Postings = FixedPostings(folder)
        if not self.postings.passages == len(self._lines) == len(self._document_N):
            raise ArtifactError(
                f"{len(self._lines)} passages, but the word index has {self.postings.passages}.",
                code="knowledge_broken", where=str(folder),
            )  # fmt: skip
        self._vectors = (
            None if self.encoder is None
            else FixedVectors(folder, passages=self.passages, width=self.encoder.width)
        )  # fmt: skip

    @property
    def passages(self) -> int:
        return self.postings.passages

    def passage(self, row: int) -> tuple[Passage, Document]:
        return Passage(**_decode(self._lines[row])), self.documents[self._document_N[row]]

    def part(self, filters: Filters) -> Part:
        passing = np.array([filters.let_pass(one) for one in self.documents], np.bool_) if filters else None
        return Part(self.postings, self._vectors, None if passing is None else passing[self._document_N])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing of it changes."""
        yield

    def own(self) -> Own:
        """An empty place for a customer's documents beside this knowledge base."""
        return Own(self.encoder)

    def search(
        self, query: str, *, k: int = 5, filters: Filters = NO_FILTERS, own: Own | None = None, diversity: float = 0.0,
        blend: Blend | None = None,
    ) -> list[Hit]:  # fmt: skip
        """At most `k` passages, the best first; none where nothing shares a word or a direction with the question.

        `diversity` from 0 to 1 is how much a passage loses that is like one before it. `blend` is taken in place of the
        knowledge base's own.
        """
        shelves: list[Knowledge | Own] = [self] if own is None else [self, own]
        return search(shelves, self.encoder, blend or self.blend, query, k=k, filters=filters, diversity=diversity)


class Own:
    """The documents of one customer. Safe for threads: a change waits for the searches that run."""

    def __init__(self, encoder: TextVectors | None) -> None:
        self._encoder = encoder
        self._lock = threading.RLock()
        self._postings = LivePostings()
        self._vectors = None if encoder is None else LiveVectors(encoder.width)
        self._rows: dict[str, list[int]] = {}
        self._at: dict[int, tuple[Passage, Document]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._rows)

    @property
    def passages(self) -> int:
        return self._postings.passages

    def vectors_of(self, document: Document) -> Floats | None:
        """[P, D] of its passages: what `put` computes where it is not given."""
        return None if self._encoder is None else self._encoder.vectors([one.found_by for one in document.passages])

    def put(self, document: Document, vectors_PD: Floats | None = None) -> None:
        """Adds a document, or takes the place of the one of its name. `vectors_PD` where they are known already."""
        if vectors_PD is None:
            vectors_PD = self.vectors_of(document)
        words = [terms_of(one.found_by) for one in document.passages]
        with self._lock:
            self.remove(document.name)
            rows = [self._postings.add(one) for one in words]
            for place, row in enumerate(rows):
                self._at[row] = document.passages[place], document
                if self._vectors is not None and vectors_PD is not None:
                    self._vectors.put(row, vectors_PD[place])
            self._rows[document.name] = rows

    def remove(self, name: str) -> bool:
        """Whether there was such a document."""
        with self._lock:
            rows = self._rows.pop(name, None)
            for row in rows or ():
                self._postings.remove(row)
                del self._at[row]
                if self._vectors is not None:
                    self._vectors.remove(row)
        return rows is not None

    def passage(self, row: int) -> tuple[Passage, Document]:
        return self._at[row]

    def part(self, filters: Filters) -> Part:
        kept_N: Mask = None
        if filters:
            kept_N = np.zeros(len(self._postings.lengths_N), np.bool_)
            for row, (_, document) in self._at.items():
                kept_N[row] = filters.let_pass(document)
        return Part(self._postings, self._vectors, kept_N)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing of it changes until the end of the block."""
        with self._lock:
            yield


def search(
    shelves: Sequence[Knowledge | Own], encoder: TextVectors | None, blend: Blend, query: str, *, k: int = 5,
    filters: Filters = NO_FILTERS, diversity: float = 0.0,
) -> list[Hit]:  # fmt: skip
    """`Knowledge.search` over any shelves that share an encoder."""
    asked = terms_of(query)
    about = telling(asked)
    query_D = None if encoder is None else encoder.vectors([query])[0]
    with ExitStack() as stack:
        for shelf in shelves:
            stack.enter_context(shelf.held())
        parts = [shelf.part(filters) for shelf in shelves]
        few = sum(part.postings.passages for part in parts) < FEW_PASSAGES
        found = candidates(parts, about or asked if few else asked, query_D, words=blend.words, vectors=blend.vectors)
        chosen = diverse(parts, found, k, diversity=diversity) if diversity > 0 else found[:k]
        idf = weights([part.postings for part in parts], about)
        return [_hit(shelves, parts, one, idf, query_D, blend) for one in chosen]


def _hit(
    shelves: Sequence[Knowledge | Own], parts: Sequence[Part], found: Candidate, idf: Mapping[str, float], query_D: Floats | None,
    blend: Blend,
) -> Hit:  # fmt: skip
    passage, document = shelves[found.part].passage(found.row)
    held = set(terms_of(passage.found_by))
    whole = sum(idf.values())
    coverage = sum(weight for term, weight in idf.items() if term in held) / whole if whole > 0 else 0.0
    near = similarity(parts[found.part], found.row, query_D) if found.similarity is None else found.similarity
    return Hit(
        document=document.name, source=document.source, title=document.title, heading=passage.heading, line=passage.line,
        last=passage.last, language=document.language, tags=document.tags, question=passage.question, text=passage.text,
        score=round(found.fused, 6), similarity=None if near is None else round(near, 6), coverage=round(coverage, 6),
        confidence=round(blend.confidence(near, coverage), 6), own=isinstance(shelves[found.part], Own),
    )  # fmt: skip


class _Lines(Sequence[bytes]):
    """The lines of a file, read where they lie."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        self._bytes: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
        ends = np.flatnonzero(self._bytes == ord("\n"))
        self._starts = np.concatenate([[0], ends + 1]).astype(np.int64)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, place: Any) -> Any:
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return self._bytes[self._starts[place] : self._starts[place + 1]].tobytes()


_JSON = msgspec.json.Decoder()


def _decode(line: bytes) -> dict[str, Any]:
    content: dict[str, Any] = _JSON.decode(line)
    return content


def _document(line: bytes) -> Document:
    content = _decode(line)
    return Document(
        name=content["name"], source=content["source"], passages=(), language=content["language"],
        tags=tuple(content["tags"]), title=content["title"],
    )  # fmt: skip
