"""Invoices: drafted as often as wanted, finalized once, then only voided or corrected by a credit note.

A draft is computed again whenever it is asked for. Finalizing gives the next number of the year's series, takes the
credit and seals the content with a digest; a final row changes in `status` and `voided_ms` alone.
Not here: how a line is computed (`lines.py`), pages (`pages.py`), checking them afterwards (`derive.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from tradewind.business import accounts, audit, credit, plans
from tradewind.business.database import Database, now_ms
from tradewind.business.inserts import insert_new
from tradewind.business.invoice_rows import Invoice as Invoice
from tradewind.business.invoice_rows import find, hold, notes_of, outstanding_minor, read, seal, write_lines
from tradewind.business.lines import Bill, Line, Segment, bill
from tradewind.business.periods import Period
from tradewind.business.segments import latest_period, month_period, segments, terms_json
from tradewind.business.tables import invoices, leases, payments, state
from tradewind.errors import InputError
from tradewind.files import canonical_json
from tradewind.ids import new_id
from tradewind.money import Money

SERIES = "TW"


@dataclass(frozen=True)
class Correction:
    """One line of a credit note: why, and how much comes off, as a positive amount."""

    reason: str
    amount_minor: int


def draft(database: Database, account_id: str, *, period: Period | str | None = None, actor: str) -> Invoice:
    """The draft of an account's period, computed anew; the one open draft of that period keeps its id.

    `period` is the one that runs, or ran last, unless given; "2026-02" is the one that begins in that month. Raises
    InputError `account_unknown`, `no_subscription`, `month`, and `invoice_final` where the period has a final invoice.
    """

    def change(connection: Connection) -> str:
        accounts.require(connection, account_id, lock=True)
        now = now_ms(connection)
        if period is None:
            span = latest_period(connection, account_id, at_ms=now)
        else:
            span = month_period(connection, account_id, month=period) if isinstance(period, str) else period
        same = (invoices.c.account_id == account_id, invoices.c.period_start_ms == span.start_ms)
        rows = connection.execute(select(invoices).where(*same, invoices.c.kind == "invoice")).all()
        for row in rows:
            if row.status == "final":
                raise InputError(
                    f"The period has the final invoice {row.number}.",
                    code="invoice_final",
                    hint="Void it, or correct it by a credit note.",
                )
        open_id = next((str(row.id) for row in rows if row.status == "draft"), None)
        return _write_draft(connection, database, account_id, span, open_id=open_id, actor=actor)

    plans.roll(database)
    return get(database, database.write(change))


def finalize(database: Database, invoice_id: str, *, actor: str, unsettled: bool = False) -> Invoice:
    """Computes the draft a last time, takes credit, gives the next number; a final invoice is returned as it is.

    Raises InputError `invoice_unknown`, `invoice_status` for a void one, `period_open` until the period is over (or its
    subscription ended), and `usage_unsettled` while a worker still holds units of the period; `unsettled=True` goes
    over that, for a worker whose journal is lost.
    """

    def change(connection: Connection) -> Invoice:
        invoice, now = hold(connection, invoice_id), now_ms(connection)
        if invoice.status == "final":
            return invoice
        if invoice.status == "void":
            raise InputError(f"The invoice {invoice.number} is void.", code="invoice_status", hint="Draft a new one.")
        account_id, period = invoice.account_id, invoice.period
        parts = segments(connection, account_id, period=period)
        if now < period.end_ms and (not parts or parts[-1].end_ms > now):
            raise InputError(
                f"The period of {invoice_id} runs until {_minute(period.end_ms)}.",
                code="period_open",
                hint="Finalize it after that.",
            )
        if not unsettled:
            _refuse_unsettled(connection, account_id, period)
        number = _next_number(connection, now)  # locks the series, and with it every other finalizing
        _write_draft(connection, database, account_id, period, open_id=invoice_id, actor=actor)
        values = {"status": "final", "number": number, "finalized_ms": now}
        connection.execute(update(invoices).where(invoices.c.id == invoice_id).values(**values))
        made = seal(connection, invoice_id)
        if made.credit_minor:
            _credit(connection, database, made, amount_minor=-made.credit_minor, kind="invoice", actor=actor)
        detail = {"number": number, "total": str(made.total), "credit_minor": made.credit_minor, "unsettled": unsettled}
        audit.append(connection, actor=actor, action="invoice.finalize", subject=invoice_id, detail=detail)
        return made

    plans.roll(database)
    return database.write(change)


def void(database: Database, invoice_id: str, *, actor: str) -> Invoice:
    """Takes a final invoice back: it keeps its number, and credit it took is given back by a new entry.

    Voiding twice is voiding once. Raises InputError `invoice_status` for a draft or a credit note, `invoice_paid`,
    `invoice_credited` where a credit note stands against it.
    """

    def change(connection: Connection) -> Invoice:
        invoice = hold(connection, invoice_id)
        if invoice.status == "void":
            return invoice
        if invoice.status != "final" or invoice.kind != "invoice":
            raise InputError(
                f"{invoice_id} is a {invoice.status} {invoice.kind.replace('_', ' ')}: only a final invoice is voided.",
                code="invoice_status",
                hint="A draft is computed again by drafting; a credit note stays.",
            )
        if notes_of(connection, invoice_id):
            raise InputError(f"A credit note stands against {invoice.number}.", code="invoice_credited")
        if _paid(connection, invoice_id):
            raise InputError(
                f"{invoice.number} is paid, or being paid.",
                code="invoice_paid",
                hint="Refund it, or write a credit note.",
            )
        values = {"status": "void", "voided_ms": now_ms(connection)}
        connection.execute(update(invoices).where(invoices.c.id == invoice_id).values(**values))
        if invoice.credit_minor:
            _credit(connection, database, invoice, amount_minor=invoice.credit_minor, kind="refund", actor=actor)
        detail = {"number": invoice.number, "credit_minor": invoice.credit_minor}
        audit.append(connection, actor=actor, action="invoice.void", subject=invoice_id, detail=detail)
        return read(connection, invoice_id)

    return database.write(change)


def credit_note(database: Database, invoice_id: str, *, corrections: Sequence[Correction], actor: str) -> Invoice:
    """A final document of its own number that takes amounts off a final invoice.

    It lowers what is left to pay of an invoice that nobody paid yet; the rest goes to the customer's credit. Raises
    InputError `invoice_status`, `credit_amount` for no line or one not above 0, `credit_too_much` beyond what is left
    of the invoice.
    """
    amount = sum(line.amount_minor for line in corrections)
    if not corrections or any(line.amount_minor <= 0 for line in corrections):
        raise InputError("A credit note has lines above 0.", code="credit_amount", hint="Write what comes off.")

    def change(connection: Connection) -> Invoice:
        invoice = hold(connection, invoice_id)
        if invoice.status != "final" or invoice.kind != "invoice":
            raise InputError(f"{invoice_id} is no final invoice.", code="invoice_status")
        left = invoice.subtotal_minor + sum(note.total_minor for note in notes_of(connection, invoice_id))
        if amount > left:
            wanted = Money(amount, invoice.currency)
            raise InputError(
                f"{Money(left, invoice.currency)} is left of {invoice.number}, less than {wanted}.",
                code="credit_too_much",
            )
        open_minor = 0 if _paid(connection, invoice_id) else outstanding_minor(connection, invoice_id)
        off = min(amount, open_minor)
        now, note_id = now_ms(connection), new_id("inv", clock=database.clock)
        number = _next_number(connection, now)
        row = connection.execute(select(invoices).where(invoices.c.id == invoice_id)).mappings().one()
        values = {
            "id": note_id, "kind": "credit_note", "corrects": invoice_id, "number": number, "total_minor": -amount,
            "created_ms": now, "finalized_ms": now, "digest": None,
        }  # fmt: skip
        connection.execute(insert(invoices).values(**{**row, **values}))
        split = {"of_invoice": invoice.number, "note_off_minor": off, "note_to_credit_minor": amount - off}
        write_lines(connection, note_id, [_correction(one, invoice.currency, split) for one in corrections])
        note = seal(connection, note_id)
        if amount > off:
            _credit(connection, database, note, amount_minor=amount - off, kind="credit_note", actor=actor)
        detail = {"number": number, "total": str(note.total), **split}
        audit.append(connection, actor=actor, action="invoice.credit_note", subject=note_id, detail=detail)
        return note

    return database.write(change)


def get(database: Database, name: str) -> Invoice:
    """By id or number. Raises InputError `invoice_unknown`."""
    with database.reading() as connection:
        return read(connection, name)


def invoices_of(database: Database, account_id: str) -> tuple[Invoice, ...]:
    """Every invoice and credit note of an account, the newest first."""
    with database.reading() as connection:
        return find(connection, invoices.c.account_id == account_id)


def compute(
    connection: Connection, account_id: str, period: Period, *, credit_minor: int
) -> tuple[tuple[Segment, ...], Bill]:
    """The bill of a period from its usage and subscriptions: what a draft writes and what `derive` compares with."""
    parts = segments(connection, account_id, period=period)
    if not parts:
        raise InputError(
            f"{account_id} has no subscription from {_minute(period.start_ms)} to {_minute(period.end_ms)}.",
            code="no_subscription",
        )
    return parts, bill(parts, period=(period.start_ms, period.end_ms), credit_minor=credit_minor)


# ---------------------------------------------------------------- rows


def _write_draft(
    connection: Connection, database: Database, account_id: str, period: Period, *, open_id: str | None, actor: str
) -> str:
    parts = segments(connection, account_id, period=period)
    currency = parts[-1].terms.currency if parts else None
    balance = credit.balance_in(connection, account_id, currency=currency).amount_minor if currency else 0
    parts, made = compute(connection, account_id, period, credit_minor=max(0, balance))
    values = {
        "subscription_id": parts[-1].subscription_id, "currency": made.currency, "total_minor": made.total_minor,
        "terms": canonical_json(terms_json(parts)).decode(), "period_end_ms": period.end_ms,
    }  # fmt: skip
    if open_id is None:
        open_id, now = new_id("inv", clock=database.clock), now_ms(connection)
        fixed = {"kind": "invoice", "status": "draft", "created_ms": now, "period_start_ms": period.start_ms}
        connection.execute(insert(invoices).values(id=open_id, account_id=account_id, **fixed, **values))
        detail = {"account": account_id, "period_start_ms": period.start_ms}
        audit.append(connection, actor=actor, action="invoice.draft", subject=open_id, detail=detail)
    else:
        connection.execute(update(invoices).where(invoices.c.id == open_id).values(**values))
    write_lines(connection, open_id, made.lines)
    return open_id


def _correction(one: Correction, currency: str, split: dict[str, Any]) -> Line:
    return Line("correction", one.reason, 1, str(Money(-one.amount_minor, currency)), -one.amount_minor, split)


def _paid(connection: Connection, invoice_id: str) -> bool:
    taken = payments.c.status.in_(("pending", "succeeded"))
    query = select(func.count()).select_from(payments).where(payments.c.invoice_id == invoice_id, taken)
    return bool(connection.execute(query).scalar_one())


def _credit(
    connection: Connection, database: Database, invoice: Invoice, *, amount_minor: int, kind: str, actor: str
) -> None:
    amount = Money(amount_minor, invoice.currency)
    credit.record(
        connection,
        database,
        account_id=invoice.account_id,
        amount=amount,
        kind=kind,
        reference=invoice.id,
        actor=actor,
    )


def _refuse_unsettled(connection: Connection, account_id: str, period: Period) -> None:
    held = select(func.count()).select_from(leases).where(
        leases.c.account_id == account_id, leases.c.period_start_ms == period.start_ms, leases.c.units > 0
    )  # fmt: skip
    if connection.execute(held).scalar_one():
        raise InputError(
            "Workers still hold units of the period: usage may come that is not recorded yet.",
            code="usage_unsettled",
            hint="Try again in a few minutes.",
        )


def _next_number(connection: Connection, at_ms: int) -> str:
    """TW-2026-000001 and on. The row stays locked until the caller commits, and a rollback takes the number back:
    no gap, no double.
    """
    year = datetime.fromtimestamp(at_ms / 1000, UTC).year
    name = f"invoices-{year}"
    connection.execute(insert_new(connection, state).values(name=name, value=0))
    query = update(state).where(state.c.name == name).values(value=state.c.value + 1).returning(state.c.value)
    return f"{SERIES}-{year}-{connection.execute(query).scalar_one():06d}"


def _minute(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
