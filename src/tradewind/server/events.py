"""`POST /v1/events`: what happened outside, so that the next answer knows of it. Free of charge.

    {"model": "cards", "events": [{"at": "2026-01-05T14:30:00Z", "card": "4111…", "amount": 12.5}]}
    {"id", "model", "release", "taken": 1, "passed_over": 0}

What an event means is the product's own affair: a served product gives an `EventFeed` (`window_feed.py`). Events are on the
disk when the reply leaves.
"""

from __future__ import annotations

from tradewind.server.asking import read_rows
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.wire import Receive, Scope, Send, encode

ROUTE = "/v1/events"


class Events:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._desk.serve(ROUTE, self.handle, scope, receive, send)

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        fields, rows = await read_rows(desk, work, "events")
        name, _, pinned = fields.required("model").partition("@")
        ticket = await desk.admit(work, product=name, release=pinned or None, units=0, body=work.body)
        try:
            served = await desk.find(work, name, pinned or None)
            feed = await desk.feed(work, served)
            accepted = await desk.aside(work, feed.accept_events, rows)
        finally:
            desk.gate.release(ticket)
        out = encode(
            {
                "id": work.request_id, "model": served.product, "release": served.release, "taken": accepted.taken,
                "passed_over": accepted.passed_over,
            }
        )  # fmt: skip
        return Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)
