"""`tradewind erase --requests`: a person leaves stored requests, replies and accounts. Also the whole verb on a machine that
only serves, where nothing was built.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind import product_file
from tradewind.artifacts import Workspace
from tradewind.business import people
from tradewind.business.conversation_people import Conversations
from tradewind.business.customer_texts import CustomerTexts
from tradewind.business.database import Database, default_url
from tradewind.business.people import People, StoredRequests
from tradewind.business.reviews import ReviewedDecisions
from tradewind.cli.erasing import Begun, alone, tell, unknown, write_over
from tradewind.cli.office import OPERATOR, database_exists
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.clock import SystemClock
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.privacy import erasure
from tradewind.privacy.erasure import Holder
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.vault import Vault
from tradewind.server.session_people import BroughtItems, Sessions

VAULT = "vault"


def command(
    subject: Annotated[str, typer.Argument(help="The person, as named in requests: an address, a number, a name.")],
    directory: FolderOption = HERE,
    redact: Annotated[bool, typer.Option("--redact", hidden=True)] = False,
    requests_only: Annotated[
        bool, typer.Option("--requests", help="From stored requests, replies and accounts.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is held; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of stored requests, replies and accounts, with a signed receipt."""
    if redact or not requests_only:
        raise EnvironmentFailure(
            "Packages to look into what was built are not installed.", code="package_missing",
            hint="Install them with: pip install 'tradewind[train]'. --requests erases from stored requests alone.",
        )  # fmt: skip
    workspace = Workspace.of(directory)
    if not database_exists(workspace):
        product_file.load(directory)  # says so where this is no product's folder
    result = erase_stored(workspace, subject, dry_run=dry_run)
    if as_json:
        emit(result)
    else:
        tell(result)


def erase_stored(workspace: Workspace, name: str, *, dry_run: bool) -> dict[str, Any]:
    """What was done or found, as `--json` tells it. Raises InputError for one who is not known, EnvironmentFailure."""
    person = Subject.of(name, SubjectKey.open(workspace.home))
    nothing_built: dict[str, Any] = {"subject": person.digest, "releases": [], "retraining": [], "source": None}
    with alone(workspace.home), business_database(workspace) as database:
        begun = Begun.open(workspace, person.digest, redact=False)
        holders = stored_holders(workspace, database, receipt=begun.receipt)
        found = erasure.find(holders, person)
        if database is None or not (found or begun.goes_on):
            raise unknown()
        if dry_run:
            return {"dry_run": True, "found": {one: [item.place for item in items] for one, items in found.items()},
                    **nothing_built}  # fmt: skip
        if begun.releases:
            raise InputError(
                "An erasure from everything was interrupted.", code="erasing", hint="Call it again without --requests."
            )
        begun.note()
        people.mark_erased(database, person, receipt=begun.receipt)
        erasure.erase(holders, person, told=begun.did)
        write_over(database)
        return begun.sign(workspace, nothing_built)


def stored_holders(workspace: Workspace, database: Database | None, *, receipt: str) -> list[Holder]:
    """What a server keeps: logs of recommenders, and the stores in the business database, where there is one."""
    logs: list[Holder] = [Sessions(workspace.home), BroughtItems(workspace.home)]
    if database is None:
        return logs
    folder: Path = workspace.home / VAULT
    vault = Vault.open(folder) if folder.is_dir() else None
    return [
        StoredRequests(database, vault, actor=OPERATOR, receipt=receipt),
        CustomerTexts(database, vault, actor=OPERATOR),
        Conversations(database, vault, actor=OPERATOR, receipt=receipt),
        ReviewedDecisions(database, vault, actor=OPERATOR),
        People(database, actor=OPERATOR),
        *logs,
    ]


@contextmanager
def business_database(workspace: Workspace) -> Iterator[Database | None]:
    """The database of the workspace, or None where nobody made one."""
    if not database_exists(workspace):
        yield None
        return
    database = Database.open(default_url(workspace.home), clock=SystemClock())
    try:
        yield database
    finally:
        database.close()
