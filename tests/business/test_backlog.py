"""Whoever asks what was used waits for what was served before he asked, and for nothing else."""

import threading
import time

import pytest

from tests.business.billing import Customer
from tests.business.events import an_event
from tradewind.business import accounts, meters, plans
from tradewind.business.backlog import wait_settled
from tradewind.business.ledger import Ledger, enlist
from tradewind.business.recovery import sweep
from tradewind.tariff import Plan


@pytest.fixture
def account(database):
    made = accounts.add(database, "Acme", actor="test")
    plans.subscribe(database, made.id, plan="pro", terms=Plan(monthly="9 CNY", included=5), actor="test")
    return Customer(database, made)


@pytest.fixture
def worker(database, tmp_path):
    worker_id, journal = enlist(database, tmp_path / "journals")
    yield Ledger(database, worker_id), journal
    journal.close()


def test_with_nothing_outstanding_nobody_waits(database, worker):
    started = time.monotonic()
    assert wait_settled(database)
    assert time.monotonic() - started < 1


def test_it_returns_when_the_worker_has_settled_what_it_served(database, account, worker):
    ledger, journal = worker
    events = [an_event(account_id=account.id, units=units) for units in (1, 2, 3)]
    end = [journal.append((event,)) for event in events][-1]
    later = threading.Timer(0.2, lambda: ledger.settle(events, end))
    later.start()
    assert wait_settled(database)
    assert meters.usage(database, account.id).units == 6
    later.join()


def test_a_worker_that_does_not_settle_is_not_waited_for_without_end(database, account, worker):
    _, journal = worker
    journal.append((an_event(account_id=account.id),))
    assert not wait_settled(database, most_s=0.1)


def test_a_worker_that_died_is_recovered_not_waited_for(database, account, worker):
    _, journal = worker
    journal.append((an_event(account_id=account.id, units=7),))
    journal.close()
    sweep(database)
    assert wait_settled(database)
    assert meters.usage(database, account.id).units == 7


def test_another_hosts_journal_is_not_asked_for(database, account, worker):
    _, journal = worker
    journal.append((an_event(account_id=account.id),))
    assert wait_settled(database, host="elsewhere.example.com")
