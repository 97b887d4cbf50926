"""Knowledge bases made by hand in a moment, without an encoder of their own: latent semantic analysis, or words alone."""

from __future__ import annotations

from pathlib import Path

from tradewind.data import knowledge_index as index
from tradewind.engines.retrieval import Knowledge
from tradewind.engines.vectors import LsaVectors
from tradewind.features.passages import Document, Passage

BLEND = {"words": 1.0, "vectors": 1.0, "bias": -4.0, "similarity": 4.0, "coverage": 3.0}


def documents_of(*texts: str) -> list[Document]:
    """One document a text, named d0, d1, …"""
    return [Document(f"d{place}", f"kb/d{place}.md", (Passage(text),)) for place, text in enumerate(texts)]


def write(folder: Path, documents: list[Document], *, vectors: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    texts = [passage.found_by for document in documents for passage in document.passages]
    words = index.Words.of(texts)
    index.write_passages(folder, documents)
    index.write_words(folder, words)
    facts = None
    if vectors:
        chosen, vectors_tD = words.lsa()
        index.write_lsa(folder, chosen, vectors_tD)
        place = {words.terms[number]: row for row, number in enumerate(chosen.tolist())}
        index.write_vectors(folder, LsaVectors(vectors_tD, place, name="lsa").vectors(texts))
        facts = {"kind": "lsa", "name": "lsa"}
    index.write_manifest(folder, {"encoder": facts, "blend": BLEND, "size": 160, "overlap": 30})
    return folder


def knowledge_of(folder: Path, *texts: str, vectors: bool = True) -> Knowledge:
    return Knowledge(write(folder, documents_of(*texts), vectors=vectors))
