"""Finds a person in what was prepared, and takes every dataset away that holds rows about one.
Not here: keeping one out while a source is read (`subjects.py`), the source itself (`people_source.py`), runs, reports and
releases (`cli/holders.py`).

A dataset is written once and named by what it was made of, so it is not edited: the whole folder goes, a tombstone with the
receipt's id stays, and `prepare` makes another from the source, without the person.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tradewind.artifacts import Artifact, Workspace, all_artifacts, bury
from tradewind.data.corpus import Corpus
from tradewind.data.document_records import texts_of
from tradewind.data.pair_splits import NAMES
from tradewind.data.parallel import Parallel
from tradewind.data.rows import SPLITS
from tradewind.data.subjects import FOLDER
from tradewind.privacy.erasure import Done, Item, Kept, Removed
from tradewind.privacy.subjects import Subject
from tradewind.privacy.traces import Own, Traces, row_key


@dataclass(frozen=True)
class _Hit:
    """A dataset and what of it is about the subject, or mentions it in texts about others (rows by column)."""

    artifact: Artifact
    rows: Sequence[tuple[Mapping[str, Any], Mapping[str, bytes]]]
    rejected: Sequence[Mapping[str, Any]]
    mentions: Mapping[str, int]
    own: Own

    @property
    def place(self) -> str:
        return f"datasets/{self.artifact.folder.name}"


@dataclass
class Datasets:
    """The holder of datasets, about one subject. `receipt` and `at` go onto tombstones."""

    workspace: Workspace
    subject: Subject
    receipt: str = ""
    at: str = ""
    name: str = "datasets"

    def traces(self) -> Traces:
        hits = [hit for hit in self._hits if hit.rows or hit.rejected]
        rows = tuple({**row, **files} for hit in hits for row, files in hit.rows)
        return Traces(frozenset(hit.artifact.digest for hit in hits), rows, Own.together(hit.own for hit in hits))

    def mentioned(self) -> frozenset[str]:
        """Digests of the datasets in whose texts about others the name stands."""
        return frozenset(hit.artifact.digest for hit in self._hits if hit.mentions)

    def find(self, subject: Subject) -> Sequence[Item]:
        assert subject == self.subject
        items = []
        for hit in self._hits:
            items += [Item(f"{hit.place}, row {number}", row, files) for number, (row, files) in enumerate(hit.rows, 1)]
            items += [Item(f"{hit.place}, rejected row", dict(row)) for row in hit.rejected]
            if hit.mentions:  # not the texts themselves: they are about somebody else
                items.append(Item(f"{hit.place}, texts of rows about others that name the subject", dict(hit.mentions)))
        return items

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        assert subject == self.subject
        removed, kept = [], []
        for hit in self._hits:
            about, named = len(hit.rows) + len(hit.rejected), sum(hit.mentions.values())
            if about or (named and redact):
                bury(hit.artifact, why="erasure", at=self.at, receipt=self.receipt)
                removed.append(Removed(hit.place, "rows about the subject, with the dataset that held them", about))
                if named and redact:
                    what = "rows about others that named the subject, with the dataset"
                    removed.append(Removed(hit.place, what, named))
            if named and not redact:
                where = "in the source, from where the next dataset takes them" if about else hit.place
                kept.append(Kept(
                    where, f"rows about others whose texts name the subject ({', '.join(sorted(hit.mentions))})", named,
                    "The rows are about other people; a name in running text is not looked for when rows are chosen.",
                    "`tradewind erase SUBJECT --redact` strikes the name there too",
                ))  # fmt: skip
        self.__dict__.pop("_hits", None)
        return Done(removed, kept)

    @cached_property
    def _hits(self) -> list[_Hit]:
        found = (_look(artifact, self.subject) for artifact in all_artifacts(self.workspace, "dataset"))
        return [hit for hit in found if hit.rows or hit.rejected or hit.mentions]


def subjects_of(artifact: Artifact) -> list[str]:
    """The keyed hashes of all whom the rows of a dataset are about, sorted."""
    found: set[str] = set()
    for _, _, people in _splits(artifact.folder):
        if people is not None:
            found.update(one for one in pc.unique(people["subject"]).to_pylist() if one)
    return sorted(found)


def owners(artifact: Artifact, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """Whose the rows in `columns` are, as far as the dataset holds equal ones: keyed hashes by `row_key`."""
    found: dict[str, set[str]] = {}
    names = list(columns)
    wanted = {row_key(dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)}
    for _, table, people in _splits(artifact.folder):
        if people is None or not set(names) <= set(table.column_names):
            continue
        places = np.flatnonzero(people["subject"].is_valid().to_numpy()).tolist()
        for name in names:  # column by column: most rows are out after the first
            values = {_same(value) for value in columns[name]}
            cells = table.column(name).to_pylist()
            places = [place for place in places if _same(cells[place]) in values]
        for place in places:
            key = row_key({name: table.column(name)[place].as_py() for name in names})
            if key in wanted:
                found.setdefault(key, set()).add(people["subject"][place].as_py())
    return {key: sorted(persons) for key, persons in sorted(found.items())}


def _same(value: Any) -> object:
    """A missing number is None in golden examples."""
    return None if isinstance(value, float) and value != value else value


def _splits(folder: Path) -> Iterator[tuple[str, pa.Table, pa.Table | None]]:
    """Each split by name: its raw rows, and whom they are about, where that is known."""
    for split in SPLITS:
        raw, people = folder / "raw" / f"{split}.parquet", folder / FOLDER / f"{split}.parquet"
        if raw.is_file():
            yield split, pq.read_table(raw), pq.read_table(people) if people.is_file() else None


def _look(artifact: Artifact, subject: Subject) -> _Hit:
    rows: list[tuple[Mapping[str, Any], Mapping[str, bytes]]] = []
    mentions: dict[str, int] = {}
    own = Own()
    for split, table, people in _splits(artifact.folder):
        about = _about(table, people, subject)
        for place in np.flatnonzero(about).tolist():
            assert people is not None
            row, files = _json_row(table.slice(place, 1).to_pylist()[0])
            rows.append(({**row, **_facts(people.slice(place, 1).to_pylist()[0], split)}, files))
        for name, texts in _text_columns(table):
            own.add(text for text, hit in zip(texts, about, strict=True) if hit)
            named = sum(
                1 for text, hit in zip(texts, about, strict=True) if text and not hit and subject.appears_in(text)
            )
            if named:
                mentions[name] = mentions.get(name, 0) + named
    rejected = [row for row in _rejected(artifact.folder) if _is_rejected(row, subject)]
    own.add(cell for row in rejected for cell in str(row["text"]).split(", "))
    if own:  # once more: what others say too is not the subject's own
        for _, table, people in _splits(artifact.folder):
            about = _about(table, people, subject)
            for _, texts in _text_columns(table):
                own.share(text for text, hit in zip(texts, about, strict=True) if not hit)
    return _Hit(artifact, rows, rejected, mentions | _documents(artifact, subject), own)


def _about(table: pa.Table, people: pa.Table | None, subject: Subject) -> list[bool]:
    if people is None:
        return [False] * table.num_rows
    found: list[bool] = pc.fill_null(pc.equal(people["subject"], subject.digest), False).to_pylist()
    return found


def _is_rejected(row: Mapping[str, Any], subject: Subject) -> bool:
    return subject.digest in row["text"] or subject.appears_in(row["text"])


def _facts(one: Mapping[str, Any], split: str) -> dict[str, Any]:
    return {
        "$split": split, "$source": one["file"], "$line": one["line"], "$consent": one["consent"], "$purpose": one["purpose"],
    }  # fmt: skip


def _text_columns(table: pa.Table) -> Iterator[tuple[str, list[str | None]]]:
    for name in table.column_names:
        column = table.column(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            yield name, column.to_pylist()


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
    """Documents of a corpus, or pairs of texts, that name the subject. They are about nobody in particular."""
    task = artifact.made_of.get("task")
    if task == "generation":
        corpus = Corpus(artifact)
        documents = (texts_of(document) for split in SPLITS for document in corpus.documents(split))
    elif task == "translation":
        parallel = Parallel(artifact)
        documents = (list(pair) for split in NAMES for pair in parallel.texts(split))
    else:
        return {}
    found = sum(any(subject.appears_in(text) for text in texts) for texts in documents)
    return {"documents": found} if found else {}
