"""A message on its way through a conversation: let in, answered, stored, charged, told. Not here: the routes
(`conversations.py`), what is said (`dialogue/`).
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool

from tradewind.business import conversations
from tradewind.business.conversations import Content, Conversation, Message, Next, Turn
from tradewind.business.views import View, moment
from tradewind.server.desk import Work
from tradewind.server.dialogue.memory import language_of
from tradewind.server.dialogue.policy import CHARGED, Answer
from tradewind.server.dialogue.talk import past_of
from tradewind.server.gate import Reply, Ticket
from tradewind.server.handoff_events import tell_handoff
from tradewind.server.problems import problem_of
from tradewind.server.talks import Talks
from tradewind.server.wire import encode

SCOPE = "converse"
_KIND = b"application/json"


class Saying:
    """One message. `reply` is what leaves."""

    def __init__(self, talks: Talks, work: Work, conversation: Conversation, text: str) -> None:
        self._talks, self._desk, self._work = talks, talks.desk, work
        self._conversation, self._text = conversation, text
        self._talk = talks.talk(conversation.product)

    async def reply(self) -> Reply:
        """Raises InputError, EnvironmentFailure; nothing is charged then."""
        if self._conversation.status != "open":
            return await self._passed_on()
        desk, work, product = self._desk, self._work, self._conversation.product
        ticket = await desk.admit(work, product=product, release=None, units=1, body=work.body, scope=SCOPE)
        if ticket.replay is not None:
            return ticket.replay
        try:
            turn = await self._answered()
            if turn.reply is not None and turn.reply.content.kind == "handoff":
                await run_in_threadpool(tell_handoff, self._talks, self._conversation, turn)
            charged = int(turn.reply is not None and turn.reply.content.kind in CHARGED)
            reply = self._told(turn, ticket, charged)
            ticket.release_version = work.release
            if self._conversation.subject is not None:
                ticket.subjects = (self._conversation.subject,)
            desk.gate.settle(ticket, charged, "served" if charged else "abstained")
            work.rows, work.settled = charged, ticket
        finally:
            if work.settled is None:
                desk.gate.release(ticket)
        if work.asked.idempotency_key is not None:
            await self._keep(ticket, reply)
        return reply

    async def _answered(self) -> Turn:
        """What was stored for an earlier try of the same request, or the answer, stored now."""
        work, conversation = self._work, self._conversation
        served = await self._talk.served(work, conversation.release)
        if work.asked.idempotency_key is not None:
            known = await run_in_threadpool(self._known, work.request_id)
            if known is not None:
                return known
        settings = self._talk.settings
        earlier = await run_in_threadpool(
            conversations.read, self._talks.database, self._talks.vault, conversation.id, last=max(1, settings.memory)
        )
        past = past_of(earlier, language=conversation.language, failures=conversation.failures, memory=settings.memory)
        answer = await self._talk.answer(work, served, self._text, past)
        failures = conversation.failures + 1 if answer.kind == "clarify" else 0
        queue = None
        if answer.kind == "handoff":
            assert settings.handoff is not None
            queue = settings.handoff.queue
        return await run_in_threadpool(self._store, work.request_id, Next(self._stored(answer), failures, queue))

    async def _passed_on(self) -> Reply:
        """While a person has it, or it is awaited, the message only goes to that person: no unit is asked for."""
        work = self._work
        await self._desk.known(work)
        key = work.asked.idempotency_key
        request_id = work.request_id if key is None else f"key_{key}"[:64]
        work.product = self._conversation.product
        turn = await run_in_threadpool(self._store, request_id, Next(None))
        return self._told(turn, None, 0)

    def _known(self, request_id: str) -> Turn | None:
        return conversations.turn(self._talks.database, self._talks.vault, self._conversation.id, request_id)

    def _store(self, request_id: str, then: Next) -> Turn:
        talks, conversation = self._talks, self._conversation
        said = Content("user", "message", self._text)
        rate = talks.rates(conversation.product)[0] if conversation.public else None
        return conversations.say(
            talks.database, talks.vault, conversation, request_id=request_id, said=said, then=then,
            keep_ms=talks.keep_ms(conversation.product), rate=rate,
        )  # fmt: skip

    def _stored(self, answer: Answer) -> Content:
        beside = answer.beside() | {"release": self._work.release}
        source = answer.sources[0].place if answer.sources else None
        return Content("assistant", answer.kind, answer.text, beside, answer.confidence, answer.intent, source)

    def _told(self, turn: Turn, ticket: Ticket | None, charged: int) -> Reply:
        work, conversation = self._work, self._conversation
        reply = turn.reply
        status = "waiting" if reply is not None and reply.content.kind == "handoff" else conversation.status
        content: dict[str, Any] = {
            "id": work.request_id, "conversation": conversation.id, "place": turn.said.place, "status": status,
            "model": conversation.product, "release": work.release,
            "language": language_of(self._text, otherwise="zh" if conversation.language == "zh" else "en"),
            "reply": passed_on(turn) if reply is None else message_view(reply),
            "price_version": "" if ticket is None else ticket.price_version, "usage": {"units": charged},
        }  # fmt: skip
        out = encode(content)
        head = (
            (b"content-type", _KIND),
            (b"content-length", b"%d" % len(out)),
            (b"x-request-id", work.request_id.encode()),
        )
        return Reply(200, head if ticket is None else self._desk.headers(work, ticket, _KIND, len(out)), out)

    async def _keep(self, ticket: Ticket, reply: Reply) -> None:
        """It is paid for: it leaves even where it could not be kept."""
        try:
            await self._desk.gate.finish(ticket, reply)
        except Exception as error:  # noqa: BLE001  told to the operator; the reply leaves
            self._desk.failed(error, problem_of(error), self._work.request_id)


def passed_on(turn: Turn) -> View:
    """In the place of an answer where a person will give it."""
    return {
        "place": None, "author": "system", "kind": "handoff", "text": "", "confidence": None, "intent": None,
        "sources": [], "choices": [], "at": moment(turn.said.at_ms),
    }  # fmt: skip


def view(conversation: Conversation) -> View:
    return {
        "id": conversation.id, "model": conversation.product, "release": conversation.release,
        "language": conversation.language, "status": conversation.status, "queue": conversation.queue,
        "began": moment(conversation.began_ms), "updated": moment(conversation.updated_ms),
        "expires": moment(conversation.expires_ms),
    }  # fmt: skip


def message_view(message: Message) -> View:
    content = message.content
    return {
        "place": message.place, "author": content.author, "kind": content.kind, "text": content.text,
        "confidence": content.confidence, "intent": content.intent, "sources": content.beside.get("sources", []),
        "choices": content.beside.get("choices", []), "at": moment(message.at_ms),
    }  # fmt: skip
