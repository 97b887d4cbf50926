"""A draft follows usage, a final invoice never moves, and what was wrong is made right by a new entry."""

import threading

import pytest
from sqlalchemy import delete, insert, select

from tests.business.billing import PRO, at, balance, customer
from tradewind.business import accounts, audit, invoices, plans
from tradewind.business.database import Database
from tradewind.business.invoices import Correction
from tradewind.business.tables import invoice_lines, leases, payments, workers
from tradewind.errors import InputError
from tradewind.tariff import Plan

LATER = at("2026-04-20 12:00")


def final(database, clock, units=1_500, *, credit=0, who=None):
    """An invoice over 299 CNY and 500 further units: 309 CNY."""
    who = who or customer(database)
    if credit:
        who.grant(credit)
    who.use(units)
    made = invoices.draft(database, who.id, actor="test")
    clock.moment = LATER
    return who, invoices.finalize(database, made.id, actor="test")


def test_a_draft_grows_with_usage_and_keeps_its_id(database):
    who = customer(database)
    first = invoices.draft(database, who.id, actor="test")
    who.use(1_500)
    second = invoices.draft(database, who.id, actor="test")
    assert (first.id, first.total_minor) == (second.id, 29_900)
    assert (second.total_minor, second.status, second.number) == (30_900, "draft", None)
    assert [line.kind for line in second.lines] == ["plan", "included", "overage"]
    assert invoices.invoices_of(database, who.id) == (second,)


def test_numbers_follow_one_another_over_all_accounts(database, clock):
    numbers = [final(database, clock, who=None)[1].number]
    clock.moment = at("2026-05-01 00:00")
    one, two = customer(database), customer(database)
    drafts = [invoices.draft(database, who.id, actor="test") for who in (one, two)]
    clock.moment = at("2026-07-01 00:00")
    numbers += [invoices.finalize(database, made.id, actor="test").number for made in drafts]
    assert numbers == ["TW-2026-000001", "TW-2026-000002", "TW-2026-000003"]


def test_a_new_year_begins_a_new_series(database, clock):
    final(database, clock)
    clock.moment = at("2026-12-20 12:00")
    made = invoices.draft(database, customer(database).id, actor="test")
    clock.moment = at("2027-02-01 00:00")
    assert invoices.finalize(database, made.id, actor="test").number == "TW-2027-000001"


def test_finalizing_many_at_once_leaves_no_gap_and_spends_credit_once(database, database_url, clock):
    who = customer(database)
    who.grant(40_000)
    drafts = [invoices.draft(database, who.id, actor="test").id]
    for month in (4, 5, 6):
        clock.moment = at(f"2026-0{month}-15 12:00")
        drafts.append(invoices.draft(database, who.id, actor="test").id)
    clock.moment = at("2026-08-01 00:00")

    def work(invoice_id):
        other = Database.open(database_url, clock=clock)
        invoices.finalize(other, invoice_id, actor="test")
        other.close()

    threads = [threading.Thread(target=work, args=(invoice_id,)) for invoice_id in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = invoices.invoices_of(database, who.id)
    assert {one.number for one in made} == {f"TW-2026-00000{n}" for n in (1, 2, 3, 4)}
    assert sum(one.credit_minor for one in made) == 40_000
    assert balance(database, who.id) == 0


def test_a_final_invoice_takes_credit_once(database, clock):
    who, made = final(database, clock, credit=10_000)
    assert (made.subtotal_minor, made.credit_minor, made.total_minor) == (30_900, 10_000, 20_900)
    assert invoices.finalize(database, made.id, actor="test") == made
    assert balance(database, who.id) == 0


def test_credit_pays_no_more_than_there_is_to_pay(database, clock):
    who, made = final(database, clock, credit=50_000)
    assert (made.total_minor, balance(database, who.id)) == (0, 19_100)


def test_a_period_that_runs_is_drafted_but_not_finalized(database, clock):
    who = customer(database)
    made = invoices.draft(database, who.id, actor="test")
    with pytest.raises(InputError, match="runs until 2026-04-10 12:00 UTC") as error:
        invoices.finalize(database, made.id, actor="test")
    assert error.value.code == "input.period_open"


def test_a_subscription_that_ended_is_finalized_at_once(database, clock):
    who = customer(database)
    made = invoices.draft(database, who.id, actor="test")
    clock.moment = at("2026-03-26 00:00")
    accounts.close(database, who.id, actor="test")
    done = invoices.finalize(database, made.id, actor="test")
    assert (done.status, [line.kind for line in done.lines]) == ("final", ["proration", "included"])
    assert done.total_minor == 14_950  # 15.5 of 31 days


def test_an_upgrade_is_prorated_and_a_downgrade_begins_with_the_next_period(database, clock):
    who = customer(database)
    clock.moment = at("2026-03-26 00:00")  # halfway
    large = Plan(monthly="999 CNY", included=9_000, overage="0.01 CNY")
    plans.change(database, who.id, plan="large", terms=large, actor="test")
    plans.change(database, who.id, plan="pro", terms=PRO, actor="test")
    who.use(5_100)
    made = invoices.draft(database, who.id, actor="test")
    assert [line.amount_minor for line in made.lines] == [14_950, 49_950, 0, 0, 100]  # 5000 units included in all
    clock.moment = at("2026-04-11 00:00")
    following = invoices.draft(database, who.id, actor="test")
    assert [(line.kind, line.amount_minor) for line in following.lines] == [("plan", 29_900), ("included", 0)]
    assert following.period.start_ms == made.period.end_ms


def test_units_that_workers_hold_keep_a_period_open(database, clock):
    who = customer(database)
    made = invoices.draft(database, who.id, actor="test")
    with database.writing() as connection:
        connection.execute(
            insert(workers).values(id="wrk_1", host="h", pid=1, journal="/none", heartbeat_ms=0, journal_offset=0)
        )
        held = {"account_id": who.id, "period_start_ms": made.period.start_ms, "meter": "rows"}
        connection.execute(insert(leases).values(worker_id="wrk_1", units=5, expires_ms=0, **held))
    clock.moment = LATER
    with pytest.raises(InputError) as error:
        invoices.finalize(database, made.id, actor="test")
    assert error.value.code == "input.usage_unsettled"
    assert invoices.finalize(database, made.id, actor="test", unsettled=True).status == "final"
    with database.writing() as connection:
        connection.execute(delete(leases))


def test_usage_after_finalizing_changes_nothing(database, clock):
    who, made = final(database, clock)
    who.use(9_999)
    assert invoices.get(database, str(made.number)) == made
    assert made.digest.startswith("sha256:")


def test_a_period_with_a_final_invoice_is_not_drafted_again_until_it_is_void(database, clock):
    who, made = final(database, clock)
    with pytest.raises(InputError, match="TW-2026-000001"):
        invoices.draft(database, who.id, period=made.period, actor="test")
    invoices.void(database, made.id, actor="test")
    again = invoices.draft(database, who.id, period="2026-03", actor="test")
    assert (again.period, again.total_minor) == (made.period, made.total_minor)
    assert invoices.finalize(database, again.id, actor="test").number == "TW-2026-000002"


def test_voiding_keeps_the_number_and_gives_credit_back_once(database, clock):
    who, made = final(database, clock, credit=10_000)
    void = invoices.void(database, made.id, actor="test")
    assert invoices.void(database, made.id, actor="test") == void
    assert (void.status, void.number, void.digest) == ("void", made.number, made.digest)
    assert balance(database, who.id) == 10_000
    with pytest.raises(InputError, match="is void"):
        invoices.finalize(database, made.id, actor="test")


def test_a_draft_is_not_voided(database):
    made = invoices.draft(database, customer(database).id, actor="test")
    with pytest.raises(InputError, match="only a final invoice"):
        invoices.void(database, made.id, actor="test")


def test_a_credit_note_lowers_what_is_left_to_pay_first(database, clock):
    who, made = final(database, clock, credit=10_000)
    note = invoices.credit_note(database, made.id, corrections=[Correction("Outage", 21_000)], actor="test")
    assert (note.total_minor, note.corrects, note.number) == (-21_000, made.id, "TW-2026-000002")
    with database.reading() as connection:
        assert invoices.outstanding_minor(connection, made.id) == 0
    assert balance(database, who.id) == 100  # 20900 were left to pay


def test_a_credit_note_on_a_paid_invoice_goes_to_credit(database, clock):
    who, made = final(database, clock)
    with database.writing() as connection:
        values = {"provider": "fake", "status": "succeeded", "amount_minor": 30_900, "currency": "CNY"}
        connection.execute(
            insert(payments).values(id="pay_1", invoice_id=made.id, created_ms=0, updated_ms=0, **values)
        )
    invoices.credit_note(database, made.id, corrections=[Correction("Outage", 900)], actor="test")
    assert balance(database, who.id) == 900
    with pytest.raises(InputError, match="credit note stands"):
        invoices.void(database, made.id, actor="test")


def test_a_paid_invoice_is_not_voided(database, clock):
    _, made = final(database, clock)
    with database.writing() as connection:
        values = {"provider": "fake", "status": "pending", "amount_minor": 30_900, "currency": "CNY"}
        connection.execute(
            insert(payments).values(id="pay_1", invoice_id=made.id, created_ms=0, updated_ms=0, **values)
        )
    with pytest.raises(InputError, match="paid, or being paid"):
        invoices.void(database, made.id, actor="test")


def test_no_more_is_credited_than_is_left(database, clock):
    _, made = final(database, clock)
    invoices.credit_note(
        database, made.id, corrections=[Correction("One", 10_000), Correction("Two", 900)], actor="test"
    )
    with pytest.raises(InputError, match="200.00 CNY is left") as error:
        invoices.credit_note(database, made.id, corrections=[Correction("Three", 20_001)], actor="test")
    assert error.value.code == "input.credit_too_much"


@pytest.mark.parametrize("corrections", [[], [Correction("Nothing", 0)], [Correction("Less", -5)]])
def test_a_credit_note_takes_something_off(database, clock, corrections):
    with pytest.raises(InputError, match="above 0"):
        invoices.credit_note(database, "inv_1", corrections=corrections, actor="test")


def test_what_is_not_there_is_said(database):
    who = customer(database)
    for ask in (
        invoices.get,
        lambda d, i: invoices.finalize(d, i, actor="t"),
        lambda d, i: invoices.void(d, i, actor="t"),
    ):
        with pytest.raises(InputError, match="no invoice inv_9"):
            ask(database, "inv_9")
    with pytest.raises(InputError, match="no account"):
        invoices.draft(database, "acc_9", actor="test")
    with pytest.raises(InputError, match="no subscription"):
        invoices.draft(database, who.id, period="2025-01", actor="test")
    with pytest.raises(InputError, match="is no month"):
        invoices.draft(database, who.id, period="March", actor="test")


def test_each_act_stands_in_the_audit_log(database, clock):
    _who, made = final(database, clock)
    invoices.void(database, made.id, actor="test")
    actions = [entry.action for entry in audit.entries(database) if entry.subject == made.id]
    assert actions == ["invoice.draft", "invoice.finalize", "invoice.void"]
    assert audit.verify(database) == []


def test_a_trial_is_free_and_says_so(database, clock):
    who = customer(database, PRO.model_copy(update={"trial_days": 14}))
    who.use(100)
    made = invoices.draft(database, who.id, actor="test")
    assert [(line.kind, line.amount_minor) for line in made.lines] == [("trial", 0), ("included", 0)]


def test_the_column_of_lines_is_only_replaced_in_drafts(database, clock):
    who, made = final(database, clock)
    with database.reading() as connection:
        before = connection.execute(select(invoice_lines)).all()
    invoices.draft(database, who.id, actor="test")
    invoices.finalize(database, made.id, actor="test")
    with database.reading() as connection:
        kept = select(invoice_lines).where(invoice_lines.c.invoice_id == made.id)
        assert connection.execute(kept).all() == before
