"""Conversations that a person takes over: who waits, with a summary; taken, answered, given back, closed. And what people
thought of the answers. Under `/v1` for an account's own people, under `/admin/v1` for the operator, who sees every account.
Not here: the customer's side (`conversations.py`), the summary (`dialogue/summary.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from tradewind.business import conversations, handovers, verdicts
from tradewind.business.conversations import Conversation
from tradewind.business.verdicts import Figures
from tradewind.business.views import View, moment
from tradewind.server.callers import Body, Customer, Id, Line, Nothing, Operator, needs
from tradewind.server.dialogue.summary import summarise
from tradewind.server.handoff_events import tell_returned
from tradewind.server.saying import message_view, view
from tradewind.server.talks import Talks, TheTalks

MOST_CHARACTERS = 4000
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Staff:
    """Who acts, and in which account: None for all of them."""

    actor: str
    within: str | None


class Taking(Body):
    agent: Line = Field(min_length=1, max_length=100, description="Who takes it, as colleagues know him")


class Answering(Taking):
    text: str = Field(min_length=1, max_length=MOST_CHARACTERS)


class Returning(Taking):
    to: Literal["queue", "machine"] = "machine"


def of_account(caller: Annotated[Customer, Depends(needs("predict"))]) -> Staff:
    return Staff(caller.actor, caller.account_id)


def of_operator(caller: Operator) -> Staff:
    return Staff(caller.key_id, None)


def _routes(prefix: str, who: Callable[..., Staff], tag: str) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(who)])

    @router.get("/handoffs", summary="Conversations that wait for a person or are held by one, with a summary")
    def waiting(
        talks: TheTalks, staff: Staff = Depends(who), queue: Annotated[str | None, Query(max_length=64)] = None
    ) -> View:
        found = handovers.waiting(talks.database, within=staff.within, queue=queue)
        return {"handoffs": [_summed(talks, one) for one in found]}

    @router.get("/handoffs/{conversation_id}", summary="One of them, with every message")
    def read(conversation_id: Id, talks: TheTalks, staff: Staff = Depends(who)) -> View:
        found = conversations.get(talks.database, conversation_id, account_id=staff.within)
        said = conversations.read(talks.database, talks.vault, found.id)
        return _summed(talks, found) | {"messages": [message_view(one) for one in said]}

    @router.post("/handoffs/{conversation_id}/take", summary="Takes one: from now on you answer, and nobody else")
    def take(body: Taking, conversation_id: Id, talks: TheTalks, staff: Staff = Depends(who)) -> View:
        holder = _holder(staff, body.agent)
        return _held(
            handovers.take(talks.database, conversation_id, holder=holder, within=staff.within, actor=staff.actor)
        )

    @router.post("/handoffs/{conversation_id}/reply", summary="Answers the customer")
    def reply(body: Answering, conversation_id: Id, talks: TheTalks, staff: Staff = Depends(who)) -> View:
        found = conversations.get(talks.database, conversation_id, account_id=staff.within)
        said = handovers.reply(
            talks.database, talks.vault, conversation_id, holder=_holder(staff, body.agent), text=body.text,
            keep_ms=talks.keep_ms(found.product), within=staff.within,
        )  # fmt: skip
        return {"conversation": conversation_id, "message": message_view(said)}

    @router.post("/handoffs/{conversation_id}/give-back", summary="Back to the queue, or to the machine")
    def give_back(body: Returning, conversation_id: Id, talks: TheTalks, staff: Staff = Depends(who)) -> View:
        found = conversations.get(talks.database, conversation_id, account_id=staff.within)
        to = (found.queue or "") if body.to == "queue" else ""
        holder = _holder(staff, body.agent)
        given = handovers.give_back(
            talks.database, conversation_id, holder=holder, to=to, within=staff.within, actor=staff.actor
        )
        if given.status == "waiting":
            tell_returned(talks, given)
        return _held(given)

    @router.post("/handoffs/{conversation_id}/close", summary="Ends the conversation")
    def close(conversation_id: Id, talks: TheTalks, staff: Staff = Depends(who), _: Nothing | None = None) -> View:
        return _held(conversations.close(talks.database, conversation_id, within=staff.within))

    @router.get("/feedback", summary="How satisfied people were: by intent, by document, by kind of answer")
    def figures(
        talks: TheTalks,
        staff: Staff = Depends(who),
        model: Annotated[str | None, Query(max_length=64)] = None,
        days: Annotated[int, Query(ge=1, le=3650)] = 30,
    ) -> View:
        return satisfaction(talks, product=model, account_id=staff.within, days=days)

    return router


def satisfaction(talks: Talks, *, product: str | None, account_id: str | None, days: int) -> View:
    since_ms = int(talks.database.clock.now().timestamp() * 1000) - days * _DAY_MS
    chosen: dict[str, Any] = {"product": product, "account_id": account_id, "since_ms": since_ms}
    by = {
        name: {key: figures_view(one) for key, one in verdicts.figures_by(talks.database, name, **chosen).items()}
        for name in ("intent", "source", "kind")
    }
    return {"days": days, "model": product, **figures_view(verdicts.figures(talks.database, **chosen)), "by": by}


def figures_view(figures: Figures) -> View:
    return {
        "verdicts": figures.verdicts, "satisfied": figures.good, "unsatisfied": figures.bad,
        "rate": figures.rate, "mean": figures.mean,
    }  # fmt: skip


def _summed(talks: Talks, found: Conversation) -> View:
    talk = talks.talks.get(found.product)
    slots = talk.settings.slots if talk is not None else {}
    said = conversations.read(talks.database, talks.vault, found.id)
    return _held(found) | {"summary": summarise(said, slots).to_json()}


def _held(found: Conversation) -> View:
    return view(found) | {
        "account": found.account_id, "holder": found.holder, "failures": found.failures,
        "waiting_since": moment(found.waiting_ms),
    }  # fmt: skip


def _holder(staff: Staff, agent: str) -> str:
    return f"{agent} ({staff.actor})"


account_router = _routes("/v1", of_account, "conversations")
operator_router = _routes("/admin/v1", of_operator, "operator")
