"""What a customer sees and does with his own key: usage, keys, invoices, credit. Not here: members and consent
(`people.py`), the operator's side (`admin.py`), predictions (`predict.py`).

The account comes from the key alone, never from the path or the body: another account's id is as unknown as one that never
was. Routes are plain functions: their database work runs in the thread pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from tradewind.business import accounts, credit, fleet, invoices, keys, meters, plans, receivables, views
from tradewind.business.documents import Form, document
from tradewind.business.invoices import Invoice
from tradewind.business.keys import Key
from tradewind.business.roles import rank, require_over
from tradewind.business.subscription import Subscription
from tradewind.business.views import View
from tradewind.errors import InputError
from tradewind.privacy.retention import parse_duration
from tradewind.server import conversations, handoffs, people
from tradewind.server.callers import NAME, AnyCustomer, Body, Customer, House, Id, Line, MayKeys, TheHouse, needs

router = APIRouter(prefix="/v1", tags=["account"])
router.routes.extend(people.router.routes)
router.routes.extend(conversations.router.routes)
router.routes.extend(handoffs.account_router.routes)

MayUsage = Annotated[Customer, Depends(needs("usage"))]
MayInvoices = Annotated[Customer, Depends(needs("invoices"))]


class NewKey(Body):
    """`scopes` are at most those of the key that asks, and all of them by default. A member's key makes keys of that member,
    or of the one that is named where the role allows it."""

    name: Line = Field("default", max_length=200)
    scopes: list[str] | None = Field(None, max_length=10)
    expires: str | None = Field(None, max_length=20, description="How long it lives: 90d, 12h")
    member: Line | None = Field(None, max_length=64, description="The member whose it is, by id")


class Rotation(Body):
    grace: str = Field("24h", max_length=20, description="How long the old key still works: 24h, 7d, or none")


class Code(Body):
    code: str = Field(max_length=200)


# ---------------------------------------------------------------- who am I, what is on sale


@router.get("/account", summary="Your account, its plan and its credit")
def read_account(caller: AnyCustomer, house: TheHouse) -> View:
    account = accounts.get(house.database, caller.account_id)
    subscribed = _current(house, caller)
    currency = subscribed.terms.currency if subscribed is not None else None
    return views.account(account) | {
        "caller": {"member": caller.access.member_id, "role": caller.role, "scopes": sorted(caller.access.scopes)},
        "subscription": views.subscription(subscribed),
        "period": views.period(subscribed.period(house.now_ms) if subscribed is not None else None),
        "credit": views.money(credit.balance(house.database, account.id, currency)) if currency is not None else None,
    }


@router.get("/plans", summary="Plans on sale")
def read_plans(caller: AnyCustomer, house: TheHouse) -> View:
    return {"plans": {name: views.plan(terms) for name, terms in house.plans.items()}}


# ---------------------------------------------------------------- usage


@router.get("/usage", summary="What you used in the period that runs, and what is left")
def read_usage(caller: MayUsage, house: TheHouse) -> View:
    house.settle()
    subscribed = _current(house, caller)
    if subscribed is None:
        used = meters.usage(house.database, caller.account_id)
        return views.usage(used) | {
            "period": None, "plan": None, "included": 0, "included_remaining": 0, "cap": 0, "remaining": 0,
        }  # fmt: skip
    period, terms = subscribed.period(house.now_ms), subscribed.terms
    used = meters.usage(house.database, caller.account_id, period_start_ms=period.start_ms)
    cap = terms.hard_cap
    return views.usage(used) | {
        "period": views.period(period),
        "plan": subscribed.plan,
        "included": terms.included,
        "included_remaining": max(0, terms.included - used.units),
        "cap": cap,
        "remaining": None if cap is None else max(0, cap - used.units),
    }


@router.get("/usage/records", summary="Each request that was counted, newest last")
def read_records(
    caller: MayUsage,
    house: TheHouse,
    after: Annotated[str | None, Query(max_length=200, pattern=NAME, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> View:
    house.settle()
    page = meters.records(house.database, caller.account_id, after=after, limit=limit)
    return {"records": [views.record(one) for one in page.records], "next": page.after}


# ---------------------------------------------------------------- keys


@router.get("/keys", summary="Your keys, without their secrets; those of others where your role allows it")
def read_keys(caller: MayKeys, house: TheHouse) -> View:
    every, mine = rank(caller.role) > 0, caller.access.member_id
    found = [one for one in keys.keys_of(house.database, caller.account_id) if every or one.member_id == mine]
    return {"keys": [views.key(one, now_ms=house.now_ms) for one in found]}


@router.post("/keys", status_code=201, summary="A new key; its secret is shown this once")
def add_key(body: NewKey, caller: MayKeys, house: TheHouse) -> View:
    mine = caller.access.scopes
    wanted = sorted(mine) if body.scopes is None else list(dict.fromkeys(body.scopes))
    if not wanted or not all(caller.access.may(scope) for scope in wanted):
        raise InputError(
            f"A new key may do no more than the one that asks. Scopes: {', '.join(sorted(mine))}.",
            code="scope_missing",
            where="scopes",
        )
    member_id = caller.access.member_id
    if body.member is not None and body.member != member_id:
        require_over(caller.role, people.member_of(house, caller, body.member).role)
        member_id = body.member
    # A key that ends makes none that outlives it.
    ends = [end for end in (house.lives_until_ms(body.expires), caller.access.expires_ms) if end is not None]
    issued = keys.issue(
        house.database,
        caller.account_id,
        name=body.name,
        scopes=wanted,
        expires_ms=min(ends, default=None),
        member_id=member_id,
        actor=caller.actor,
    )
    return {"key": issued.secret} | views.key(issued.key, now_ms=house.now_ms)


@router.post("/keys/{key_id}/rotate", status_code=201, summary="A new key in the place of one; the old one works on")
def rotate_key(body: Rotation, key_id: Id, caller: MayKeys, house: TheHouse) -> View:
    old = _own_key(house, caller, key_id)
    if not all(caller.access.may(scope) for scope in old.scopes):
        raise InputError("The key may do more than the one that asks.", code="scope_missing")
    if old.member_id != caller.access.member_id and (old.member_id is not None or rank(caller.role) < 1):
        raise InputError("The key is another member's.", code="scope_missing", hint="Revoke it instead.")
    live_key(house, old)
    issued = keys.rotate(
        house.database, old.id, within=caller.account_id, grace_s=grace_s(body.grace), actor=caller.actor
    )
    return {"key": issued.secret} | views.key(issued.key, now_ms=house.now_ms)


@router.delete("/keys/{key_id}", summary="Refuses a key from now on")
def revoke_key(key_id: Id, caller: MayKeys, house: TheHouse) -> View:
    old = _own_key(house, caller, key_id)
    if old.member_id != caller.access.member_id:
        people = accounts.members(house.database, caller.account_id) if old.member_id is not None else ()
        require_over(caller.role, next((one.role for one in people if one.id == old.member_id), None))
    keys.revoke(house.database, old.id, within=caller.account_id, actor=caller.actor)
    fleet.wait_taken_in(house.database)
    return {"revoked": old.id, "prefix": old.prefix}


# ---------------------------------------------------------------- invoices and credit


@router.get("/invoices", summary="Your invoices and credit notes, the newest first")
def read_invoices(caller: MayInvoices, house: TheHouse) -> View:
    return {"invoices": with_payments(house, invoices.invoices_of(house.database, caller.account_id))}


@router.get("/invoices/{invoice_id}.html", summary="An invoice as a page")
def read_invoice_html(invoice_id: Id, caller: MayInvoices, house: TheHouse) -> Response:
    return page(house, _own_invoice(house, caller, invoice_id), form="html")


@router.get("/invoices/{invoice_id}.pdf", summary="An invoice as PDF")
def read_invoice_pdf(invoice_id: Id, caller: MayInvoices, house: TheHouse) -> Response:
    return page(house, _own_invoice(house, caller, invoice_id), form="pdf")


@router.get("/invoices/{invoice_id}.csv", summary="An invoice's lines as CSV")
def read_invoice_csv(invoice_id: Id, caller: MayInvoices, house: TheHouse) -> Response:
    return page(house, _own_invoice(house, caller, invoice_id), form="csv")


@router.get("/invoices/{invoice_id}", summary="An invoice with what each line was computed from")
def read_invoice(invoice_id: Id, caller: MayInvoices, house: TheHouse) -> View:
    return views.invoice(_own_invoice(house, caller, invoice_id))


@router.post("/credit/redeem", summary="Turns a top-up code into credit, once")
def redeem(body: Code, caller: MayInvoices, house: TheHouse) -> View:
    added = credit.redeem(house.database, caller.account_id, body.code, actor=caller.actor)
    balance = credit.balance(house.database, caller.account_id, added.amount.currency)
    return {"added": views.money(added.amount), "credit": views.money(balance)}


# ---------------------------------------------------------------- shared


def grace_s(written: str) -> int:
    """'24h' in seconds; 'none' is 0. Raises InputError `duration`."""
    return 0 if written == "none" else (parse_duration(written) or 0) // 1000


def with_payments(house: House, found: Sequence[Invoice]) -> list[View]:
    """Invoices, and how each of them stands: paid, open, pending."""
    standing = receivables.standings(house.database, found)
    return [views.invoice(one) | {"payment": views.standing(standing[one.id])} for one in found]


def page(house: House, invoice: Invoice, *, form: Form) -> Response:
    """An invoice as a file: shown where it is a page, else downloaded under its number. It runs and loads nothing."""
    made = document(house.database, invoice, form=form, issuer=house.issuer)
    place = "inline" if form == "html" else "attachment"
    headers = {
        "content-disposition": f'{place}; filename="{made.name}"',
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
    }
    return Response(made.data, media_type=made.media_type, headers=headers)


def _current(house: House, caller: Customer) -> Subscription | None:
    try:
        return plans.current(house.database, caller.account_id)
    except InputError as error:
        if error.code != "input.no_subscription":
            raise
        return None


def live_key(house: House, key: Key) -> Key:
    """Raises InputError `state` for a key that no longer works, which is not to be rotated."""
    state = views.key_state(key, now_ms=house.now_ms)
    if state != "active":
        raise InputError(f"The key {key.prefix} is {state}.", code="state", hint="Make a new one.")
    return key


def _own_key(house: House, caller: Customer, key_id: str) -> Key:
    for one in keys.keys_of(house.database, caller.account_id):
        if one.id == key_id:
            return one
    raise InputError("There is no such key.", code="not_found")


def _own_invoice(house: House, caller: Customer, invoice_id: str) -> Invoice:
    try:
        found = invoices.get(house.database, invoice_id)
    except InputError as error:
        if error.code != "input.invoice_unknown":
            raise
        found = None
    # Numbers follow one another: whoever guesses one learns nothing, not even that it exists.
    if found is None or found.account_id != caller.account_id:
        raise InputError("There is no such invoice.", code="invoice_unknown")
    return found
