"""Plans that accounts subscribe to: start, change, cancel, and what comes due. Not here: prices as written in the product
file (`tariff.py`), what was used, and bills (`segments.py` cuts a period by subscriptions, `lines.py` prices it).

The rules:

- An account has at most one subscription at a time. Its *anchor* is the moment it started, or the end of its trial; its
  periods are months counted from there (`Subscription.period`). Quotas go by these periods.
- A *trial* waives the monthly price until `trial_end_ms`, nothing else: included units and caps hold per period, further
  units cost what they cost. Its periods are months counted back from its end, so no period is half trial. Only the first
  trial of an account is given.
- A change *now* ends the subscription and starts another at the same moment with the same anchor and trial. The period
  stays the same period, so what was used in it stays used, and the invoice divides the monthly prices and the included
  units by the milliseconds of each. Hard caps are those of the plan in force, over the whole period.
- A change or a cancellation *at the period's end* waits in `cancel_ms` (and `next_plan`); the newest wish replaces one that
  waits; `resume` withdraws it. A downgrade (a lower monthly price, or another currency) waits unless told otherwise.
- What has come due is applied at the moment it was due, however late it is noticed: by `roll`, and by every function here
  for its own account before it answers.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Literal

from sqlalchemy import Connection, and_, insert, or_, select, update

from tradewind.business import audit
from tradewind.business.accounts import named, require, require_open
from tradewind.business.database import Database, now_ms
from tradewind.business.periods import Period
from tradewind.business.subscription import Subscription, price_version, subscription_of
from tradewind.business.tables import accounts, subscriptions
from tradewind.errors import InputError
from tradewind.ids import new_id
from tradewind.tariff import Plan

__all__ = [
    "Period", "Subscription", "When", "cancel", "change", "current", "history", "price_version", "resume", "roll",
    "roll_account", "subscribe", "subscription_of",
]  # fmt: skip

_DAY_MS = 86_400_000
_PLAN_MOST = 64

When = Literal["now", "period_end"]


def subscribe(database: Database, account_id: str, *, plan: str, terms: Plan, actor: str) -> Subscription:
    """Starts now. Raises InputError `plan_name`, `subscribed`, `account_unknown`, `account_closed`."""
    plan = _plan_name(plan)

    def change(connection: Connection) -> Subscription:
        require_open(connection, account_id)
        roll_account(connection, database, account_id)
        earlier = _rows(connection, account_id)
        for subscription in earlier:
            if subscription.ended_ms is None:
                raise InputError(
                    f"{account_id} has the plan {subscription.plan}.",
                    code="subscribed",
                    hint="Change its plan instead.",
                )
        moment = now_ms(connection)
        trial = terms.trial_days > 0 and all(item.trial_end_ms is None for item in earlier)
        trial_end_ms = moment + terms.trial_days * _DAY_MS if trial else None
        started = _start(
            connection,
            database,
            account_id=account_id,
            plan=plan,
            terms=terms,
            started_ms=moment,
            anchor_ms=moment if trial_end_ms is None else trial_end_ms,
            trial_end_ms=trial_end_ms,
        )
        _log(connection, database, started, action="plan.subscribe", actor=actor, detail={"plan": plan})
        return started

    return database.write(change)


def change(
    database: Database, account_id: str, *, plan: str, terms: Plan, when: When | None = None, actor: str
) -> Subscription:
    """The subscription in force afterwards: the new one when it starts now, else the present one, with what waits.

    Without `when` a lower monthly price waits for the period's end and any other change is at once. Raises InputError
    `no_subscription`, `plan_same`, `plan_currency` (one period is billed in one currency: another one starts at its end).
    """
    plan = _plan_name(plan)

    def apply(connection: Connection) -> Subscription:
        present = _in_force(connection, database, account_id)
        if (present.plan, present.price_version) == (plan, price_version(terms)):
            raise InputError(f"{account_id} has the plan {plan} with these terms already.", code="plan_same")
        same_currency = present.terms.currency == terms.currency
        lower = not same_currency or terms.monthly.amount_minor < present.terms.monthly.amount_minor
        chosen: When = when or ("period_end" if lower else "now")
        if chosen == "now" and not same_currency:
            raise InputError(
                f"The plan {plan} is in {terms.currency}, the present one in {present.terms.currency}.",
                code="plan_currency",
                hint="Change it at the end of the period.",
            )
        moment = now_ms(connection)
        at_ms = moment if chosen == "now" else present.period(moment).end_ms
        detail = {"from": present.plan, "to": plan, "at_ms": at_ms}
        if chosen == "now":
            _set(connection, present, ended_ms=moment)
            after = _follow(connection, database, present, plan=plan, terms=terms, at_ms=moment)
        else:
            _set(connection, present, cancel_ms=at_ms, next_plan=plan, next_terms=terms.model_dump_json())
            after = replace(present, cancel_ms=at_ms, next_plan=plan, next_terms=terms)
        _log(connection, database, after, action="plan.change", actor=actor, detail=detail)
        return after

    return database.write(apply)


def cancel(database: Database, account_id: str, *, actor: str) -> Subscription:
    """Ends at the end of the present period; until then nothing changes. Raises InputError `no_subscription`."""

    def apply(connection: Connection) -> Subscription:
        present = _in_force(connection, database, account_id)
        if present.cancel_ms is not None and present.next_plan is None:
            return present
        at_ms = present.period(now_ms(connection)).end_ms
        _set(connection, present, cancel_ms=at_ms, next_plan=None, next_terms=None)
        after = replace(present, cancel_ms=at_ms, next_plan=None, next_terms=None)
        _log(connection, database, after, action="plan.cancel", actor=actor, detail={"at_ms": at_ms})
        return after

    return database.write(apply)


def resume(database: Database, account_id: str, *, actor: str) -> Subscription:
    """Withdraws a cancellation or a change that waits. Raises InputError `no_subscription`."""

    def apply(connection: Connection) -> Subscription:
        present = _in_force(connection, database, account_id)
        if present.cancel_ms is None:
            return present
        _set(connection, present, cancel_ms=None, next_plan=None, next_terms=None)
        after = replace(present, cancel_ms=None, next_plan=None, next_terms=None)
        _log(connection, database, after, action="plan.resume", actor=actor, detail={"plan": present.plan})
        return after

    return database.write(apply)


def current(database: Database, account_id: str) -> Subscription:
    """The one in force now; a change that has come due is applied first. Raises InputError `no_subscription`,
    `account_unknown`."""
    with database.reading() as connection:
        moment, account = now_ms(connection), require(connection, account_id)
        found = [item for item in _rows(connection, account_id) if item.ended_ms is None]
    if found and account.closed_ms is None and not found[0].is_due(moment):
        return found[0]
    return database.write(lambda connection: _in_force(connection, database, account_id))


def history(database: Database, account_id: str) -> tuple[Subscription, ...]:
    """All subscriptions of an account, oldest first, with changes that have come due applied."""

    def read(connection: Connection) -> tuple[Subscription, ...]:
        require(connection, account_id, lock=True)
        roll_account(connection, database, account_id)
        return _rows(connection, account_id)

    return database.write(read)


def roll(database: Database) -> int:
    """Ends what was cancelled, applies changes that waited, ends what closed accounts had; how many ended. For a timer:
    every function here does the same for its own account before it answers."""
    with database.reading() as connection:
        waiting = connection.execute(_due(now_ms(connection))).first()
    return database.write(lambda connection: _roll(connection, database)) if waiting else 0


def roll_account(connection: Connection, database: Database, account_id: str) -> int:
    """The same for one account in the caller's write transaction."""
    return _roll(connection, database, account_id=account_id)


# ---------------------------------------------------------------- within a transaction


def _in_force(connection: Connection, database: Database, account_id: str) -> Subscription:
    """The present subscription, its account locked for a change."""
    require(connection, account_id, lock=True)
    roll_account(connection, database, account_id)
    for subscription in _rows(connection, account_id):
        if subscription.ended_ms is None:
            return subscription
    raise InputError(f"{account_id} has no plan.", code="no_subscription", hint="Subscribe it to one.")


def _roll(connection: Connection, database: Database, *, account_id: str | None = None) -> int:
    """Applies what has come due at the moment it came due, however late it is noticed."""
    due = _due(now_ms(connection)).with_for_update(of=subscriptions)
    if account_id is not None:
        due = due.where(subscriptions.c.account_id == account_id)
    ended = 0
    for row in connection.execute(due).mappings().all():
        columns = dict(row)
        closed_ms = columns.pop("closed_ms")
        subscription = subscription_of(columns)
        ended += 1
        if subscription.cancel_ms is None or (closed_ms is not None and closed_ms < subscription.cancel_ms):
            _set(connection, subscription, ended_ms=closed_ms)
            continue
        _set(connection, subscription, ended_ms=subscription.cancel_ms)
        after = subscription
        if subscription.next_plan is not None and subscription.next_terms is not None:
            plan, terms, at_ms = subscription.next_plan, subscription.next_terms, subscription.cancel_ms
            after = _follow(connection, database, subscription, plan=plan, terms=terms, at_ms=at_ms)
            if closed_ms is not None:
                _set(connection, after, ended_ms=closed_ms)
        detail = {"ended": subscription.id, "at_ms": subscription.cancel_ms, "plan": subscription.next_plan}
        _log(connection, database, after, action="plan.roll", actor="system", detail=detail)
    return ended


def _due(at_ms: int) -> Any:
    mine = select(subscriptions, accounts.c.closed_ms).join(accounts)
    past = or_(subscriptions.c.cancel_ms <= at_ms, accounts.c.closed_ms.is_not(None))
    return mine.where(and_(subscriptions.c.ended_ms.is_(None), past)).order_by(subscriptions.c.id)


def _follow(
    connection: Connection, database: Database, before: Subscription, *, plan: str, terms: Plan, at_ms: int
) -> Subscription:
    return _start(
        connection,
        database,
        account_id=before.account_id,
        plan=plan,
        terms=terms,
        started_ms=at_ms,
        anchor_ms=before.anchor_ms,
        trial_end_ms=before.trial_end_ms,
    )


def _start(
    connection: Connection,
    database: Database,
    *,
    account_id: str,
    plan: str,
    terms: Plan,
    started_ms: int,
    anchor_ms: int,
    trial_end_ms: int | None,
) -> Subscription:
    started = Subscription(
        id=new_id("sub", clock=database.clock),
        account_id=account_id,
        plan=plan,
        terms=terms,
        price_version=price_version(terms),
        started_ms=started_ms,
        anchor_ms=anchor_ms,
        trial_end_ms=trial_end_ms,
        cancel_ms=None,
        ended_ms=None,
        next_plan=None,
        next_terms=None,
    )
    row = {item.name: getattr(started, item.name) for item in fields(started)} | {"terms": terms.model_dump_json()}
    connection.execute(insert(subscriptions).values(**row))
    return started


def _set(connection: Connection, subscription: Subscription, **values: Any) -> None:
    connection.execute(update(subscriptions).where(subscriptions.c.id == subscription.id).values(**values))


def _rows(connection: Connection, account_id: str) -> tuple[Subscription, ...]:
    """Oldest first: by start, then the ended ones before the one in force."""
    found = connection.execute(select(subscriptions).where(subscriptions.c.account_id == account_id)).mappings()
    rows = [subscription_of(dict(row)) for row in found]
    return tuple(sorted(rows, key=lambda item: (item.started_ms, item.ended_ms is None, item.ended_ms or 0)))


def _log(
    connection: Connection,
    database: Database,
    subscription: Subscription,
    *,
    action: str,
    actor: str,
    detail: dict[str, Any],
) -> None:
    database.bump(connection)
    detail = {"account": subscription.account_id, "price_version": subscription.price_version, **detail}
    audit.append(connection, actor=actor, action=action, subject=subscription.id, detail=detail)


def _plan_name(plan: str) -> str:
    plan = named(plan, code="plan_name", what="A plan")
    if len(plan) > _PLAN_MOST:
        raise InputError(f"The name of a plan has at most {_PLAN_MOST} characters.", code="plan_name")
    return plan
