"""What is still to be paid, and collecting all of it. Not here: one charge (`payments.py`), the numbers on an invoice
(`lines.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from tradewind.business import payments
from tradewind.business.database import Database
from tradewind.business.invoice_rows import Invoice, find
from tradewind.business.payments import Payment, Provider
from tradewind.business.tables import invoices
from tradewind.business.tables import payments as payments_table
from tradewind.errors import TradewindError

State = Literal["open", "pending", "failed", "paid", "refunded", "nothing_due", "not_due"]

_AT_ONCE = 400  # ids in one question: SQLite once took no more than 999


@dataclass(frozen=True)
class Standing:
    """How an invoice stands. `not_due` is a draft, a void one or a credit note; `nothing_due` was paid by credit or taken
    off; `failed` is a last attempt that was declined, `pending` one of which nobody knows yet."""

    state: State
    paid_minor: int
    outstanding_minor: int


@dataclass(frozen=True)
class Collected:
    """What came of one invoice: a payment, None where nothing was left to pay, or the error that stopped it."""

    invoice: Invoice
    payment: Payment | None
    error: TradewindError | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None or (self.payment is not None and self.payment.status == "failed")


def standings(database: Database, found: Sequence[Invoice]) -> dict[str, Standing]:
    """How each of these invoices stands, by id."""
    ids = [one.id for one in found]
    tried: dict[str, list[tuple[str, int]]] = {one: [] for one in ids}
    off = dict.fromkeys(ids, 0)
    with database.reading() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            query = select(payments_table).where(payments_table.c.invoice_id.in_(part))
            for row in connection.execute(query.order_by(payments_table.c.created_ms, payments_table.c.id)):
                tried[row.invoice_id].append((row.status, row.amount_minor))
            for note in find(connection, invoices.c.corrects.in_(part)):
                assert note.corrects is not None
                off[note.corrects] += int(note.lines[0].evidence["note_off_minor"])
    return {one.id: _standing(one, tried[one.id], off[one.id]) for one in found}


def collect_all(database: Database, provider: Provider, *, actor: str) -> Iterator[Collected]:
    """Collects every final invoice of which something is left to pay, the oldest first; an error stops one alone."""
    with database.reading() as connection:
        final = find(connection, invoices.c.kind == "invoice", invoices.c.status == "final", invoices.c.total_minor > 0)
    standing = standings(database, final)
    for one in reversed(final):
        if standing[one.id].outstanding_minor > 0:
            yield collect_one(database, provider, one, actor=actor)


def collect_one(database: Database, provider: Provider, invoice: Invoice, *, actor: str) -> Collected:
    """As `payments.collect`, with the error in hand instead of raised."""
    try:
        return Collected(invoice, payments.collect(database, provider, invoice.id, actor=actor))
    except TradewindError as error:
        return Collected(invoice, None, error)


def _standing(invoice: Invoice, tried: Sequence[tuple[str, int]], off_minor: int) -> Standing:
    if invoice.kind != "invoice" or invoice.status != "final":
        return Standing("not_due", 0, 0)
    due = invoice.total_minor - off_minor
    paid = sum(amount for status, amount in tried if status == "succeeded")
    words = {status for status, _ in tried}
    if "succeeded" in words:
        return Standing("paid", paid, 0)
    if "refunded" in words:
        return Standing("refunded", 0, 0)
    if due <= 0:
        return Standing("nothing_due", 0, 0)
    if "pending" in words:
        return Standing("pending", 0, due)
    return Standing("failed" if "failed" in words else "open", 0, due)
