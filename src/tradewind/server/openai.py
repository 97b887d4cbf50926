"""OpenAI's routes for text: a request from its bytes to its reply, whichever route it came by.

/v1/chat/completions   chat.py          /v1/completions   completions.py
/v1/responses          responses.py     /v1/embeddings    embeddings.py
/v1/writing            writing.py, a route of our own on the same road

Not here: the fields of each, the shape of each reply. The order: key, fields, prompt in tokens, reservation, engine, bill,
last byte. Nobody without a key learns what is wrong with a request, or what is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from tradewind.clock import SystemClock
from tradewind.engines.generation import Sampling
from tradewind.errors import InputError, nearest
from tradewind.server import chat, completions, responses, writing
from tradewind.server.answers import About, Answer
from tradewind.server.asking import ASIDE_BYTES, read_request
from tradewind.server.desk import Desk, Streaming, Work
from tradewind.server.embeddings import Embeddings
from tradewind.server.fields import Fields
from tradewind.server.gate import Headers, Reply, Ticket
from tradewind.server.generating import Bill, Gone, Running, Tokens, watch
from tradewind.server.served_language import ServedLanguage
from tradewind.server.settings import Settings
from tradewind.server.stream import HEADERS, Writer
from tradewind.server.stream import Streaming as Stream
from tradewind.server.wire import Disconnected, Receive, Scope, Send, encode

_JSON = b"application/json"
_CLOCK = SystemClock()


class Replying(Writer, Protocol):
    """A writer that can also write the whole reply at once."""

    @property
    def answers(self) -> Sequence[Answer]: ...
    def reply(self, tokens: Tokens) -> dict[str, Any]: ...


class Ask(Protocol):
    """A request as its route has read it: prompts in tokens, how each is answered, who writes the answer down."""

    @property
    def prompts(self) -> Sequence[Sequence[int]]: ...
    @property
    def sampling(self) -> Sequence[Sampling]: ...
    @property
    def choices(self) -> int: ...
    @property
    def stream(self) -> bool: ...
    @property
    def kept(self) -> Mapping[str, Any]:
        """What the record of requests keeps of it, where the product keeps anything."""
        ...

    def writer(self, about: About) -> Replying: ...


Reader = Callable[[Fields, ServedLanguage, Settings], Ask]
READERS: Mapping[str, Reader] = {
    chat.ROUTE: chat.read,
    completions.ROUTE: completions.read,
    responses.ROUTE: responses.read,
    writing.ROUTE: writing.read,
}


class OpenAI:
    """The text routes. `routes` are their paths."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._embeddings = Embeddings(desk)
        self.routes = frozenset([*READERS, self._embeddings.route])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == self._embeddings.route:
            await self._desk.serve(path, self._embeddings.handle, scope, receive, send)
        else:
            seconds = self._desk.settings.answer_seconds
            await self._desk.serve(path, self._handle, scope, receive, send, seconds=seconds)

    async def _handle(self, work: Work) -> Reply | Streaming:
        fields, size = await read_request(self._desk, work)
        name, _, pinned = fields.required("model").partition("@")
        product, _, adapter = name.partition(":")
        served = await self._desk.find_language(work, product, pinned or None)
        try:
            reply = await self._answer(work, served, fields, size=size, adapter=_known_adapter(served, adapter))
        except BaseException:
            served.let_go()
            raise
        if isinstance(reply, Reply):
            served.let_go()
        return reply

    async def _answer(
        self, work: Work, served: ServedLanguage, fields: Fields, *, size: int, adapter: str | None
    ) -> Reply | Streaming:
        desk = self._desk
        read = READERS[work.path]
        if size > ASIDE_BYTES:
            ask = await desk.aside(work, read, fields, served, desk.settings)
        else:
            ask = read(fields, served, desk.settings)
        if ask.stream and work.asked.idempotency_key is not None:
            raise InputError(
                "A stream cannot be replayed, so it takes no idempotency key.", code="idempotency_key",
                where="idempotency-key", hint="Leave the header out, or ask without stream.",
            )  # fmt: skip
        units = sum(map(len, ask.prompts)) + ask.choices * sum(one.max_tokens for one in ask.sampling)
        ticket = await desk.admit(work, product=served.product, release=None, units=units, body=work.body)
        if ticket.replay is not None:
            return ticket.replay
        work.body = b""
        ticket.release_version = served.release
        running: Running | None = None
        try:
            sampling = [replace(one, adapter=adapter) for one in ask.sampling] if adapter else ask.sampling
            running = Running(served, ask.prompts, sampling, choices=ask.choices)
            writer = ask.writer(self._about(work, served, ticket, adapter))
        except BaseException as error:
            if running is not None:
                running.cancel()
            desk.gate.release(ticket)
            if isinstance(error, InputError) and error.where is None:
                error.where = _param(error.code, work.path)
            raise

        def settled(tokens: Tokens) -> None:
            self._settled(work, ticket, served, ask=ask, writer=writer, tokens=tokens)

        bill = Bill(desk.gate, ticket, running, settled)
        answer = self._stream if ask.stream else self._whole
        return await answer(work, served, ticket, running=running, bill=bill, writer=writer)

    def _about(self, work: Work, served: ServedLanguage, ticket: Ticket, adapter: str | None) -> About:
        marks = served.marking.metadata(product=served.product, release=served.release, request_id=work.request_id)
        return About(
            work.request_id.removeprefix("req_"), int(_CLOCK.now().timestamp()),
            f"{served.product}:{adapter}" if adapter else served.product, served.fingerprint,
            marks | {"price_version": ticket.price_version, "repeats": served.repeats},
        )  # fmt: skip

    async def _whole(
        self, work: Work, served: ServedLanguage, ticket: Ticket, *, running: Running, bill: Bill, writer: Replying
    ) -> Reply:
        watching = asyncio.create_task(watch(work.receive, running))
        try:
            while found := await running.next():
                for number, piece in found:
                    writer.answers[number].push(piece)
            tokens = bill.settle()
        except Gone:
            # Whoever asks again with the same key pays then; the others have had the machine's time.
            if work.asked.idempotency_key is None:
                bill.left()
            raise Disconnected from None
        finally:
            watching.cancel()
            running.cancel()
            bill.release()
        for answer in writer.answers:
            answer.close()
        body = encode(writer.reply(tokens))
        kind: Headers = ((b"content-type", _JSON), (b"content-length", b"%d" % len(body)))
        return Reply(200, self._headers(work, served, ticket, kind), body)

    async def _stream(
        self, work: Work, served: ServedLanguage, ticket: Ticket, *, running: Running, bill: Bill, writer: Replying
    ) -> Streaming:
        settings = self._desk.settings
        deadline = asyncio.get_running_loop().time() + settings.answer_seconds
        watching = asyncio.create_task(watch(work.receive, running))
        try:
            first = await running.next()
        except BaseException as error:
            running.cancel()
            if isinstance(error, Gone):
                bill.left()
                raise Disconnected from None
            bill.release()
            raise
        finally:
            watching.cancel()
        return Stream(
            headers=self._headers(work, served, ticket, HEADERS), writer=writer, running=running, bill=bill, first=first,
            request_id=work.request_id, receive=work.receive, send_seconds=settings.send_seconds, deadline=deadline,
            failed=lambda error, problem: self._desk.failed(error, problem, work.request_id), closed=served.let_go,
        )  # fmt: skip

    def _settled(
        self, work: Work, ticket: Ticket, served: ServedLanguage, *, ask: Ask, writer: Replying, tokens: Tokens
    ) -> None:
        work.settled, work.tokens = ticket, (tokens.prompt, tokens.completion)
        outputs = [{"text": answer.text} for answer in writer.answers]
        self._desk.remember(work, ticket, served.product, served.release, inputs=[dict(ask.kept)], outputs=outputs)

    def _headers(self, work: Work, served: ServedLanguage, ticket: Ticket, first: Headers) -> Headers:
        return (
            *first,
            (b"x-request-id", work.request_id.encode()),
            (b"x-tradewind-repeats", served.repeats.encode()),
            *served.marking.headers(product=served.product, release=served.release, request_id=work.request_id),
            *ticket.headers,
        )


def _known_adapter(served: ServedLanguage, name: str) -> str | None:
    """Raises InputError model_unknown: to a caller an adapter is a model of its own."""
    if not name:
        return None
    if name not in served.adapters:
        known = [f"{served.product}:{one}" for one in served.adapters]
        asked = f"{served.product}:{name}"[:80]
        raise InputError(
            f"There is no model {asked!r}.", code="model_unknown", where="model",
            hint=nearest(asked, known) or "GET /v1/models lists what is served.",
        )  # fmt: skip
    return name


def _param(code: str, path: str) -> str | None:
    """The field behind what an engine refuses: it knows no routes."""
    if code == "input.regex_invalid":
        return "structured_outputs.regex"
    if code in ("input.schema_invalid", "input.guidance_unsupported"):
        return "text.format" if path == responses.ROUTE else "response_format"
    return "logprobs" if code == "input.logprobs_unsupported" else None
