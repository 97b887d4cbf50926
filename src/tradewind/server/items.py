"""`POST /v1/items`: what a shop sells since a recommender was released. Recommended from the next answer on, free of charge.

    {"model": "shop", "items": [{"item": "green tea", "columns": {"kind": "tea", "price": 4.5}}]}
    {"id", "model", "release", "taken": 1, "passed_over": 0}

Items are one customer's own, and on the disk when the reply leaves. Not here: keeping and scoring them (`item_feed.py`).
"""

from __future__ import annotations

from tradewind.errors import InputError
from tradewind.server.asking import read_rows
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.served_recommendation import ServedRecommender
from tradewind.server.wire import Receive, Scope, Send, encode

ROUTE = "/v1/items"


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
            if not isinstance(served, ServedRecommender):
                raise InputError(f"{served.product} recommends nothing.", code="items_unsupported", where="model",
                                 hint="Items are for recommendation.")  # fmt: skip
            feed = await desk.aside(work, served.items.of, work.account)
            accepted = await desk.aside(work, feed.accept_items, rows)
        finally:
            desk.gate.release(ticket)
        out = encode(
            {
                "id": work.request_id, "model": served.product, "release": served.release, "taken": accepted.taken,
                "passed_over": accepted.passed_over,
            }
        )  # fmt: skip
        return Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)
