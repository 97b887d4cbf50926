"""Whatever customers and operators do, in any order, the books hold: every invoice derives again, credit never falls
below 0, numbers have no gap, and no invoice is charged beyond its total.
"""

import random

import pytest

from tests.business.billing import balance, customer
from tradewind.business import audit, derive, invoices, meters, payments, plans
from tradewind.business.invoices import Correction
from tradewind.business.payments import FakeProvider
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.tariff import Plan

PLANS = {
    "free": Plan(monthly="0 CNY", included=100),
    "pro": Plan(monthly="299 CNY", included=1_000, overage="0.0173 CNY", trial_days=9),
    "large": Plan(monthly="998.99 CNY", included=7_777, overage="0.009 CNY", spend_cap="20 CNY"),
}


class Office:
    def __init__(self, database, clock, seed):
        self.database, self.clock, self.random = database, clock, random.Random(seed)
        self.customers = [customer(database, PLANS[name], plan=name) for name in PLANS]
        self.provider = FakeProvider()

    def somebody(self):
        return self.random.choice(self.customers)

    def some_invoice(self, *, kind="invoice"):
        made = [one for one in invoices.invoices_of(self.database, self.somebody().id) if one.kind == kind]
        return self.random.choice(made).id if made else "inv_none"

    def time_passes(self):
        self.clock.advance(self.random.choice([1, 3_600, 86_400 * 5, 86_400 * 31]))

    def use(self):
        self.somebody().use(self.random.randint(1, 3_000))

    def grant(self):
        self.somebody().grant(self.random.randint(1, 60_000))

    def change(self):
        name = self.random.choice(list(PLANS))
        when = self.random.choice([None, "now", "period_end"])
        plans.change(self.database, self.somebody().id, plan=name, terms=PLANS[name], when=when, actor="test")

    def cancel(self):
        plans.cancel(self.database, self.somebody().id, actor="test")

    def draft(self):
        invoices.draft(self.database, self.somebody().id, actor="test")

    def finalize(self):
        invoices.finalize(self.database, self.some_invoice(), actor="test")

    def void(self):
        invoices.void(self.database, self.some_invoice(), actor="test")

    def credit_note(self):
        off = [Correction("Sorry", self.random.randint(1, 20_000))]
        invoices.credit_note(self.database, self.some_invoice(), corrections=off, actor="test")

    def collect(self):
        self.provider.faults = [self.random.choice([None, "decline", "lose_answer", "lose_request", "refuse"])]
        payments.collect(self.database, self.provider, self.some_invoice())

    def refund(self):
        made = payments.payments_of(self.database, self.some_invoice())
        if made:
            payments.refund(self.database, self.provider, made[-1].id, actor="test")


@pytest.mark.parametrize("seed", range(4))
def test_the_books_hold_after_any_story(database, clock, seed):
    office = Office(database, clock, seed)
    acts = [office.time_passes, office.use, office.draft, office.finalize] * 3
    acts += [office.grant, office.change, office.cancel, office.void, office.credit_note, office.collect, office.refund]
    done = 0
    for _ in range(150):
        try:
            office.random.choice(acts)()
            done += 1
        except (InputError, EnvironmentFailure):
            pass
    assert derive.verify(database) == []
    assert meters.agree(database) == []
    assert audit.verify(database) == []
    made = [one for who in office.customers for one in invoices.invoices_of(database, who.id)]
    assert done > 75
    assert sum(one.status == "final" for one in made) > 2
    assert all(balance(database, who.id) >= 0 for who in office.customers)
    for one in made:
        came_in = [p.amount.amount_minor for p in payments.payments_of(database, one.id) if p.status == "succeeded"]
        assert sum(came_in) <= max(0, one.total_minor)
        assert len(came_in) <= 1
