"""Finds a person in what was prepared, and takes every dataset away that holds rows about one.
Not here: keeping one out while a source is read (`subjects.py`), runs, reports and releases (`cli/holders.py`).

A dataset is written once and named by what it was made of, so it is not edited: the whole folder goes, a tombstone with the
receipt's id stays, and `prepare` makes another from the source, without the person. The source belongs to the user and is
never touched: `places_in_source` says which of its lines still speak of the person.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.artifacts import Artifact, Workspace, all_artifacts, bury
from tradewind.data.corpus import Corpus
from tradewind.data.document_records import texts_of
from tradewind.data.rows import SPLITS
from tradewind.data.steps import open_inputs
from tradewind.data.subjects import FOLDER, spelled
from tradewind.privacy.erasure import Done, Item, Kept, Removed
from tradewind.privacy.subjects import Subject
from tradewind.product import Product

_LEAST, _LEAST_WIDE = 8, 3  # characters from which a text tells a person apart: of an alphabet, of Chinese
_MOST_LINES = 1000
_READ_BYTES = 64 << 20


@dataclass(frozen=True)
class Traces:
    """What the rows about a person look like, so that copies elsewhere are known again.

    `datasets` are digests; `rows` values by column; `strings` texts that stand in no other row.
    """

    datasets: frozenset[str]
    rows: Sequence[Mapping[str, Any]]
    strings: tuple[str, ...]


@dataclass(frozen=True)
class _Hit:
    """A dataset and what of it is about the subject, or mentions it in texts about others (rows by column)."""

    artifact: Artifact
    rows: Sequence[tuple[Mapping[str, Any], Mapping[str, bytes]]]
    rejected: Sequence[Mapping[str, Any]]
    mentions: Mapping[str, int]
    strings: tuple[str, ...]


class Datasets:
    """The holder of datasets. `receipt` and `at` go onto tombstones."""

    name = "datasets"

    def __init__(self, workspace: Workspace, *, receipt: str = "", at: str = "") -> None:
        self._workspace = workspace
        self._receipt = receipt
        self._at = at

    def traces(self, subject: Subject) -> Traces:
        hits = [hit for hit in self._hits(subject) if hit.rows or hit.rejected]
        strings = dict.fromkeys(text for hit in hits for text in hit.strings)
        return Traces(
            frozenset(hit.artifact.digest for hit in hits), [{**row, **files} for hit in hits for row, files in hit.rows],
            tuple(sorted(strings, key=len, reverse=True)),
        )  # fmt: skip

    def mentioned(self, subject: Subject) -> frozenset[str]:
        """Digests of the datasets in whose texts about others the name stands."""
        return frozenset(hit.artifact.digest for hit in self._hits(subject) if hit.mentions)

    def find(self, subject: Subject) -> Sequence[Item]:
        items = []
        for hit in self._hits(subject):
            place = _place(hit.artifact)
            items += [Item(f"{place}, row {number}", row, files) for number, (row, files) in enumerate(hit.rows, 1)]
            items += [Item(f"{place}, rejected row", dict(row)) for row in hit.rejected]
            if hit.mentions:  # not the texts themselves: they are about somebody else
                items.append(Item(f"{place}, texts of rows about others that name the subject", dict(hit.mentions)))
        return items

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        removed, kept = [], []
        for hit in self._hits(subject):
            place, about, named = _place(hit.artifact), len(hit.rows) + len(hit.rejected), sum(hit.mentions.values())
            if about or (named and redact):
                bury(hit.artifact, why="erasure", at=self._at, receipt=self._receipt)
                removed.append(Removed(place, "rows about the subject, with the dataset that held them", about))
                if named and redact:
                    removed.append(Removed(place, "rows about others that named the subject, with the dataset", named))
            if named and not redact:
                where = "in the source, from where the next dataset takes them" if about else place
                kept.append(Kept(
                    where, f"rows about others whose texts name the subject ({', '.join(sorted(hit.mentions))})", named,
                    "The rows are about other people; a name in running text is not looked for when rows are chosen.",
                    "`tradewind erase SUBJECT --redact` strikes the name there too",
                ))  # fmt: skip
        return Done(removed, kept)

    def _hits(self, subject: Subject) -> Iterator[_Hit]:
        for artifact in all_artifacts(self._workspace, "dataset"):
            hit = _look(artifact, subject)
            if hit.rows or hit.rejected or hit.mentions:
                yield hit


def _place(artifact: Artifact) -> str:
    return f"datasets/{artifact.folder.name}"


def _look(artifact: Artifact, subject: Subject) -> _Hit:
    rows: list[tuple[Mapping[str, Any], Mapping[str, bytes]]] = []
    mentions: dict[str, int] = {}
    mine: set[str] = set()
    others: set[str] = set()
    for split in SPLITS:
        raw, people = artifact.folder / "raw" / f"{split}.parquet", artifact.folder / FOLDER / f"{split}.parquet"
        if not raw.is_file():
            continue
        table = pq.read_table(raw)
        about = np.zeros(table.num_rows, dtype=np.bool_)
        facts: list[dict[str, Any]] = []
        if people.is_file():
            facts = pq.read_table(people).to_pylist()
            about = np.array([one["subject"] == subject.digest for one in facts], dtype=np.bool_)
        for place in np.flatnonzero(about).tolist():
            row, files = _json_row(table.slice(place, 1).to_pylist()[0])
            rows.append(({**row, **_facts(facts[place], split)}, files))
        for name in table.column_names:
            texts = _texts(table.column(name))
            if texts is None:
                continue
            mine.update(text for text, hit in zip(texts, about, strict=True) if hit and text)
            others.update(text for text, hit in zip(texts, about, strict=True) if not hit and text)
            named = sum(
                1 for text, hit in zip(texts, about, strict=True) if text and not hit and subject.appears_in(text)
            )
            if named:
                mentions[name] = mentions.get(name, 0) + named
    mentions |= _documents(artifact, subject)
    rejected = [row for row in _rejected(artifact.folder) if _is_rejected(row, subject)]
    mine.update(cell.strip() for row in rejected for cell in str(row["text"]).split(", "))
    strings = {text for text in mine - others if len(text) >= (_LEAST if text.isascii() else _LEAST_WIDE)}
    return _Hit(artifact, rows, rejected, mentions, tuple(strings))


def _is_rejected(row: Mapping[str, Any], subject: Subject) -> bool:
    return subject.digest in row["text"] or subject.appears_in(row["text"])


def _facts(one: Mapping[str, Any], split: str) -> dict[str, Any]:
    return {
        "$split": split, "$source": one["file"], "$line": one["line"], "$consent": one["consent"], "$purpose": one["purpose"],
    }  # fmt: skip


def _texts(column: pa.ChunkedArray) -> list[str | None] | None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    texts: list[str | None] = column.to_pylist()
    return texts


def _json_row(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """JSON values, NaN as null, and the bytes of pictures beside them."""
    values: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            files[name] = value
        else:
            values[name] = None if isinstance(value, float) and not np.isfinite(value) else value
    return values, files


def _rejected(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / "rejected.jsonl"
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def _documents(artifact: Artifact, subject: Subject) -> dict[str, int]:
    """Documents of a corpus that name the subject. They are about nobody in particular."""
    if artifact.made_of.get("task") != "generation":
        return {}
    corpus = Corpus(artifact)
    found = sum(
        any(subject.appears_in(text) for text in texts_of(document))
        for split in SPLITS
        for document in corpus.documents(split)
    )
    return {"documents": found} if found else {}


@dataclass(frozen=True)
class SourcePlace:
    """A line of a user's own file that speaks of the subject; `about` where it is the subject's own row."""

    file: str
    line: int
    about: bool


def places_in_source(product: Product, subject: Subject, *, base: Path) -> tuple[list[SourcePlace], int]:
    """The lines, at most a thousand, and how many there are. Raises DataError where the source cannot be read."""
    found: list[SourcePlace] = []
    count = 0
    for item in open_inputs(product.model_copy(update={"data": _light(product)}), base=base):
        for chunk in item.source.chunks():
            named = [False] * len(chunk.frame)
            if product.data.subject in chunk.frame.columns and product.data.subject is not None:
                column = spelled(chunk.frame[product.data.subject]).to_list()
                named = [text is not None and subject.named_by(text) for text in column]
            for place, (about, row) in enumerate(zip(named, chunk.frame.iter_rows(), strict=True)):
                if about or any(isinstance(cell, str) and subject.appears_in(cell) for cell in row):
                    count += 1
                    if len(found) < _MOST_LINES:
                        found.append(SourcePlace(chunk.file, int(chunk.lines[place]), about))
    return found, count


def _light(product: Product) -> Any:
    return product.data.model_copy(update={"memory": min(product.data.memory, _READ_BYTES)})
