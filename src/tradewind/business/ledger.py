"""Leases of units: how workers share a quota without overshoot and without asking the database for each request.

A worker takes units from the free part of a quota (cap - used - granted) into its lease, reserves from it in memory,
writes each finished request to its journal before the reply leaves, and settles the journal's events here later.
Not here: reservations in memory (the server), the statements (`settlement.py`), dead workers (`recovery.py`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, literal, select, update

from tradewind.business.database import Database
from tradewind.business.journal import Event, Journal
from tradewind.business.settlement import (
    Key,
    Quota,
    is_key,
    is_lease,
    key_columns,
    locked_quota,
    same_key,
    settle,
)
from tradewind.business.tables import leases, quotas, workers
from tradewind.clock import milliseconds
from tradewind.errors import EnvironmentFailure
from tradewind.ids import new_id

LEASE_MS = 180_000
# A request that was reserved just before the lease ends has this long to be settled. One that runs for longer keeps its
# units as long as the heartbeat prolongs the lease: all the time, unless the database is gone.
MARGIN_MS = 60_000
_NEAR = 4  # the cap is near when the free part is below so many slices
_FRUGAL_MS = 2_000  # after a recall nobody gets more than he asks for


@dataclass(frozen=True)
class Grant:
    """`units` came into the lease (0: none). `pending`: unspent units may come back from other workers: ask again
    with `recall`. `exhausted`: all that is left is used, or reserved for work that runs. `free` is what is left in the
    quota after this grant, None without a cap.
    """

    units: int
    free: int | None = None
    pending: bool = False
    exhausted: bool = False
    recall: int | None = None


@dataclass(frozen=True)
class Lease:
    """`units` are granted to this worker and not settled."""

    key: Key
    units: int


@dataclass(frozen=True)
class Recall:
    """Somebody waits for unspent units of this lease; `recall` is the number to answer with."""

    key: Key
    recall: int


@dataclass(frozen=True)
class Beat:
    """Reserve from these leases, and no other, until `reserve_until_ms`."""

    reserve_until_ms: int
    leases: tuple[Lease, ...]


class Ledger:
    """One worker's leases. Safe for threads, but `take` and `give_back` of one key come from one thread at a time."""

    def __init__(self, database: Database, worker_id: str, *, lease_ms: int = LEASE_MS) -> None:
        assert lease_ms > MARGIN_MS
        self.database = database
        self.worker_id = worker_id
        self._lease_ms = lease_ms

    def take(
        self,
        account_id: str,
        period_start_ms: int,
        meter: str,
        *,
        units: int,
        want: int,
        cap: int | None,
        recall: int | None = None,
    ) -> Grant:
        """Moves units from the free part of the quota to this worker's lease: at least `units`, else none.

        Far from the cap it is `want`, a slice for the requests to come; near it (the free part is below four slices,
        or somebody waits) exactly `units`. `cap` is the most units of the period, None for no limit.

        Where too few are free and other workers hold some, the quota is marked for recall and the grant is `pending`:
        ask again every few milliseconds with its `recall`, for a second at most, then refuse. Each worker answers a
        recall by giving back what it has not reserved. When all who hold units have answered a recall made after the
        first asking and still too few are free, everything else was used or reserved for running work: `exhausted`.
        A worker that died answers through `recovery.sweep`.

        Raises EnvironmentFailure `worker_ended` where another has found this worker dead.
        """
        assert units > 0
        assert want > 0
        key = Key(account_id, period_start_ms, meter)

        def change(connection: Connection) -> Grant:
            now = milliseconds(self.database.clock)
            quota = locked_quota(connection, key)
            free = None if cap is None else max(0, cap - quota.used - quota.granted)
            if free is not None and free < units:
                return self._scarce(connection, key, quota, free=free, recall=recall, now=now)
            recalled = quota.recall_ms is not None and now - quota.recall_ms < _FRUGAL_MS
            near = recalled or (free is not None and free < _NEAR * want)
            granted = units if near else max(units, want)
            self._lend(connection, key, granted, expires_ms=now + self._lease_ms, answered_ms=quota.recall_ms or 0)
            connection.execute(
                update(quotas).where(is_key(quotas, key)).values(granted=quotas.c.granted + literal(granted))
            )
            return Grant(granted, free=None if free is None else free - granted)

        return self.database.write(change)

    def _scarce(
        self, connection: Connection, key: Key, quota: Quota, *, free: int, recall: int | None, now: int
    ) -> Grant:
        others = connection.execute(
            select(leases.c.answered_ms).where(
                is_key(leases, key), leases.c.units > 0, leases.c.worker_id != self.worker_id
            )
        ).scalars()
        answers = list(others)
        if not answers or (recall is not None and min(answers) >= recall):
            return Grant(0, free=free, exhausted=True)
        if recall is None:
            recall = max(now, (quota.recall_ms or 0) + 1)
            connection.execute(update(quotas).where(is_key(quotas, key)).values(recall_ms=recall))
        return Grant(0, free=free, pending=True, recall=recall)

    def _lend(self, connection: Connection, key: Key, units: int, *, expires_ms: int, answered_ms: int) -> None:
        ended = connection.execute(select(workers.c.ended_ms).where(workers.c.id == self.worker_id)).scalar_one()
        if ended is not None:
            raise _ended(self.worker_id)
        added = update(leases).where(is_lease(self.worker_id, key)).values(units=leases.c.units + literal(units))
        if connection.execute(added).rowcount == 0:
            connection.execute(
                insert(leases).values(
                    worker_id=self.worker_id,
                    **key._asdict(),
                    units=units,
                    expires_ms=expires_ms,
                    answered_ms=answered_ms,
                )
            )

    def recalled(self) -> tuple[Recall, ...]:
        """The leases of which others wait for unspent units: take those out of memory, then `give_back`."""
        query = (
            select(leases.c.account_id, leases.c.period_start_ms, leases.c.meter, quotas.c.recall_ms)
            .join(quotas, same_key(leases, quotas))
            .where(leases.c.worker_id == self.worker_id, leases.c.units > 0, quotas.c.recall_ms > leases.c.answered_ms)
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Recall(Key(*row[:3]), row.recall_ms) for row in rows)

    def give_back(
        self, account_id: str, period_start_ms: int, meter: str, *, keep: int, recall: int | None = None
    ) -> int:
        """Returns to the quota all units of the lease but `keep` (reserved, or in the journal and not settled, or
        still to be spent) and answers `recall`. Returns how many went back.

        `keep` is what the worker knows, so the call may be repeated after a lost connection, and it heals a grant
        whose answer was lost. Events that settle meanwhile make it return less, never more.
        """
        assert keep >= 0
        key = Key(account_id, period_start_ms, meter)

        def change(connection: Connection) -> int:
            locked_quota(connection, key)
            held = connection.execute(select(leases.c.units).where(is_lease(self.worker_id, key))).scalar()
            if held is None:
                return 0
            returned: int = max(0, held - keep)
            changes: dict[str, Any] = {"units": held - returned}
            if recall is not None:
                changes["answered_ms"] = recall
            connection.execute(update(leases).where(is_lease(self.worker_id, key)).values(**changes))
            if returned:
                connection.execute(
                    update(quotas).where(is_key(quotas, key)).values(granted=quotas.c.granted - literal(returned))
                )
            return returned

        return self.database.write(change)

    def settle(self, events: Sequence[Event], journal_offset: int) -> int:
        """Writes `events`, all that the journal holds up to `journal_offset`, to the usage records and moves their
        units from granted to used, in one transaction. Returns how many were new: an event that is already there
        (by request and meter) changes nothing, so the call may be repeated.
        """
        return self.database.write(
            lambda connection: settle(connection, self.worker_id, events, journal_offset=journal_offset)
        )

    def heartbeat(self) -> Beat:
        """Says that this worker lives, prolongs its leases, and tells which they are: a lease that is gone, or
        smaller than remembered, was released by others while this worker was out of reach.

        Raises EnvironmentFailure `worker_ended` where another has found this worker dead: stop serving.
        """

        def change(connection: Connection) -> Beat:
            now = milliseconds(self.database.clock)
            alive = (
                update(workers)
                .where(workers.c.id == self.worker_id, workers.c.ended_ms.is_(None))
                .values(heartbeat_ms=now)
            )
            if connection.execute(alive).rowcount == 0:
                raise _ended(self.worker_id)
            held = connection.execute(
                select(leases.c.account_id, leases.c.period_start_ms, leases.c.meter, leases.c.units)
                .where(leases.c.worker_id == self.worker_id)
                .order_by(*key_columns(leases))
                .with_for_update()
            ).all()
            mine = leases.c.worker_id == self.worker_id
            connection.execute(delete(leases).where(mine, leases.c.units == 0))
            connection.execute(update(leases).where(mine).values(expires_ms=now + self._lease_ms))
            current = tuple(Lease(Key(*row[:3]), row.units) for row in held if row.units)
            return Beat(now + self._lease_ms - MARGIN_MS, current)

        return self.database.write(change)


def enlist(database: Database, journals: Path, *, host: str | None = None) -> tuple[str, Journal]:
    """A new worker: its id and its journal, a folder in `journals`. The worker is known to be dead as soon as nobody
    has the journal open and it was not ended.
    """
    worker_id = new_id("wrk", clock=database.clock)
    journal = Journal(journals.resolve() / worker_id)

    def change(connection: Connection) -> None:
        connection.execute(
            insert(workers).values(
                id=worker_id,
                host=host or socket.gethostname(),
                pid=os.getpid(),
                journal=str(journal.folder),
                heartbeat_ms=milliseconds(database.clock),
            )
        )

    database.write(change)
    return worker_id, journal


def _ended(worker_id: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"Worker {worker_id} was found dead by another and its leases were released.",
        code="worker_ended",
        hint="Start the worker again: what its journal holds is billed.",
    )
