"""Search by meaning: which passages' vectors lie nearest to a question's, and how texts become vectors. Not words
(`bm25.py`), nor how both are joined (`retrieval.py`).

A knowledge base has a text encoder, or none; then its own words span the space: latent semantic analysis (Deerwester, Dumais,
Furnas, Landauer, Harshman 1990), a product of a sparse vector with a matrix. All vectors have length 1, so that a product of
two is the cosine of their angle. Up to `EXACT` passages all are compared; beyond, a graph of near neighbours is walked
(Malkov, Yashunin 2018), and where a filter leaves few, those alone are compared.

Legend: N passages, B texts, D width, T terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from tradewind.engines.embeddings import EncoderEngine
from tradewind.errors import ArtifactError
from tradewind.features.knowledge_files import ENCODER, EXACT, GRAPH, LSA, LSA_TERMS, TERMS, VECTORS
from tradewind.features.terms import terms as terms_of

_WALK = 96  # candidates that a walk through the graph keeps
_BLOCK = 8192

Floats: TypeAlias = NDArray[np.float32]
Near: TypeAlias = tuple[NDArray[np.int64], Floats]  # rows and cosines, the nearest first


class TextVectors(Protocol):
    """From texts to vectors. Safe for threads."""

    @property
    def width(self) -> int: ...
    @property
    def name(self) -> str:
        """What the vectors were made with: those of another name do not compare."""
        ...

    def vectors(self, texts: Sequence[str]) -> Floats:
        """[B, D], each of length 1; zeros for a text of which nothing is known."""
        ...


class EncoderVectors:
    """By a text encoder; what is beyond its context is left out."""

    def __init__(self, engine: EncoderEngine, *, name: str) -> None:
        self._engine = engine
        self.name = name
        self.width = engine.width

    @classmethod
    def open(cls, folder: Path, facts: Mapping[str, Any], *, threads: int = 1) -> EncoderVectors:
        """The encoder in `folder`. Raises ArtifactError when a part cannot be read."""
        engine = EncoderEngine(
            folder / "encoder.onnx", folder / "tokenizer.json", context=facts["context"], vocabulary=facts["vocabulary"],
            width=facts["width"], pad=facts["pad"], threads=threads,
        )  # fmt: skip
        return cls(engine, name=facts["name"])

    def vectors(self, texts: Sequence[str]) -> Floats:
        most = self._engine.context
        tokens = [self._engine.encode(text) for text in texts]
        return self._engine.embed([one if len(one) <= most else [*one[: most - 1], one[-1]] for one in tokens])


class LsaVectors:
    """By the terms that the passages share: the mean of the terms' vectors, weighed by how often and how rare."""

    def __init__(self, vectors_TD: NDArray[np.floating[Any]], place: Mapping[str, int], *, name: str) -> None:
        self._vectors_TD = vectors_TD
        self._place = place
        self.name = name
        self.width = int(vectors_TD.shape[1])

    @classmethod
    def open(cls, folder: Path, facts: Mapping[str, Any]) -> LsaVectors:
        """Raises ArtifactError when a part cannot be read."""
        try:
            words = (folder / TERMS).read_text(encoding="utf-8").split("\n")[:-1]
            chosen = np.load(folder / LSA_TERMS, allow_pickle=False)
            vectors_TD = np.load(folder / LSA, mmap_mode="r", allow_pickle=False)
            place = {words[number]: row for row, number in enumerate(chosen.tolist())}
        except (OSError, ValueError, IndexError) as error:
            raise ArtifactError(
                f"The vectors of terms cannot be read ({error}).", code="knowledge_broken", where=str(folder)
            ) from error
        return cls(vectors_TD, place, name=facts["name"])

    def vectors(self, texts: Sequence[str]) -> Floats:
        found_BD = np.zeros((len(texts), self.width), np.float32)
        for row, text in enumerate(texts):
            held = {self._place[term]: count for term, count in Counter(terms_of(text)).items() if term in self._place}
            if held:
                weight = 1 + np.log(np.fromiter(held.values(), np.float32, len(held)))
                found_BD[row] = weight @ self._vectors_TD[list(held)].astype(np.float32)
        return unit(found_BD)


def open_text_vectors(folder: Path, facts: Mapping[str, Any] | None, *, threads: int = 1) -> TextVectors | None:
    """What the manifest of a knowledge base calls its encoder; None where there is none. Raises ArtifactError."""
    if facts is None:
        return None
    if facts["kind"] == "lsa":
        return LsaVectors.open(folder, facts)
    return EncoderVectors.open(folder / ENCODER, facts, threads=threads)


class FixedVectors:
    """The passages of a release. Raises ArtifactError when a file cannot be read or does not fit."""

    def __init__(self, folder: Path, *, passages: int, width: int) -> None:
        try:
            self._vectors_ND = np.load(folder / VECTORS, mmap_mode="r" if passages else None, allow_pickle=False)
            self._graph = _graph(folder / GRAPH, width) if passages > EXACT else None
        except (OSError, ValueError, RuntimeError) as error:
            raise ArtifactError(
                f"The vectors cannot be read ({error}).", code="knowledge_broken", where=str(folder)
            ) from error
        if self._vectors_ND.shape != (passages, width):
            raise ArtifactError(
                f"The vectors have the shape {self._vectors_ND.shape}, not {(passages, width)}.",
                code="knowledge_broken", where=str(folder),
            )  # fmt: skip
        # Compared as a whole it lies in memory, in the type that products are fastest in.
        self._all_ND: Floats | None = self._vectors_ND.astype(np.float32) if self._graph is None else None

    def rows(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Floats:
        """The vectors of some passages, [n, D]."""
        found: Floats = np.asarray(self._vectors_ND[rows], np.float32)
        return found

    def nearest(self, query_D: Floats, most: int, *, kept_N: NDArray[np.bool_] | None = None) -> Near:
        """At most `most` rows, of those that are kept."""
        if self._all_ND is not None:
            return _best(self._all_ND @ query_D, most, kept_N)
        assert self._graph is not None
        if kept_N is None:
            found = self._graph.search(query_D, most)
            return found.keys.astype(np.int64), (1 - found.distances).astype(np.float32)
        rows = np.flatnonzero(kept_N)
        cosines = np.concatenate(
            [self.rows(rows[at : at + _BLOCK]) @ query_D for at in range(0, len(rows), _BLOCK)] or [_NO_FLOATS]
        )
        places, near = _best(cosines, most, None)
        return rows[places], near


class LiveVectors:
    """Of passages that come and go, by their rows. Not safe for threads."""

    def __init__(self, width: int) -> None:
        self._vectors_ND = np.zeros((0, width), np.float32)
        self._there_N = np.zeros(0, np.bool_)

    def put(self, row: int, vector_D: Floats) -> None:
        if row >= len(self._there_N):
            size = max(64, 2 * row)
            grown_ND = np.zeros((size, self._vectors_ND.shape[1]), np.float32)
            grown_ND[: len(self._vectors_ND)] = self._vectors_ND
            self._vectors_ND = grown_ND
            self._there_N = np.concatenate([self._there_N, np.zeros(size - len(self._there_N), np.bool_)])
        self._vectors_ND[row] = vector_D
        self._there_N[row] = True

    def remove(self, row: int) -> None:
        self._there_N[row] = False
        self._vectors_ND[row] = 0

    def rows(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Floats:
        found: Floats = self._vectors_ND[rows]
        return found

    def nearest(self, query_D: Floats, most: int, *, kept_N: NDArray[np.bool_] | None = None) -> Near:
        """At most `most` rows, of those that are there and kept; `kept_N` is as long as rows were given out."""
        there_N = self._there_N.copy()
        if kept_N is not None:
            there_N[: len(kept_N)] &= kept_N
            there_N[len(kept_N) :] = False
        return _best(self._vectors_ND @ query_D, most, there_N)


def unit(vectors_BD: Floats) -> Floats:
    """Brought to length 1; zeros stay zeros."""
    length_B1 = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
    found: Floats = (vectors_BD / np.where(length_B1 > 0, length_B1, 1)).astype(np.float32)
    return found


def best(scores_N: Floats, most: int) -> NDArray[np.int64]:
    """The places of the largest scores, largest first; of equal ones the first place leads."""
    if most < len(scores_N):
        least = np.partition(scores_N, -most)[-most]
        above = np.flatnonzero(scores_N > least)
        places = np.concatenate([above, np.flatnonzero(scores_N == least)[: most - len(above)]])
    else:
        places = np.arange(len(scores_N))
    return places[np.lexsort((places, -scores_N[places]))].astype(np.int64)


_NO_FLOATS: Floats = np.zeros(0, np.float32)


def _best(cosines_N: Floats, most: int, kept_N: NDArray[np.bool_] | None) -> Near:
    if kept_N is not None:
        rows = np.flatnonzero(kept_N)
        places = best(cosines_N[rows], most)
        return rows[places].astype(np.int64), cosines_N[rows[places]]
    places = best(cosines_N, most)
    return places, cosines_N[places]


def _graph(path: Path, width: int) -> Index:
    found = Index(ndim=width, metric="cos", dtype="f16", expansion_search=_WALK)
    found.view(str(path))
    return found
