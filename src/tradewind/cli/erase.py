"""`tradewind erase`: a person leaves every store, and a signed receipt says what went, what stays and why.

    1. who it is, and where he is found      5. every store in turn; each step is written down
    2. one receipt begins, or is gone on with 6. freed pages of the database are written over
    3. he stays out of what is read later     7. the receipt is signed
    4. releases that learnt from him are due

Killed at any point, the same call goes on: a store that was done finds nothing, and the receipt keeps what it had.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.business import people
from tradewind.business.database import Database
from tradewind.cli.holders import Case, business_database, holders_of, look, stored_only
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.clock import stamp
from tradewind.data.people_source import InSource
from tradewind.errors import EnvironmentFailure, InputError, writing
from tradewind.files import read_json, write_json
from tradewind.ids import new_id
from tradewind.privacy import erasure, retraining
from tradewind.privacy.erasure import Done
from tradewind.privacy.receipts import receipt_path, write_receipt
from tradewind.privacy.retraining import Due
from tradewind.privacy.subjects import FOLDER, Subject, SubjectKey
from tradewind.privacy.suppression import Suppression, suppress
from tradewind.product import Product
from tradewind.release.signing import key_pair, make_key_pair

_TRIES = 5


def command(
    subject: Annotated[str, typer.Argument(help="The person, as named in data.subject: an address, a number, a name.")],
    directory: FolderOption = HERE,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact", help="Also strike the name from texts about others, now and in what is prepared later."
        ),
    ] = False,
    requests_only: Annotated[
        bool,
        typer.Option("--requests", help="From stored requests, replies and accounts alone, not from what was built."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is held; change nothing.")] = False,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of every store, with a signed receipt."""
    session = Session.open(directory, changes)
    _refuse_unfindable(session.product, requests_only=requests_only)
    home = session.workspace.home
    person = Subject.of(subject, SubjectKey.open(home))
    with alone(home), business_database(session.workspace) as database:
        erasing = _Erasing.begun(session, person, database, redact=redact, requests_only=requests_only)
        if dry_run:
            result = erasing.foreseen()
        elif (before := erasing.before()) is not None:
            result = before
        else:
            result = erasing.run()
    if as_json:
        emit(result)
    else:
        _tell(result)


def _refuse_unfindable(product: Product, *, requests_only: bool) -> None:
    if product.data.subject is None and product.task != "generation" and not requests_only:
        raise InputError(
            "No column says whom a row is about, so nobody's rows can be found in what was built.",
            code="subject_column", where="data.subject",
            hint="Name the column under data.subject and run again; --requests erases from stored requests alone.",
        )  # fmt: skip


@dataclass
class _Erasing:
    """One erasure. `done` are entries of holders that an interrupted call had finished."""

    session: Session
    case: Case
    database: Database | None
    requests_only: bool
    source: InSource | None
    releases: list[dict[str, Any]] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    goes_on: bool = False

    @classmethod
    def begun(
        cls, session: Session, person: Subject, database: Database | None, *, redact: bool, requests_only: bool
    ) -> _Erasing:
        source = None if requests_only else look(session, person)
        at = stamp(session.workspace.clock.now())
        case = Case(session.workspace, person, new_id("rcp"), at, redact)
        if source is not None:
            case.in_source = source.own
        made = cls(session, case, database, requests_only, source)
        if made._pending.is_file():
            before = read_json(made._pending)
            case.receipt, case.at, case.redact = before["receipt"], before["at"], case.redact or before["redact"]
            made.releases, made.done, made.goes_on = before["releases"], before["done"], True
        return made

    @property
    def _home(self) -> Path:
        return self.session.workspace.home

    @property
    def _pending(self) -> Path:
        return self._home / FOLDER / "erasing" / f"{self.case.subject.digest}.json"

    @property
    def _holders(self) -> list[erasure.Holder]:
        return (stored_only if self.requests_only else holders_of)(self.case, self.database)

    def foreseen(self) -> dict[str, Any]:
        """What is held. Raises InputError where that is nothing."""
        found = {
            name: [one.place for one in items] for name, items in erasure.find(self._holders, self.case.subject).items()
        }
        if not found and not self._in_source:
            raise _unknown()
        return {"dry_run": True, "subject": self.case.subject.digest, "found": found, **self._shown()}

    def before(self) -> dict[str, Any] | None:
        """The earlier receipt, where nothing is left to do. Raises InputError for one who never was here."""
        if self.goes_on or erasure.find(self._holders, self.case.subject):
            return None
        known = Suppression.open(self._home).subjects.get(self.case.subject.digest)
        if known is not None and (known.word is not None or not self.case.redact):
            path = receipt_path(self._home, known.receipt)
            return {"receipt": str(path), "id": known.receipt, "subject": self.case.subject.digest, "already": True,
                    "removed": 0, "holders": [], **self._shown()}  # fmt: skip
        if not self._in_source:
            raise _unknown()
        return None

    def run(self) -> dict[str, Any]:
        """All steps. Raises EnvironmentFailure; the next call goes on."""
        case, workspace = self.case, self.session.workspace
        pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
        # ---- a receipt begins
        if not self.goes_on and not self.requests_only:
            self.releases = [
                {"version": case.version(one), "release": one.digest, "folder": str(one.folder)} for one in case.trained
            ]
        self._note()
        # ---- out of what is read later, and due to be trained again
        if not self.requests_only:
            in_data = bool(case.touched or self.releases) or self._in_source
            suppress(self._home, case.subject, receipt=case.receipt, at=case.at, in_data=in_data, redact=case.redact)
            retraining.schedule(
                self._home, [Due(one["release"], one["version"], case.receipt, case.at) for one in self.releases]
            )
        if self.database is not None:
            people.mark_erased(self.database, case.subject, receipt=case.receipt)
        # ---- every store
        erasure.erase(self._holders, case.subject, redact=case.redact, told=self._did)
        if self.database is not None:
            _write_over(self.database)
        # ---- the receipt
        content = {
            "id": case.receipt, "at": case.at, "product": self.session.product.product, "subject": case.subject.digest,
            "redacted": case.redact, "holders": self.done, **self._shown(),
            "stays": "The keyed hash of the name, so that it is left out of what is read later (GDPR art. 17 and 4(5)).",
        }  # fmt: skip
        path = receipt_path(self._home, case.receipt)
        write_receipt(path, content, private_key=pair.private)
        self._pending.unlink(missing_ok=True)
        removed = sum(one["count"] for holder in self.done for one in holder["removed"])
        return {"receipt": str(path), "already": False, "removed": removed, **content}

    @property
    def _in_source(self) -> bool:
        """Whether what is prepared from the source changes."""
        return self.source is not None and bool(self.source.about or (self.case.redact and self.source.count))

    def _shown(self) -> dict[str, Any]:
        source = None
        if self.source is not None:
            source = {"lines": [asdict(one) for one in self.source.places], "count": self.source.count,
                      "about": self.source.about, "unread": self.source.unread}  # fmt: skip
        releases = self.releases or [
            {"version": self.case.version(one), "release": one.digest, "folder": str(one.folder)}
            for one in ([] if self.requests_only else self.case.trained)
        ]
        due = [asdict(one) for one in retraining.due(self._home)]
        return {"releases": releases, "retraining": due, "source": source}

    def _did(self, name: str, done: Done) -> None:
        if done.removed or done.kept:
            entry = {
                "holder": name,
                "removed": [asdict(one) for one in done.removed],
                "kept": [asdict(one) for one in done.kept],
            }
            if entry not in self.done:  # an interrupted call may have said the same
                self.done.append(entry)
        self._note()

    def _note(self) -> None:
        write_json(self._pending, {
            "receipt": self.case.receipt, "at": self.case.at, "redact": self.case.redact, "releases": self.releases,
            "done": self.done,
        })  # fmt: skip


def _write_over(database: Database) -> None:
    if any(database.rewrite() for _ in range(_TRIES)):
        return
    raise EnvironmentFailure(
        "Rows are deleted, but another process reads from the database all the time, so their freed pages still lie in "
        "its write-ahead log.",
        code="database_busy", where=database.place, hint="Stop that process and run `tradewind erase` again: it goes on.",
    )  # fmt: skip


@contextmanager
def alone(home: Path) -> Iterator[None]:
    with writing(str(home)), (home / FOLDER / ".erase.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentFailure(
                "Another erasure runs in this workspace.", code="erasing", where=str(home), hint="Wait for its end."
            ) from None
        yield


def _unknown() -> InputError:
    return InputError(
        "Nothing is held about this subject.", code="subject_unknown",
        hint="Write the name as it stands in data.subject or in the requests: case and outer spaces make no difference.",
    )  # fmt: skip


def _tell(result: Mapping[str, Any]) -> None:
    if result.get("dry_run"):
        for holder, places in result["found"].items():
            typer.echo(f"{holder}:")
            _lines(places)
    elif result["already"]:
        typer.echo(f"Erased already, under receipt {result['id']}.")
    for holder in result.get("holders", ()):
        typer.echo(f"{holder['holder']}:")
        _lines([f"removed {one['count']:,} {one['things']} ({one['place']})" for one in holder["removed"]])
        _lines(
            [
                f"kept {one['count']:,} {one['things']} ({one['place']}): {one['why']} Until: {one['until']}."
                for one in holder["kept"]
            ]
        )
    for one in result["releases"]:
        typer.echo(f"release v{one['version']} learnt from rows about the subject")
    if result["retraining"]:
        typer.echo(f"{len(result['retraining'])} releases are due to be trained again: tradewind run")
    source = result["source"] or {}
    if source.get("about"):
        lines = [f"{one['file']}:{one['line']}" for one in source["lines"] if one["about"]]
        typer.echo(f"your own source still holds {source['about']:,} rows about the subject; delete them there too:")
        _lines(lines[:20])
    if source.get("unread"):
        typer.echo(f"the source was not read: {source['unread']}")
    if "receipt" in result:
        typer.echo(f"receipt {result['receipt']}")


def _lines(texts: Sequence[str]) -> None:
    for text in texts:
        typer.echo(f"  {text}")
