"""Every store of personal data of a product, as holders: what `erase` walks over and `export` collects from.
Not here: the verbs (`erase.py`, `export.py`), nor datasets and database (`data/people.py`, `business/people.py`).

A new store (feedback, say) is one class with `name`, `find`, `erase` in `holders_of`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tradewind.artifacts import Artifact, Kind, Workspace, all_artifacts, amending, bury, tidy
from tradewind.business.database import Database
from tradewind.cli.erase_stored import stored_holders
from tradewind.cli.learnt import Learnt, forget, golden_of, remembered
from tradewind.cli.session import Session
from tradewind.data.people import Datasets
from tradewind.data.people_source import InSource, look_in_source
from tradewind.engines.loading import load
from tradewind.errors import DataError
from tradewind.privacy.erasure import Done, Holder, Item, Kept, Removed
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import MARK
from tradewind.privacy.traces import Own, Traces, row_key
from tradewind.release import amend
from tradewind.release.golden import Golden, object_array, write_golden
from tradewind.release.registry import Registry
from tradewind.release.signing import key_pair
from tradewind.release.transparency.files import make_again

KINDS: tuple[Kind, ...] = ("dataset", "run", "translator", "report", "release")


@dataclass
class Case:
    """One subject in one workspace: what is known of his rows, and the receipt that all is done under.

    `in_source` is what only his rows say in the user's own source.
    """

    workspace: Workspace
    subject: Subject
    receipt: str
    at: str
    redact: bool
    in_source: Own = field(default_factory=Own)

    @cached_property
    def datasets(self) -> Datasets:
        return Datasets(self.workspace, self.subject, self.receipt, self.at)

    @cached_property
    def traces(self) -> Traces:
        found = self.datasets.traces()
        return Traces(found.datasets, found.rows, Own.together([found.own, self.in_source]))

    @cached_property
    def learnt(self) -> list[Learnt]:
        """What releases remember of whom they learnt from, where he is among them."""
        return [one for one in remembered(self.workspace) if self.subject.digest in one.subjects]

    @cached_property
    def touched(self) -> frozenset[str]:
        """Digests of datasets that held his rows, or named him where names are to be struck."""
        named = self.datasets.mentioned() if self.redact else frozenset()
        return self.traces.datasets | {one.dataset for one in self.learnt} | named

    @property
    def trained(self) -> list[Artifact]:
        """The releases that learnt from those datasets."""
        releases = all_artifacts(self.workspace, "release")
        return [one for one in releases if one.parents.get("dataset") in self.touched]

    def version(self, release: Artifact) -> int | None:
        found = [one.version for one in Registry.open(self.workspace).versions if one.digest == release.digest]
        return found[0] if found else None

    @cached_property
    def strike(self) -> Callable[[str], str]:
        """Puts a mark in place of the name and of everything that only his rows say."""
        wanted = sorted({one for text in self.traces.own.texts for one in amend.spellings(text)}, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, wanted))) if wanted else None

        def struck(text: str) -> str:
            text = self.subject.struck_from(text, MARK)
            return pattern.sub(MARK, text) if pattern else text

        return struck


def holders_of(case: Case, database: Database | None) -> list[Holder]:
    """In the order in which they are walked: what is known again by a dataset goes before the dataset."""
    built: list[Holder] = [Built(case), Releases(case), case.datasets]
    return built + stored_holders(case.workspace, database, receipt=case.receipt)


def look(session: Session, person: Subject) -> InSource:
    """The source may be gone or out of reach: then what was found says so, and the rest goes on."""
    try:
        return look_in_source(session.product, person, base=session.folder)
    except DataError as error:
        return InSource(unread=str(error))


# ---------------------------------------------------------------- what was built from his rows


@dataclass
class Releases:
    """Releases are served, and stay: his golden examples go, his words and what was quoted; all is signed anew."""

    case: Case
    name: str = "releases"

    def find(self, subject: Subject) -> Sequence[Item]:
        found = []
        for release in self.case.trained:
            version = self.case.version(release)
            content = {"version": version, "created": release.created, "learnt_from": release.parents.get("dataset")}
            found.append(Item(f"releases/{release.folder.name}, learnt from rows about the subject", content))
        return found

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        removed: list[Removed] = []
        kept: list[Kept] = []
        for release in self.case.trained:
            place = f"releases/{release.folder.name}"
            with suppress(_Unchanged):
                removed += self._amended(release, place)
            kept.append(Kept(
                place, "weights that learnt from the rows", 1,
                "What a model learnt cannot be taken out of it; it is scheduled to be trained again.",
                "`tradewind run` makes the next release, and that is promoted",
            ))  # fmt: skip
        forget(self.case.workspace, subject.digest)
        return Done(removed, kept)

    def _amended(self, release: Artifact, place: str) -> list[Removed]:
        case = self.case
        pair = key_pair(case.workspace.keys)
        assert pair is not None  # `erase` made one for its receipt
        with amending(release, why="erasure", at=case.at, receipt=case.receipt) as folder:
            counts = {
                "golden examples": self._golden(release, folder),
                "learnt words that only these rows held": amend.words_without(folder, self._words()),
                "files that quoted them": len(amend.strike_texts(folder, case.strike)),
            }
            if not any(counts.values()):
                raise _Unchanged
            make_again(folder)
            amend.reseal(folder, pair)
        return [Removed(place, things, count) for things, count in counts.items() if count]

    def _words(self) -> set[str]:
        words = set(self.case.traces.own.words)
        return words | {self.case.subject.name} if words or self.case.redact else words

    def _golden(self, release: Artifact, folder: Path) -> int:
        subject = self.case.subject
        examples = golden_of(release)
        if examples is None:
            without = (amend.prompts_without, amend.pairs_without)
            return sum(one(folder, subject.appears_in)[0] for one in without) if self.case.redact else 0
        mine = {row_key({name: row.get(name) for name in examples.columns}) for row in self.case.traces.rows}
        mine |= {key for one in self.case.learnt for key, whose in one.golden.items() if subject.digest in whose}

        own = self.case.traces.own

        def gone(row: Mapping[str, Any]) -> bool:
            words = [one for one in row.values() if isinstance(one, str)]
            names = self.case.redact and any(subject.appears_in(one) for one in words)
            return names or row_key(row) in mine or any(own.within(one) for one in words)

        dropped, left = amend.golden_without(folder, gone)
        if dropped and not left:
            write_golden(folder / amend.GOLDEN, _blank(release))
        return dropped


@dataclass
class Built:
    """Runs, translators and reports go as a whole: they hold encoded rows, checkpoints and one prediction a row, and the next `run`
    makes others. Unfinished work goes with them."""

    case: Case
    name: str = "runs and reports"

    def find(self, subject: Subject) -> Sequence[Item]:
        return [
            Item(f"{kind}s/{one.folder.name}, made from rows about the subject", {"created": one.created})
            for kind, one in self._touched()
        ]

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        removed = []
        for kind, one in self._touched():
            bury(one, why="erasure", at=self.case.at, receipt=self.case.receipt)
            removed.append(Removed(f"{kind}s/{one.folder.name}", f"{kind} made from the rows", 1))
        if self.case.touched or self.case.in_source:
            for kind in KINDS:
                if left := tidy(self.case.workspace, kind):
                    removed.append(Removed(f"{kind}s", "unfinished folders", left))
        return Done(removed)

    def _touched(self) -> Iterator[tuple[Kind, Artifact]]:
        for kind in ("report", "translator", "run"):
            for one in all_artifacts(self.case.workspace, kind):
                if one.parents.get("dataset") in self.case.touched:
                    yield kind, one


class _Unchanged(Exception):
    """Nothing in a release speaks of the subject: it stays as it was signed."""


def _blank(release: Artifact) -> Golden:
    """One golden example of which every value is missing, with what the graph says of it."""
    loaded = load(release.folder)
    columns = {name: object_array([None]) for name in loaded.golden.columns}
    answers = loaded.predictor.predict(columns)
    outputs = answers.probabilities if answers.probabilities is not None else answers.values
    assert outputs is not None
    return Golden(columns, outputs.astype("float64"), loaded.golden.tolerance)
