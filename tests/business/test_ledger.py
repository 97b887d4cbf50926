import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select, text

from tests.business.events import PERIOD_MS, an_event
from tests.business.serving import Worker, add_account, balance, units_leased, units_recorded
from tradewind.business.database import Database
from tradewind.business.journal import replay
from tradewind.business.ledger import LEASE_MS, MARGIN_MS
from tradewind.business.recovery import recover, sweep
from tradewind.business.settlement import Key
from tradewind.business.tables import quotas, workers
from tradewind.clock import FixedClock, SystemClock, milliseconds
from tradewind.errors import EnvironmentFailure


@pytest.fixture
def account(database):
    add_account(database)
    return "acc_1"


@pytest.fixture
def a_worker(database, account, tmp_path):
    """Makes workers; what is still open at the end is closed."""
    with ExitStack() as made:

        def make(**options) -> Worker:
            worker = Worker(database, tmp_path / "journals", **options)
            made.callback(worker.journal.close)
            return worker

        yield make


# ---------------------------------------------------------------- taking


def test_far_from_the_cap_a_slice_is_granted(a_worker):
    assert a_worker(want=16, cap=1000).take(1).units == 16


def test_near_the_cap_exactly_what_is_asked_for_is_granted(a_worker):
    assert a_worker(want=16, cap=60).take(3).units == 3


def test_without_a_cap_nothing_is_ever_exhausted(a_worker):
    worker = a_worker(want=1000, cap=None)
    assert [worker.take(5000).units, worker.take(1).units] == [5000, 1000]


def test_less_than_asked_for_is_never_granted(a_worker):
    grant = a_worker(cap=10).take(11)
    assert (grant.units, grant.free, grant.exhausted) == (0, 10, True)


def test_a_cap_below_what_is_used_grants_nothing(database, a_worker):
    worker = a_worker(cap=10)
    worker.take(8)
    worker.cap = 5
    grant = worker.take(1)
    assert (grant.units, grant.free, grant.exhausted) == (0, 0, True)


def test_units_granted_and_not_settled_are_kept_from_others(database, a_worker):
    one, two = a_worker(cap=10), a_worker(cap=10)
    one.take(8)
    assert two.take(3).units == 0
    assert balance(database) == (0, 8)


# ---------------------------------------------------------------- recall


def test_units_that_lie_unspent_elsewhere_are_pending_not_exhausted(a_worker):
    idle, busy = a_worker(cap=10), a_worker(cap=10)
    idle.take(10)
    grant = busy.take(1)
    assert (grant.pending, grant.exhausted) == (True, False)


def test_a_recalled_worker_is_told_once(a_worker):
    idle, busy = a_worker(cap=10), a_worker(cap=10)
    idle.take(10)
    busy.take(1)
    first = [recall.key for recall in idle.ledger.recalled()]
    idle.reserve_now(1)
    idle.answer()
    assert first == [Key("acc_1", PERIOD_MS, "rows")]
    assert idle.ledger.recalled() == ()


def test_unspent_units_come_back_and_are_granted(a_worker):
    idle, busy = a_worker(cap=10), a_worker(cap=10)
    idle.take(10)
    recall = busy.take(1).recall
    idle.answer()
    assert busy.take(1, recall).units == 1


def test_when_all_have_answered_and_nothing_came_back_it_is_exhausted(a_worker):
    other, worker = a_worker(cap=10), a_worker(cap=10)
    other.take(10)
    other.reserve_now(10)
    recall = worker.take(1).recall
    before = worker.take(1, recall).exhausted
    other.answer()
    assert (before, worker.take(1, recall).exhausted) == (False, True)


def test_one_answer_of_two_is_not_enough(a_worker):
    quick, slow, worker = (a_worker(cap=10) for _ in range(3))
    for other in (quick, slow):
        other.take(5)
        other.reserve_now(5)
    recall = worker.take(1).recall
    quick.answer()
    before = worker.take(1, recall).pending
    slow.answer()
    assert (before, worker.take(1, recall).exhausted) == (True, True)


def test_an_answer_to_an_older_recall_does_not_count(a_worker):
    other, first, second = (a_worker(cap=10) for _ in range(3))
    other.take(10)
    other.reserve_now(10)
    first.take(1)
    other.answer()
    other.fail(1)
    grant = second.take(1)
    assert grant.pending
    other.answer()
    assert second.take(1, grant.recall).units == 1


def test_while_somebody_waits_nobody_gets_more_than_he_asks_for(a_worker, clock):
    large, small = a_worker(cap=100, want=10), a_worker(cap=100, want=10)
    small.take(10)
    assert large.take(95).pending
    during = small.take(1).units
    clock.advance(3)
    assert (during, small.take(1).units) == (1, 10)


def test_a_dead_worker_answers_through_the_sweep(database, a_worker):
    dead, worker = a_worker(cap=10), a_worker(cap=10)
    dead.take(10)
    recall = worker.take(1).recall
    dead.crash()
    sweep(database)
    assert worker.take(1, recall).units == 1


def test_giving_back_twice_changes_nothing(database, a_worker):
    worker = a_worker(cap=10)
    worker.take(10)
    given = [worker.ledger.give_back(*worker.quota, keep=4) for _ in range(2)]
    assert (given, balance(database)) == ([6, 0], (0, 4))


def test_giving_back_heals_a_grant_whose_answer_was_lost(database, a_worker):
    worker = a_worker(cap=10)
    worker.ledger.take(*worker.quota, units=3, want=3, cap=10)
    worker.give_back()
    assert balance(database) == (0, 0)


# ---------------------------------------------------------------- settling


def test_settling_moves_units_from_granted_to_used_and_counts_requests(database, a_worker):
    worker = a_worker(cap=100, want=10)
    worker.reserve(3)
    worker.finish("req_1", 3)
    worker.settle()
    with database.reading() as connection:
        row = connection.execute(select(quotas)).one()
    assert (row.used, row.granted, row.requests) == (3, 7, 1)


def test_an_event_is_billed_once_however_often_it_is_settled(database, a_worker):
    worker = a_worker(cap=10)
    worker.take(4)
    event = an_event("req_1", units=3)
    new = [worker.ledger.settle([event, event], 100) for _ in range(2)]
    assert (new, balance(database), units_recorded(database)) == ([1, 0], (3, 1), 3)


def test_each_meter_of_a_request_is_its_own_event(database, a_worker):
    events = [an_event("req_1", meter="prompt_tokens", units=5), an_event("req_1", meter="output_tokens", units=7)]
    assert a_worker().ledger.settle(events, 100) == 2
    assert units_recorded(database) == 12


def test_the_journal_offset_never_goes_back(database, a_worker):
    worker = a_worker()
    worker.ledger.settle([], 200)
    worker.ledger.settle([], 100)
    with database.reading() as connection:
        assert connection.execute(select(workers.c.journal_offset)).scalar_one() == 200


def test_a_reply_is_billed_though_its_lease_was_released(database, a_worker):
    worker = a_worker(cap=10)
    worker.reserve(2)
    worker.give_back()
    worker.ledger.give_back(*worker.quota, keep=0)
    worker.ledger.settle([an_event("req_1", units=2)], 100)
    assert balance(database) == (2, 0)


@pytest.mark.parametrize("known", [[0], [3, 70], list(range(80)), [79]])
def test_events_of_which_some_are_there_already_count_once(database, a_worker, known):
    worker = a_worker(want=200)
    worker.take(160)
    events = [
        an_event(f"req_{number}", meter=meter, units=number) for number in range(80) for meter in ("rows", "tokens")
    ]
    worker.ledger.settle([event for number in known for event in events[2 * number : 2 * number + 1]], 0)
    new = worker.ledger.settle(events, 0)
    assert new == len(events) - len(known)
    assert units_recorded(database) == sum(event.units for event in events)
    assert balance(database)[0] == sum(event.units for event in events)


# ---------------------------------------------------------------- death


def test_a_dead_worker_is_billed_from_its_journal_and_the_rest_goes_back(database, a_worker):
    worker = a_worker(cap=10)
    worker.reserve(4)
    worker.finish("req_1", 3)
    worker.crash()
    (done,) = sweep(database)
    assert (done.events, done.units, done.damage) == (1, 1, ())
    assert (balance(database), units_recorded(database)) == ((3, 0), 3)


def test_a_living_worker_is_left_alone(database, a_worker, clock):
    worker = a_worker(cap=10)
    worker.take(4)
    clock.advance(100)
    assert sweep(database) == ()
    assert balance(database) == (0, 4)


def test_the_offset_of_a_recovered_worker_is_the_end_of_its_journal(database, a_worker):
    worker = a_worker(cap=None)
    worker.take(1200)
    for number in range(1200):
        worker.finish(f"req_{number}")
    worker.crash()
    sweep(database)
    with database.reading() as connection:
        offset = connection.execute(select(workers.c.journal_offset)).scalar_one()
    assert (offset, units_recorded(database)) == (worker.journal.end, 1200)


def test_while_the_database_is_out_of_reach_service_goes_on_and_nothing_is_lost(database_url, tmp_path):
    blocker, database = (Database.open(database_url, clock=SystemClock(), wait_s=wait_s) for wait_s in (5, 0.1))
    add_account(database)
    worker = Worker(database, tmp_path / "journals", cap=10)
    worker.take(4)
    with blocker.writing() as connection:
        if blocker.dialect == "postgresql":
            connection.execute(text("LOCK TABLE quotas, usage_events, workers"))
        for number in range(3):
            assert worker.reserve_now(1)
            worker.finish(f"req_{number}")
        with pytest.raises(EnvironmentFailure):
            worker.settle()
    worker.settle()
    worker.journal.close()
    found = balance(database), units_recorded(database)
    database.close()
    blocker.close()
    assert found == ((3, 1), 3)


def test_recovering_again_changes_nothing(database, a_worker):
    worker = a_worker(cap=10)
    worker.reserve(4)
    worker.finish("req_1", 4)
    worker.crash()
    first, second = recover(database, worker.id, keep_journal=True), recover(database, worker.id)
    assert (first.events, second.events, balance(database)) == (1, 0, (4, 0))


def test_two_may_recover_the_same_worker_at_once(database, a_worker):
    worker = a_worker(cap=5000)
    worker.take(5000)
    for number in range(300):
        worker.reserve(1)
        worker.finish(f"req_{number}", 1)
    worker.crash()
    found = []
    both = [threading.Thread(target=lambda: found.append(recover(database, worker.id))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert (sum(one.events for one in found), sum(one.units for one in found)) == (300, 4700)
    assert balance(database) == (300, 0)


def test_a_worker_that_was_recovered_takes_nothing_more(database, a_worker):
    worker = a_worker(cap=10)
    recover(database, worker.id, keep_journal=True)
    for call in (lambda: worker.take(1), worker.ledger.heartbeat):
        with pytest.raises(EnvironmentFailure) as caught:
            call()
        assert caught.value.code == "environment.worker_ended"


def test_a_settled_journal_is_deleted(database, a_worker):
    worker = a_worker()
    worker.reserve(1)
    worker.finish("req_1")
    worker.crash()
    sweep(database)
    assert not worker.journal.folder.exists()


def test_a_damaged_journal_is_billed_but_for_the_damage_told_and_kept(database, a_worker):
    worker = a_worker(cap=10)
    worker.reserve(3)
    for number in range(3):
        worker.finish(f"req_{number}")
    ends = [record.end for record in replay(worker.journal.folder)]
    worker.crash()
    (path,) = worker.journal.folder.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[ends[0] + 20] ^= 1
    path.write_bytes(data)
    (done,) = sweep(database)
    assert (done.events, len(done.damage), path.exists(), balance(database)) == (2, 1, True, (2, 0))


def test_a_journal_that_is_gone_is_told(database, a_worker):
    worker = a_worker()
    (path,) = worker.journal.folder.glob("*.journal")
    path.unlink()
    worker.journal.folder.rmdir()
    with pytest.raises(EnvironmentFailure) as caught:
        recover(database, worker.id)
    assert caught.value.code == "environment.journal_missing"


def test_a_lease_on_another_host_goes_back_when_it_expires(database, a_worker, clock):
    worker = a_worker(cap=10)
    worker.take(4)
    before = sweep(database, host="elsewhere")
    clock.advance(LEASE_MS / 1000 + 1)
    sweep(database, host="elsewhere")
    assert (before, balance(database)) == ((), (0, 0))


def test_what_a_worker_on_another_host_served_is_billed_when_its_host_is_back(database, a_worker, clock):
    worker = a_worker(cap=10)
    worker.reserve(4)
    worker.finish("req_1", 4)
    worker.crash()
    clock.advance(LEASE_MS / 1000 + 1)
    sweep(database, host="elsewhere")
    sweep(database)
    assert (balance(database), units_recorded(database)) == ((4, 0), 4)


def test_a_worker_out_of_reach_is_billed_first_when_its_lease_expires(database, a_worker, clock):
    worker = a_worker(cap=10)
    worker.reserve(4)
    worker.finish("req_1", 3)
    clock.advance(LEASE_MS / 1000 + 1)
    (done,) = sweep(database)
    assert (done.events, done.units, balance(database)) == (1, 1, (3, 0))
    assert worker.ledger.heartbeat().leases == ()


def test_a_lease_is_reserved_from_until_its_margin(database, a_worker, clock):
    until_ms = a_worker().ledger.heartbeat().reserve_until_ms
    assert until_ms == milliseconds(clock) + LEASE_MS - MARGIN_MS


def test_a_heartbeat_prolongs_the_leases_and_names_them(database, a_worker, clock):
    worker = a_worker(cap=10)
    worker.take(4)
    clock.advance(LEASE_MS / 1000 - 1)
    beat = worker.ledger.heartbeat()
    clock.advance(2)
    assert [(lease.key, lease.units) for lease in beat.leases] == [(Key("acc_1", PERIOD_MS, "rows"), 4)]
    assert (sweep(database), balance(database)) == ((), (0, 4))


# ---------------------------------------------------------------- many at once


def race(database_url, tmp_path, *, cap, want, requests_of):
    """Serves requests by threads of several workers, each with its own connections; returns how many were served."""
    served = []
    with ExitStack() as stack:
        running = []
        for number in range(len(requests_of)):
            database = Database.open(database_url, clock=SystemClock())
            stack.callback(database.close)
            if number == 0:
                add_account(database)
            running.append(Worker(database, tmp_path / "journals", cap=cap, want=want))
            running[-1].start()

        def serve(worker, name):
            if worker.reserve(1):
                worker.finish(name)
                served.append(name)

        asking = [
            threading.Thread(target=serve, args=(worker, f"req_{index}_{number}"))
            for index, worker in enumerate(running)
            for number in range(requests_of[index])
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        for worker in running:
            worker.end()
        found = balance(running[0].database), units_recorded(running[0].database)
    return len(served), found


def test_200_requests_at_a_cap_of_10_serve_exactly_10(database_url, tmp_path):
    served, found = race(database_url, tmp_path, cap=10, want=4, requests_of=[50, 50, 50, 50])
    assert (served, found) == (10, ((10, 0), 10))


def test_all_of_a_quota_is_served_though_others_hold_slices_of_it(database_url, tmp_path):
    served, found = race(database_url, tmp_path, cap=64, want=8, requests_of=[1, 1, 62])
    assert (served, found) == (64, ((64, 0), 64))


# ---------------------------------------------------------------- any order of events

CAP = 40


class Quota(RuleBasedStateMachine):
    """Workers that take, serve, fail, settle, give back and die in any order; the model counts what was served."""

    database: Database
    clock: FixedClock
    journals: Path
    runs = 0

    def __init__(self):
        super().__init__()
        Quota.runs += 1
        self.account = f"acc_{Quota.runs}"
        add_account(self.database, self.account)
        self.served = 0
        self.workers = []
        self.dead = []

    workers_of = st.integers(min_value=0, max_value=2)
    some = st.integers(min_value=1, max_value=6)

    def pick(self, number):
        while len(self.workers) <= number:
            self.workers.append(Worker(self.database, self.journals, account_id=self.account, want=3, cap=CAP))
        return self.workers[number]

    @rule(number=workers_of, units=some)
    def take(self, number, units):
        worker = self.pick(number)
        used, granted = balance(self.database, self.account)
        grant = worker.take(units)
        assert bool(grant.units) == (CAP - used - granted >= units)
        assert grant.units == 0 or grant.units >= units

    @rule(number=workers_of, units=some)
    def reserve(self, number, units):
        self.pick(number).reserve_now(units)

    @rule(number=workers_of, data=st.data())
    def finish(self, number, data):
        worker = self.pick(number)
        if worker.reserved:
            units = data.draw(st.integers(min_value=1, max_value=worker.reserved))
            self.served += units
            worker.finish(f"{self.account}_req_{self.served}", units)

    @rule(number=workers_of)
    def fail(self, number):
        worker = self.pick(number)
        worker.fail(worker.reserved)

    @rule(number=workers_of, most=st.integers(min_value=1, max_value=3))
    def settle(self, number, most):
        self.pick(number).settle(most)

    @rule(number=workers_of, most=st.integers(min_value=1, max_value=3))
    def settle_and_lose_the_answer(self, number, most):
        worker = self.pick(number)
        batch = worker.waiting[:most]
        if batch:
            worker.ledger.settle([event for event, _ in batch], batch[-1][1])
            worker.settle(most)

    @rule(number=workers_of)
    def give_back(self, number):
        self.pick(number).give_back()

    @rule(number=workers_of)
    def answer(self, number):
        self.pick(number).answer()

    @rule(number=workers_of)
    def crash(self, number):
        if number < len(self.workers):
            worker = self.workers.pop(number)
            worker.crash()
            self.dead.append(worker)

    @precondition(lambda self: self.dead)
    @rule(times=st.integers(min_value=1, max_value=2))
    def recover(self, times):
        worker = self.dead.pop()
        for _ in range(times):
            recover(self.database, worker.id)

    @rule()
    def lapse(self):
        """Nobody reached the database for so long that the leases expired, and the requests have ended."""
        for worker in self.workers:
            worker.fail(worker.reserved)
        self.clock.advance(LEASE_MS / 1000 + 1)
        sweep(self.database)
        self.dead.clear()
        for worker in self.workers:
            assert worker.ledger.heartbeat().leases == ()
            worker.spare = 0
            worker.settle()

    @invariant()
    def nothing_passes_the_cap_and_nothing_is_lost(self):
        used, granted = balance(self.database, self.account)
        leased = units_leased(self.database, self.account)
        assert used + granted <= CAP
        assert units_recorded(self.database, self.account) == used
        assert sum(leased.values()) == granted
        for worker in self.workers:
            assert leased.get(worker.id, 0) == worker.spare + worker.reserved + worker.unsettled

    def teardown(self):
        for worker in self.workers:
            worker.crash()
        for worker in [*self.workers, *self.dead]:
            recover(self.database, worker.id)
        assert balance(self.database, self.account) == (self.served, 0)
        assert units_recorded(self.database, self.account) == self.served


def test_units_are_kept_in_any_order_of_events(database, clock, tmp_path):
    machine = type("QuotaHere", (Quota,), {"database": database, "clock": clock, "journals": tmp_path / "journals"})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=25))
