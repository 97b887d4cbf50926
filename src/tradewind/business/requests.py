"""The sealed record of a request: what was sent and what was answered, each kept as long as the product file says.
Not here: usage for bills (`meters.py`), nor the keys and the cipher (`privacy/vault.py`).

Each field is sealed on its own, bound to its request, its name and the moment it is due: to end a field's time, its bytes
are dropped, and no key is needed for that. A field whose time is over is never handed out, swept or not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from tradewind.business import audit
from tradewind.business.database import Database
from tradewind.business.inserts import insert_new
from tradewind.business.tables import request_records
from tradewind.clock import milliseconds
from tradewind.errors import InputError, VerificationFailed
from tradewind.files import canonical_json
from tradewind.privacy.retention import Retention, due, next_due_ms
from tradewind.privacy.vault import Vault

FIELDS = ("inputs", "outputs")


@dataclass(frozen=True)
class RequestRecord:
    """One request. `inputs` and `outputs` are JSON values; None where the field is not kept, or no longer."""

    request_id: str
    account_id: str
    product: str
    release: str
    at_ms: int
    inputs: Any = None
    outputs: Any = None


@dataclass(frozen=True)
class Swept:
    """What a sweep ended: fields dropped, and records of which nothing was left."""

    fields: int
    records: int


@dataclass(frozen=True)
class _Field:
    """A sealed field as it stands in the column: the moment it is due is part of what its seal is bound to."""

    until_ms: int
    sealed: bytes


def put(database: Database, vault: Vault, *, records: Sequence[RequestRecord], retention: Retention) -> int:
    """Stores what `retention` keeps of `records`; gives how many were stored. One that is there already stays.

    Raises EnvironmentFailure when the vault or the database cannot be written.
    """
    rows = []
    for record in records:
        fields: dict[str, _Field] = {}
        for name in FIELDS:
            value, until_ms = getattr(record, name), retention.until_ms(name, record.at_ms)
            if value is not None and until_ms is not None:
                sealed = vault.seal(canonical_json(value), _context(record.request_id, name, until_ms))
                fields[name] = _Field(until_ms, sealed)
        if fields:
            rows.append(
                {
                    "request_id": record.request_id,
                    "account_id": record.account_id,
                    "product": record.product,
                    "release": record.release,
                    "at_ms": record.at_ms,
                    **_columns(fields),
                }
            )
    if not rows:
        return 0
    rows.sort(key=itemgetter("request_id"))  # two who store the same records must not wait for each other in a circle

    def change(connection: Connection) -> int:
        statement = insert_new(connection, request_records).returning(request_records.c.request_id)
        return len(connection.execute(statement, rows).all())

    return database.write(change)


def get(database: Database, vault: Vault, *, request_id: str, account_id: str | None = None) -> RequestRecord:
    """One record, opened. With `account_id`, another account's record is as unknown as none.

    Raises InputError (request_unknown), VerificationFailed where it was changed.
    """
    with database.reading() as connection:
        row = connection.execute(select(request_records).where(request_records.c.request_id == request_id)).first()
    fields = _kept(_fields(row.sealed), milliseconds(database.clock)) if row is not None else {}
    if row is None or not fields or account_id not in (None, row.account_id):
        raise InputError(
            f"There is no record of the request {request_id}.",
            code="request_unknown",
            hint="It was not stored (serve.store), or its time to be kept is over.",
        )
    opened = {
        name: json.loads(vault.open_sealed(one.sealed, _context(request_id, name, one.until_ms)))
        for name, one in fields.items()
    }
    return RequestRecord(row.request_id, row.account_id, row.product, row.release, row.at_ms, **opened)


def count(database: Database, *, account_id: str | None = None) -> int:
    """How many records are stored, of one account or of all."""
    statement = select(func.count()).select_from(request_records)
    if account_id is not None:
        statement = statement.where(request_records.c.account_id == account_id)
    with database.reading() as connection:
        return int(connection.execute(statement).scalar_one())


def sweep(database: Database, *, most: int = 1000) -> Swept:
    """Ends what is due, at most `most` records in one transaction. Call again while it drops any."""
    now_ms = milliseconds(database.clock)
    statement = (
        select(request_records.c.request_id, request_records.c.sealed)
        .where(request_records.c.expires_ms <= now_ms)
        .order_by(request_records.c.expires_ms)
        .limit(most)
        .with_for_update(skip_locked=True)  # on PostgreSQL two sweeps share the work
    )

    def change(connection: Connection) -> Swept:
        dropped, gone = 0, 0
        for row in connection.execute(statement).all():
            try:
                fields = _fields(row.sealed)
            except VerificationFailed:
                fields = {}  # what nobody can read goes when its time is over, as the rest does
            kept = _kept(fields, now_ms)
            dropped += len(fields) - len(kept)
            here = request_records.c.request_id == row.request_id
            if kept:
                connection.execute(update(request_records).where(here).values(**_columns(kept)))
            else:
                gone += connection.execute(delete(request_records).where(here)).rowcount
        return Swept(dropped, gone)

    return database.write(change)


def sweep_all(database: Database) -> Swept:
    """Ends everything that is due, in as many transactions as it takes."""
    fields = records = 0
    while (step := sweep(database)).fields or step.records:
        fields, records = fields + step.fields, records + step.records
    return Swept(fields, records)


def erase(database: Database, account_id: str, *, actor: str) -> int:
    """Erases every record of an account, due or not; gives how many. The audit log keeps the number alone."""

    def change(connection: Connection) -> int:
        statement = delete(request_records).where(request_records.c.account_id == account_id)
        erased = connection.execute(statement).rowcount
        audit.append(connection, actor=actor, action="requests.erase", subject=account_id, detail={"records": erased})
        return erased

    return database.write(change)


@dataclass(frozen=True)
class Resealed:
    """One step of resealing: how many records changed, and the request to go on after; None when all were seen."""

    changed: int
    after: str | None


def reseal(database: Database, vault: Vault, *, after: str = "", most: int = 500) -> Resealed:
    """Brings at most `most` records after the request `after` under the vault's newest key, in one transaction.

    When all were seen, older keys may be dropped.
    """
    statement = (
        select(request_records.c.request_id, request_records.c.sealed)
        .where(request_records.c.request_id > after)
        .order_by(request_records.c.request_id)
        .limit(most)
        .with_for_update()
    )

    def change(connection: Connection) -> Resealed:
        rows, changed = connection.execute(statement).all(), 0
        for row in rows:
            old = _fields(row.sealed)
            new = {
                name: _Field(one.until_ms, vault.reseal(one.sealed, _context(row.request_id, name, one.until_ms)))
                for name, one in old.items()
            }
            if new != old:
                here = request_records.c.request_id == row.request_id
                connection.execute(update(request_records).where(here).values(**_columns(new)))
                changed += 1
        return Resealed(changed, rows[-1].request_id if len(rows) == most else None)

    return database.write(change)


def _context(request_id: str, name: str, until_ms: int) -> tuple[str, ...]:
    return (request_records.name, request_id, name, str(until_ms))


def _kept(fields: dict[str, _Field], now_ms: int) -> dict[str, _Field]:
    over = due({name: one.until_ms for name, one in fields.items()}, now_ms)
    return {name: one for name, one in fields.items() if name not in over}


def _columns(fields: dict[str, _Field]) -> dict[str, Any]:
    written = {
        name: {"until_ms": one.until_ms, "sealed": base64.b64encode(one.sealed).decode()}
        for name, one in fields.items()
    }
    expires_ms = next_due_ms({name: one.until_ms for name, one in fields.items()})
    return {"sealed": canonical_json(written), "expires_ms": expires_ms}


def _fields(column: bytes) -> dict[str, _Field]:
    try:
        content = json.loads(column)
        return {name: _Field(int(one["until_ms"]), base64.b64decode(one["sealed"])) for name, one in content.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VerificationFailed("A stored request cannot be read: its bytes were changed.", code="sealed") from None
