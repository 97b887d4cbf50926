"""The sealed record of a request: what was sent and what was answered, each kept as long as the product file says.
Not here: usage for bills (`meters.py`), nor the keys and the cipher (`privacy/vault.py`).

Each field is sealed on its own, bound to its request, its name and the moment it is due: to end a field's time, its bytes
are dropped, and no key is needed for that. A field whose time is over is never handed out, swept or not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from tradewind.business import audit
from tradewind.business.database import Database
from tradewind.business.inserts import insert_new
from tradewind.business.tables import erased_subjects, request_records, request_subjects
from tradewind.clock import milliseconds
from tradewind.errors import InputError, VerificationFailed
from tradewind.files import canonical_json
from tradewind.privacy.retention import Retention, due, next_due_ms
from tradewind.privacy.vault import Vault

FIELDS = ("inputs", "outputs")
RECORD, REPLY = "record", "reply"  # what of a request is about a subject
WHOLE = -1  # the place of a subject that all of a request is about


@dataclass(frozen=True)
class RequestRecord:
    """One request. `inputs` and `outputs` are JSON values; None where the field is not kept, or no longer.

    `subjects` are keyed hashes of whom it is about: none, one for all of it, or one for each row ("" for nobody).
    """

    request_id: str
    account_id: str
    product: str
    release: str
    at_ms: int
    inputs: Any = None
    outputs: Any = None
    subjects: tuple[str, ...] = ()


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
    rows: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for record in _not_erased(database, records):
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
            until_ms = max(one.until_ms for one in fields.values())
            people += subject_rows(record.request_id, record.subjects, kind=RECORD, until_ms=until_ms)
    if not rows:
        return 0
    rows.sort(key=itemgetter("request_id"))  # two who store the same records must not wait for each other in a circle

    def change(connection: Connection) -> int:
        statement = insert_new(connection, request_records).returning(request_records.c.request_id)
        stored = len(connection.execute(statement, rows).all())
        if people:
            connection.execute(insert_new(connection, request_subjects), people)
        return stored

    return database.write(change)


def subject_rows(request_id: str, subjects: Sequence[str], *, kind: str, until_ms: int) -> list[dict[str, Any]]:
    """Rows of `request_subjects`: one subject stands for the whole request, several for a row each."""
    return [
        {
            "request_id": request_id,
            "kind": kind,
            "place": place if len(subjects) > 1 else WHOLE,
            "subject": subject,
            "expires_ms": until_ms,
        }
        for place, subject in enumerate(subjects)
        if subject
    ]


def _not_erased(database: Database, records: Sequence[RequestRecord]) -> Sequence[RequestRecord]:
    """Those whose subjects were not erased since the request was answered."""
    wanted = {subject for record in records for subject in record.subjects if subject}
    if not wanted:
        return records
    found = select(erased_subjects.c.subject, erased_subjects.c.at_ms).where(erased_subjects.c.subject.in_(wanted))
    with database.reading() as connection:
        erased = {row.subject: row.at_ms for row in connection.execute(found)}
    return [one for one in records if all(erased.get(subject, -1) < one.at_ms for subject in one.subjects)]


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
        connection.execute(delete(request_subjects).where(request_subjects.c.expires_ms <= now_ms))
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
        mine = select(request_records.c.request_id).where(request_records.c.account_id == account_id)
        named = (request_subjects.c.kind == RECORD) & request_subjects.c.request_id.in_(mine)
        connection.execute(delete(request_subjects).where(named))
        erased = connection.execute(statement).rowcount
        audit.append(connection, actor=actor, action="requests.erase", subject=account_id, detail={"records": erased})
        return erased

    return database.write(change)


def every(database: Database, vault: Vault, *, most: int = 500) -> Iterator[RequestRecord]:
    """Every record, opened, in order of its id: what is due is left out, and so is what does not open any more."""
    after = ""
    while True:
        page = select(request_records).where(request_records.c.request_id > after)
        with database.reading() as connection:
            rows = connection.execute(page.order_by(request_records.c.request_id).limit(most)).all()
        for row in rows:
            try:
                opened = {
                    name: json.loads(vault.open_sealed(one.sealed, _context(row.request_id, name, one.until_ms)))
                    for name, one in _kept(_fields(row.sealed), milliseconds(database.clock)).items()
                }
            except VerificationFailed:
                continue  # nobody can read it; it goes when its time is over
            yield RequestRecord(row.request_id, row.account_id, row.product, row.release, row.at_ms, **opened)
        if len(rows) < most:
            return
        after = rows[-1].request_id


def without_rows(connection: Connection, vault: Vault, *, record: RequestRecord, gone: Collection[int] | None) -> None:
    """Takes rows out of a record, sealed again until the same moment; the whole record for None, or where none is left."""
    here = request_records.c.request_id == record.request_id
    named = (request_subjects.c.request_id == record.request_id) & (request_subjects.c.kind == RECORD)
    column = connection.execute(select(request_records.c.sealed).where(here).with_for_update()).scalar_one_or_none()
    count = _rows_of(record)
    if column is None or gone is None or count is None or len(set(gone)) >= count:
        connection.execute(delete(request_records).where(here))
        connection.execute(delete(request_subjects).where(named))
        return
    fields = {}
    for name, one in _fields(column).items():
        values = getattr(record, name)
        if values is not None:
            left = [value for place, value in enumerate(values) if place not in gone]
            sealed = vault.seal(canonical_json(left), _context(record.request_id, name, one.until_ms))
            fields[name] = _Field(one.until_ms, sealed)
    connection.execute(update(request_records).where(here).values(**_columns(fields)))
    moved = {place: new for new, place in enumerate(place for place in range(count) if place not in gone)}
    moved[WHOLE] = WHOLE
    others = connection.execute(select(request_subjects).where(named)).mappings().all()
    connection.execute(delete(request_subjects).where(named))
    again = [dict(row) | {"place": moved[row["place"]]} for row in others if row["place"] in moved]
    if again:
        connection.execute(insert_new(connection, request_subjects), again)


def _rows_of(record: RequestRecord) -> int | None:
    """How many rows a record holds; None where its fields are not lists of the same rows."""
    kept = [values for values in (record.inputs, record.outputs) if values is not None]
    if not kept or not all(isinstance(values, list) for values in kept):
        return None
    return len(kept[0]) if all(len(values) == len(kept[0]) for values in kept) else None


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
