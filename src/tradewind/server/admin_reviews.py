"""The operator's routes about decisions that wait for a person. Not here: how one comes to wait (`decisions.py`).

A part of the router of `admin.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from tradewind.business import reviews
from tradewind.business.views import View
from tradewind.business.views import review as view
from tradewind.errors import InputError, nearest
from tradewind.privacy.vault import Vault
from tradewind.server.callers import Body, Id, Line, Operator, TheHouse, operator
from tradewind.server.review_queue import StoredQueue
from tradewind.server.served import Served

router = APIRouter(prefix="/admin/v1", tags=["operator"], dependencies=[Depends(operator)])
Product = Annotated[str | None, Query(max_length=64)]


class Wanted(Body):
    """The named one, or the likeliest that is free."""

    product: Line | None = Field(None, max_length=64)
    review: Line | None = Field(None, max_length=64)


class Verdict(Body):
    verdict: Line = Field(min_length=1, max_length=200, description="A class of the product: what it was in truth")
    note: Line | None = Field(None, min_length=1, max_length=500)


@router.get("/reviews", summary="Decisions that wait for a person, the likeliest first")
def waiting(
    request: Request, house: TheHouse, product: Product = None, state: Literal["open", "claimed", "closed"] = "open",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> View:  # fmt: skip
    found = reviews.listed(house.database, _vault(request), product=product, state=state, limit=limit)
    return {"reviews": [view(one) for one in found]}


@router.post("/reviews/claim", summary="Takes one for half an hour: nobody else gets it")
def claim(body: Wanted, request: Request, caller: Operator, house: TheHouse) -> View:
    found = reviews.claim(
        house.database, _vault(request), by=caller.key_id, product=body.product, review_id=body.review
    )
    return {"review": None if found is None else view(found)}


@router.post("/reviews/{review_id}/verdict", summary="What was found; it comes back as a row to learn from")
def close(body: Verdict, review_id: Id, request: Request, caller: Operator, house: TheHouse) -> View:
    found = reviews.get(house.database, _vault(request), review_id)
    served = request.app.state.shelf.get(found.product, None)
    if isinstance(served, Served) and body.verdict not in served.classes:
        raise InputError(
            f"{body.verdict} is no class of {found.product}. Classes: {', '.join(served.classes)}.", code="field",
            where="verdict", hint=nearest(body.verdict, served.classes) or None,
        )  # fmt: skip
    closed = reviews.close(
        house.database, _vault(request), review_id, verdict=body.verdict, by=caller.key_id, note=body.note
    )
    return view(closed)


def _vault(request: Request) -> Vault:
    queue: StoredQueue = request.app.state.queue
    return queue.vault
