"""The billing run: every account's periods that are over get their final invoice. Safe to run twice, or in two places.
Not here: what an invoice says (`lines.py`), collecting it (`receivables.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from tradewind.business import accounts, invoices, plans
from tradewind.business.accounts import Account
from tradewind.business.database import Database, now_ms
from tradewind.business.invoice_rows import Invoice
from tradewind.business.periods import Period
from tradewind.business.segments import periods_over
from tradewind.business.tables import invoices as table
from tradewind.errors import TradewindError


@dataclass(frozen=True)
class Billed:
    """What the run did for one account: invoices that it made final, and the error that stopped it there, if one did."""

    account: Account
    invoices: tuple[Invoice, ...] = ()
    error: TradewindError | None = None


def run(database: Database, *, actor: str) -> Iterator[Billed]:
    """Drafts and finalizes what is due, an account at a time, closed accounts too; an error stops that account alone.

    A period whose invoice was voided stays without one until somebody drafts it: whoever voided it meant to. Raises
    EnvironmentFailure where not even the accounts can be read.
    """
    plans.roll(database)
    for account in accounts.all_accounts(database):
        done = Billed(account)
        try:
            for period in due(database, account.id):
                made = _final(database, account.id, period, actor=actor)
                if made is not None:
                    done = replace(done, invoices=(*done.invoices, made))
        except TradewindError as error:
            done = replace(done, error=error)
        yield done


def due(database: Database, account_id: str) -> tuple[Period, ...]:
    """The periods of an account that are over and have no final invoice, the oldest first."""
    with database.reading() as connection:
        over = periods_over(connection, account_id, at_ms=now_ms(connection))
        status = _statuses(connection, account_id)
    return tuple(
        period
        for period in over
        if "final" not in status.get(period.start_ms, ())
        and ("void" not in status.get(period.start_ms, ()) or "draft" in status.get(period.start_ms, ()))
    )


def _final(database: Database, account_id: str, period: Period, *, actor: str) -> Invoice | None:
    """The period's final invoice, or None where another run made it first."""
    try:
        drafted = invoices.draft(database, account_id, period=period, actor=actor)
    except TradewindError as error:
        if error.code != "input.invoice_final":
            raise
        return None
    return invoices.finalize(database, drafted.id, actor=actor)


def _statuses(connection: Connection, account_id: str) -> dict[int, set[str]]:
    mine = (table.c.account_id == account_id) & (table.c.kind == "invoice")
    found: dict[int, set[str]] = {}
    for row in connection.execute(select(table.c.period_start_ms, table.c.status).where(mine)):
        found.setdefault(row.period_start_ms, set()).add(row.status)
    return found
