"""The knowledge base of a product: files become passages that are searched and cited, an artifact that a release takes along.
Not here: reading and writing (`data/knowledge.py`, `data/knowledge_index.py`), encoders (`knowledge_encoder.py`), figures
(`evaluate/retrieval.py`).

    index/           what the release carries as `knowledge/`
    seen.npz         how the held-out questions were answered: the witness of the report
    rejected.jsonl   files and rows that could not be read, with the reason
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tradewind.artifacts import Artifact
from tradewind.cli.knowledge_encoder import LSA, NONE, bring, digest_of, encoder_of
from tradewind.cli.session import Session
from tradewind.data import knowledge_index as index
from tradewind.data.dataset import Dataset
from tradewind.data.knowledge import Gathered, fingerprint, gather
from tradewind.engines.retrieval import Blend, Knowledge
from tradewind.engines.vectors import EncoderVectors, Floats, LsaVectors, TextVectors
from tradewind.evaluate.retrieval import (
    DEPTH,
    LEAST_TO_SETTLE,
    Sureness,
    mean_reciprocal,
    settle_bound,
    settle_sureness,
)
from tradewind.evaluate.trust import Witness
from tradewind.features.knowledge_files import ENCODER, FOLDER, FORMAT
from tradewind.features.passages import Document, Passage
from tradewind.files import canonical_json, digest_json, read_json, write_bytes
from tradewind.product import KnowledgeBase

INDEX, SEEN, REJECTED = "index", "seen.npz", "rejected.jsonl"
_MOST_QUESTIONS = 1000
_LEAST_PAIRS = 10
_MOST_ELSEWHERE, _LOOKED_AT = 500, 3  # messages, and the first passages that an answer looks at
_BATCH = 128
_TRIED = ((1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (1.0, 0.25), (0.25, 1.0))  # weights of words and of vectors
_SPACE = re.compile(r"\s+")


def build_knowledge(session: Session, dataset: Dataset | None = None) -> Artifact | None:
    """The finished one at once when nothing it is made from has changed; None where the product has none. `dataset` holds messages
    that something else answers: they settle from which confidence on a passage does.

    Raises DataError (missing, knowledge_format, knowledge_empty, encoder_unknown), ModelError, ArtifactError.
    """
    settings, workspace = session.product.knowledge, session.workspace
    if settings is None:
        return None
    encoder = encoder_of(session, settings)
    made_of = {
        "format": FORMAT, "knowledge": settings.model_dump(mode="json"), "files": fingerprint(settings, base=session.folder),
        "encoder": digest_of(encoder), "elsewhere": digest_json(elsewhere := _elsewhere(session, dataset)),
    }  # fmt: skip
    artifact = workspace.find("knowledge", digest_json(made_of))
    if artifact is None:
        with session.timed("knowledge", "Knowledge base"):
            with workspace.making("knowledge", made_of) as folder:
                _make(session, settings, encoder, folder, elsewhere)
            artifact = workspace.find("knowledge", digest_json(made_of))
            assert artifact is not None
            facts = read_json(artifact.folder / INDEX / "manifest.json")
            session.voice.say(
                f"{facts['passages']:,} passages of {facts['documents']:,} documents, vectors: {facts['made_with']}; "
                f"{facts['rejected']:,} files or rows rejected"
            )
    session.outcome.artifacts["knowledge"] = str(artifact.folder)
    return artifact


def seen(artifact: Artifact | None) -> Witness | None:
    """How the held-out questions were answered."""
    if artifact is None:
        return None
    with np.load(artifact.folder / SEEN, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def carry(artifact: Artifact | None, folder: Path) -> None:
    """Puts the index into the folder of a release."""
    if artifact is not None:
        shutil.copytree(artifact.folder / INDEX, folder / FOLDER)


# ---------------------------------------------------------------- making


def _make(
    session: Session, settings: KnowledgeBase, encoder: Path | str, folder: Path, elsewhere: Sequence[str]
) -> None:
    say = session.voice.progress
    # 1. Files become passages; what could not be read is kept with its reason.
    say("reading documents", 0.0)
    found = gather(settings, base=session.folder)
    for one in found.rejected[:5]:
        session.voice.say(f"! {one.file}:{one.line} {one.reason}")
    write_bytes(folder / REJECTED, b"".join(canonical_json(asdict(one)) + b"\n" for one in found.rejected))
    place = folder / INDEX
    place.mkdir()

    # 2. Words, and vectors by an encoder or by the passages' own words.
    say("indexing words", 0.1)
    texts = [passage.found_by for _, passage in found.passages]
    words = index.Words.of(texts)
    index.write_words(place, words)
    index.write_passages(place, found.documents)
    maker, facts = _maker(encoder, place, words)
    vectors_ND = None
    if maker is not None:
        parts = []
        for start in range(0, len(texts), _BATCH):
            say(f"vectors of {start:,}/{len(texts):,} passages", 0.2 + 0.5 * start / len(texts))
            parts.append(maker.vectors(texts[start : start + _BATCH]))
        vectors_ND = np.concatenate(parts)
        index.write_vectors(place, vectors_ND)

    # 3. Questions whose answer is known settle how both are weighed; others show how well it finds.
    say("asking held-out questions", 0.75)
    questions = _held_out(found, settings)
    blend, witness = _ask(found, questions, maker, vectors_ND)
    made_with = "none" if facts is None else facts["name"].partition(":")[0]
    told = {
        "passages": len(texts), "documents": len(found.documents), "rejected": len(found.rejected), "made_with": made_with,
    }  # fmt: skip
    index.write_manifest(
        place, {"encoder": facts, "blend": asdict(blend), "size": settings.size, "overlap": settings.overlap}
    )
    bound = _bound(Knowledge(place, encoder=maker), elsewhere)
    witness |= {"bound": np.array(bound), "elsewhere": np.array(len(elsewhere))}
    index.write_manifest(
        place,
        {
            **told,
            "bound": bound,
            "encoder": facts,
            "blend": asdict(blend),
            "size": settings.size,
            "overlap": settings.overlap,
        },
    )
    witness |= {
        "passages": np.array(len(texts)), "documents": np.array(len(found.documents)), "rejected": np.array(len(found.rejected)),
        "encoder": np.array(made_with),
    }  # fmt: skip
    content = io.BytesIO()
    np.savez_compressed(content, **cast(dict[str, Any], witness))
    write_bytes(folder / SEEN, content.getvalue())


def _maker(encoder: Path | str, place: Path, words: index.Words) -> tuple[TextVectors | None, dict[str, Any] | None]:
    """What makes vectors, and its facts for the manifest."""
    if encoder == NONE:
        return None, None
    if encoder == LSA:
        chosen, vectors_tD = words.lsa()
        index.write_lsa(place, chosen, vectors_tD)
        spelled = {words.terms[number]: row for row, number in enumerate(chosen.tolist())}
        name = f"{LSA}:{digest_json([list(spelled), vectors_tD.astype(np.float16).astype(float).tolist()])[7:23]}"
        return LsaVectors(vectors_tD.astype(np.float16), spelled, name=name), {"kind": LSA, "name": name}
    assert isinstance(encoder, Path)
    facts = bring(encoder, place, digest=digest_of(encoder))
    return EncoderVectors.open(place / ENCODER, facts, threads=0), facts


# ---------------------------------------------------------------- from when on a passage answers


def _elsewhere(session: Session, dataset: Dataset | None) -> list[str]:
    """Messages of intents that have an answer of their own, or a person: no passage is to answer them."""
    serve = session.product.serve
    handed = serve.conversation.handoff.intents if serve.conversation is not None and serve.conversation.handoff else []
    intents = {*serve.answers.texts, *handed}
    if dataset is None or not intents or [column.kind for column in dataset.features.columns] != ["text"]:
        return []
    raw = dataset.raw("train")
    texts, labels = raw[dataset.features.columns[0].name], raw[session.product.data.target]
    found = [str(text) for text, label in zip(texts, labels, strict=True) if text is not None and str(label) in intents]
    return [found[place] for place in np.linspace(0, len(found) - 1, min(_MOST_ELSEWHERE, len(found))).astype(int)]


def _bound(knowledge: Knowledge, elsewhere: Sequence[str]) -> float:
    best = [
        max((hit.confidence for hit in knowledge.search(text, k=_LOOKED_AT)), default=0.0) for text in elsewhere
    ]  # fmt: skip
    return settle_bound(np.array(best))


# ---------------------------------------------------------------- asking


@dataclass(frozen=True)
class _Question:
    """A question that is asked, and the names of the documents that hold its answer."""

    text: str
    right: frozenset[str]


def _held_out(found: Gathered, settings: KnowledgeBase) -> list[tuple[int, _Question]]:
    """Places of passages whose question is taken out, with the question; drawn evenly, the same ones every time."""
    by_answer: dict[str, set[str]] = {}
    for document, passage in found.passages:
        by_answer.setdefault(_SPACE.sub(" ", passage.text), set()).add(document.name)
    pairs = [place for place, (_, passage) in enumerate(found.passages) if passage.question]
    if len(pairs) < _LEAST_PAIRS:
        return []
    count = min(_MOST_QUESTIONS, max(_LEAST_PAIRS, round(settings.held_out * len(pairs))))
    drawn = np.sort(np.random.default_rng(0).choice(pairs, count, replace=False)).tolist()
    passages = [found.passages[place][1] for place in drawn]
    return [
        (place, _Question(one.question, frozenset(by_answer[_SPACE.sub(" ", one.text)])))
        for place, one in zip(drawn, passages, strict=True)
    ]


def _ask(
    found: Gathered, questions: Sequence[tuple[int, _Question]], maker: TextVectors | None, vectors_ND: Floats | None
) -> tuple[Blend, dict[str, NDArray[Any]]]:
    """How words and vectors are weighed, and what the other half of the questions found by that."""
    pairs = sum(bool(passage.question) for _, passage in found.passages)
    blend, settled = Blend(vectors=_trusted(maker)), 0
    if not questions:
        nothing = np.zeros(0, np.int64)
        return blend, _witness(nothing, nothing, np.zeros(0), blend, pairs, settled)
    with tempfile.TemporaryDirectory() as work:
        asked = _without_questions(found, [place for place, _ in questions], maker, vectors_ND, Path(work))
        ask = [question for _, question in questions]
        if len(ask) >= LEAST_TO_SETTLE:
            settling, ask = ask[::2], ask[1::2]
            blend, settled = _settled(asked, settling, maker), len(settling)
        answers = [_answer(asked, one, blend) for one in ask]
        by_words = [_answer(asked, one, replace(blend, words=1.0, vectors=0.0)) for one in ask]
    ranks, words = (np.array([one.rank for one in some]) for some in (answers, by_words))
    return blend, _witness(ranks, words, np.array([one.confidence for one in answers]), blend, pairs, settled)


def _trusted(maker: TextVectors | None) -> float:
    """What vectors count beside words where no question settles it. Those of the passages' own words add little to the words
    themselves (docs/customer-service.md)."""
    return 0.0 if maker is None else 0.25 if isinstance(maker, LsaVectors) else 1.0


@dataclass(frozen=True)
class _Answer:
    """`near` and `coverage` of the first passage; `other` of the first that is not right, None where none is found."""

    rank: int
    near: float
    coverage: float
    confidence: float
    other: tuple[float, float] | None


def _answer(asked: Knowledge, question: _Question, blend: Blend) -> _Answer:
    hits = asked.search(question.text, k=DEPTH, blend=blend)
    rank = next((place for place, hit in enumerate(hits, 1) if hit.document in question.right), 0)
    wrong = next((hit for hit in hits if hit.document not in question.right), None)
    if not hits:
        return _Answer(0, 0.0, 0.0, 0.0, None)
    first = hits[0]
    other = None if wrong is None else (wrong.similarity or 0.0, wrong.coverage)
    return _Answer(rank, first.similarity or 0.0, first.coverage, first.confidence, other)


def _settled(asked: Knowledge, questions: Sequence[_Question], maker: TextVectors | None) -> Blend:
    """The weights with the best mean reciprocal rank, and the sureness that goes with them."""
    tried = [Blend(vectors=0.0)] if maker is None else [Blend(words, vectors) for words, vectors in _TRIED]
    found = [[_answer(asked, one, blend) for one in questions] for blend in tried]
    gains = [mean_reciprocal(np.array([one.rank for one in answers])) for answers in found]
    best = int(np.argmax(gains))  # of equal ones the first: both alike
    answers = found[best]
    # A right first passage is an answer, a wrong one none; nor is the first where the right one is left out.
    seen_m = [(one.near, one.coverage, one.rank == 1) for one in answers]
    seen_m += [(*one.other, False) for one in answers if one.other is not None]
    near_m, coverage_m, right_m = (np.array(column) for column in zip(*seen_m, strict=True))
    sure: Sureness = settle_sureness(near_m, coverage_m, right_m)
    return replace(tried[best], bias=sure.bias, similarity=sure.similarity, coverage=sure.coverage)


def _without_questions(
    found: Gathered, places: Sequence[int], maker: TextVectors | None, vectors_ND: Floats | None, work: Path
) -> Knowledge:
    """The knowledge base in which held-out questions are gone and their answers stay."""
    gone = set(places)
    number = 0
    documents: list[Document] = []
    for document in found.documents:
        passages: list[Passage] = []
        for passage in document.passages:
            passages.append(replace(passage, question="") if number in gone else passage)
            number += 1
        documents.append(replace(document, passages=tuple(passages)))
    texts = [passage.found_by for document in documents for passage in document.passages]
    index.write_words(work, index.Words.of(texts))
    index.write_passages(work, documents)
    if vectors_ND is not None and maker is not None:
        vectors_ND = vectors_ND.copy()
        for start in range(0, len(places), _BATCH):
            here = list(places[start : start + _BATCH])
            vectors_ND[here] = maker.vectors([texts[place] for place in here])
        index.write_vectors(work, vectors_ND)
    index.write_manifest(work, {"encoder": None, "blend": asdict(Blend()), "size": 1, "overlap": 0})
    return Knowledge(work, encoder=maker)


def _witness(
    ranks: NDArray[np.int64],
    words: NDArray[np.int64],
    sure: NDArray[np.float64],
    blend: Blend,
    pairs: int,
    settled: int,
) -> dict[str, NDArray[Any]]:
    facts: Mapping[str, float] = {"pairs": pairs, "settled_on": settled, "words": blend.words, "vectors": blend.vectors}
    return {
        "rank": ranks,
        "rank_words": words,
        "confidence": sure,
        **{name: np.array(one) for name, one in facts.items()},
    }
