"""What happens to a worker that died: its journal is settled, then the rest of its leases goes back.
Not here: living workers (`ledger.py`).

On the same host a worker is dead as soon as nobody holds the lock of its journal: the operating system lets go of it
with the process, so neither a reused process id nor a worker that is only slow can deceive. A journal on another host
cannot be read from here: that worker's leases go back when they expire, and its journal is settled by whoever starts
there next; served replies are billed even then.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, update

from tradewind.business.database import Database
from tradewind.business.journal import Event, JournalDamaged, abandoned, discard, replay
from tradewind.business.settlement import release, settle
from tradewind.business.tables import leases, workers
from tradewind.clock import milliseconds
from tradewind.errors import EnvironmentFailure

_BATCH = 1000  # events in one transaction


@dataclass(frozen=True)
class Recovery:
    """`events` were billed that the worker had not settled, `units` went back to their quotas. `damage` says where
    the journal could not be read: replies recorded there are not billed, and an operator has to know.
    """

    worker_id: str
    events: int
    units: int
    damage: tuple[str, ...]


def recover(database: Database, worker_id: str, *, keep_journal: bool = False) -> Recovery:
    """Settles the journal of a worker that is dead, or that ends itself after its last reply, gives its leases back,
    marks it ended and deletes the journal (a damaged one is kept). May be repeated, and done by two at once.

    Raises EnvironmentFailure `journal_missing` where the worker has not ended and its journal is not there.
    """
    with database.reading() as connection:
        row = connection.execute(
            select(workers.c.journal, workers.c.journal_offset, workers.c.ended_ms).where(workers.c.id == worker_id)
        ).one()
    if row.ended_ms is not None:
        return Recovery(worker_id, 0, 0, ())
    folder = Path(row.journal)
    try:
        events, damage = _drain(database, worker_id, folder, row.journal_offset)
    except FileNotFoundError as error:
        if _ended(database, worker_id):
            return Recovery(worker_id, 0, 0, ())
        raise EnvironmentFailure(
            f"The journal of worker {worker_id} is not there.",
            code="journal_missing",
            where=str(folder),
            hint="Bring the folder back, or its last replies stay unbilled; its units go back when its leases expire.",
        ) from error

    def change(connection: Connection) -> int:
        ended = select(workers.c.ended_ms).where(workers.c.id == worker_id).with_for_update(key_share=True)
        if connection.execute(ended).scalar_one() is not None:
            return 0
        now = milliseconds(database.clock)
        connection.execute(update(workers).where(workers.c.id == worker_id).values(ended_ms=now))
        return release(connection, worker_id)

    units = database.write(change)
    if not keep_journal and not damage:
        discard(folder)
    return Recovery(worker_id, events, units, damage)


def sweep(database: Database, *, host: str | None = None, keep_journals: bool = False) -> tuple[Recovery, ...]:
    """Recovers every worker that died on this host, and gives back every lease that has expired, wherever its worker
    is. Returns what was done, in the order of the workers' ids. Cheap when there is nothing to do.
    """
    here = host or socket.gethostname()
    now = milliseconds(database.clock)
    with database.reading() as connection:
        late = set(connection.execute(select(leases.c.worker_id).where(leases.c.expires_ms < now)).scalars())
        rows = connection.execute(
            select(workers.c.id, workers.c.host, workers.c.journal, workers.c.journal_offset)
            .where(workers.c.ended_ms.is_(None) | workers.c.id.in_(late))
            .order_by(workers.c.id)
        ).all()
    done = []
    for row in rows:
        folder = Path(row.journal)
        if row.host == here and abandoned(folder):
            done.append(recover(database, row.id, keep_journal=keep_journals))
        elif row.id in late:
            done.append(_expire(database, row.id, folder if row.host == here else None, row.journal_offset))
    return tuple(done)


def _expire(database: Database, worker_id: str, folder: Path | None, offset: int) -> Recovery:
    """Gives back the expired leases of a worker that may still live: first what it served, where that can be read."""
    events, damage = 0, tuple[str, ...]()
    if folder is not None and folder.is_dir():
        with suppress(FileNotFoundError):  # it trims its journal at this moment: it has settled itself
            events, damage = _drain(database, worker_id, folder, offset)
    units = database.write(
        lambda connection: release(connection, worker_id, expired_at_ms=milliseconds(database.clock))
    )
    return Recovery(worker_id, events, units, damage)


def _drain(database: Database, worker_id: str, folder: Path, offset: int) -> tuple[int, tuple[str, ...]]:
    """Settles all that the journal holds from `offset` on: how many events were new, and where it is damaged."""
    new, damage, batch = 0, list[str](), list[Event]()

    def settle_batch() -> int:
        settled = database.write(lambda connection: settle(connection, worker_id, batch, journal_offset=offset))
        batch.clear()
        return settled

    while True:
        try:
            for record in replay(folder, offset):
                batch.extend(record.events)
                offset = record.end
                if len(batch) >= _BATCH:
                    new += settle_batch()
        except JournalDamaged as damaged:
            damage.append(str(damaged))
            offset = damaged.resume_at
            continue
        if batch:
            new += settle_batch()
        return new, tuple(damage)


def _ended(database: Database, worker_id: str) -> bool:
    with database.reading() as connection:
        query = select(workers.c.ended_ms).where(workers.c.id == worker_id)
        return connection.execute(query).scalar_one() is not None
