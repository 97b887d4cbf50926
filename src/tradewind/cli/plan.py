"""`tradewind plan`: the plans of the product file, last month's bills under changed ones, and top-up codes.

Not here: who is on a plan (`account.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from tradewind import product_file
from tradewind.business import credit, derive, views
from tradewind.business.periods import boundary
from tradewind.cli.office import OPERATOR, Office, facts, plan_of, show
from tradewind.cli.office import actions as new_actions
from tradewind.cli.prices import released_below_cost
from tradewind.cli.session import HERE, FolderOption, JsonOption, SetOption, emit
from tradewind.cli.usage import settle
from tradewind.money import Money, parse_money
from tradewind.privacy.retention import parse_duration

actions = new_actions("Plans of the product file; last month's bills under other ones; top-up codes.")


@actions.command("list")
def list_plans(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """List the plans of the product file."""
    plans = product_file.load(directory, changes=changes or ()).serve.plans
    if as_json:
        emit({"plans": {name: views.plan(terms) for name, terms in plans.items()}})
        return
    rows = [
        (name, one.monthly, one.included, one.overage or "–", "–" if one.hard_cap is None else f"{one.hard_cap:,}")
        for name, one in plans.items()
    ]
    show("Plans", ("plan", "monthly", "included", "further unit", "most units"), rows)


@actions.command("show")
def show_plan(
    plan: Annotated[str, typer.Argument(help="Its name in the product file.")],
    directory: FolderOption = HERE,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the terms of one plan."""
    terms = plan_of(product_file.load(directory, changes=changes or ()).serve.plans, plan)
    if as_json:
        emit({"plan": plan, "terms": views.plan(terms)})
    else:
        facts({"plan": plan, **views.plan(terms)})


@actions.command("dry-run")
def dry_run(
    month: Annotated[
        str | None,
        typer.Option("--month", help="A calendar month in UTC; the last one by default.", show_default=False),
    ] = None,
    directory: FolderOption = HERE,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bill a month's real usage under the product file's plans, per customer: --set serve.plans.pro.overage='0.003 CNY'."""
    with Office.open(directory) as office:
        settle(office)
        chosen = month or _last_month(office.now_ms)
        product = office.product(changes)
        serve = product.serve
        found = derive.dry_run(office.database, serve.plans, period=chosen)
        below = released_below_cost(office.workspace, serve, product=product.product)
    currencies = sorted({one.currency for one in found})
    totals = [
        (
            sum(one.old_minor for one in found if one.currency == currency),
            sum(one.new_minor for one in found if one.currency == currency),
            currency,
        )
        for currency in currencies
    ]
    if as_json:
        emit(
            {
                "month": chosen,
                "customers": [views.dry_run(one) for one in found],
                "totals": [
                    {"currency": currency, "old_minor": old, "new_minor": new, "difference_minor": new - old}
                    for old, new, currency in totals
                ],
                "below_cost": below,
            }
        )
        _refuse(below)
        return
    rows = [
        (
            one.name,
            one.plan,
            one.units,
            Money(one.old_minor, one.currency),
            Money(one.new_minor, one.currency),
            Money(one.difference_minor, one.currency),
            one.refused,
        )
        for one in found
    ]
    show(
        f"{chosen}, as it was and under these plans, before credit",
        ("account", "plan", "units", "was", "would be", "difference", "units refused"),
        rows,
    )
    for old, new, currency in totals:
        typer.echo(f"Total: {Money(old, currency)} to {Money(new, currency)}, {Money(new - old, currency)}")
    _refuse(below)


@actions.command("codes")
def codes(
    amount: Annotated[str, typer.Argument(help="What each is worth: '100 CNY'.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=credit.MOST_CODES, help="How many.")] = 1,
    expires: Annotated[
        str | None, typer.Option("--expires", help="How long they can be redeemed: 90d.", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make top-up codes. Each redeems once; they are shown once and stored nowhere."""
    money = parse_money(amount)
    with Office.open(directory) as office:
        lives_ms = parse_duration(expires) if expires is not None else None
        expires_ms = None if lives_ms is None else office.now_ms + lives_ms
        made = credit.issue_codes(office.database, money, count=count, expires_ms=expires_ms, actor=OPERATOR)
    if as_json:
        emit(
            {
                "codes": [one.code for one in made],
                "amount": views.money(money),
                "expires": views.moment(expires_ms),
            }
        )
        return
    for one in made:
        typer.echo(one.code)
    typer.echo("Keep them now: they are stored hashed and cannot be shown again.", err=True)


def _refuse(below: list[str]) -> None:
    """What was asked is printed all the same; the exit status says that no release would be made with these plans."""
    for sentence in below:
        typer.echo(sentence, err=True)
    if below:
        raise typer.Exit(1)


def _last_month(now_ms: int) -> str:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    start_ms = int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp()) * 1000
    return datetime.fromtimestamp(boundary(start_ms, -1) / 1000, UTC).strftime("%Y-%m")
