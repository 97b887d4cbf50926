"""The billing run finalizes what is over, once, however often and wherever it is run; one account's trouble stays its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import insert

from tests.business.billing import at, customer
from tradewind.business import accounts, billing, derive, invoices, plans
from tradewind.business.database import Database
from tradewind.business.tables import leases, workers


def run(database):
    return {one.account.id: one for one in billing.run(database, actor="test")}


def test_what_is_over_is_finalized_and_what_runs_is_left(database, clock):
    who = customer(database)
    who.use(1_500)
    assert run(database)[who.id].invoices == ()
    clock.moment = at("2026-04-20 12:00")
    who.use(7)
    (made,) = run(database)[who.id].invoices
    assert (made.status, made.number, made.total_minor) == ("final", "TW-2026-000001", 30_900)
    assert [one.status for one in invoices.invoices_of(database, who.id)] == ["final"]


def test_a_second_run_does_nothing(database, clock):
    who = customer(database)
    clock.moment = at("2026-04-20 12:00")
    run(database)
    assert run(database)[who.id] == billing.Billed(who.account)


def test_every_month_that_was_missed_is_made_up_for_in_order(database, clock):
    who = customer(database)
    clock.moment = at("2026-07-11 00:00")
    made = run(database)[who.id].invoices
    assert [one.number for one in made] == [f"TW-2026-00000{n}" for n in (1, 2, 3, 4)]
    assert [one.period.start_ms for one in made] == sorted(one.period.start_ms for one in made)
    assert derive.verify(database) == []


def test_a_closed_account_is_billed_for_what_it_used(database, clock):
    who = customer(database)
    who.use(1_500)
    accounts.close(database, who.id, actor="test")
    clock.moment = at("2026-04-20 12:00")
    (made,) = run(database)[who.id].invoices
    assert made.total_minor == 1_000  # no time of the month, but 500 further units
    assert run(database)[who.id].invoices == ()


def test_an_account_without_a_plan_has_nothing_due(database, clock):
    one = accounts.add(database, "Nobody", actor="test")
    assert run(database)[one.id].invoices == ()


def test_two_subscriptions_one_after_another_are_each_billed(database, clock):
    who = customer(database)
    plans.cancel(database, who.id, actor="test")
    clock.moment = at("2026-04-20 12:00")
    plans.roll(database)
    from_terms = customer(database).account  # another account, so that the series is shared
    plans.subscribe(database, who.id, plan="pro", terms=plans.current(database, from_terms.id).terms, actor="test")
    clock.moment = at("2026-05-21 00:00")
    assert len(run(database)[who.id].invoices) == 2
    assert derive.verify(database) == []


def test_a_voided_invoice_is_not_made_again_until_somebody_drafts_it(database, clock):
    who = customer(database)
    clock.moment = at("2026-04-20 12:00")
    (made,) = run(database)[who.id].invoices
    invoices.void(database, made.id, actor="test")
    assert run(database)[who.id].invoices == ()
    invoices.draft(database, who.id, period=made.period, actor="test")
    (again,) = run(database)[who.id].invoices
    assert (again.period, again.number) == (made.period, "TW-2026-000002")


def test_the_trouble_of_one_account_stops_no_other(database, clock):
    stuck, fine = customer(database), customer(database)
    period = plans.current(database, stuck.id).period(int(clock.moment.timestamp() * 1000))
    with database.writing() as connection:
        connection.execute(insert(workers).values(id="wrk_1", host="h", pid=1, journal="/nowhere", heartbeat_ms=0))
        connection.execute(
            insert(leases).values(
                worker_id="wrk_1", account_id=stuck.id, period_start_ms=period.start_ms, meter="rows", units=3, expires_ms=0
            )
        )  # fmt: skip
    clock.moment = at("2026-04-20 12:00")
    done = run(database)
    assert done[stuck.id].error is not None
    assert done[stuck.id].error.code == "input.usage_unsettled"
    assert len(done[fine.id].invoices) == 1


@pytest.mark.parametrize("threads", [6])
def test_runs_side_by_side_make_each_invoice_once(database, database_url, clock, threads):
    customers = [customer(database) for _ in range(4)]
    clock.moment = at("2026-05-20 12:00")
    start = Barrier(threads)

    def one(_):
        mine = Database.open(database_url, clock=clock)
        start.wait()
        made = list(billing.run(mine, actor="test"))
        mine.close()
        assert all(billed.error is None for billed in made)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(threads)))
    made = [one for who in customers for one in invoices.invoices_of(database, who.id)]
    assert sorted(one.number for one in made) == [f"TW-2026-00000{n}" for n in range(1, 9)]
    assert derive.verify(database) == []
