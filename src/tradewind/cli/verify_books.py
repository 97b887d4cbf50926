"""`tradewind verify` of the business alone: the audit log's chain, and every final invoice computed again.

Also the whole verb on a machine that only serves, where the packages to recompute a report's figures are absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradewind.artifacts import Workspace
from tradewind.business import audit, derive, meters
from tradewind.business.database import Database, default_url
from tradewind.cli.office import database_exists
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.cli.verify_people import verify_people
from tradewind.clock import SystemClock
from tradewind.errors import EnvironmentFailure, InputError, VerificationFailed

AUDIT = "the audit log: each line follows from the one before it"
INVOICES = "every final invoice, from the usage records"
COUNTERS = "every counter of units, from the usage records"


def command(
    what: Annotated[
        str | None, typer.Argument(metavar="[WHAT]", help="Left out: the books.", show_default=False)
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Public key of the signer.", show_default=False)] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Compute final invoices again from usage; check the chain of the audit log."""
    if what is not None or key is not None:
        raise EnvironmentFailure(
            "Packages to recompute a report's figures are not installed.",
            code="package_missing",
            hint="Install them with: pip install 'tradewind[train]'. Without an argument the books are verified.",
        )
    if not database_exists(Workspace.of(directory)):
        raise InputError(
            "There is no business database here.",
            code="no_database",
            where=str(directory),
            hint="Give -C the product's folder. To verify a release: pip install 'tradewind[train]'.",
        )
    checked: list[str] = []
    faults = [*verify_books(directory, checked), *verify_people(directory, None, checked)]
    if faults:
        raise differs(faults, where=str(directory))
    tell(checked, directory, as_json=as_json)


def verify_books(directory: Path, checked: list[str]) -> list[str]:
    """What does not hold in the business database of `directory`; adds to `checked` what was looked at.

    Without a database there is nothing to check.
    """
    workspace = Workspace.of(directory)
    if not database_exists(workspace):
        return []
    database = Database.open(default_url(workspace.home), clock=SystemClock())
    try:
        faults = [*audit.verify(database), *derive.verify(database), *meters.agree(database)]
    finally:
        database.close()
    checked += [AUDIT, INVOICES, COUNTERS]
    return faults


def differs(faults: list[str], *, where: str) -> VerificationFailed:
    return VerificationFailed("\n  ".join(["It does not hold:", *faults]), code="differs", where=where)


def tell(checked: list[str], folder: Path, *, as_json: bool) -> None:
    if as_json:
        emit({"verified": checked, "folder": str(folder)})
    else:
        typer.echo("\n".join(f"holds: {one}" for one in checked))
