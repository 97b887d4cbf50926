"""`/v1/conversations`: a conversation is begun, continued, read, judged and closed, with the key of its account.
Not here: what is said (`dialogue/`), the people who take over (`handoffs.py`), where it is kept (`business/conversations.py`).

Charged is a message that was answered: by an intent, a passage, or a model's words. A question back, a handoff to a person and
what a person says cost nothing. The answer is stored, then charged, then sent: a killed server loses no answer that left,
and asked again under the same Idempotency-Key the same one is found.

A public key (scope `converse` alone) stands on a page. It opens no conversation without the token that came with it, and
only from the origins that the product file names.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from tradewind.business import conversations, verdicts
from tradewind.business.conversations import Content, Conversation, New
from tradewind.business.views import View, moment
from tradewind.errors import InputError
from tradewind.privacy.subjects import named
from tradewind.server.callers import Body, Customer, Id, Line, Nothing, TheHouse, needs
from tradewind.server.desk import Work
from tradewind.server.gate import Refused
from tradewind.server.saying import SCOPE, Saying, message_view, view
from tradewind.server.talks import Talks, TheTalks

router = APIRouter(prefix="/v1", tags=["conversations"])

MOST_CHARACTERS = 2000
TOKEN = "tradewind-conversation"
EVENTS_S = 25.0  # a stream ends by itself, below the limit of a request; the client asks again
LOOK_S = 0.7

Talker = Annotated[Customer, Depends(needs(SCOPE, public=True))]
Token = Annotated[str | None, Header(alias=TOKEN, max_length=100)]


class Beginning(Body):
    """`subject` names whom it is about: kept as a keyed hash, so that erasing finds the conversation."""

    model: Line = Field(min_length=1, max_length=80, description="A product, or NAME@v3 for one release")
    language: Literal["en", "zh"] = "en"
    subject: str | None = Field(None, max_length=500)


class Said(Body):
    text: str = Field(min_length=1, max_length=MOST_CHARACTERS)


class Judging(Body):
    """Without `place` it is about the whole conversation. Said again, the newest counts."""

    score: Annotated[int, Field(ge=1, le=5)] | Literal["up", "down"]
    place: int | None = Field(None, ge=1, le=conversations.MOST_MESSAGES, description="Of the answer it is about")
    comment: str | None = Field(None, min_length=1, max_length=MOST_CHARACTERS)


# ---------------------------------------------------------------- begin, read, close


@router.post("/conversations", status_code=201, summary="Begins a conversation")
def begin(body: Beginning, request: Request, caller: Talker, house: TheHouse, talks: TheTalks) -> View:
    product, _, pinned = body.model.partition("@")
    talk = talks.talk(product)
    _refuse_origin(request, caller, talks, product)
    subject = None
    if body.subject is not None and talks.desk.subjects is not None:
        (subject,) = talks.desk.subjects.digests([named(body.subject, where="subject")])
    greeting = Content("assistant", "greeting", talk.settings.greeting.within(body.language))
    begun = conversations.begin(
        house.database,
        talks.vault,
        New(
            caller.account_id, product, body.language, talks.keep_ms(product), release=pinned or None, subject=subject,
            public=caller.access.public, rate=talks.rates(product)[1], greeting=greeting,
        ),
    )  # fmt: skip
    said = conversations.read(house.database, talks.vault, begun.conversation.id)
    return view(begun.conversation) | {"token": begun.token, "messages": [message_view(one) for one in said]}


@router.get("/conversations", summary="Your conversations, the newest first; not for public keys")
def list_conversations(
    caller: Annotated[Customer, Depends(needs(SCOPE))],
    house: TheHouse,
    model: Annotated[str | None, Query(max_length=64)] = None,
    status: conversations.Status | None = None,
    after: Annotated[str | None, Query(max_length=64, description="The last one of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> View:
    found = conversations.page(house.database, caller.account_id, product=model, status=status, after=after, most=limit)
    return {"conversations": [view(one) for one in found], "next": found[-1].id if len(found) == limit else None}


@router.get("/conversations/{conversation_id}", summary="A conversation with its messages")
def read(
    conversation_id: Id, request: Request, caller: Talker, talks: TheTalks, token: Token = None,
    behind: Annotated[int, Query(ge=0, le=conversations.MOST_MESSAGES, description="Messages behind this place")] = 0,
) -> View:  # fmt: skip
    found = _opened(request, caller, talks, conversation_id, token)
    said = conversations.read(talks.database, talks.vault, found.id, after=behind)
    return view(found) | {"messages": [message_view(one) for one in said]}


@router.post("/conversations/{conversation_id}/close", summary="Ends a conversation")
def close(
    conversation_id: Id,
    request: Request,
    caller: Talker,
    talks: TheTalks,
    token: Token = None,
    _: Nothing | None = None,
) -> View:
    found = _opened(request, caller, talks, conversation_id, token)
    return view(conversations.close(talks.database, found.id, within=caller.account_id))


@router.post("/conversations/{conversation_id}/feedback", summary="Was the answer good? 1 to 5, up or down")
def judge(
    body: Judging, conversation_id: Id, request: Request, caller: Talker, talks: TheTalks, token: Token = None
) -> View:
    found = _opened(request, caller, talks, conversation_id, token)
    score = {"up": verdicts.UP, "down": verdicts.DOWN}.get(body.score) if isinstance(body.score, str) else body.score
    assert score is not None
    place = body.place or verdicts.WHOLE
    given = verdicts.give(talks.database, talks.vault, found, place=place, score=score, comment=body.comment)
    return {"conversation": found.id, "place": body.place, "score": given.score, "at": moment(given.at_ms)}


# ---------------------------------------------------------------- a message and its answer


@router.post("/conversations/{conversation_id}/messages", summary="Says something, and gets what is said next")
async def say(
    body: Said, conversation_id: Id, request: Request, caller: Talker, talks: TheTalks, token: Token = None
) -> Response:
    found = await run_in_threadpool(_opened, request, caller, talks, conversation_id, token)
    text = body.text.strip()
    if not text:
        raise InputError("There is nothing in it.", code="field", where="text")
    work = Work(request.scope, request.receive)
    work.request_id, work.body = request.state.request_id, await request.body()
    request.state.work = work
    reply = await Saying(talks, work, found, text).reply()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    return Response(reply.body, reply.status, headers)


@router.get(
    "/conversations/{conversation_id}/events",
    summary="Messages and changes as they come, as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    conversation_id: Id, request: Request, caller: Talker, talks: TheTalks, token: Token = None,
    behind: Annotated[int, Query(ge=0, le=conversations.MOST_MESSAGES, description="Messages behind this place")] = 0,
) -> StreamingResponse:  # fmt: skip
    """A stream ends after some seconds: ask again, behind the last message that came."""
    found = await run_in_threadpool(_opened, request, caller, talks, conversation_id, token)
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(_events(talks, found, behind), media_type="text/event-stream", headers=headers)


async def _events(talks: Talks, seen: Conversation, after: int) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    until_s, status = clock() + EVENTS_S, ""
    yield b"retry: 1000\n\n"
    while clock() < until_s:
        if seen.status != status:
            status = seen.status
            yield _event("status", {"status": status, "holder": seen.holder})
        if seen.last > after:
            for one in await run_in_threadpool(conversations.read, talks.database, talks.vault, seen.id, after=after):
                yield _event("message", message_view(one))
                after = one.place
        await asyncio.sleep(LOOK_S)
        try:
            seen = await run_in_threadpool(conversations.get, talks.database, seen.id)
        except InputError:
            return  # its time is over


def _event(name: str, content: View) -> bytes:
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


# ---------------------------------------------------------------- who may


def _opened(request: Request, caller: Customer, talks: Talks, conversation_id: str, token: str | None) -> Conversation:
    """The caller's own conversation; for a public key one that a public key began, with its token.

    Raises InputError `conversation_unknown`, `origin_refused`.
    """
    found = conversations.get(talks.database, conversation_id, account_id=caller.account_id)
    if caller.access.public:
        if not found.public or token is None or not conversations.opens(talks.database, found.id, token):
            raise conversations.unknown()
        _refuse_origin(request, caller, talks, found.product)
    return found


def _refuse_origin(request: Request, caller: Customer, talks: Talks, product: str) -> None:
    if not caller.access.public:
        return
    origin = request.headers.get("origin")
    if origin is None and request.headers.get("sec-fetch-site") == "same-origin":
        origin = (
            f"{request.url.scheme}://{request.url.netloc}"  # browsers leave it out where a page asks its own server
        )
    if origin not in talks.talk(product).settings.widget.origins:
        raise Refused(
            "This key may not be used from here.", code="origin_refused", where="origin",
            hint="The product file names the pages that may: serve.conversation.widget.origins.",
        )  # fmt: skip
