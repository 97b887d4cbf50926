"""Invoices as rows: reading one with its lines, writing lines, the seal. Not here: when that may happen (`invoices.py`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from tradewind.business import accounts
from tradewind.business.lines import Line
from tradewind.business.periods import Period
from tradewind.business.tables import invoice_lines, invoices
from tradewind.errors import InputError
from tradewind.files import canonical_json, digest_json
from tradewind.money import Money


@dataclass(frozen=True)
class Invoice:
    """An invoice or a credit note. `total_minor` is what is to be paid, after credit; negative on a credit note."""

    id: str
    number: str | None
    kind: Literal["invoice", "credit_note"]
    status: Literal["draft", "final", "void"]
    account_id: str
    subscription_id: str
    corrects: str | None
    period: Period
    currency: str
    total_minor: int
    terms: tuple[dict[str, Any], ...]
    lines: tuple[Line, ...]
    created_ms: int
    finalized_ms: int | None = None
    voided_ms: int | None = None
    digest: str | None = None

    @property
    def credit_minor(self) -> int:
        """What is paid from credit."""
        return -sum(line.amount_minor for line in self.lines if line.kind == "credit")

    @property
    def subtotal_minor(self) -> int:
        """Before credit."""
        return self.total_minor + self.credit_minor

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.currency)

    def content(self) -> dict[str, Any]:
        """What the digest is made of: everything but the status."""
        return {
            "id": self.id, "number": self.number, "kind": self.kind, "account": self.account_id,
            "subscription": self.subscription_id, "corrects": self.corrects,
            "period": [self.period.start_ms, self.period.end_ms], "currency": self.currency,
            "total_minor": self.total_minor, "terms": list(self.terms), "created_ms": self.created_ms,
            "finalized_ms": self.finalized_ms,
            "lines": [
                [line.kind, line.description, line.quantity, line.unit_price, line.amount_minor, dict(line.evidence)]
                for line in self.lines
            ],
        }  # fmt: skip


def read(connection: Connection, invoice_id: str) -> Invoice:
    """By id or number. Raises InputError `invoice_unknown`."""
    query = select(invoices).where((invoices.c.id == invoice_id) | (invoices.c.number == invoice_id))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _unknown(invoice_id)
    return _invoice(connection, row)


def find(connection: Connection, *where: Any) -> tuple[Invoice, ...]:
    """The invoices that a condition on the table finds, the newest first."""
    order = invoices.c.created_ms.desc(), invoices.c.id.desc()
    rows = connection.execute(select(invoices).where(*where).order_by(*order)).all()
    return tuple(_invoice(connection, row) for row in rows)


def notes_of(connection: Connection, invoice_id: str) -> tuple[Invoice, ...]:
    """The credit notes that stand against an invoice."""
    return find(connection, invoices.c.corrects == invoice_id)


def hold(connection: Connection, invoice_id: str) -> Invoice:
    """By id, locked with its account until the transaction ends: one after another, two drafts of a period or two
    invoices over one credit. Raises InputError `invoice_unknown`.
    """
    account_id = connection.execute(select(invoices.c.account_id).where(invoices.c.id == invoice_id)).scalar()
    if account_id is None:
        raise _unknown(invoice_id)
    accounts.require(connection, account_id, lock=True)
    connection.execute(select(invoices.c.id).where(invoices.c.id == invoice_id).with_for_update())
    return read(connection, invoice_id)


def outstanding_minor(connection: Connection, invoice_id: str) -> int:
    """What is left to pay of an invoice before any payment: its total less what credit notes took off."""
    off = sum(int(note.lines[0].evidence["note_off_minor"]) for note in notes_of(connection, invoice_id))
    return read(connection, invoice_id).total_minor - off


def write_lines(connection: Connection, invoice_id: str, lines: Sequence[Line]) -> None:
    """In place of those that were there."""
    assert lines
    connection.execute(delete(invoice_lines).where(invoice_lines.c.invoice_id == invoice_id))
    rows = [
        {
            "invoice_id": invoice_id,
            "position": position,
            "kind": line.kind,
            "description": line.description,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "amount_minor": line.amount_minor,
            "evidence": canonical_json(dict(line.evidence)).decode(),
        }
        for position, line in enumerate(lines, 1)
    ]
    connection.execute(insert(invoice_lines), rows)


def seal(connection: Connection, invoice_id: str) -> Invoice:
    """Writes the digest of the content, the last thing that is written of it."""
    digest = digest_json(read(connection, invoice_id).content())
    connection.execute(update(invoices).where(invoices.c.id == invoice_id).values(digest=digest))
    return read(connection, invoice_id)


def _invoice(connection: Connection, row: Row[Any]) -> Invoice:
    query = select(invoice_lines).where(invoice_lines.c.invoice_id == row.id).order_by(invoice_lines.c.position)
    lines = tuple(
        Line(line.kind, line.description, line.quantity, line.unit_price, line.amount_minor, json.loads(line.evidence))
        for line in connection.execute(query)
    )
    values: dict[str, Any] = dict(row._mapping)
    period = Period(values.pop("period_start_ms"), values.pop("period_end_ms"))
    values["terms"] = tuple(json.loads(row.terms))
    return Invoice(**values, period=period, lines=lines)


def _unknown(invoice_id: str) -> InputError:
    return InputError(f"There is no invoice {invoice_id}.", code="invoice_unknown")
