"""`POST /v1/decisions`: a transaction in; allow, review or refuse out, with reasons and the windows it rests on. One unit.

    {"model": "cards", "transaction": {"at": "2026-01-05T14:30:00Z", "card": "4111…", "amount": 12.5}, "reasons": true}
    {"id", "model", "release", "price_version", "decision", "score", "reasons", "windows", "ignored", "review", "usage"}

The order: the row is checked, its windows are read and the transaction becomes an event in one step, then the model is
asked. What is answered is on the disk before the reply leaves. Not here: the steps themselves (`deciding.py`), the state of
windows (`window_feed.py`), which action is best (`features/actions.py`), the queue (`business/reviews.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.engines.beside import Wanted
from tradewind.server.asking import read_request
from tradewind.server.deciding import deciding, for_review, judge, look, rests_on
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.wire import Receive, Row, Scope, Send, encode

ROUTE = "/v1/decisions"
_READ = frozenset(["model", "transaction", "reasons"])


class Decisions:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._desk.serve(ROUTE, self.handle, scope, receive, send)

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        fields, _ = await read_request(desk, work)
        fields.only(_READ)
        transaction = fields.object("transaction")
        if transaction is None:
            raise fields.wrong("transaction", "is missing")
        row, explained = transaction.content, fields.get("reasons")
        if explained not in (None, True, False):
            raise fields.wrong("reasons", "is neither true nor false")
        name, _, pinned = fields.required("model").partition("@")
        ticket = await desk.admit(work, product=name, release=pinned or None, units=1, body=work.body)
        if ticket.replay is not None:
            return ticket.replay
        try:
            served = deciding(await desk.find_table(work, name, pinned or None))
            looked = look(served, row)
            if served.windows is not None:
                feed = await desk.window_feed(work, served.product, served.windows)
                looked = looked.with_windows(feed.ask_and_take(feed.of(row)))
            (answer,) = await desk.answers(work, served, [looked.seen])
            verdict = judge(served, row, answer)
            content: dict[str, Any] = {
                "id": work.request_id, "model": served.product, "release": served.release,
                "price_version": ticket.price_version, "decision": verdict.action, "score": verdict.score,
            }  # fmt: skip
            if verdict.explains(explained):
                (beside,) = await desk.aside(work, served.beside.of, [looked.seen], Wanted(reasons=0))
                content["reasons"] = beside["reasons"]
            content |= rests_on(served, looked)
            if verdict.action == "review" and desk.queue is not None:
                content["review"] = await desk.aside(work, self._queued, work, row, content)
            content["usage"] = {"units": 1}
            out = encode(content)
            reply = Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)
            desk.conclude(work, ticket, served, units=1, rows=[row], outputs=[content])
        except BaseException:
            if work.settled is None:
                desk.gate.release(ticket)
            raise
        served.drift.note(verdict.score)
        return reply

    def _queued(self, work: Work, row: Row, content: Mapping[str, Any]) -> str:
        assert self._desk.queue is not None
        return self._desk.queue.add(
            work.account, product=work.product, release=work.release, request_id=work.request_id,
            score=content["score"], content=for_review(row, content),
        )  # fmt: skip
