"""`tradewind invoice`: draft, finalize, void, correct, show and export invoices.

Not here: the billing run and collecting (`billing.py`), how a line is computed (`business/lines.py`).
"""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tradewind.business import accounts, invoices, payments, receivables, views
from tradewind.business.documents import document
from tradewind.business.invoices import Correction, Invoice
from tradewind.business.receivables import Standing
from tradewind.cli import billing
from tradewind.cli.office import OPERATOR, Office, facts, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.cli.usage import settle
from tradewind.errors import InputError
from tradewind.files import write_bytes
from tradewind.money import Money, parse_money

actions = new_actions("Draft, finalize, void, correct, show, export and collect invoices.")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or its exact name.")]
InvoiceArgument = Annotated[str, typer.Argument(metavar="INVOICE", help="Its id or its number.")]


class Format(StrEnum):
    html = "html"
    pdf = "pdf"
    csv = "csv"


@actions.command("draft")
def draft(
    account: AccountArgument,
    month: Annotated[
        str | None, typer.Option("--month", help="The period that begins in it: 2026-02.", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Compute the invoice of a period, the one that runs by default. A draft binds nobody and may be made again."""
    with Office.open(directory) as office:
        settle(office)
        found = office.account(account)
        _tell(invoices.draft(office.database, found.id, period=month, actor=OPERATOR), as_json)


@actions.command("finalize")
def finalize(
    invoice: InvoiceArgument,
    unsettled: Annotated[
        bool, typer.Option("--unsettled", help="Also where a worker that is gone for good still holds units.")
    ] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Give a draft its number, once its period is over. From then on it is only voided or credited."""
    with Office.open(directory) as office:
        settle(office)
        found = invoices.get(office.database, invoice)
        _tell(invoices.finalize(office.database, found.id, actor=OPERATOR, unsettled=unsettled), as_json)


@actions.command("void")
def void(invoice: InvoiceArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Take a final invoice back. It keeps its number; credit that it took is given back."""
    with Office.open(directory) as office:
        found = invoices.get(office.database, invoice)
        _tell(invoices.void(office.database, found.id, actor=OPERATOR), as_json)


@actions.command("credit")
def credit(
    invoice: InvoiceArgument,
    amount: Annotated[str, typer.Argument(help="What comes off: '12.50 CNY'.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, as the customer reads it.", show_default=False)],
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write a credit note against a final invoice."""
    off = parse_money(amount)
    with Office.open(directory) as office:
        found = invoices.get(office.database, invoice)
        if off.currency != found.currency:
            raise InputError(
                f"{found.number or found.id} is in {found.currency}, not in {off.currency}.", code="credit_currency"
            )
        corrections = [Correction(reason, off.amount_minor)]
        _tell(invoices.credit_note(office.database, found.id, corrections=corrections, actor=OPERATOR), as_json)


@actions.command("show")
def show_invoice(invoice: InvoiceArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Show an invoice with its lines, and how it was paid."""
    with Office.open(directory) as office:
        found = invoices.get(office.database, invoice)
        standing = receivables.standings(office.database, [found])[found.id]
        tried = payments.payments_of(office.database, found.id)
    if as_json:
        paid = {"payment": views.standing(standing), "payments": [views.payment(one) for one in tried]}
        emit(views.invoice(found) | paid)
        return
    _tell(found, False)
    if standing.state != "not_due":
        typer.echo(f"{_word(standing)}, {Money(standing.outstanding_minor, found.currency)} outstanding")


@actions.command("list")
def list_invoices(
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Its id or exact name; every account by default.")
    ] = None,
    unpaid: Annotated[bool, typer.Option("--unpaid", help="Only those of which something is left to pay.")] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """List invoices and credit notes, the newest first."""
    with Office.open(directory) as office:
        chosen = [office.account(account)] if account is not None else accounts.all_accounts(office.database)
        found = [(one, made) for one in chosen for made in invoices.invoices_of(office.database, one.id)]
        standing = receivables.standings(office.database, [made for _, made in found])
    if unpaid:
        found = [(one, made) for one, made in found if standing[made.id].outstanding_minor > 0]
    if as_json:
        emit({"invoices": [views.invoice(made) | {"payment": views.standing(standing[made.id])} for _, made in found]})
        return
    rows = [
        (
            made.number or made.id, one.name, made.kind.replace("_", " "), made.status, _span(made), made.total,
            _word(standing[made.id]), Money(standing[made.id].outstanding_minor, made.currency),
        )
        for one, made in found
    ]  # fmt: skip
    show("Invoices", ("invoice", "account", "kind", "status", "period", "total", "payment", "outstanding"), rows)


@actions.command("export")
def export(
    invoice: InvoiceArgument,
    form: Annotated[Format, typer.Option("--format", help="The file's format.")] = Format.pdf,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file, or -; NUMBER.FORMAT by default.", show_default=False),
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write an invoice as a page, as PDF, or its lines as CSV."""
    with Office.open(directory) as office:
        found = invoices.get(office.database, invoice)
        made = document(office.database, found, form=form.value, issuer=office.issuer())
    # What sets pages takes a while to load: only a verb that wrote one pays for it.
    if form is Format.pdf and (remark := importlib.import_module("tradewind.typeface").remark(made.data)):
        typer.echo(remark, err=True)
    target = output or Path(made.name)
    if target == Path("-"):
        if as_json:
            raise InputError("--json and --output - cannot both have stdout.", code="export_option")
        sys.stdout.flush()
        sys.stdout.buffer.write(made.data)
        return
    write_bytes(target, made.data)
    if as_json:
        emit({"invoice": found.id, "format": form.value, "file": str(target), "bytes": len(made.data)})
    else:
        typer.echo(f"{target}: {len(made.data):,} bytes.")


actions.command("run")(billing.run)
actions.command("collect")(billing.collect)
actions.command("refund")(billing.refund)


def _tell(invoice: Invoice, as_json: bool) -> None:
    if as_json:
        emit(views.invoice(invoice))
        return
    pairs: dict[str, object] = {
        "invoice": invoice.id,
        "number": invoice.number or "–",
        "kind": invoice.kind.replace("_", " "),
        "status": invoice.status,
        "period": _span(invoice),
    }
    facts(pairs)
    rows = [
        (line.description, line.quantity, line.unit_price, Money(line.amount_minor, invoice.currency))
        for line in invoice.lines
    ]
    show("", ("line", "quantity", "unit price", "amount"), rows)
    typer.echo(f"Total: {invoice.total}")


def _word(standing: Standing) -> str:
    return "–" if standing.state == "not_due" else standing.state.replace("_", " ")


def _span(invoice: Invoice) -> str:
    start, end = views.moment(invoice.period.start_ms) or "", views.moment(invoice.period.end_ms) or ""
    return f"{start[:10]} to {end[:10]}"
