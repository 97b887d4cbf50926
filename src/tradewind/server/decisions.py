"""`POST /v1/decisions`: a transaction in; allow, review or refuse out, with reasons and the windows it rests on. One unit.

    {"model": "cards", "transaction": {"at": "2026-01-05T14:30:00Z", "card": "4111…", "amount": 12.5}, "reasons": true}
    {"id", "model", "release", "price_version", "decision", "score", "reasons", "windows", "ignored", "review", "usage"}

The order: the row is checked, its windows are read and the transaction becomes an event in one step, then the model is
asked. What is answered is on the disk before the reply leaves. Not here: the state of windows (`window_feed.py`), which
action is best (`features/actions.py`), the queue (`business/reviews.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tradewind.engines.beside import Wanted
from tradewind.errors import InputError
from tradewind.features.actions import Action
from tradewind.server.asking import read_request
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.served import Labelled, Served
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
            served = _deciding(await desk.find_table(work, name, pinned or None))
            seen, ignored = await self._seen(work, served, row)
            (answer,) = await desk.answers(work, served, [seen])
            label, probabilities = cast(Labelled, answer)
            score = probabilities[served.classes.index(cast(str, served.decision.positive))]
            action = _action(served, row, label, probabilities, score)
            content: dict[str, Any] = {
                "id": work.request_id, "model": served.product, "release": served.release,
                "price_version": ticket.price_version, "decision": action, "score": score,
            }  # fmt: skip
            if explained is True or (explained is None and action != "allow"):
                (beside,) = await desk.aside(work, served.beside.of, [seen], Wanted(reasons=0))
                content["reasons"] = beside["reasons"]
            if served.windows is not None:
                content["windows"] = {name: seen[name] for name in served.windows.names}
            if ignored:
                content["ignored"] = ignored
            if action == "review" and desk.queue is not None:
                content["review"] = await desk.aside(work, self._queued, work, row, content)
            content["usage"] = {"units": 1}
            out = encode(content)
            reply = Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)
            desk.conclude(work, ticket, served, units=1, rows=[row], outputs=[content])
        except BaseException:
            if work.settled is None:
                desk.gate.release(ticket)
            raise
        served.drift.note(score)
        return reply

    async def _seen(self, work: Work, served: Served, row: Row) -> tuple[Row, list[str]]:
        """What the model sees of a transaction, and the names that nobody reads. The transaction is an event afterwards."""
        windows, reads = served.windows, served.reads
        if windows is None:
            return {name: value for name, value in row.items() if name in reads}, sorted(row.keys() - served.knows)
        for name in windows.names:
            if name in row:
                raise InputError(
                    f"{name} is a window, which is computed here.", code="window_given", where=name, hint="Leave it out."
                )  # fmt: skip
        seen = {name: value for name, value in row.items() if name in reads}
        served.check([seen or dict.fromkeys(windows.names)])
        feed = await self._desk.window_feed(work, served.product, windows)
        found = feed.ask_and_take(feed.of(row))
        seen |= {name: None if value != value else value for name, value in found.items()}
        return seen, sorted(row.keys() - served.knows)

    def _queued(self, work: Work, row: Row, content: Mapping[str, Any]) -> str:
        assert self._desk.queue is not None
        kept = {"transaction": row, "windows": content.get("windows", {}), "reasons": content.get("reasons", [])}
        return self._desk.queue.add(
            work.account, product=work.product, release=work.release, request_id=work.request_id,
            score=content["score"], content=kept,
        )  # fmt: skip


def _deciding(served: Served) -> Served:
    if served.decision.positive is None:
        raise InputError(
            f"{served.product} does not tell two classes apart.", code="model_task", where="model",
            hint="Decisions are for products of two classes; ask POST /v1/predict.",
        )  # fmt: skip
    return served


def _action(served: Served, row: Row, label: str, probabilities: list[float], score: float) -> Action:
    """By the costs of the product file; without any, positive is refused, and what the model abstains from is reviewed."""
    if served.actions is not None:
        return served.actions.of(score, row)
    if served.abstain_below is not None and max(probabilities) < served.abstain_below:
        return "review"
    return "refuse" if label == served.decision.positive else "allow"
