"""What living workers of this host have served and the database does not hold yet: waits until it does.

Not here: workers that died (`recovery.py`), and those of other hosts, whose journals cannot be read from here.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from sqlalchemy import select

from tradewind.business.database import Database
from tradewind.business.journal import JournalDamaged, replay
from tradewind.business.tables import workers

_POLL_S = 0.02


def wait_settled(database: Database, *, most_s: float = 5.0, host: str | None = None) -> bool:
    """Returns when the usage records hold every reply that left this host before the call.

    False where a worker did not get that far within `most_s`: it is stopped, or cut off from the database. Its journal
    keeps what it served; it is billed later.
    """
    here = host or socket.gethostname()
    living = select(workers.c.id, workers.c.journal, workers.c.journal_offset).where(
        workers.c.ended_ms.is_(None), workers.c.host == here
    )
    with database.reading() as connection:
        rows = connection.execute(living).all()
    behind = {row.id: end for row in rows if (end := _end(Path(row.journal), row.journal_offset)) > row.journal_offset}
    deadline = time.monotonic() + most_s
    while behind:
        query = select(workers.c.id, workers.c.journal_offset).where(
            workers.c.id.in_(behind), workers.c.ended_ms.is_(None)
        )
        with database.reading() as connection:
            now = {row.id: row.journal_offset for row in connection.execute(query)}
        behind = {worker: end for worker, end in behind.items() if worker in now and now[worker] < end}
        if behind and time.monotonic() > deadline:
            return False
        if behind:
            time.sleep(_POLL_S)
    return True


def _end(folder: Path, offset: int) -> int:
    """The offset behind the last record of a journal that is being written."""
    try:
        return max((record.end for record in replay(folder, offset)), default=offset)
    except (FileNotFoundError, JournalDamaged):
        return offset  # deleted at this moment because it is settled; real damage is told by whoever recovers it
