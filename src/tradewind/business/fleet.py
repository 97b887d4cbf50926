"""The workers that serve now, and what they have taken in. Not here: their leases (`ledger.py`)."""

from __future__ import annotations

import time

from sqlalchemy import func, select, update

from tradewind.business.database import Database
from tradewind.business.tables import workers
from tradewind.clock import milliseconds

_ALIVE_MS = 15_000
_POLL_S = 0.02


def take_in(database: Database, worker_id: str, revision: int) -> None:
    """The worker says that it acts by `revision` of keys, plans and accounts."""
    database.write(
        lambda connection: connection.execute(
            update(workers).where(workers.c.id == worker_id).values(revision=revision)
        )
    )


def wait_taken_in(database: Database, *, most_s: float = 2.0) -> bool:
    """Returns when every living worker acts by the present revision: a revoked key is refused everywhere from then on.

    False where one did not answer within `most_s`; a worker that answers nobody is either dead or cut off from the
    database, and acts by what it remembers for a minute at most.
    """
    wanted = database.revision()
    deadline = time.monotonic() + most_s
    while True:
        alive_since = milliseconds(database.clock) - _ALIVE_MS
        late = select(func.count()).where(
            workers.c.ended_ms.is_(None), workers.c.heartbeat_ms >= alive_since, workers.c.revision < wanted
        )
        with database.reading() as connection:
            if connection.execute(late).scalar_one() == 0:
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
