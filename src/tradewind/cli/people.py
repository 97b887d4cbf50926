"""`tradewind account member`, `consent` and `card`: who may act for a customer, what it agreed to, what it is charged by.
Not here: the customer itself (`account.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tradewind.business import accounts, consent, fleet, payment_methods, requests, views
from tradewind.business.payment_methods import Card
from tradewind.cli.office import OPERATOR, Office, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError
from tradewind.plugins import names

members = new_actions("People of an account, and what each may do.")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id or its exact name.")]
MemberArgument = Annotated[str, typer.Argument(help="The member's id or address.")]


class Role(StrEnum):
    owner = "owner"
    admin = "admin"
    member = "member"
    billing = "billing"
    viewer = "viewer"


class Purpose(StrEnum):
    store_inputs = "store_inputs"
    training = "training"


@members.command("add")
def add_member(
    account: AccountArgument,
    email: Annotated[str, typer.Argument(help="The person's address.")],
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.member,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Add a person to an account."""
    with Office.open(directory) as office:
        found = office.account(account)
        member = accounts.add_member(office.database, found.id, email=email, role=role.value, actor=OPERATOR)
    if as_json:
        emit(views.member(member))
    else:
        typer.echo(f"{member.email} is {member.role} of {found.name}.")


@members.command("role")
def change_role(
    account: AccountArgument,
    member: MemberArgument,
    role: Annotated[Role, typer.Argument(help="What the person may do from now on.")],
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Give a person another role. Their keys may do no more than it, from now on."""
    with Office.open(directory) as office:
        found = office.account(account)
        one = accounts.find_member(office.database, found.id, member)
        changed = accounts.set_role(office.database, one.id, role=role.value, within=found.id, actor=OPERATOR)
        fleet.wait_taken_in(office.database)
    if as_json:
        emit(views.member(changed))
    else:
        typer.echo(f"{changed.email} is {changed.role} of {found.name}.")


@members.command("remove")
def remove_member(
    account: AccountArgument, member: MemberArgument, directory: FolderOption = HERE, as_json: JsonOption = False
) -> None:
    """Remove a person from an account; their keys are refused from now on."""
    with Office.open(directory) as office:
        found = office.account(account)
        one = accounts.find_member(office.database, found.id, member)
        accounts.remove_member(office.database, one.id, within=found.id, actor=OPERATOR)
        fleet.wait_taken_in(office.database)
    if as_json:
        emit({"removed": one.id, "account": found.id})
    else:
        typer.echo(f"{one.email} is no longer a member of {found.name}.")


@members.command("list")
def list_members(account: AccountArgument, directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """List the people of an account."""
    with Office.open(directory) as office:
        people = accounts.members(office.database, office.account(account).id)
    if as_json:
        emit({"members": [views.member(one) for one in people]})
    else:
        show("Members", ("member", "email", "role"), [(one.id, one.email, one.role) for one in people])


def consent_of(
    account: AccountArgument,
    give: Annotated[
        Purpose | None, typer.Option("--give", help="Write down that it agreed to this.", show_default=False)
    ] = None,
    withdraw: Annotated[
        Purpose | None, typer.Option("--withdraw", help="Write down that it withdrew this.", show_default=False)
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="How it was said: a contract, a message.")] = None,
    erase: Annotated[
        bool, typer.Option("--erase", help="With --withdraw store_inputs: also erase what is stored already.")
    ] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show what an account agreed to, or write down that it agreed or withdrew. Nothing is ever taken out."""
    if give is not None and withdraw is not None:
        raise InputError("Give and withdraw one at a time.", code="consent_option")
    if erase and withdraw is not Purpose.store_inputs:
        raise InputError("--erase goes with --withdraw store_inputs.", code="consent_option")
    if note is not None and give is None and withdraw is None:
        raise InputError("A note goes with --give or --withdraw.", code="consent_option")
    erased = None
    with Office.open(directory) as office:
        found = office.account(account)
        purpose = give or withdraw
        if purpose is not None:
            given = give is not None
            consent.record(office.database, found.id, purpose=purpose.value, given=given, note=note, actor=OPERATOR)
        if erase:
            erased = requests.erase(office.database, found.id, actor=OPERATOR)
        standing = consent.standing(office.database, found.id)
        acts = consent.history(office.database, found.id)
    if as_json:
        emit(
            {
                "account": found.id,
                "consent": {name: None if one is None else one.given for name, one in standing.items()},
                "history": [views.consent(one) for one in acts],
                "erased": erased,
            }
        )
        return
    words = {None: "never asked", True: "given", False: "withdrawn"}
    show(
        "Consent",
        ("purpose", "now", "since", "by", "note"),
        [(name, words[None if one is None else one.given], *_since(one)) for name, one in standing.items()],
    )
    if erased is not None:
        typer.echo(f"{erased:,} stored requests are erased.")


def card(
    account: AccountArgument,
    customer: Annotated[
        str | None, typer.Option("--customer", help="The provider's id of the customer: cus_…", show_default=False)
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="The provider's id of the card: pm_…", show_default=False)
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Charge it by this no more.")] = False,
    provider: Annotated[str, typer.Option("--provider", help="Who keeps the card.")] = "stripe",
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Say what an account is charged by when its invoices are collected: the provider's ids, never a card's number."""
    if forget == (customer is not None or method is not None) or (customer is None) != (method is None):
        raise InputError("Give --customer and --method, or --forget.", code="card_option")
    if provider not in names("payments"):
        known = ", ".join(names("payments"))
        raise InputError(f"There is no payment called {provider}. Known: {known}.", code="plugin_unknown")
    with Office.open(directory) as office:
        found = office.account(account)
        if customer is not None and method is not None:
            kept = Card(customer, method)
            payment_methods.keep(office.database, found.id, provider=provider, card=kept, actor=OPERATOR)
        else:
            payment_methods.forget(office.database, found.id, provider=provider, actor=OPERATOR)
    if as_json:
        emit({"account": found.id, "provider": provider, "kept": not forget})
    else:
        typer.echo(f"{found.name} is {'no longer ' if forget else ''}charged through {provider}.")


def _since(one: consent.Consent | None) -> tuple[str, str, str]:
    return ("–", "–", "–") if one is None else (views.moment(one.at_ms) or "", one.actor, one.note or "–")
