"""`tradewind erase`: a person leaves every store, and a signed receipt says what went, what stays and why.

    1. who it is, and where he is found       4. releases that learnt from him are due
    2. one receipt begins, or is gone on with  5. every store in turn; each step is written down
    3. he stays out of what is read later      6. freed pages of the database are written over; the receipt is signed

Killed at any point, the same call goes on: a store that was done finds nothing, and the receipt keeps what it had.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from tradewind.artifacts import Artifact
from tradewind.business import people
from tradewind.business.database import Database
from tradewind.cli.erase_stored import business_database, erase_stored
from tradewind.cli.erasing import Begun, alone, tell, unknown, write_over
from tradewind.cli.holders import Case, holders_of, look
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.data.people_source import InSource
from tradewind.errors import InputError
from tradewind.privacy import erasure, retraining
from tradewind.privacy.receipts import receipt_path
from tradewind.privacy.retraining import Due
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.suppression import Suppression, readmit, suppress
from tradewind.product import Product

_STAYS = "The keyed hash of the name, so that it is left out of what is read later (GDPR art. 17 and 4(5))."


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
    again: Annotated[
        bool, typer.Option("--readmit", help="Erase nothing: let one who agreed anew into what is prepared later.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is held; change nothing.")] = False,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of every store, with a signed receipt."""
    if again and (redact or requests_only or dry_run):
        raise InputError("--readmit goes alone.", code="erase_option")
    session = Session.open(directory, changes)
    if again:
        _readmit(session, subject, as_json=as_json)
        return
    result = (
        erase_stored(session.workspace, subject, dry_run=dry_run)
        if requests_only
        else _erase(session, subject, redact=redact, dry_run=dry_run)
    )
    if as_json:
        emit(result)
    else:
        tell(result)


def _readmit(session: Session, name: str, *, as_json: bool) -> None:
    home = session.workspace.home
    if not readmit(home, Subject.of(name, SubjectKey.open(home))):
        raise InputError("This subject was not erased here.", code="subject_unknown")
    if as_json:
        emit({"readmitted": True})
    else:
        typer.echo("The next prepare reads rows about the subject again.")


def _erase(session: Session, name: str, *, redact: bool, dry_run: bool) -> dict[str, Any]:
    _refuse_unfindable(session.product)
    home = session.workspace.home
    # ---- 1. who it is, and where he is found
    person = Subject.of(name, SubjectKey.open(home))
    with alone(home), business_database(session.workspace) as database:
        begun = Begun.open(session.workspace, person.digest, redact=redact)
        source = look(session, person)
        case = Case(session.workspace, person, begun.receipt, begun.at, begun.redact, source.own)
        found = erasure.find(holders_of(case, database), person)
        changes_source = bool(source.about or (begun.redact and source.count))
        if dry_run:
            if not found and not changes_source:
                raise unknown()
            places = {one: [item.place for item in items] for one, items in found.items()}
            return {"dry_run": True, "found": places, **_shown(case, begun, source)}
        if not found and not begun.goes_on:
            if (before := _earlier(case, begun, source)) is not None:
                return before
            if not changes_source:
                raise unknown()
        return _run(case, begun, database, source, product=session.product.product, in_source=changes_source)


def _refuse_unfindable(product: Product) -> None:
    if product.data.subject is None and product.task not in ("generation", "translation"):
        raise InputError(
            "No column says whom a row is about, so nobody's rows can be found in what was built.",
            code="subject_column", where="data.subject",
            hint="Name the column under data.subject and run again; --requests erases from stored requests alone.",
        )  # fmt: skip


def _earlier(case: Case, begun: Begun, source: InSource) -> dict[str, Any] | None:
    """The receipt there was, for one who is erased already."""
    home = case.workspace.home
    known = Suppression.open(home).subjects.get(case.subject.digest)
    if known is None or (begun.redact and known.word is None):
        return None
    path = receipt_path(home, known.receipt)
    return {"receipt": str(path), "id": known.receipt, "already": True, "removed": 0, "holders": [],
            **_shown(case, begun, source)}  # fmt: skip


def _run(
    case: Case, begun: Begun, database: Database | None, source: InSource, *, product: str, in_source: bool
) -> dict[str, Any]:
    home = case.workspace.home
    # ---- 2. one receipt begins, or is gone on with
    if not begun.goes_on:
        begun.releases = [_named(case, one) for one in case.trained]
    begun.note()
    # ---- 3. he stays out of what is read later
    in_data = in_source or bool(case.touched or begun.releases)
    suppress(home, case.subject, receipt=case.receipt, at=case.at, in_data=in_data, redact=case.redact)
    if database is not None:
        people.mark_erased(database, case.subject, receipt=case.receipt)
    # ---- 4. releases that learnt from him are due
    due = [Due(one["release"], one["version"], case.receipt, case.at) for one in begun.releases]
    retraining.schedule(home, due)
    # ---- 5. every store in turn
    erasure.erase(holders_of(case, database), case.subject, redact=case.redact, told=begun.did)
    # ---- 6. freed pages, and the receipt
    if database is not None:
        write_over(database)
    return begun.sign(case.workspace, {"product": product, "stays": _STAYS, **_shown(case, begun, source)})


def _shown(case: Case, begun: Begun, source: InSource) -> dict[str, Any]:
    lines = [asdict(one) for one in source.places]
    return {
        "subject": case.subject.digest,
        "releases": begun.releases or [_named(case, one) for one in case.trained],
        "retraining": [asdict(one) for one in retraining.due(case.workspace.home)],
        "source": {"lines": lines, "count": source.count, "about": source.about, "unread": source.unread},
    }


def _named(case: Case, release: Artifact) -> dict[str, Any]:
    return {"version": case.version(release), "release": release.digest, "folder": str(release.folder)}
