"""The operator's routes about the people of an account and what it agreed to. Not here: the account itself (`admin.py`,
of whose router this is a part).
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from tradewind.business import accounts, consent, fleet, views
from tradewind.business.views import View
from tradewind.server.callers import Body, Id, Line, Operator, TheHouse, operator

router = APIRouter(prefix="/admin/v1", tags=["operator"], dependencies=[Depends(operator)])


class NewMember(Body):
    email: Line = Field(max_length=320)
    role: Literal["owner", "admin", "member", "billing", "viewer"] = "member"


class NewRole(Body):
    role: Literal["owner", "admin", "member", "billing", "viewer"]


class Said(Body):
    purpose: Literal["store_inputs", "training"]
    given: bool
    note: Line | None = Field(None, min_length=1, max_length=500, description="How it was said")


@router.post("/accounts/{account_id}/members", status_code=201, summary="A new member of an account")
def add_member(body: NewMember, account_id: Id, caller: Operator, house: TheHouse) -> View:
    made = accounts.add_member(house.database, account_id, email=body.email, role=body.role, actor=caller.key_id)
    return views.member(made)


@router.delete("/accounts/{account_id}/members/{member_id}", summary="Removes a member")
def remove_member(account_id: Id, member_id: Id, caller: Operator, house: TheHouse) -> View:
    gone = accounts.remove_member(house.database, member_id, within=account_id, actor=caller.key_id)
    fleet.wait_taken_in(house.database)
    return {"removed": gone.id}


@router.put("/accounts/{account_id}/members/{member_id}", summary="Another role for a member")
def set_role(body: NewRole, account_id: Id, member_id: Id, caller: Operator, house: TheHouse) -> View:
    made = accounts.set_role(house.database, member_id, role=body.role, within=account_id, actor=caller.key_id)
    fleet.wait_taken_in(house.database)
    return views.member(made)


@router.get("/accounts/{account_id}/consent", summary="What an account agreed to, and when it changed its mind")
def read_consent(account_id: Id, house: TheHouse) -> View:
    standing = consent.standing(house.database, account_id)
    return {
        "consent": {name: None if one is None else one.given for name, one in standing.items()},
        "history": [views.consent(one) for one in consent.history(house.database, account_id)],
    }


@router.post("/accounts/{account_id}/consent", summary="Writes down that an account agreed to a purpose, or withdrew")
def record_consent(body: Said, account_id: Id, caller: Operator, house: TheHouse) -> View:
    consent.record(
        house.database, account_id, purpose=body.purpose, given=body.given, note=body.note, actor=caller.key_id
    )
    return read_consent(account_id, house)
