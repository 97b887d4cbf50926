"""A customer and what it used, for tests of money: a subscription, and usage records as the ledger would write them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import func, insert, select, update

from tradewind.business import accounts, plans
from tradewind.business.inserts import insert_new
from tradewind.business.settlement import POOL
from tradewind.business.tables import credit_entries, quotas, usage_events
from tradewind.clock import milliseconds
from tradewind.tariff import Plan

PRO = Plan(monthly="299 CNY", included=1_000, overage="0.02 CNY")
_numbers = count(1)


@dataclass
class Customer:
    database: object
    account: object

    @property
    def id(self):
        return self.account.id

    def use(self, units, *, meter="rows", request=None, outcome="complete"):
        """One request now. Returns its id."""
        database, now = self.database, milliseconds(self.database.clock)
        subscription = plans.current(database, self.id)
        start_ms = subscription.period(now).start_ms
        key = {"account_id": self.id, "period_start_ms": start_ms, "meter": meter}
        pool, first = {**key, "meter": POOL}, int(request is None)
        request = request or f"req_{next(_numbers):08d}"
        with database.writing() as connection:
            connection.execute(
                insert(usage_events).values(
                    request_id=request,
                    key_id="key_1",
                    subscription_id=subscription.id,
                    product="credit-risk",
                    release="v1",
                    price_version=subscription.price_version,
                    units=units,
                    outcome=outcome,
                    at_ms=now,
                    **key,
                )
            )
            connection.execute(insert_new(connection, quotas).values(**pool))
            connection.execute(
                update(quotas)
                .where(*(quotas.c[name] == value for name, value in pool.items()))
                .values(used=quotas.c.used + units, requests=quotas.c.requests + first)
            )
        return request

    def grant(self, amount_minor, *, currency="CNY"):
        number = next(_numbers)
        with self.database.writing() as connection:
            connection.execute(
                insert(credit_entries).values(
                    id=f"crd_{number}",
                    account_id=self.id,
                    amount_minor=amount_minor,
                    currency=currency,
                    kind="grant",
                    reference=f"gift {number}",
                    at_ms=milliseconds(self.database.clock),
                )
            )


def customer(database, terms=PRO, *, plan="pro", name="Harbour Ltd", language="en"):
    account = accounts.add(database, name, language=language, actor="test")
    plans.subscribe(database, account.id, plan=plan, terms=terms, actor="test")
    return Customer(database, account)


def balance(database, account_id):
    with database.reading() as connection:
        mine = credit_entries.c.account_id == account_id
        query = select(func.coalesce(func.sum(credit_entries.c.amount_minor), 0)).where(mine)
        return int(connection.execute(query).scalar_one())


def at(text):
    """A moment in UTC: "2026-04-10 12:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
