"""Moving units between granted and used: what the ledger and the recovery of dead workers have in common.
Not here: who asks for it (`ledger.py`, `recovery.py`).

Locks are taken in one order by everybody: worker, then quotas sorted by their key, each followed by its lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
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


_FIELDS = msgspec.structs.fields(Event)
_COLUMNS = ", ".join(f'"{field.name}"' for field in _FIELDS)
_QUIETLY = "ON CONFLICT DO NOTHING"


def _postgresql() -> TextClause:
    """Inserts all events of one JSON array: a parameter for each value would cost this process 70 us an event, this 4."""
    values = ", ".join(
        ("CAST(value->>%d AS bigint)" if field.type is int else "value->>%d") % at for at, field in enumerate(_FIELDS)
    )
    return text(
        f"INSERT INTO usage_events ({_COLUMNS}) SELECT {values} FROM json_array_elements(CAST(:rows AS json)) "
        f"WHERE true {_QUIETLY} RETURNING request_id, meter"
    )


def _sqlite(events: int) -> str:
    """Inserts so many events outside the interpreter's lock: with a statement for each, the driver would hand the
    interpreter to the event loop and wait to get it again; one JSON array takes SQLite three times as long to read."""
    row = f"({', '.join('?' * len(_FIELDS))})"
    return f"INSERT INTO usage_events ({_COLUMNS}) VALUES {', '.join([row] * events)} {_QUIETLY}"


_POSTGRESQL = _postgresql()
_SQLITE = {events: _sqlite(events) for events in (64, 8, 1)}  # few texts: the driver keeps each one prepared
_SQLITE_KNOWN = text(
    "SELECT request_id, meter FROM usage_events WHERE request_id IN (SELECT value FROM json_each(:ids))"
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
    # The transaction holds the only right to write, so what is not there now is new. Nearly always that is all of them.
    connection.exec_driver_sql("SAVEPOINT fresh")
    if _insert(connection, by_id) != len(by_id):
        connection.exec_driver_sql("ROLLBACK TO fresh")
        ids = msgspec.json.encode([request_id for request_id, _ in by_id]).decode()
        for known in connection.execute(_SQLITE_KNOWN, {"ids": ids}):
            by_id.pop((known.request_id, known.meter), None)
        _insert(connection, by_id)
    connection.exec_driver_sql("RELEASE fresh")
    return list(by_id.values())


def _insert(connection: Connection, by_id: Mapping[tuple[str, str], Event]) -> int:
    """Into SQLite. Returns how many were not there."""
    events = [by_id[one] for one in sorted(by_id)]
    new = at = 0
    for size, statement in _SQLITE.items():
        while len(events) - at >= size:
            values = tuple(chain.from_iterable(map(msgspec.structs.astuple, events[at : at + size])))
            new += connection.exec_driver_sql(statement, values).rowcount
            at += size
    return new


def _rows(by_id: Mapping[tuple[str, str], Event]) -> str:
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
