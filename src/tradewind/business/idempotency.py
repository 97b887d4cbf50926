"""Idempotency keys as Stripe's (https://docs.stripe.com/api/idempotent_requests): the same key with the same request
gives the same reply for 24 hours. Not here: the header, and what of a request the digest covers (the server).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, and_, delete, select, update

from tradewind.business.database import Database
from tradewind.business.inserts import insert_new
from tradewind.business.requests import REPLY, subject_rows
from tradewind.business.tables import idempotency, request_subjects, workers
from tradewind.clock import milliseconds

KEPT_MS = 24 * 3600 * 1000
ABANDONED_MS = 60_000


@dataclass(frozen=True)
class Fresh:
    """Run the request, under `request_id`: that of the first attempt where it died, so that it is billed once."""

    request_id: str


@dataclass(frozen=True)
class Replay:
    """The reply that the first request got; `request_id` is the first one's."""

    request_id: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Running:
    """The first request with this key has no reply yet."""

    request_id: str


@dataclass(frozen=True)
class Conflict:
    """The key was used for another request."""

    request_id: str


Begun: TypeAlias = Fresh | Replay | Running | Conflict


def begin(
    database: Database,
    account_id: str,
    *,
    key: str,
    digest: str,
    request_id: str,
    worker_id: str | None = None,
) -> Begun:
    """What to do with a request that carries `key` (at most 255 characters); of two at once, one is Fresh.

    `digest` is of method, path and body. A first request that has no reply after 60 seconds and whose worker has ended
    or shows no heartbeat for 60 seconds is taken over. A Fresh request ends with `finish` or `abandon`.
    """
    assert 0 < len(key) <= 255
    place = and_(idempotency.c.account_id == account_id, idempotency.c.key == key)

    def change(connection: Connection) -> Begun:
        now = milliseconds(database.clock)
        new = {
            "digest": digest,
            "request_id": request_id,
            "worker_id": worker_id,
            "status": None,
            "headers": None,
            "body": None,
            "created_ms": now,
        }
        first = insert_new(connection, idempotency).values(account_id=account_id, key=key, **new)
        first = first.returning(idempotency.c.request_id)
        row = None
        while row is None:  # it may be abandoned between the two statements
            if connection.execute(first).one_or_none() is not None:
                return Fresh(request_id)
            row = connection.execute(select(idempotency).where(place).with_for_update()).one_or_none()
        if row.created_ms + KEPT_MS <= now:
            connection.execute(update(idempotency).where(place).values(**new))
            return Fresh(request_id)
        if row.digest != digest:
            return Conflict(row.request_id)
        if row.status is not None:
            headers = tuple((name, value) for name, value in json.loads(row.headers))
            return Replay(row.request_id, row.status, headers, row.body)
        if not _dead(connection, row, now=now):
            return Running(row.request_id)
        connection.execute(update(idempotency).where(place).values(worker_id=worker_id, created_ms=now))
        return Fresh(row.request_id)

    return database.write(change)


def finish(
    database: Database,
    account_id: str,
    *,
    key: str,
    request_id: str,
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    subjects: Sequence[str] = (),
) -> bool:
    """Keeps the reply of a Fresh request. False where another reply is kept already, or the key was forgotten.

    `subjects` are keyed hashes of whom it is about, by which an erasure finds it.
    """
    kept = update(idempotency).where(_running(account_id, key, request_id))
    kept = kept.values(status=status, headers=json.dumps(list(headers)), body=body)
    until_ms = milliseconds(database.clock) + KEPT_MS
    people = subject_rows(request_id, subjects, kind=REPLY, until_ms=until_ms)

    def change(connection: Connection) -> bool:
        stored = connection.execute(kept).rowcount == 1
        if stored and people:
            connection.execute(insert_new(connection, request_subjects), people)
        return stored

    return database.write(change)


def abandon(database: Database, account_id: str, *, key: str, request_id: str) -> bool:
    """Gives up a Fresh request whose reply is not to be kept (refused before any work): the key is free again."""
    freed = delete(idempotency).where(_running(account_id, key, request_id))
    return database.write(lambda connection: connection.execute(freed).rowcount == 1)


def forget(database: Database) -> int:
    """Deletes what is older than 24 hours and returns how many replies that were."""
    old = delete(idempotency).where(idempotency.c.created_ms <= milliseconds(database.clock) - KEPT_MS)
    due = (request_subjects.c.kind == REPLY) & (request_subjects.c.expires_ms <= milliseconds(database.clock))

    def change(connection: Connection) -> int:
        connection.execute(delete(request_subjects).where(due))
        return connection.execute(old).rowcount

    return database.write(change)


def _dead(connection: Connection, row: Row[Any], *, now: int) -> bool:
    if now - row.created_ms < ABANDONED_MS:
        return False
    if row.worker_id is None:
        return True
    worker = connection.execute(
        select(workers.c.heartbeat_ms, workers.c.ended_ms).where(workers.c.id == row.worker_id)
    ).one_or_none()
    return worker is None or worker.ended_ms is not None or now - worker.heartbeat_ms >= ABANDONED_MS


def _running(account_id: str, key: str, request_id: str) -> Any:
    table = idempotency.c
    return and_(
        table.account_id == account_id, table.key == key, table.request_id == request_id, table.status.is_(None)
    )
