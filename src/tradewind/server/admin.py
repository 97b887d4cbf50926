"""The operator's routes: accounts, subscriptions, keys, invoices, usage, codes, the audit log. Not here: members and
consent (`admin_people.py`), what a customer does with his own key (`account.py`).

All of them stand under /admin/v1 and ask for a key with the scope `operator`; a customer's key is refused before anything
is looked up. Who asked stands in the audit log by the id of his key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from tradewind.business import (
    accounts,
    audit,
    billing,
    credit,
    derive,
    fleet,
    invoices,
    keys,
    meters,
    plans,
    views,
)
from tradewind.business.documents import Form
from tradewind.business.invoices import Correction
from tradewind.business.segments import parse_month
from tradewind.business.subscription import Subscription
from tradewind.business.views import View
from tradewind.errors import InputError
from tradewind.money import parse_money
from tradewind.server import admin_people, admin_reviews, handoffs
from tradewind.server.account import Rotation, grace_s, live_key, page, with_payments
from tradewind.server.callers import Body, House, Id, Line, Operator, TheHouse, operator

router = APIRouter(prefix="/admin/v1", tags=["operator"], dependencies=[Depends(operator)])
router.routes.extend(admin_people.router.routes)
router.routes.extend(admin_reviews.router.routes)
router.routes.extend(handoffs.operator_router.routes)

Month = Annotated[str | None, Query(max_length=7, description="A calendar month in UTC: 2026-02")]
Word = Annotated[Line, Field(max_length=64)]


class NewAccount(Body):
    name: Line = Field(max_length=200)
    email: Line | None = Field(None, max_length=320)
    language: Literal["en", "zh"] = "en"
    plan: Word | None = None


class Wish(Body):
    """Without `when`, an upgrade is at once and a downgrade at the end of the period."""

    plan: Word
    when: Literal["now", "period_end"] | None = None


class NewKey(Body):
    name: Line = Field("default", max_length=200)
    scopes: list[Literal["predict", "converse", "usage", "keys", "invoices"]] | None = Field(None, max_length=10)
    expires: str | None = Field(None, max_length=20, description="How long it lives: 90d, 12h")
    member: Line | None = Field(None, max_length=64, description="The member whose it is, by id")


class Grant(Body):
    amount: Line = Field(max_length=60, description="100 CNY")
    reference: Line | None = Field(None, max_length=80, description="With one, it is given once")


class Codes(Body):
    amount: Line = Field(max_length=60, description="What each is worth: 100 CNY")
    count: int = Field(1, ge=1, le=credit.MOST_CODES)
    expires: str | None = Field(None, max_length=20)


class Draft(Body):
    month: str | None = Field(None, max_length=7, description="The period that begins in it: 2026-02")


class Finalize(Body):
    unsettled: bool = Field(False, description="Also where a worker that is gone for good still holds units")


class Off(Body):
    amount: Line = Field(max_length=60, description="What comes off: 12.50 CNY")
    reason: Line = Field(min_length=1, max_length=500)


# ---------------------------------------------------------------- accounts


@router.get("/accounts", summary="Every account")
def list_accounts(house: TheHouse) -> View:
    return {"accounts": [views.account(one) for one in accounts.all_accounts(house.database)]}


@router.post("/accounts", status_code=201, summary="A new account, on a plan where one is named")
def add_account(body: NewAccount, caller: Operator, house: TheHouse) -> View:
    terms = house.plan(body.plan) if body.plan is not None else None
    made = accounts.add(house.database, body.name, email=body.email, language=body.language, actor=caller.key_id)
    subscribed = None
    if body.plan is not None and terms is not None:
        subscribed = plans.subscribe(house.database, made.id, plan=body.plan, terms=terms, actor=caller.key_id)
    return views.account(made) | {"subscription": views.subscription(subscribed)}


@router.get("/accounts/{account_id}", summary="An account with its subscription, members and credit")
def read_account(account_id: Id, house: TheHouse) -> View:
    found = accounts.get(house.database, account_id)
    subscribed = _current(house, found.id)
    balance = credit.balance(house.database, found.id, subscribed.terms.currency) if subscribed is not None else None
    return views.account(found) | {
        "subscription": views.subscription(subscribed),
        "period": views.period(subscribed.period(house.now_ms)) if subscribed is not None else None,
        "credit": views.money(balance) if balance is not None else None,
        "members": [views.member(one) for one in accounts.members(house.database, found.id)],
    }


@router.post("/accounts/{account_id}/close", summary="Closes an account; its keys are refused from now on")
def close_account(account_id: Id, caller: Operator, house: TheHouse) -> View:
    closed = accounts.close(house.database, account_id, actor=caller.key_id)
    fleet.wait_taken_in(house.database)
    return views.account(closed)


# ---------------------------------------------------------------- plans


@router.get("/plans", summary="Plans on sale")
def list_plans(house: TheHouse) -> View:
    return {"plans": {name: views.plan(terms) for name, terms in house.plans.items()}}


@router.put("/accounts/{account_id}/subscription", summary="Subscribes an account, or changes its plan")
def subscribe(body: Wish, account_id: Id, caller: Operator, house: TheHouse) -> View:
    terms = house.plan(body.plan)
    if _current(house, account_id) is None:
        if body.when == "period_end":
            raise InputError("The account has no plan: there is no period to wait for.", code="no_period", where="when")
        made = plans.subscribe(house.database, account_id, plan=body.plan, terms=terms, actor=caller.key_id)
    else:
        made = plans.change(
            house.database, account_id, plan=body.plan, terms=terms, when=body.when, actor=caller.key_id
        )
    return {"account": account_id, "subscription": views.subscription(made)}


@router.delete("/accounts/{account_id}/subscription", summary="Ends a subscription at the end of its period")
def cancel(account_id: Id, caller: Operator, house: TheHouse) -> View:
    ending = plans.cancel(house.database, account_id, actor=caller.key_id)
    return {"account": account_id, "subscription": views.subscription(ending)}


@router.post("/accounts/{account_id}/subscription/resume", summary="Withdraws a cancellation or a change that waits")
def resume(account_id: Id, caller: Operator, house: TheHouse) -> View:
    present = plans.resume(house.database, account_id, actor=caller.key_id)
    return {"account": account_id, "subscription": views.subscription(present)}


@router.get("/plans/dry-run", summary="A month's real usage billed under the plans on sale, per customer")
def dry_run(house: TheHouse, month: Annotated[str, Query(max_length=7)]) -> View:
    house.settle()
    found = derive.dry_run(house.database, house.plans, period=month)
    return {"month": month, "customers": [views.dry_run(one) for one in found]}


# ---------------------------------------------------------------- keys


@router.get("/accounts/{account_id}/keys", summary="An account's keys, without their secrets")
def list_keys(account_id: Id, house: TheHouse) -> View:
    found = keys.keys_of(house.database, account_id)
    return {"keys": [views.key(one, now_ms=house.now_ms) for one in found]}


@router.post("/accounts/{account_id}/keys", status_code=201, summary="A new key; its secret is shown this once")
def add_key(body: NewKey, account_id: Id, caller: Operator, house: TheHouse) -> View:
    scopes = list[str](body.scopes or keys.USUAL)
    expires_ms = house.lives_until_ms(body.expires)
    issued = keys.issue(
        house.database, account_id,
        name=body.name, scopes=scopes, expires_ms=expires_ms, member_id=body.member, actor=caller.key_id,
    )  # fmt: skip
    return {"key": issued.secret} | views.key(issued.key, now_ms=house.now_ms)


@router.post("/keys/{key_id}/rotate", status_code=201, summary="A new key in the place of one; the old one works on")
def rotate_key(body: Rotation, key_id: Id, caller: Operator, house: TheHouse) -> View:
    old = live_key(house, _key(house, key_id))
    issued = keys.rotate(house.database, old.id, grace_s=grace_s(body.grace), actor=caller.key_id)
    return {"key": issued.secret} | views.key(issued.key, now_ms=house.now_ms)


@router.delete("/keys/{key_id}", summary="Refuses a key from now on")
def revoke_key(key_id: Id, caller: Operator, house: TheHouse) -> View:
    old = _key(house, key_id)
    keys.revoke(house.database, old.id, actor=caller.key_id)
    fleet.wait_taken_in(house.database)
    return {"revoked": old.id, "prefix": old.prefix}


# ---------------------------------------------------------------- usage, invoices, credit


@router.get("/usage", summary="What every account used, of all time or in a month")
def all_usage(house: TheHouse, month: Month = None) -> View:
    if month is not None:
        parse_month(month)
    house.settle()
    found = [
        {"account": one.id, "name": one.name} | views.usage(meters.usage(house.database, one.id, month=month))
        for one in accounts.all_accounts(house.database)
    ]
    return {"accounts": found, "month": month}


@router.get("/accounts/{account_id}/usage", summary="What an account used, of all time or in a month")
def account_usage(account_id: Id, house: TheHouse, month: Month = None) -> View:
    house.settle()
    used = meters.usage(house.database, account_id, month=month)
    return {"account": account_id, "month": month} | views.usage(used)


@router.get("/accounts/{account_id}/invoices", summary="An account's invoices and credit notes, the newest first")
def list_invoices(account_id: Id, house: TheHouse) -> View:
    found = accounts.get(house.database, account_id)
    return {"invoices": with_payments(house, invoices.invoices_of(house.database, found.id))}


@router.post("/invoices/run", summary="Drafts and finalizes every account's periods that are over")
def run_billing(caller: Operator, house: TheHouse) -> View:
    house.settle()
    done = list(billing.run(house.database, actor=caller.key_id))
    return {
        "accounts": [
            {
                "account": one.account.id,
                "invoices": [views.invoice(made) for made in one.invoices],
                "error": None if one.error is None else {"code": one.error.code, "message": one.error.message},
            }
            for one in done
        ],
        "finalized": sum(len(one.invoices) for one in done),
        "failed": sum(one.error is not None for one in done),
    }


@router.post("/accounts/{account_id}/invoices", status_code=201, summary="Drafts the invoice of a period")
def draft_invoice(body: Draft, account_id: Id, caller: Operator, house: TheHouse) -> View:
    house.settle()
    return views.invoice(invoices.draft(house.database, account_id, period=body.month, actor=caller.key_id))


@router.get("/invoices/{invoice_id}.{form}", summary="An invoice as a page, as PDF, or its lines as CSV")
def invoice_document(invoice_id: Id, form: Form, house: TheHouse) -> Response:
    return page(house, invoices.get(house.database, invoice_id), form=form)


@router.get("/invoices/{invoice_id}", summary="An invoice, by id or number")
def read_invoice(invoice_id: Id, house: TheHouse) -> View:
    return views.invoice(invoices.get(house.database, invoice_id))


@router.post("/invoices/{invoice_id}/finalize", summary="Gives a draft its number, once its period is over")
def finalize_invoice(body: Finalize, invoice_id: Id, caller: Operator, house: TheHouse) -> View:
    house.settle()
    found = invoices.get(house.database, invoice_id)
    made = invoices.finalize(house.database, found.id, actor=caller.key_id, unsettled=body.unsettled)
    return views.invoice(made)


@router.post("/invoices/{invoice_id}/void", summary="Takes a final invoice back")
def void_invoice(invoice_id: Id, caller: Operator, house: TheHouse) -> View:
    found = invoices.get(house.database, invoice_id)
    return views.invoice(invoices.void(house.database, found.id, actor=caller.key_id))


@router.post("/invoices/{invoice_id}/credit-notes", status_code=201, summary="A credit note against a final invoice")
def credit_note(body: Off, invoice_id: Id, caller: Operator, house: TheHouse) -> View:
    off, found = parse_money(body.amount), invoices.get(house.database, invoice_id)
    if off.currency != found.currency:
        raise InputError(
            f"The invoice is in {found.currency}, not in {off.currency}.", code="credit_currency", where="amount"
        )
    corrections = [Correction(body.reason, off.amount_minor)]
    made = invoices.credit_note(house.database, found.id, corrections=corrections, actor=caller.key_id)
    return views.invoice(made)


@router.post("/accounts/{account_id}/credit", status_code=201, summary="Gives credit to an account")
def grant_credit(body: Grant, account_id: Id, caller: Operator, house: TheHouse) -> View:
    amount = parse_money(body.amount)
    credit.grant(house.database, account_id, amount=amount, reference=body.reference, actor=caller.key_id)
    balance = credit.balance(house.database, account_id, amount.currency)
    return {"granted": views.money(amount), "credit": views.money(balance)}


@router.post("/codes", status_code=201, summary="New top-up codes, shown this once")
def issue_codes(body: Codes, caller: Operator, house: TheHouse) -> View:
    amount, expires_ms = parse_money(body.amount), house.lives_until_ms(body.expires)
    made = credit.issue_codes(house.database, amount, count=body.count, expires_ms=expires_ms, actor=caller.key_id)
    return {
        "codes": [one.code for one in made],
        "amount": views.money(amount),
        "expires": views.moment(expires_ms),
    }


@router.get("/audit", summary="Who changed what, oldest first")
def read_audit(
    house: TheHouse,
    after: Annotated[int, Query(ge=0, lt=1 << 62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> View:
    found = audit.entries(house.database, after=after, limit=limit)
    return {"entries": [views.entry(one) for one in found], "next": found[-1].sequence if len(found) == limit else None}


# ---------------------------------------------------------------- shared


def _current(house: House, account_id: str) -> Subscription | None:
    try:
        return plans.current(house.database, account_id)
    except InputError as error:
        if error.code != "input.no_subscription":
            raise
        return None


def _key(house: House, key_id: str) -> keys.Key:
    try:
        return keys.find(house.database, key_id)
    except InputError:
        raise InputError("There is no such key.", code="not_found") from None
