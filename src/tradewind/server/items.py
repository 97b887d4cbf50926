"""`/v1/items`: what a shop sells since a recommender was released. Recommended from the next answer on, free of charge.

    POST                 {"model": "shop", "items": [{"item": "green tea", "columns": {"kind": "tea", "price": 4.5}}]}
                         {"id", "model", "release", "taken": 1, "replaced": 0, "passed_over": 0}
    GET ?model=shop      {"items": [{"item", "columns"}], "next": null}
    DELETE /ITEM?model=… {"removed": "green tea"}

Items are one customer's own, and on the disk when the reply leaves. Not here: keeping and scoring them (`item_feed.py`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from tradewind.business.views import View
from tradewind.errors import InputError
from tradewind.server.asking import read_rows
from tradewind.server.callers import Customer, needs
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.item_feed import MOST_CHARACTERS, ItemFeeds, unknown_item
from tradewind.server.served_recommendation import ServedRecommender
from tradewind.server.wire import Receive, Scope, Send, encode

ROUTE = "/v1/items"

router = APIRouter(prefix=ROUTE, tags=["recommendation"])
MayPredict = Annotated[Customer, Depends(needs("predict"))]
Model = Annotated[str, Query(max_length=64)]


class Items:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._desk.serve(ROUTE, self.handle, scope, receive, send)

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        fields, rows = await read_rows(desk, work, "items")
        name, _, pinned = fields.required("model").partition("@")
        ticket = await desk.admit(work, product=name, release=pinned or None, units=0, body=work.body)
        try:
            served = await desk.find(work, name, pinned or None)
            feeds = _recommender(served, name).items
            feed = await desk.aside(work, feeds.of, work.account)
            accepted = await desk.aside(work, feed.accept_items, rows)
        finally:
            desk.gate.release(ticket)
        out = encode(
            {
                "id": work.request_id, "model": served.product, "release": served.release, "taken": accepted.taken,
                "replaced": accepted.replaced, "passed_over": accepted.passed_over,
            }
        )  # fmt: skip
        return Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)


@router.get("", summary="Your own items with their columns, in the order of their names")
def read_items(
    caller: MayPredict, request: Request, model: Model,
    after: Annotated[str, Query(max_length=MOST_CHARACTERS, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> View:  # fmt: skip
    feed = _feeds(request, model).there(caller.account_id)
    found = [] if feed is None else feed.listed(after=after, most=limit + 1)
    page = found[:limit]
    return {
        "items": [{"item": name, "columns": columns} for name, columns in page],
        "next": page[-1][0] if len(found) > limit else None,
    }


@router.delete("/{item:path}", summary="Takes one of your items away; from the next answer on it is not known")
def remove_item(caller: MayPredict, request: Request, model: Model, item: str) -> View:
    feed = _feeds(request, model).there(caller.account_id)
    if feed is None:
        raise unknown_item(item)
    feed.remove_item(item)
    return {"removed": item}


def _feeds(request: Request, model: str) -> ItemFeeds:
    return _recommender(request.app.state.shelf.get(model), model).items


def _recommender(served: object, model: str) -> ServedRecommender:
    if not isinstance(served, ServedRecommender):
        raise InputError(f"{model} recommends nothing.", code="items_unsupported", where="model",
                         hint="Items are for recommendation.")  # fmt: skip
    return served
