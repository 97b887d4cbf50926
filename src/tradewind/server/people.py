"""Members of an account and what it agreed to, with the account's own key. Not here: keys and invoices (`account.py`).

A member is changed by an admin or owner, or with a key of the account itself, which may what an admin may; owners are
changed by owners. Another account's member is as unknown as one that never was.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from tradewind.business import accounts, consent, fleet, requests, views
from tradewind.business.accounts import Member
from tradewind.business.roles import require_over
from tradewind.business.views import View
from tradewind.errors import InputError
from tradewind.server.callers import Body, Customer, House, Id, Line, MayKeys, TheHouse

router = APIRouter(prefix="/v1", tags=["account"])

Role = Literal["owner", "admin", "member", "billing", "viewer"]


class NewMember(Body):
    email: Line = Field(max_length=320)
    role: Role = "member"


class NewRole(Body):
    role: Role


class Said(Body):
    """What the account agrees to from now on, or withdraws."""

    purpose: Literal["store_inputs", "training"]
    given: bool
    note: Line | None = Field(None, min_length=1, max_length=500)
    erase: bool = Field(False, description="With a withdrawal of store_inputs: also erase what is stored already")


@router.get("/members", summary="The people of your account")
def read_members(caller: MayKeys, house: TheHouse) -> View:
    return {"members": [views.member(one) for one in accounts.members(house.database, caller.account_id)]}


@router.post("/members", status_code=201, summary="A new member, for admins and owners")
def add_member(body: NewMember, caller: MayKeys, house: TheHouse) -> View:
    require_over(caller.role, body.role)
    made = accounts.add_member(house.database, caller.account_id, email=body.email, role=body.role, actor=caller.actor)
    return views.member(made)


@router.put("/members/{member_id}", summary="Another role for a member; what their keys may do follows at once")
def set_role(body: NewRole, member_id: Id, caller: MayKeys, house: TheHouse) -> View:
    present = member_of(house, caller, member_id)
    require_over(caller.role, present.role, body.role)
    made = accounts.set_role(house.database, present.id, role=body.role, within=caller.account_id, actor=caller.actor)
    fleet.wait_taken_in(house.database)
    return views.member(made)


@router.delete("/members/{member_id}", summary="Removes a member; their keys are refused from now on")
def remove_member(member_id: Id, caller: MayKeys, house: TheHouse) -> View:
    present = member_of(house, caller, member_id)
    require_over(caller.role, present.role)
    gone = accounts.remove_member(house.database, present.id, within=caller.account_id, actor=caller.actor)
    fleet.wait_taken_in(house.database)
    return {"removed": gone.id}


@router.get("/consent", summary="What your account agreed to, and when it changed its mind")
def read_consent(caller: MayKeys, house: TheHouse) -> View:
    standing = consent.standing(house.database, caller.account_id)
    return {
        "consent": {name: None if one is None else one.given for name, one in standing.items()},
        "history": [views.consent(one) for one in consent.history(house.database, caller.account_id)],
    }


@router.post("/consent", summary="Agrees to a purpose, or withdraws it, for admins and owners")
def record_consent(body: Said, caller: MayKeys, house: TheHouse) -> View:
    require_over(caller.role)
    if body.erase and (body.given or body.purpose != consent.STORE):
        raise InputError("Erasing goes with a withdrawal of store_inputs.", code="consent_option", where="erase")
    consent.record(
        house.database, caller.account_id, purpose=body.purpose, given=body.given, note=body.note, actor=caller.actor
    )
    erased = requests.erase(house.database, caller.account_id, actor=caller.actor) if body.erase else None
    return read_consent(caller, house) | {"erased": erased}


def member_of(house: House, caller: Customer, member_id: str) -> Member:
    """A member of the caller's account. Raises InputError `member_unknown`, which names nobody."""
    for one in accounts.members(house.database, caller.account_id):
        if one.id == member_id:
            return one
    raise InputError("There is no such member.", code="member_unknown")
