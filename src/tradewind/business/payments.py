"""Collecting what an invoice asks for, through a provider, at most once however often it is tried.

A payment row is written before the provider is asked, and its id is the provider's idempotency key: whoever dies in
between, the next attempt asks with the same key. Not here: any provider of the world (`stripe.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Row, insert, select, update

from tradewind.business import audit
from tradewind.business.database import Database
from tradewind.business.invoice_rows import hold, outstanding_minor, read
from tradewind.business.payment_methods import Card
from tradewind.business.tables import payments
from tradewind.clock import milliseconds
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.ids import new_id
from tradewind.money import Money

Status = Literal["pending", "succeeded", "failed", "refunded"]

# Providers forget an idempotency key after a day (Stripe: https://docs.stripe.com/api/idempotent_requests). Before
# that is over the same key is safe; after it the provider is asked for the payment first.
_KEY_LIVES_MS = 23 * 3600 * 1000

# What may follow what: money that came in is not unsaid by a late message.
_AFTER: dict[str, set[str]] = {
    "pending": {"succeeded", "failed", "refunded"},
    "failed": {"succeeded", "refunded"},
    "succeeded": {"refunded"},
    "refunded": set(),
}


@dataclass(frozen=True)
class Charge:
    """What a provider is asked to take. The same `key` is the same charge, whatever happened to the first request."""

    key: str
    invoice_id: str
    number: str
    account_id: str
    amount: Money


@dataclass(frozen=True)
class Answer:
    """What a provider says of one payment. `reason` is for people; `key` is the charge's where the provider tells it."""

    provider_id: str
    status: Status
    reason: str | None = None
    key: str | None = None


class Provider(Protocol):
    """A way to be paid. Each method raises EnvironmentFailure when nobody knows whether the provider did it, and
    InputError when it certainly did not; a card that is declined is an answer with the status `failed`.
    """

    @property
    def name(self) -> str: ...

    def create(self, charge: Charge) -> Answer: ...

    def find(self, key: str) -> Answer | None:
        """The payment that was made with this key, however long ago."""
        ...

    def status(self, provider_id: str) -> Answer: ...

    def cancel(self, provider_id: str) -> Answer:
        """Makes sure that an unfinished payment takes no money any more; answers what it is now."""
        ...

    def refund(self, provider_id: str, *, key: str) -> Answer:
        """Gives the whole amount back."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Payment:
    """One attempt to collect an invoice."""

    id: str
    invoice_id: str
    provider: str
    provider_id: str | None
    status: Status
    amount: Money
    created_ms: int
    updated_ms: int


def collect(database: Database, provider: Provider, invoice_id: str, *, actor: str = "system") -> Payment | None:
    """Charges what is left to pay of a final invoice; None when nothing is. Safe to call again at any time.

    A payment that succeeded, or was refunded, is returned as it is; one that is pending is asked after, with the same
    key; after one that failed a new one is made. Raises InputError (`invoice_unknown`, `invoice_status`,
    `payment_provider`), and what the provider raises: after EnvironmentFailure the payment stays pending and the next
    call finds out.
    """
    latest = database.write(lambda connection: _latest(connection, invoice_id, provider))
    if latest is not None and latest.status == "failed" and latest.provider_id is not None:
        record(database, provider.name, provider.cancel(latest.provider_id), actor=actor)
    payment, fresh = database.write(lambda connection: _open(connection, database, provider, invoice_id, actor))
    if payment is None or payment.status in ("succeeded", "refunded"):
        return payment
    try:
        answer = _ask(database, provider, payment)
    except InputError as error:
        # Only of a first attempt is it certain that nothing was charged.
        if fresh:
            refused = Answer("", "failed", error.code)
            record(database, provider.name, refused, actor=actor, payment_id=payment.id)
        raise
    record(database, provider.name, answer, actor=actor, payment_id=payment.id)
    return get(database, payment.id)


def record(
    database: Database, provider: str, answer: Answer, *, actor: str = "system", payment_id: str | None = None
) -> Payment | None:
    """Takes in what a provider says, asked or by webhook; in any order and any number of times. None: not ours."""

    def change(connection: Connection) -> str | None:
        if payment_id or answer.key:
            known = payments.c.id == (payment_id or answer.key)
        else:
            known = payments.c.provider_id == answer.provider_id
        query = select(payments).where(payments.c.provider == provider, known).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        _set(connection, database, _payment(row), answer, actor)
        return str(row.id)

    found = database.write(change)
    return get(database, found) if found else None


def refund(database: Database, provider: Provider, payment_id: str, *, actor: str) -> Payment:
    """Gives a payment back, whole and once. Raises InputError `payment_status` for one that did not succeed."""
    payment = get(database, payment_id)
    if payment.status == "refunded":
        return payment
    if payment.status != "succeeded" or payment.provider_id is None:
        raise InputError(f"The payment {payment.id} is {payment.status}: no money came in.", code="payment_status")
    _same(payment, provider)
    answer = provider.refund(payment.provider_id, key=f"{payment.id}:refund")
    record(database, provider.name, answer, actor=actor, payment_id=payment.id)
    return get(database, payment_id)


def get(database: Database, payment_id: str) -> Payment:
    """Raises InputError `payment_unknown`."""
    with database.reading() as connection:
        row = connection.execute(select(payments).where(payments.c.id == payment_id)).one_or_none()
    if row is None:
        raise InputError(f"There is no payment {payment_id}.", code="payment_unknown")
    return _payment(row)


def payments_of(database: Database, invoice_id: str) -> tuple[Payment, ...]:
    """Every attempt to collect an invoice, the first one first."""
    with database.reading() as connection:
        return _of(connection, invoice_id)


def _of(connection: Connection, invoice_id: str) -> tuple[Payment, ...]:
    query = select(payments).where(payments.c.invoice_id == invoice_id).order_by(payments.c.created_ms, payments.c.id)
    return tuple(_payment(row) for row in connection.execute(query))


def _latest(connection: Connection, invoice_id: str, provider: Provider) -> Payment | None:
    made = _of(connection, invoice_id)
    if made and made[-1].status in ("pending", "failed"):
        _same(made[-1], provider)
    return made[-1] if made else None


def _open(
    connection: Connection, database: Database, provider: Provider, invoice_id: str, actor: str
) -> tuple[Payment | None, bool]:
    """The payment to go on with, and whether it is new. The lock on the invoice lets one caller make it."""
    invoice = hold(connection, invoice_id)
    if invoice.kind != "invoice" or invoice.status != "final":
        raise InputError(
            f"{invoice.id} is a {invoice.status} {invoice.kind.replace('_', ' ')}: nothing to collect.",
            code="invoice_status",
            hint="Collect final invoices.",
        )
    made = {payment.status: payment for payment in _of(connection, invoice_id)}
    for status in ("succeeded", "refunded"):
        if status in made:
            return made[status], False
    if "pending" in made:
        _same(made["pending"], provider)
        return made["pending"], False
    amount = outstanding_minor(connection, invoice_id)
    if amount == 0:
        return None, False
    latest_ms = max((payment.created_ms for payment in made.values()), default=-1)
    now, key = max(milliseconds(database.clock), latest_ms + 1), new_id("pay", clock=database.clock)
    money = Money(amount, invoice.currency)
    payment = Payment(key, invoice_id, provider.name, None, "pending", money, now, now)
    values = {"amount_minor": amount, "currency": invoice.currency, "created_ms": now, "updated_ms": now}
    connection.execute(
        insert(payments).values(id=key, invoice_id=invoice_id, provider=provider.name, status="pending", **values)
    )
    detail = {"invoice": invoice_id, "amount": str(money), "provider": provider.name}
    audit.append(connection, actor=actor, action="payment.begin", subject=key, detail=detail)
    return payment, True


def _ask(database: Database, provider: Provider, payment: Payment) -> Answer:
    if payment.provider_id is not None:
        return provider.status(payment.provider_id)
    if milliseconds(database.clock) - payment.created_ms > _KEY_LIVES_MS:
        found = provider.find(payment.id)
        if found is not None:
            return found
    with database.reading() as connection:
        invoice = read(connection, payment.invoice_id)
    charge = Charge(payment.id, payment.invoice_id, str(invoice.number), invoice.account_id, payment.amount)
    return provider.create(charge)


def _set(connection: Connection, database: Database, payment: Payment, answer: Answer, actor: str) -> None:
    moves = answer.status in _AFTER[payment.status]
    values: dict[str, Any] = {}
    if answer.provider_id and payment.provider_id is None:
        values["provider_id"] = answer.provider_id
    if moves:
        values["status"] = answer.status
        detail = {"invoice": payment.invoice_id, "from": payment.status, "reason": answer.reason}
        audit.append(connection, actor=actor, action=f"payment.{answer.status}", subject=payment.id, detail=detail)
    if values:
        values["updated_ms"] = milliseconds(database.clock)
        connection.execute(update(payments).where(payments.c.id == payment.id).values(**values))


def _same(payment: Payment, provider: Provider) -> None:
    if payment.provider != provider.name:
        raise InputError(
            f"The payment {payment.id} was begun with {payment.provider}, not {provider.name}.",
            code="payment_provider",
            hint=f"Collect it with {payment.provider} first.",
        )


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        row.id, row.invoice_id, row.provider, row.provider_id, row.status, Money(row.amount_minor, row.currency),
        row.created_ms, row.updated_ms,
    )  # fmt: skip


Fault = Literal["decline", "refuse", "lose_request", "lose_answer"]


@dataclass
class FakeProvider:
    """A provider in memory, deterministic. `faults` are what goes wrong in the next calls of `create`, in order:
    the card is declined, the request is refused, the request never arrives, or the answer never does.
    """

    faults: list[Fault | None] = field(default_factory=list)
    name: str = "fake"
    forgets_keys: bool = False
    named_by_key: bool = False  # ids of payments follow from the charge, so that two processes make no two alike
    payments: dict[str, Answer] = field(default_factory=dict)
    charged_minor: int = 0
    refunded_minor: int = 0
    _by_key: dict[str, str] = field(default_factory=dict)
    _amounts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def opened(cls, environment: Mapping[str, str], *, cards: Mapping[str, Card]) -> FakeProvider:
        """For trying things out: every charge succeeds, and no money moves."""
        return cls(named_by_key=True)

    def create(self, charge: Charge) -> Answer:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "lose_request":
            raise EnvironmentFailure("The provider did not answer.", code="payment_unreachable")
        if fault == "refuse":
            raise InputError("The provider refused the request.", code="payment_refused")
        answer = None if self.forgets_keys else self.find(charge.key)
        if answer is None:
            provider_id = f"fake_{charge.key if self.named_by_key else len(self.payments) + 1}"
            declined = fault == "decline"
            status: Status = "failed" if declined else "succeeded"
            answer = Answer(provider_id, status, "The card was declined." if declined else None, charge.key)
            self.payments[provider_id], self._by_key[charge.key] = answer, provider_id
            self._amounts[provider_id] = charge.amount.amount_minor
            self.charged_minor += 0 if declined else charge.amount.amount_minor
        if fault == "lose_answer":
            raise EnvironmentFailure("The provider did not answer.", code="payment_unreachable")
        return answer

    def find(self, key: str) -> Answer | None:
        return self.payments[self._by_key[key]] if key in self._by_key else None

    def status(self, provider_id: str) -> Answer:
        return self._held(provider_id)

    def cancel(self, provider_id: str) -> Answer:
        return self._held(provider_id)

    def refund(self, provider_id: str, *, key: str) -> Answer:
        before = self._held(provider_id)
        if before.status == "succeeded":
            self.refunded_minor += self._amounts.get(provider_id, 0)
            self.payments[provider_id] = Answer(provider_id, "refunded", None, before.key)
        return self.payments[provider_id]

    def close(self) -> None:
        """Nothing is open."""

    def _held(self, provider_id: str) -> Answer:
        """A payment that another process made is remembered by its name alone: it succeeded, as all do there."""
        if provider_id not in self.payments and self.named_by_key:
            self.payments[provider_id] = Answer(provider_id, "succeeded", None, provider_id.removeprefix("fake_"))
        return self.payments[provider_id]
