"""Invoices derived again from what they were made of, and last month's real usage under other plans.

`verify` believes nothing an invoice says: it takes usage records, subscriptions and credit entries, computes the bill
again, and says in sentences what does not agree. Not here: the arithmetic (`lines.py`), the audit log (`audit.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from sqlalchemy import Connection, func, select

from tradewind.business.database import Database
from tradewind.business.invoice_rows import Invoice, find
from tradewind.business.invoices import compute
from tradewind.business.lines import Segment, bill
from tradewind.business.segments import month_segments, parse_month
from tradewind.business.tables import accounts, credit_entries, invoices, state
from tradewind.errors import InputError
from tradewind.files import digest_json
from tradewind.money import Money
from tradewind.tariff import Plan


@dataclass(frozen=True)
class DryRun:
    """One customer's month under its own plan and under the changed one, before credit.

    `refused` are units that were served and that the changed plan's hard cap would have refused.
    """

    account_id: str
    name: str
    plan: str
    units: int
    currency: str
    old_minor: int
    new_minor: int
    refused: int

    @property
    def difference_minor(self) -> int:
        return self.new_minor - self.old_minor


def verify(database: Database) -> list[str]:
    """What does not agree, one sentence each; empty when every final invoice follows from its records.

    Void ones keep their seal; the number series is whole; credit moved as the invoices say.
    """
    with database.reading() as connection:
        made = sorted(find(connection, invoices.c.status != "draft"), key=lambda one: str(one.number))
        says = list(_series(connection, made))
        taken_off: Counter[str] = Counter()
        for note in made:
            taken_off[note.corrects or ""] -= note.total_minor
        for invoice in made:
            says += _sealed(invoice)
            says += _credit(connection, invoice)
            if invoice.kind == "credit_note":
                continue
            if invoice.status == "final":
                says += _derived(connection, invoice)
            if invoice.subtotal_minor < taken_off[invoice.id]:
                says.append(f"{invoice.number}: its credit notes take off more than it is.")
        says += _strangers(connection, made)
    return says


def dry_run(database: Database, plans: Mapping[str, Plan], *, period: str) -> list[DryRun]:
    """Bills a calendar month's real usage ("2026-02") under `plans`, for each customer who had one of them.

    Both bills are of the calendar month as if it were the billing period: fees by the time a plan was in force,
    trials free, units by the time they were used. Raises InputError `month`, `currencies_mixed`.
    """
    month = parse_month(period)
    span, made = (month.start_ms, month.end_ms), []
    with database.reading() as connection:
        names = connection.execute(select(accounts.c.id, accounts.c.name).order_by(accounts.c.id)).all()
        for account_id, name in names:
            old = month_segments(connection, account_id, month=month)
            if not any(part.plan in plans for part in old):
                continue
            new = tuple(replace(part, terms=plans.get(part.plan, part.terms)) for part in old)
            currency = _currency(old, new)
            units = sum(part.units for part in old)
            cap = new[-1].terms.hard_cap
            made.append(
                DryRun(
                    account_id=account_id,
                    name=name,
                    plan=old[-1].plan,
                    units=units,
                    currency=currency,
                    old_minor=bill(old, period=span).subtotal_minor,
                    new_minor=bill(new, period=span).subtotal_minor,
                    refused=0 if cap is None else max(0, units - cap),
                )
            )
    return made


def _currency(old: tuple[Segment, ...], new: tuple[Segment, ...]) -> str:
    currencies = sorted({part.terms.currency for part in (*old, *new)})
    if len(currencies) > 1:
        raise InputError(
            f"The plan {old[-1].plan} was in {old[-1].terms.currency}: amounts in {' and '.join(currencies)} do not compare.",
            code="currencies_mixed",
            hint="Change the plan in its own currency.",
        )
    return currencies[0]


# ---------------------------------------------------------------- what must hold


def _series(connection: Connection, made: list[Invoice]) -> Iterator[str]:
    """Numbers run from 1 to the counter of each year."""
    given = {str(invoice.number) for invoice in made}
    counters = select(state.c.name, state.c.value).where(state.c.name.like("invoices-%")).order_by(state.c.name)
    expected = {
        f"TW-{name.removeprefix('invoices-')}-{number:06d}"
        for name, value in connection.execute(counters)
        for number in range(1, value + 1)
    }
    for number in sorted(expected - given):
        yield f"{number}: the number was given and its invoice is not there."
    for number in sorted(given - expected):
        yield f"{number}: the series has not come to this number."


def _sealed(invoice: Invoice) -> Iterator[str]:
    if digest_json(invoice.content()) != invoice.digest:
        yield f"{invoice.number}: its content is not what was sealed when it was finalized."
    total = sum(line.amount_minor for line in invoice.lines)
    if total != invoice.total_minor:
        yield f"{invoice.number}: its lines add up to {_money(total, invoice)}, it says {invoice.total}."


def _derived(connection: Connection, invoice: Invoice) -> Iterator[str]:
    credit = -sum(_entries(connection, invoice, "invoice"))
    try:
        _, made = compute(connection, invoice.account_id, invoice.period, credit_minor=max(0, credit))
    except InputError as error:
        yield f"{invoice.number}: it cannot be derived again. {error}"
        return
    for position, (found, expected) in enumerate(zip_longest(invoice.lines, made.lines), 1):
        if found == expected:
            continue
        if found is None or expected is None:
            yield f"{invoice.number}: it has {len(invoice.lines)} lines, the records give {len(made.lines)}."
            break
        if (found.quantity, found.amount_minor) != (expected.quantity, expected.amount_minor):
            yield (
                f"{invoice.number}, line {position} ({found.kind}): it says {found.quantity} units for "
                f"{_money(found.amount_minor, invoice)}, the records give {expected.quantity} for "
                f"{_money(expected.amount_minor, invoice)}."
            )
        else:
            yield f"{invoice.number}, line {position} ({found.kind}): its words or its evidence are not what the records give."
    if made.total_minor != invoice.total_minor:
        total = _money(made.total_minor, invoice)
        yield f"{invoice.number}: the records give a total of {total}, it says {invoice.total}."


def _credit(connection: Connection, invoice: Invoice) -> Iterator[str]:
    """Each movement of credit that the invoice speaks of has its one entry."""
    to_credit = int(invoice.lines[0].evidence.get("note_to_credit_minor", 0)) if invoice.lines else 0
    note = invoice.kind == "credit_note"
    expected = {
        "invoice": -invoice.credit_minor,
        "refund": invoice.credit_minor if invoice.status == "void" else 0,
        "credit_note": to_credit if note else 0,
    }
    for kind, amount in expected.items():
        found = sum(_entries(connection, invoice, kind))
        if found != amount:
            yield (
                f"{invoice.number}: its credit entry ({kind}) is {_money(found, invoice)}, "
                f"it should be {_money(amount, invoice)}."
            )


def _entries(connection: Connection, invoice: Invoice, kind: str) -> list[int]:
    query = select(credit_entries.c.amount_minor).where(
        credit_entries.c.reference == invoice.id,
        credit_entries.c.kind == kind,
        credit_entries.c.account_id == invoice.account_id,
        credit_entries.c.currency == invoice.currency,
    )
    return [int(amount) for amount in connection.execute(query).scalars()]


def _strangers(connection: Connection, made: list[Invoice]) -> Iterator[str]:
    """Credit spent on, or given for, an invoice that is not there; nobody's balance is below 0."""
    known = {invoice.id for invoice in made}
    kinds = credit_entries.c.kind.in_(("invoice", "refund", "credit_note"))
    for row in connection.execute(select(credit_entries).where(kinds).order_by(credit_entries.c.id)):
        if row.reference not in known:
            yield f"{row.id}: the credit entry speaks of the invoice {row.reference}, which is not final."
    total = func.sum(credit_entries.c.amount_minor)
    query = select(credit_entries.c.account_id, credit_entries.c.currency, total)
    for account_id, currency, amount in connection.execute(query.group_by(*query.selected_columns[:2])):
        if amount < 0:
            yield f"{account_id}: its credit is {Money(int(amount), currency)}, below 0."


def _money(amount_minor: int, invoice: Invoice) -> Money:
    return Money(amount_minor, invoice.currency)
