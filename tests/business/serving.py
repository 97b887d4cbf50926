"""A small worker for tests: reserves in memory, journals, settles and answers recalls in the background, as the
server does. Its thread is started where a test wants it; else a test takes each step itself.
"""

import threading
import time
from pathlib import Path

from sqlalchemy import func, insert, select

from tests.business.events import PERIOD_MS, an_event
from tradewind.business.database import Database
from tradewind.business.ledger import Ledger, enlist
from tradewind.business.recovery import recover
from tradewind.business.tables import accounts, leases, quotas, usage_events


class Worker:
    def __init__(self, database: Database, journals: Path, *, account_id="acc_1", want=4, cap: int | None = None):
        self.database, self.account_id, self.want, self.cap = database, account_id, want, cap
        self.id, self.journal = enlist(database, journals)
        self.ledger = Ledger(database, self.id)
        self.spare = self.reserved = self.unsettled = 0
        self.waiting = []  # (event, offset behind it)
        self._turn, self._taking, self._stop = threading.Lock(), threading.Lock(), threading.Event()
        self._thread = None

    @property
    def quota(self):
        return self.account_id, PERIOD_MS, "rows"

    def reserve_now(self, units: int) -> bool:
        with self._turn:
            if self.spare < units:
                return False
            self.spare -= units
            self.reserved += units
            return True

    def take(self, units: int, recall=None):
        grant = self.ledger.take(*self.quota, units=units, want=self.want, cap=self.cap, recall=recall)
        with self._turn:
            self.spare += grant.units
        return grant

    def reserve(self, units: int = 1) -> bool:
        """True when reserved; False when the quota is exhausted, or another has not answered for a long time."""
        recall, patience_s = None, time.monotonic() + 10
        while True:
            with self._taking:
                if self.reserve_now(units):
                    return True
                grant = self.take(units, recall)
            if grant.exhausted or time.monotonic() > patience_s:
                return False
            recall = grant.recall
            if grant.pending:
                time.sleep(0.005)

    def finish(self, request_id: str, units: int = 1) -> None:
        event = an_event(request_id, account_id=self.account_id, units=units)
        with self._turn:
            self.waiting.append((event, self.journal.append([event])))
            self.reserved -= units
            self.unsettled += units

    def fail(self, units: int = 1) -> None:
        with self._turn:
            self.reserved -= units
            self.spare += units

    def settle(self, most: int | None = None) -> None:
        batch = self.waiting[:most]
        if batch:
            self.ledger.settle([event for event, _ in batch], batch[-1][1])
            with self._turn:
                del self.waiting[: len(batch)]
                self.unsettled -= sum(event.units for event, _ in batch)

    def answer(self) -> None:
        for recall in self.ledger.recalled():
            self.give_back(recall.recall)

    def give_back(self, recall=None) -> None:
        with self._taking:
            with self._turn:
                self.spare, keep = 0, self.reserved + self.unsettled
            self.ledger.give_back(*self.quota, keep=keep, recall=recall)

    def start(self) -> None:
        def run():
            while not self._stop.wait(0.005):
                self.settle()
                self.answer()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.settle()
        recover(self.database, self.id, keep_journal=True)
        self.journal.close()

    def crash(self) -> None:
        """What is left of a killed process: rows in the database, and a journal that nobody holds."""
        self.journal.close()


def add_account(database: Database, account_id="acc_1") -> None:
    with database.writing() as connection:
        connection.execute(insert(accounts).values(id=account_id, name=account_id, created_ms=0))


def balance(database: Database, account_id="acc_1") -> tuple[int, int]:
    """(used, granted)"""
    with database.reading() as connection:
        query = select(quotas.c.used, quotas.c.granted).where(quotas.c.account_id == account_id)
        row = connection.execute(query).one_or_none()
    return (row.used, row.granted) if row else (0, 0)


def units_recorded(database: Database, account_id="acc_1") -> int:
    with database.reading() as connection:
        query = select(func.coalesce(func.sum(usage_events.c.units), 0))
        return int(connection.execute(query.where(usage_events.c.account_id == account_id)).scalar_one())


def units_leased(database: Database, account_id="acc_1") -> dict[str, int]:
    with database.reading() as connection:
        query = select(leases.c.worker_id, leases.c.units).where(leases.c.account_id == account_id)
        return {row.worker_id: row.units for row in connection.execute(query)}
