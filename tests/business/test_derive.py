"""Whatever is changed behind the invoices' back is said; a plan is tried on last month's real usage first."""

import pytest
from sqlalchemy import delete, insert, update

from tests.business.billing import PRO, at, customer
from tests.business.test_invoices import final
from tradewind.business import derive, invoices, plans
from tradewind.business.invoices import Correction
from tradewind.business.tables import credit_entries, invoice_lines, state, subscriptions, usage_events
from tradewind.business.tables import invoices as table
from tradewind.errors import InputError
from tradewind.tariff import Plan


def tamper(database, statement):
    with database.writing() as connection:
        connection.execute(statement)


def test_every_kind_of_document_derives_again(database, clock):
    who, made = final(database, clock, credit=1_000)
    invoices.void(database, made.id, actor="test")
    again = invoices.draft(database, who.id, period="2026-03", actor="test")
    again = invoices.finalize(database, again.id, actor="test")
    invoices.credit_note(database, again.id, corrections=[Correction("Outage", 30_000)], actor="test")
    invoices.draft(database, who.id, actor="test")
    assert derive.verify(database) == []


def test_an_upgraded_period_derives_again(database, clock):
    who = customer(database)
    who.use(700)
    clock.moment = at("2026-03-20 07:30")
    plans.change(database, who.id, plan="large", terms=Plan(monthly="999 CNY", included=9_000), actor="test")
    final(database, clock, 7_000, who=who)
    assert derive.verify(database) == []


def test_a_changed_usage_record_is_said(database, clock):
    final(database, clock)
    tamper(database, update(usage_events).values(units=1_600))
    says = derive.verify(database)
    assert says[1] == (
        "TW-2026-000001, line 3 (overage): it says 500 units for 10.00 CNY, the records give 600 for 12.00 CNY."
    )
    assert says[-1] == "TW-2026-000001: the records give a total of 311.00 CNY, it says 309.00 CNY."


def test_a_changed_amount_is_said(database, clock):
    final(database, clock)
    tamper(database, update(invoice_lines).where(invoice_lines.c.kind == "plan").values(amount_minor=19_900))
    says = "\n".join(derive.verify(database))
    assert "its content is not what was sealed" in says
    assert "its lines add up to 209.00 CNY, it says 309.00 CNY" in says
    assert "line 1 (plan): it says 1 units for 199.00 CNY, the records give 1 for 299.00 CNY" in says


def test_changed_terms_of_a_subscription_are_said(database, clock):
    final(database, clock)
    dear = PRO.model_copy(update={"included": 0})
    tamper(database, update(subscriptions).values(terms=dear.model_dump_json()))
    assert any("line 3 (overage)" in one for one in derive.verify(database))


def test_a_changed_total_and_a_line_taken_out_are_said(database, clock):
    final(database, clock)
    tamper(database, update(table).values(total_minor=1))
    assert any("the records give a total of 309.00 CNY, it says 0.01 CNY" in one for one in derive.verify(database))
    tamper(database, delete(invoice_lines).where(invoice_lines.c.position == 3))
    assert any("it has 2 lines, the records give 3" in one for one in derive.verify(database))


def test_credit_that_moved_otherwise_is_said(database, clock):
    final(database, clock, credit=1_000)
    tamper(database, update(credit_entries).where(credit_entries.c.kind == "invoice").values(amount_minor=-500))
    says = "\n".join(derive.verify(database))
    assert "its credit entry (invoice) is -5.00 CNY, it should be -10.00 CNY" in says
    tamper(database, delete(credit_entries).where(credit_entries.c.kind == "grant"))
    assert "below 0" in "\n".join(derive.verify(database))


def test_credit_for_an_invoice_that_is_not_there_is_said(database):
    who = customer(database)
    values = {"amount_minor": 5, "currency": "CNY", "kind": "refund", "reference": "inv_9", "at_ms": 0}
    tamper(database, insert(credit_entries).values(id="crd_x", account_id=who.id, **values))
    assert derive.verify(database) == ["crd_x: the credit entry speaks of the invoice inv_9, which is not final."]


def test_a_gap_in_the_numbers_is_said(database, clock):
    final(database, clock)
    tamper(database, update(state).where(state.c.name == "invoices-2026").values(value=2))
    assert derive.verify(database) == ["TW-2026-000002: the number was given and its invoice is not there."]


def test_a_dry_run_bills_last_month_under_another_plan(database, clock):
    clock.moment = at("2026-02-01 00:00")
    pro, free = customer(database, name="Pro Ltd"), customer(database, Plan(monthly="0 CNY", included=9), plan="free")
    pro.use(1_500)
    free.use(9)
    clock.moment = at("2026-03-05 00:00")
    pro.use(77)  # of another month
    dear = Plan(monthly="199 CNY", included=500, overage="0.05 CNY")
    (run,) = derive.dry_run(database, {"pro": dear}, period="2026-02")
    assert (run.account_id, run.name, run.plan, run.units) == (pro.id, "Pro Ltd", "pro", 1_500)
    assert (run.old_minor, run.new_minor, run.difference_minor, run.refused) == (30_900, 24_900, -6_000, 0)


def test_a_dry_run_with_the_same_plan_changes_nothing(database, clock):
    who = customer(database)
    who.use(5_000)
    (run,) = derive.dry_run(database, {"pro": PRO}, period="2026-03")
    assert run.difference_minor == 0
    assert run.old_minor > 8_000 + 29_900 * 0.6  # the fee of the part of March after the 10th


def test_a_dry_run_says_what_a_hard_quota_had_refused(database, clock):
    customer(database).use(5_000)
    (run,) = derive.dry_run(database, {"pro": Plan(monthly="99 CNY", included=4_000)}, period="2026-03")
    assert run.refused == 1_000


def test_a_dry_run_in_another_currency_or_of_no_month_is_refused(database, clock):
    customer(database).use(1)
    with pytest.raises(InputError, match="CNY and USD"):
        derive.dry_run(database, {"pro": Plan(monthly="9 USD", included=0)}, period="2026-03")
    with pytest.raises(InputError, match="is no month"):
        derive.dry_run(database, {}, period="2026-13")
