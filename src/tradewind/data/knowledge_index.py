"""Writes the folder of a knowledge base: passages, postings of terms, vectors, each as arrays that are read where they lie.
Not here: reading files (`knowledge.py`), computing vectors (`cli/knowledge.py`), searching (`engines/retrieval.py`).

Without a text encoder the passages' own terms span the vectors' space: latent semantic analysis (Deerwester, Dumais, Furnas,
Landauer, Harshman 1990), by a randomised decomposition (Halko, Martinsson, Tropp 2011).

Legend: N passages, T terms, P postings, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from usearch.index import Index

from tradewind.features.function_words import FEW_PASSAGES, telling
from tradewind.features.knowledge_files import (
    BELONGS,
    COUNTS,
    DOCUMENTS,
    EXACT,
    FORMAT,
    GRAPH,
    LENGTHS,
    LSA,
    LSA_TERMS,
    MANIFEST,
    OFFSETS,
    PASSAGES,
    ROWS,
    TERMS,
    VECTORS,
)
from tradewind.features.passages import Document, Passage
from tradewind.features.terms import terms
from tradewind.files import canonical_json, digest_json, write_bytes, write_json

_LSA_WIDTH, _LSA_TERMS, _OVERSAMPLED, _POWERS = 128, 50_000, 16, 3
_NEIGHBOURS, _EXPANSION = 16, 128

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Words:
    """The postings of all passages: those of term t are `rows` and `counts` from `offsets[t]` to `offsets[t + 1]`."""

    terms: tuple[str, ...]
    offsets: NDArray[np.int64]  # [T + 1]
    rows: NDArray[np.int32]  # [P]
    counts: NDArray[np.int32]  # [P]
    lengths: NDArray[np.int32]  # [N]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        numbers: dict[str, int] = {}
        number_P, count_P = list[int](), list[int]()
        different, lengths = list[int](), list[int]()
        for text in texts:
            counts = Counter(terms(text))
            number_P += [numbers.setdefault(term, len(numbers)) for term in counts]
            count_P += counts.values()
            lengths.append(sum(counts.values()))
            different.append(len(counts))
        names = sorted(numbers)
        place_T = np.zeros(len(names), np.int64)
        for place, name in enumerate(names):
            place_T[numbers[name]] = place
        term_P = place_T[np.array(number_P, np.int64)]
        row_P = np.repeat(np.arange(len(texts), dtype=np.int32), different)
        order = np.lexsort((row_P, term_P))
        offsets = np.zeros(len(names) + 1, np.int64)
        np.cumsum(np.bincount(term_P, minlength=len(names)), out=offsets[1:])
        return cls(tuple(names), offsets, row_P[order], np.array(count_P, np.int32)[order], np.array(lengths, np.int32))

    def lsa(self, *, width: int = _LSA_WIDTH, seed: int = 0) -> tuple[NDArray[np.int64], Floats]:
        """The terms [t] that get a vector, the commonest, and their vectors [t, D], rare terms longer than common ones."""
        held_T = np.diff(self.offsets)
        few = len(self.lengths) < FEW_PASSAGES
        chosen = np.flatnonzero([not few or bool(telling([term])) for term in self.terms])
        if len(chosen) > _LSA_TERMS:
            chosen = np.sort(chosen[np.argsort(-held_T[chosen], kind="stable")[:_LSA_TERMS]])
        if len(chosen) == 0:
            return chosen, np.zeros((0, 1), np.float32)
        idf_t = np.log1p((len(self.lengths) - held_T[chosen] + 0.5) / (held_T[chosen] + 0.5))
        part = [np.arange(self.offsets[one], self.offsets[one + 1]) for one in chosen]
        at_P = np.concatenate(part)
        term_P = np.repeat(np.arange(len(chosen)), held_T[chosen])
        weight_P = (1 + np.log(self.counts[at_P])) * idf_t[term_P]
        passages = csr_matrix((weight_P, (self.rows[at_P], term_P)), shape=(len(self.lengths), len(chosen)))
        length_N = np.sqrt(np.asarray(passages.multiply(passages).sum(1)).ravel())
        passages = csr_matrix(passages.multiply(1 / np.where(length_N > 0, length_N, 1)[:, None]))
        vectors_tD = _right_singular(passages, min(width, min(passages.shape)), seed)
        return chosen, (vectors_tD * idf_t[:, None]).astype(np.float32)


def _right_singular(matrix: csr_matrix, width: int, seed: int) -> NDArray[np.float64]:
    """The first right singular vectors [T, D]; of each the largest entry is positive, so that machines agree."""
    random = np.random.default_rng(seed)
    size = min(width + _OVERSAMPLED, min(matrix.shape))
    span = np.linalg.qr(matrix @ random.standard_normal((matrix.shape[1], size)))[0]
    for _ in range(_POWERS):
        span = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ span)[0])[0]
    right_DT = np.linalg.svd((matrix.T @ span).T, full_matrices=False)[2][:width]
    sign_D = np.sign(right_DT[np.arange(len(right_DT)), np.abs(right_DT).argmax(1)])
    found: NDArray[np.float64] = (right_DT * np.where(sign_D == 0, 1, sign_D)[:, None]).T
    return found


def write_words(folder: Path, words: Words) -> None:
    """The postings. Raises EnvironmentFailure when the disk refuses, as all of these do."""
    write_bytes(folder / TERMS, "".join(f"{term}\n" for term in words.terms).encode())
    for name, array in (
        (OFFSETS, words.offsets),
        (ROWS, words.rows),
        (COUNTS, _small(words.counts)),
        (LENGTHS, words.lengths),
    ):
        np.save(folder / name, array, allow_pickle=False)


def write_lsa(folder: Path, chosen: NDArray[np.int64], vectors_tD: Floats) -> None:
    np.save(folder / LSA_TERMS, chosen.astype(np.int32), allow_pickle=False)
    np.save(folder / LSA, vectors_tD.astype(np.float16), allow_pickle=False)


def write_passages(folder: Path, documents: Sequence[Document]) -> None:
    lines = [
        canonical_json(
            {
                "name": one.name,
                "source": one.source,
                "title": one.title,
                "language": one.language,
                "tags": list(one.tags),
            }
        )
        for one in documents
    ]
    write_bytes(folder / DOCUMENTS, b"".join(line + b"\n" for line in lines))
    passages = [one for document in documents for one in document.passages]
    write_bytes(folder / PASSAGES, b"".join(_line(one) + b"\n" for one in passages))
    belongs = np.repeat(np.arange(len(documents), dtype=np.int32), [len(one.passages) for one in documents])
    np.save(folder / BELONGS, belongs, allow_pickle=False)


def write_vectors(folder: Path, vectors_ND: Floats) -> None:
    """The vectors, and a graph of near neighbours (Malkov, Yashunin 2018) where comparing with all would take long."""
    np.save(folder / VECTORS, vectors_ND.astype(np.float16), allow_pickle=False)
    if len(vectors_ND) > EXACT:
        graph = Index(
            ndim=vectors_ND.shape[1], metric="cos", dtype="f16", connectivity=_NEIGHBOURS,
            expansion_add=_EXPANSION,
        )  # fmt: skip
        # One thread: another order of insertion is another graph, and the same files must give the same bytes.
        graph.add(np.arange(len(vectors_ND)), vectors_ND, threads=1)
        graph.save(str(folder / GRAPH))


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """`content` has `encoder`, `blend`, `size`, `overlap` and what is to be told; the digest names it."""
    whole = {"format": FORMAT, **content}
    write_json(folder / MANIFEST, {**whole, "digest": digest_json(whole)})


def _line(passage: Passage) -> bytes:
    return canonical_json(
        {
            "text": passage.text,
            "heading": passage.heading,
            "line": passage.line,
            "last": passage.last,
            "question": passage.question,
        }
    )


def _small(counts: NDArray[np.int32]) -> NDArray[Any]:
    """A term stands more than 255 times in few passages."""
    return (
        counts.astype(np.uint8)
        if counts.max(initial=0) < 256
        else counts.astype(np.uint16 if counts.max() < 1 << 16 else np.int32)
    )
