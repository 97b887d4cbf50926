"""What an account agreed to, and when it changed its mind: only added to, so that each day's answer can be shown.
Not here: who asks before it stores (`server/recording.py`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from tradewind.business import audit
from tradewind.business.accounts import require
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import consents as table
from tradewind.errors import InputError, nearest
from tradewind.ids import new_id

# store_inputs: what is sent and answered may be kept, sealed, as long as the product says. training: models may learn from it.
PURPOSES = ("store_inputs", "training")
STORE = "store_inputs"

_NOTE_MOST = 500


@dataclass(frozen=True)
class Consent:
    """One act: given, or withdrawn. `actor` is who recorded it, `note` how it was said: a contract, a message."""

    id: str
    account_id: str
    purpose: str
    given: bool
    note: str | None
    actor: str
    at_ms: int


def record(
    database: Database, account_id: str, *, purpose: str, given: bool, note: str | None = None, actor: str
) -> Consent:
    """Writes down that the account agreed, or withdrew. Raises InputError `purpose`, `note`, `account_unknown`."""
    if purpose not in PURPOSES:
        raise InputError(
            f"{purpose} is no purpose. Purposes: {', '.join(PURPOSES)}.",
            code="purpose",
            hint=nearest(purpose, PURPOSES) or None,
        )
    if note is not None and (not note.isprintable() or not 0 < len(note) <= _NOTE_MOST):
        raise InputError(f"A note has 1 to {_NOTE_MOST} characters on one line.", code="note")

    def change(connection: Connection) -> Consent:
        require(connection, account_id, lock=True)
        latest = _latest(connection, account_id, purpose)
        # Two acts of one millisecond must stand in their order.
        at_ms = max(now_ms(connection), -1 if latest is None else latest.at_ms + 1)
        made = Consent(new_id("con", clock=database.clock), account_id, purpose, given, note, actor, at_ms)
        connection.execute(insert(table).values(**asdict(made)))
        database.bump(connection)
        action = "consent.give" if given else "consent.withdraw"
        audit.append(connection, actor=actor, action=action, subject=account_id, detail={"purpose": purpose})
        return made

    return database.write(change)


def history(database: Database, account_id: str) -> tuple[Consent, ...]:
    """Every act, oldest first. Raises InputError `account_unknown`."""
    with database.reading() as connection:
        require(connection, account_id)
        rows = connection.execute(
            select(table).where(table.c.account_id == account_id).order_by(table.c.at_ms, table.c.id)
        )
        return tuple(Consent(**row) for row in rows.mappings())


def standing(database: Database, account_id: str) -> dict[str, Consent | None]:
    """The newest act of each purpose; None where the account was never asked."""
    newest: dict[str, Consent | None] = dict.fromkeys(PURPOSES)
    for one in history(database, account_id):
        newest[one.purpose] = one
    return newest


def answers(database: Database, account_ids: Collection[str], *, purpose: str) -> dict[str, bool | None]:
    """For each account whether it agreed (True), withdrew (False) or never said (None)."""
    found: dict[str, bool | None] = dict.fromkeys(account_ids)
    if not found:
        return found
    with database.reading() as connection:
        wanted = (table.c.purpose == purpose) & table.c.account_id.in_(list(found))
        for row in connection.execute(select(table.c.account_id, table.c.given).where(wanted).order_by(table.c.at_ms)):
            found[row.account_id] = bool(row.given)
    return found


def _latest(connection: Connection, account_id: str, purpose: str) -> Any:
    mine = (table.c.account_id == account_id) & (table.c.purpose == purpose)
    return connection.execute(select(table).where(mine).order_by(table.c.at_ms.desc()).limit(1)).first()
