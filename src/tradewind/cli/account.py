"""`tradewind account`: customers and their subscriptions. Not here: their people (`people.py`), keys (`key.py`), bills
(`invoice.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tradewind.business import accounts, credit, fleet, plans, views
from tradewind.business.accounts import Account
from tradewind.business.subscription import Subscription
from tradewind.cli import people
from tradewind.cli.office import OPERATOR, Office, facts, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError
from tradewind.money import parse_money

actions = new_actions("Customers: their members, plans and subscriptions.")
actions.add_typer(people.members, name="member")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or its exact name.")]
PlanOption = Annotated[str | None, typer.Option("--plan", help="A plan of the product file.", show_default=False)]


class Language(StrEnum):
    en = "en"
    zh = "zh"


class When(StrEnum):
    now = "now"
    period_end = "period_end"


@actions.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The customer's name.")],
    plan: PlanOption = None,
    email: Annotated[str | None, typer.Option(help="Where invoices go.", show_default=False)] = None,
    language: Annotated[Language, typer.Option(help="Language of invoices.")] = Language.en,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Add a customer, and subscribe it to a plan."""
    with Office.open(directory) as office:
        terms = office.plan(plan) if plan is not None else None
        account = accounts.add(office.database, name, email=email, language=language.value, actor=OPERATOR)
        subscribed = None
        if plan is not None and terms is not None:
            subscribed = plans.subscribe(office.database, account.id, plan=plan, terms=terms, actor=OPERATOR)
    if as_json:
        emit({"account": account.id, "name": account.name, "subscription": views.subscription(subscribed)})
        return
    typer.echo(f"{account.name}: {account.id}" + (f", on plan {plan}" if plan else ", without a plan yet"))


@actions.command("list")
def list_accounts(directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """List every customer with its plan."""
    with Office.open(directory) as office:
        rows = [(account, _current(office, account)) for account in accounts.all_accounts(office.database)]
    if as_json:
        emit({"accounts": [views.account(account) | {"plan": one.plan if one else None} for account, one in rows]})
        return
    cells = [(a.id, a.name, one.plan if one else "–", _day(a.created_ms), _day(a.closed_ms)) for a, one in rows]
    show("Accounts", ("account", "name", "plan", "since", "closed"), cells)


@actions.command("show")
def show_account(account: AccountArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Show one customer: plan, period, credit, members."""
    with Office.open(directory) as office:
        found = office.account(account)
        subscribed = _current(office, found)
        persons = accounts.members(office.database, found.id)
        balance = credit.balance(office.database, found.id, subscribed.terms.currency) if subscribed else None
        period = subscribed.period(office.now_ms) if subscribed else None
    if as_json:
        emit(
            views.account(found)
            | {
                "subscription": views.subscription(subscribed),
                "period": views.period(period),
                "credit": views.money(balance) if balance is not None else None,
                "members": [views.member(one) for one in persons],
            }
        )
        return
    pairs: dict[str, object] = {
        "account": found.id,
        "name": found.name,
        "email": found.email or "–",
        "since": _day(found.created_ms),
        "plan": subscribed.plan if subscribed else "–",
    }
    if found.closed_ms is not None:
        pairs["closed"] = _day(found.closed_ms)
    if subscribed and period:
        pairs["period"] = f"{_day(period.start_ms)} to {_day(period.end_ms)}"
        pairs["credit"] = balance
        if subscribed.cancel_ms is not None:
            pairs["next plan" if subscribed.next_plan else "ends"] = " ".join(
                filter(None, (subscribed.next_plan, _day(subscribed.cancel_ms)))
            )
    facts(pairs)
    if persons:
        show("Members", ("member", "email", "role"), [(one.id, one.email, one.role) for one in persons])


@actions.command("close")
def close(account: AccountArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Close an account: its keys are refused from now on. What it used is still billed."""
    with Office.open(directory) as office:
        closed = accounts.close(office.database, office.account(account).id, actor=OPERATOR)
        fleet.wait_taken_in(office.database)
    if as_json:
        emit(views.account(closed))
    else:
        typer.echo(f"{closed.name} ({closed.id}) is closed.")


@actions.command("subscribe")
def subscribe(
    account: AccountArgument,
    plan: Annotated[str, typer.Option("--plan", help="A plan of the product file.", show_default=False)],
    when: Annotated[
        When | None, typer.Option(help="An upgrade is at once, a downgrade at the period's end.", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Put an account on a plan, or change the plan that it has."""
    with Office.open(directory) as office:
        found, terms = office.account(account), office.plan(plan)
        now = _current(office, found)
        if now is None:
            if when is When.period_end:
                raise InputError(f"{found.name} has no plan yet: there is no period to wait for.", code="no_period")
            subscribed = plans.subscribe(office.database, found.id, plan=plan, terms=terms, actor=OPERATOR)
        else:
            subscribed = plans.change(
                office.database,
                found.id,
                plan=plan,
                terms=terms,
                when=when.value if when is not None else None,
                actor=OPERATOR,
            )
    if as_json:
        emit({"account": found.id, "subscription": views.subscription(subscribed)})
    elif subscribed.next_plan is not None:
        typer.echo(f"{found.name} stays on {subscribed.plan} to the end of the period, then goes to {plan}.")
    else:
        typer.echo(f"{found.name} is on plan {subscribed.plan}.")


@actions.command("cancel")
def cancel(account: AccountArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """End the subscription at the end of the period that runs."""
    with Office.open(directory) as office:
        found = office.account(account)
        ending = plans.cancel(office.database, found.id, actor=OPERATOR)
    if as_json:
        emit({"account": found.id, "subscription": views.subscription(ending)})
    else:
        typer.echo(f"{found.name} keeps plan {ending.plan} until {_day(ending.cancel_ms)}.")


@actions.command("resume")
def resume(account: AccountArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Withdraw a cancellation, or a change of plan that waits."""
    with Office.open(directory) as office:
        found = office.account(account)
        present = plans.resume(office.database, found.id, actor=OPERATOR)
    if as_json:
        emit({"account": found.id, "subscription": views.subscription(present)})
    else:
        typer.echo(f"{found.name} stays on plan {present.plan}.")


@actions.command("grant")
def grant(
    account: AccountArgument,
    amount: Annotated[str, typer.Argument(help="How much credit: '100 CNY'.")],
    reference: Annotated[
        str | None, typer.Option("--reference", help="With one, it is given once.", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Give credit to an account."""
    money = parse_money(amount)
    with Office.open(directory) as office:
        found = office.account(account)
        credit.grant(office.database, found.id, amount=money, reference=reference, actor=OPERATOR)
        balance = credit.balance(office.database, found.id, money.currency)
    if as_json:
        emit({"account": found.id, "granted": views.money(money), "credit": views.money(balance)})
    else:
        typer.echo(f"{found.name} has {balance} of credit.")


actions.command("consent")(people.consent_of)
actions.command("card")(people.card)


def _current(office: Office, account: Account) -> Subscription | None:
    try:
        return plans.current(office.database, account.id)
    except InputError as error:
        if error.code != "input.no_subscription":
            raise
        return None


def _day(at_ms: int | None) -> str:
    return (views.moment(at_ms) or "–")[:10]
