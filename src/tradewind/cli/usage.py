"""`tradewind usage`: what customers used, to the last reply that was served; as CloudEvents for other billers.

Not here: what it costs (`invoice.py`).
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from tradewind.business import accounts, meters, recovery, views
from tradewind.business.backlog import wait_settled
from tradewind.business.segments import parse_month
from tradewind.cli.office import Office, show
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError, writing


def command(
    account: Annotated[
        str | None, typer.Option("--account", help="One account, by id or exact name.", show_default=False)
    ] = None,
    month: Annotated[
        str | None, typer.Option("--month", help="One calendar month in UTC, as 2026-02.", show_default=False)
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="Write CloudEvents as JSON lines: FILE, or -.", show_default=False)
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", help="Only events after the one with this id.", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """What customers used, by account, meter and month; as CloudEvents."""
    if after is not None and events is None:
        raise InputError("--after is about events.", code="usage_option", hint="Add --events FILE.")
    if month is not None:
        parse_month(month)
    if as_json and events == Path("-"):
        raise InputError(
            "--json and --events - cannot both have stdout.", code="usage_option", hint="Write the events to a file."
        )
    with Office.open(directory) as office:
        settle(office)
        wanted = office.account(account) if account is not None else None
        if events is not None:
            _write_events(office, wanted.id if wanted else None, month, after=after, target=events, as_json=as_json)
            return
        chosen = [wanted] if wanted else accounts.all_accounts(office.database)
        found = [(one, meters.usage(office.database, one.id, month=month)) for one in chosen]
    if as_json and wanted is not None:
        emit({"account": wanted.id, "month": month} | views.usage(found[0][1]))
    elif as_json:
        emit(
            {
                "accounts": [{"account": one.id, "name": one.name} | views.usage(used) for one, used in found],
                "month": month,
            }
        )
    else:
        codes = sorted({code for _, used in found for code in used.by_meter})
        rows = [
            (one.id, one.name, used.requests, used.units, *(used.by_meter.get(code, 0) for code in codes))
            for one, used in found
        ]
        show(f"Usage in {month}" if month else "Usage", ("account", "name", "requests", "units", *codes), rows)


def settle(office: Office) -> None:
    """Brings what was served on this host before the call to the usage records; says on stderr where it could not."""
    for recovered in recovery.sweep(office.database):
        for damage in recovered.damage:
            print(f"Worker {recovered.worker_id}: {damage}", file=sys.stderr)
    if not wait_settled(office.database):
        print("A worker has served more than it could settle yet; that is counted later.", file=sys.stderr)


def _write_events(
    office: Office, account_id: str | None, month: str | None, *, after: str | None, target: Path, as_json: bool
) -> None:
    found = meters.cloud_events(office.database, account_id=account_id, month=month, after=after)
    count, last = 0, after
    with writing(str(target)), _opened(target) as file:
        for event in found:
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
            count, last = count + 1, event["id"]
    if as_json:
        emit({"events": count, "file": str(target), "last": last})
    elif target != Path("-"):
        typer.echo(f"{count:,} events in {target}." + (f" Go on with --after {last}." if last else ""))


def _opened(target: Path) -> Any:
    stdout: IO[str] = sys.stdout
    return nullcontext(stdout) if target == Path("-") else target.open("w", encoding="utf-8")
