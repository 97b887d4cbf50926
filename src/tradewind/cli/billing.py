"""`tradewind invoice run`, `collect` and `refund`: everything that is due becomes an invoice, and every invoice money.

Both run as often as somebody likes, by hand or by a timer: what is done already is not done again. Not here: single
invoices (`invoice.py`).
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tradewind.business import billing, invoices, payments, receivables, views
from tradewind.business.providers import provider as opened
from tradewind.business.receivables import Collected
from tradewind.cli.office import OPERATOR, Office
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.cli.usage import settle
from tradewind.errors import InputError, TradewindError

ProviderOption = Annotated[
    str | None,
    typer.Option("--provider", help="Who collects; what serve.payments says by default.", show_default=False),
]


def run(directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Draft and finalize every account's periods that are over. Safe to run again, and in two places at once."""
    done = []
    with Office.open(directory) as office:
        settle(office)
        for one in billing.run(office.database, actor=OPERATOR):
            done.append(one)
            made = ", ".join(f"{invoice.number} {invoice.total}" for invoice in one.invoices)
            if (made or one.error is None) and not as_json:
                typer.echo(f"{one.account.name} ({one.account.id}): {made or 'nothing due'}")
            if one.error is not None:
                typer.echo(f"{one.account.name} ({one.account.id}): {one.error}", err=True)
    failed = sum(one.error is not None for one in done)
    if as_json:
        emit(
            {
                "accounts": [
                    {
                        "account": one.account.id,
                        "name": one.account.name,
                        "invoices": [views.invoice(invoice) for invoice in one.invoices],
                        "error": _error(one.error),
                    }
                    for one in done
                ],
                "finalized": sum(len(one.invoices) for one in done),
                "failed": failed,
            }
        )
    if failed:
        raise typer.Exit(1)


def collect(
    invoice: Annotated[
        str | None, typer.Argument(metavar="[INVOICE]", help="Its id or number; every unpaid one by default.")
    ] = None,
    provider: ProviderOption = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Charge what is left to pay of a final invoice, or of all of them, through a payment provider."""
    with Office.open(directory) as office:
        name = _provider_name(office, provider)
        chosen = invoices.get(office.database, invoice) if invoice is not None else None
        done: list[Collected] = []
        with opened(office.database, name, environment=os.environ) as through:
            if chosen is not None:
                found = iter([receivables.collect_one(office.database, through, chosen, actor=OPERATOR)])
            else:
                found = receivables.collect_all(office.database, through, actor=OPERATOR)
            for one in found:
                done.append(one)
                if one.error is not None:
                    typer.echo(f"{one.invoice.number or one.invoice.id}: {one.error}", err=True)
                elif not as_json:
                    typer.echo(f"{one.invoice.number}: {_says(one)}")
    failed = sum(one.failed for one in done)
    if as_json:
        emit(
            {
                "provider": name,
                "invoices": [
                    {
                        "invoice": one.invoice.id,
                        "number": one.invoice.number,
                        "account": one.invoice.account_id,
                        "payment": None if one.payment is None else views.payment(one.payment),
                        "error": _error(one.error),
                    }
                    for one in done
                ],
                "failed": failed,
            }
        )
    elif not done:
        typer.echo("Every final invoice is paid.")
    if failed:
        raise typer.Exit(1)


def refund(
    invoice: Annotated[str, typer.Argument(metavar="INVOICE", help="Its id or its number.")],
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Give back the whole payment of an invoice, through the provider that took it."""
    with Office.open(directory) as office:
        found = invoices.get(office.database, invoice)
        tried = payments.payments_of(office.database, found.id)
        paid = next((one for one in tried if one.status in ("succeeded", "refunded")), None)
        if paid is None:
            raise InputError(f"No money came in for {found.number or found.id}.", code="payment_status")
        with opened(office.database, paid.provider, environment=os.environ) as through:
            back = payments.refund(office.database, through, paid.id, actor=OPERATOR)
    if as_json:
        emit(views.payment(back))
    else:
        typer.echo(f"{found.number}: {back.amount} {back.status} through {back.provider}")
    if back.status != "refunded":
        raise typer.Exit(1)


def _provider_name(office: Office, named: str | None) -> str:
    name = named or office.product().serve.payments
    if name is None:
        raise InputError(
            "Nobody is named to collect.",
            code="payment_provider",
            where="serve.payments",
            hint="Write serve.payments: stripe into the product file, or give --provider.",
        )
    return name


def _says(one: Collected) -> str:
    payment = one.payment
    if payment is None:
        return "nothing left to pay"
    return f"{payment.amount} {payment.status} through {payment.provider}"


def _error(error: TradewindError | None) -> dict[str, str] | None:
    return None if error is None else {"code": error.code, "message": str(error)}
