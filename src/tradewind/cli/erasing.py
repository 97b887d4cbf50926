"""What both ways of erasing share: one receipt that an interrupted call goes on with, and the words for people.
Not here: which stores there are (`holders.py`, `erase_stored.py`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import typer

from tradewind.artifacts import Workspace
from tradewind.business.database import Database
from tradewind.clock import stamp
from tradewind.errors import EnvironmentFailure, InputError, writing
from tradewind.files import read_json, write_json
from tradewind.ids import new_id
from tradewind.privacy.erasure import Done
from tradewind.privacy.receipts import receipt_path, write_receipt
from tradewind.privacy.subjects import FOLDER
from tradewind.release.signing import key_pair, make_key_pair

_TRIES = 5


@dataclass
class Begun:
    """An erasure under way, in `privacy/erasing/SUBJECT.json` until its receipt is signed.

    `done` is what each store did, `releases` those that learnt from the person; `goes_on` where an earlier call was killed.
    """

    path: Path
    receipt: str
    at: str
    redact: bool
    releases: list[dict[str, Any]] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    goes_on: bool = False

    @classmethod
    def open(cls, workspace: Workspace, digest: str, *, redact: bool) -> Begun:
        """The one that was interrupted, else a new one. Nothing is written yet."""
        path = workspace.home / FOLDER / "erasing" / f"{digest}.json"
        if path.is_file():
            begun = cls(path, **read_json(path), goes_on=True)
            begun.redact = begun.redact or redact
            return begun
        return cls(path, new_id("rcp"), stamp(workspace.clock.now()), redact)

    def did(self, name: str, done: Done) -> None:
        """Writes down what a store did."""
        if done.removed or done.kept:
            entry = {"holder": name, "removed": [*map(asdict, done.removed)], "kept": [*map(asdict, done.kept)]}
            if entry not in self.done:  # an interrupted call may have said the same
                self.done.append(entry)
        self.note()

    def note(self) -> None:
        names = ("receipt", "at", "redact", "releases", "done")
        write_json(self.path, {name: getattr(self, name) for name in names})

    def sign(self, workspace: Workspace, content: Mapping[str, Any]) -> dict[str, Any]:
        """The receipt, signed; then nothing is under way any more. Gives what `--json` tells of it."""
        pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
        path = receipt_path(workspace.home, self.receipt)
        whole = {"id": self.receipt, "at": self.at, "redacted": self.redact, "holders": self.done, **content}
        write_receipt(path, whole, private_key=pair.private)
        self.path.unlink(missing_ok=True)
        removed = sum(one["count"] for holder in self.done for one in holder["removed"])
        return {"receipt": str(path), "already": False, "removed": removed, **whole}


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One erasure at a time in a workspace. Raises EnvironmentFailure `erasing`."""
    with writing(str(home)), (home / FOLDER / ".erase.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentFailure(
                "Another erasure runs in this workspace.", code="erasing", where=str(home), hint="Wait for its end."
            ) from None
        yield


def write_over(database: Database) -> None:
    """Deleted rows leave no bytes behind. Raises EnvironmentFailure `database_busy`."""
    if any(database.rewrite() for _ in range(_TRIES)):
        return
    raise EnvironmentFailure(
        "Rows are deleted, but another process reads from the database all the time, so their freed pages still lie in "
        "its write-ahead log.",
        code="database_busy", where=database.place, hint="Stop that process and run `tradewind erase` again: it goes on.",
    )  # fmt: skip


def unknown() -> InputError:
    return InputError(
        "Nothing is held about this subject.", code="subject_unknown",
        hint="Write the name as it stands in data.subject or in the requests: case and outer spaces make no difference.",
    )  # fmt: skip


def tell(result: Mapping[str, Any]) -> None:
    """For people, on stdout."""
    if result.get("dry_run"):
        for holder, places in result["found"].items():
            typer.echo(f"{holder}:")
            _lines(places)
    elif result["already"]:
        typer.echo(f"Erased already, under receipt {result['id']}.")
    for holder in result.get("holders", ()):
        typer.echo(f"{holder['holder']}:")
        _lines([f"removed {one['count']:,} {one['things']} ({one['place']})" for one in holder["removed"]])
        _lines([
            f"kept {one['count']:,} {one['things']} ({one['place']}): {one['why']} Until: {one['until']}."
            for one in holder["kept"]
        ])  # fmt: skip
    for one in result["releases"]:
        typer.echo(f"release v{one['version']} learnt from rows about the subject")
    if result["retraining"]:
        typer.echo(f"{len(result['retraining'])} releases are due to be trained again: tradewind run")
    _tell_source(result["source"] or {})
    if "receipt" in result:
        typer.echo(f"receipt {result['receipt']}")


def _tell_source(source: Mapping[str, Any]) -> None:
    if source.get("about"):
        lines = [f"{one['file']}:{one['line']}" for one in source["lines"] if one["about"]]
        typer.echo(f"your own source still holds {source['about']:,} rows about the subject; delete them there too:")
        _lines(lines[:20])
    if source.get("unread"):
        typer.echo(f"the source was not read: {source['unread']}")


def _lines(texts: Sequence[str]) -> None:
    for text in texts:
        typer.echo(f"  {text}")
