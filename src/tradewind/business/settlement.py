"""Moving units between granted and used: what the ledger and the recovery of dead workers have in common.
Not here: who asks for it (`ledger.py`, `recovery.py`).

Locks are taken in one order by everybody: worker, then quotas sorted by their key, each followed by its lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, TextClause, and_, delete, literal, select, text, update

from tradewind.business.inserts import insert_new
from tradewind.business.journal import Event
from tradewind.business.tables import leases, quotas, workers

# The units of a plan are one pool, whatever they were used for: rows and tokens draw on one quota, as one invoice bills
# them. It bears the name of the first meter there was.
POOL = "rows"


class Key(NamedTuple):
    """Whose units: one row of `quotas`. Sorts as the locks are taken."""

    account_id: str
    period_start_ms: int
    meter: str


class Quota(NamedTuple):
    used: int
    granted: int
    recall_ms: int | None


def _insert(rows: str, word: str, number: str, *, returning: str = "") -> TextClause:
    """Inserts all events of one JSON array. A parameter for each value would cost this process 70 us an event on
    PostgreSQL; so it is 4 us there, and on SQLite the whole insertion runs outside the interpreter's lock.
    """
    fields = msgspec.structs.fields(Event)
    columns = ", ".join(f'"{field.name}"' for field in fields)
    values = ", ".join((number if field.type is int else word) % at for at, field in enumerate(fields))
    return text(
        f"INSERT INTO usage_events ({columns}) SELECT {values} FROM {rows} WHERE true ON CONFLICT DO NOTHING{returning}"
    )


_SQLITE = _insert("json_each(:rows)", "json_extract(value, '$[%d]')", "json_extract(value, '$[%d]')")
_POSTGRESQL = _insert(
    "json_array_elements(CAST(:rows AS json))", "value->>%d", "CAST(value->>%d AS bigint)",
    returning=" RETURNING request_id, meter",
)  # fmt: skip
_SQLITE_KNOWN = text(
    "SELECT request_id, meter FROM usage_events "
    "WHERE request_id IN (SELECT json_extract(value, '$[0]') FROM json_each(:rows))"
)


def settle(connection: Connection, worker_id: str, events: Sequence[Event], *, journal_offset: int) -> int:
    """`Ledger.settle` for any worker, in the caller's transaction."""
    behind = workers.c.journal_offset < journal_offset
    connection.execute(update(workers).where(workers.c.id == worker_id, behind).values(journal_offset=journal_offset))
    units: Counter[Key] = Counter()
    requests: dict[Key, set[str]] = {}
    new = _inserted(connection, events)
    for event in new:
        key = Key(event.account_id, event.period_start_ms, POOL)
        units[key] += event.units
        requests.setdefault(key, set()).add(event.request_id)
    for key in sorted(requests):
        locked_quota(connection, key)
        held = connection.execute(select(leases.c.units).where(is_lease(worker_id, key))).scalar() or 0
        # A lease that was released too early does not make a served reply free.
        leased = min(held, units[key])
        connection.execute(
            update(leases).where(is_lease(worker_id, key)).values(units=leases.c.units - literal(leased))
        )
        connection.execute(
            update(quotas)
            .where(is_key(quotas, key))
            .values(
                used=quotas.c.used + literal(units[key]),
                granted=quotas.c.granted - literal(leased),
                requests=quotas.c.requests + literal(len(requests[key])),
            )
        )
    return len(new)


def release(connection: Connection, worker_id: str, *, expired_at_ms: int | None = None) -> int:
    """Returns all units of a worker's leases to their quotas and deletes the leases, in the caller's transaction;
    only those that ended before `expired_at_ms` where it is given. Returns how many units went back.
    """
    late = [] if expired_at_ms is None else [leases.c.expires_ms < expired_at_ms]
    mine = select(*key_columns(leases)).where(leases.c.worker_id == worker_id, *late).order_by(*key_columns(leases))
    total = 0
    for row in connection.execute(mine).all():
        key = Key(*row)
        locked_quota(connection, key)
        # A heartbeat may have prolonged it since: the deletion looks again.
        gone = delete(leases).where(is_lease(worker_id, key), *late).returning(leases.c.units)
        held = connection.execute(gone).scalar()
        if held is None:
            continue
        connection.execute(update(quotas).where(is_key(quotas, key)).values(granted=quotas.c.granted - literal(held)))
        total += held
    return total


def _inserted(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Those of `events` that were not there yet, now written."""
    if not events:
        return []
    # Sorted, for two who settle the same events must not wait for each other in a circle.
    by_id = {(event.request_id, event.meter): event for event in reversed(events)}
    if connection.dialect.name == "postgresql":
        new = connection.execute(_POSTGRESQL, {"rows": _rows(by_id)})
        return [by_id[row.request_id, row.meter] for row in new]
    # The transaction holds the only right to write, so what is not there now is new. Nothing comes back row by row: at
    # each row SQLite's driver would hand the interpreter to the event loop and wait to get it again.
    for known in connection.execute(_SQLITE_KNOWN, {"rows": _rows(by_id)}):
        by_id.pop((known.request_id, known.meter), None)
    if by_id:
        connection.execute(_SQLITE, {"rows": _rows(by_id)})
    return list(by_id.values())


def _rows(by_id: dict[tuple[str, str], Event]) -> str:
    return msgspec.json.encode([by_id[one] for one in sorted(by_id)]).decode()


def locked_quota(connection: Connection, key: Key) -> Quota:
    columns = quotas.c.used, quotas.c.granted, quotas.c.recall_ms
    query = select(*columns).where(is_key(quotas, key)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        connection.execute(insert_new(connection, quotas).values(**key._asdict()))
        row = connection.execute(query).one()
    return Quota(*row)


def key_columns(table: Any) -> tuple[Any, ...]:
    return table.c.account_id, table.c.period_start_ms, table.c.meter


def is_key(table: Any, key: Key) -> Any:
    return and_(*(column == value for column, value in zip(key_columns(table), key, strict=True)))


def same_key(one: Any, two: Any) -> Any:
    return and_(*(left == right for left, right in zip(key_columns(one), key_columns(two), strict=True)))


def is_lease(worker_id: str, key: Key) -> Any:
    return and_(leases.c.worker_id == worker_id, is_key(leases, key))
