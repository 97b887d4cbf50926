"""What every metered route shares: the key, the gate, the release, the answers, and what is told when one of them fails.

Not here: the two languages of a request, `predict.py` and `oip.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tradewind.engines.prototypes import IntentAnswer
from tradewind.engines.retrieval import Knowledge
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.features.windows import Windows
from tradewind.server.deadlines import Deadlines
from tradewind.server.event_feed import EventFeed
from tradewind.server.gate import Call, Gate, Headers, Reply, Ticket
from tradewind.server.library import Library
from tradewind.server.observe import Observer
from tradewind.server.problems import Problem, problem_of
from tradewind.server.recording import Recorder
from tradewind.server.review_queue import ReviewQueue
from tradewind.server.served import Answer, Served
from tradewind.server.served_encoder import ServedEncoder
from tradewind.server.served_language import ServedLanguage
from tradewind.server.served_rows import ServedRows
from tradewind.server.serving import Shelf
from tradewind.server.settings import Settings
from tradewind.server.subjects import Subjects, from_header
from tradewind.server.window_feed import Feeds, WindowFeed
from tradewind.server.wire import (
    Asked,
    Disconnected,
    Receive,
    Row,
    Scope,
    Send,
    answer,
    new_request_id,
    read_body,
    send_whole,
)

Found = TypeVar("Found")

_KEY_CHARACTERS = 255
_TRIES = 100
_GONE = 499  # in counters and lines only: nobody reads the status


class Work:
    """One request on its way: what is known of it so far, for its log line and its reply."""

    __slots__ = (
        "account", "asked", "body", "kept", "method", "named", "path", "product", "receive", "release", "request_id", "rows", "settled", "stage",
        "tokens",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.request_id = new_request_id()
        self.asked = Asked(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.receive = receive
        self.stage = "body"
        self.product = ""
        self.release = ""
        self.account = ""
        self.rows = 0
        self.settled: Ticket | None = None
        self.body = b""
        self.named: Sequence[str | None] = ()  # whom it is about: one for all of it, or one for each row
        self.kept: Sequence[Row] | None = None  # the rows as they may be kept, where that is not as they came
        self.tokens: tuple[int, int] | None = None  # of prompt and completion, where the answer is text


# Sends a reply piece by piece once its first piece is there, and tells the status to write down. It raises nothing.
Streaming = Callable[[Send], Awaitable[int]]
Handler = Callable[[Work], Awaitable[Reply | Streaming]]


class Desk:
    """The rooms behind every route, and the steps between them."""

    def __init__(
        self, shelf: Shelf, gate: Gate, settings: Settings, observer: Observer, recorder: Recorder | None = None,
        subjects: Subjects | None = None, library: Library | None = None, feeds: Feeds | None = None,
        queue: ReviewQueue | None = None,
    ) -> None:  # fmt: skip
        self.library = library
        self.feeds = feeds
        self.queue = queue
        self.recorder = recorder
        self.subjects = subjects
        self.shelf = shelf
        self.gate = gate
        self.settings = settings
        self.observer = observer
        self._deadlines = Deadlines()

    # ------------------------------------------------------------ a request from end to end

    async def serve(
        self, route: str, handler: Handler, scope: Scope, receive: Receive, send: Send, *, oip: bool = False,
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        """Runs `handler` within the time limit, sends its reply or what went wrong, and writes it down."""
        seconds = seconds or self.settings.seconds
        started = time.perf_counter()
        work = Work(scope, receive)
        status = _GONE
        try:
            try:
                with self._deadlines.within(seconds):
                    reply = await handler(work)
                if not isinstance(reply, Reply):
                    status = await reply(send)
                    return
                if work.settled is not None and work.asked.idempotency_key is not None:
                    await self._keep(work, work.settled, reply)
                status = reply.status
                await send_whole(scope, send, status, reply.headers, reply.body)
            except Disconnected:
                pass
            except TimeoutError:
                status = await self._refuse(send, work, _too_slow(work, self.settings, seconds), oip=oip)
            except Exception as error:  # noqa: BLE001  the process edge: every fault becomes a status
                status = await self._refuse(send, work, error, oip=oip)
        finally:
            self.observer.record(
                route, work.product, status, time.perf_counter() - started,
                rows=work.rows, request_id=work.request_id, account=work.account, release=work.release,
                tokens=work.tokens, traceparent=work.asked.traceparent,
            )  # fmt: skip

    async def _keep(self, work: Work, ticket: Ticket, reply: Reply) -> None:
        """Keeps the reply of a call with an idempotency key. It is paid for: it leaves even where it could not be kept,
        and the time limit no longer counts."""
        try:
            await self.gate.finish(ticket, reply)
        except Exception as error:  # noqa: BLE001
            self.failed(error, problem_of(error), work.request_id)

    async def _refuse(self, send: Send, work: Work, error: Exception, *, oip: bool) -> int:
        problem = problem_of(error)
        work.rows = 0
        if problem.status >= 500:
            self.failed(error, problem, work.request_id)
        body = problem.oip_body() if oip else problem.body(work.request_id)
        await answer(send, problem.status, body, [(b"x-request-id", work.request_id.encode()), *problem.headers])
        return problem.status

    def failed(self, error: BaseException, problem: Problem, request_id: str) -> None:
        """One line for the operator. Of a foreign error only its kind and place: its text may hold what a customer sent."""
        line: dict[str, Any] = {
            "event": "failure",
            "request_id": request_id,
            "code": problem.code,
            "error": type(error).__name__,
        }
        if isinstance(error, EnvironmentFailure):
            line["reason"] = str(error)
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        if frame is not None:
            line["at_code"] = f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}"
        self.observer.event(line)

    # ------------------------------------------------------------ its steps

    async def body(self, work: Work) -> bytes:
        """The body within its limit. Raises InputError (body_too_large, content_encoding)."""
        if work.asked.content_encoding not in (b"", b"identity"):
            raise InputError(
                "A compressed body is not read.", code="content_encoding", where="content-encoding", hint="Send it as it is."
            )  # fmt: skip
        body = await read_body(work.receive, limit=self.settings.body_bytes, announced=work.asked.content_length)
        work.stage = "answer"
        return body

    async def known(self, work: Work) -> None:
        """Asks the gate about the key alone: nobody without one learns what is wrong with a request, or what is served."""
        call = Call(
            authorization=work.asked.authorization, method=work.method, path=work.path, request_id=work.request_id
        )
        ticket = self.gate.enter_now(call) or await self.gate.enter(call)
        work.account = ticket.account_id
        self.gate.release(ticket)

    async def admit(
        self, work: Work, *, product: str, release: str | None, units: int, body: bytes, scope: str = "predict"
    ) -> Ticket:
        asked = work.asked
        if asked.idempotency_key is not None and not 0 < len(asked.idempotency_key) <= _KEY_CHARACTERS:
            raise InputError(
                f"An idempotency key has 1 to {_KEY_CHARACTERS} characters.",
                code="idempotency_key",
                where="idempotency-key",
            )
        if asked.subject is not None and not work.named:
            work.named = (from_header(asked.subject),)
        call = Call(
            authorization=asked.authorization,
            method=work.method,
            path=work.path,
            request_id=work.request_id,
            product=product,
            release=release,
            units=units,
            idempotency_key=asked.idempotency_key,
            body=body,
            scope=scope,
        )
        ticket = self.gate.enter_now(call) or await self.gate.enter(call)
        work.account = ticket.account_id
        work.request_id = ticket.request_id  # of an earlier try, where a call with this idempotency key did not end
        return ticket

    async def find(self, work: Work, product: str, release: str | None) -> Served | ServedRows:
        """What answers rows. Raises InputError (model_unknown, release_unknown, model_task)."""
        served = self.shelf.get(product, release) or await self.shelf.fetch(product, release)
        if not isinstance(served, Served | ServedRows):
            raise InputError(
                f"{served.product} takes text, not rows.", code="model_task", where="model", hint="GET /v1/models says what each model does.",
            )  # fmt: skip
        work.product, work.release = served.product, served.release
        return served

    async def find_table(self, work: Work, product: str, release: str | None) -> Served:
        """What answers rows of a table. Raises InputError as `find`."""
        served = await self.find(work, product, release)
        if not isinstance(served, Served):
            raise InputError(
                f"{served.product} has no tensors.", code="model_task", where="model", hint=f"Ask POST /v1/predict: its task is {served.task}.",
            )  # fmt: skip
        return served

    async def feed(self, work: Work, served: Served | ServedRows) -> EventFeed:
        """Where the caller's events of a product go. Raises InputError events_unsupported."""
        if isinstance(served, Served) and served.windows is not None:
            return await self.window_feed(work, served.product, served.windows)
        feed = served.feed(work.account) if isinstance(served, ServedRows) else None
        if feed is not None:
            return feed
        raise InputError(
            f"{served.product} takes no events.", code="events_unsupported", where="model",
            hint="Events are for products with data.events, and for recommendation.",
        )  # fmt: skip

    async def window_feed(self, work: Work, product: str, windows: Windows) -> WindowFeed:
        """The caller's own state of windows; read from the disk where it is not open yet."""
        assert self.feeds is not None
        feed = self.feeds.get(product, work.account, windows)
        return await self.aside(work, self.feeds.open, product, work.account, windows) if feed is None else feed

    async def find_language(self, work: Work, product: str, release: str | None) -> ServedLanguage:
        """A language model, held: whoever asked for it lets it go."""
        for _ in range(_TRIES):
            served = self.shelf.get(product, release) or await self.shelf.fetch(product, release)
            if not isinstance(served, ServedLanguage):
                raise InputError(
                    f"{served.product} writes no text.", code="model_task", where="model", hint="GET /v1/models says what each model does.",
                )  # fmt: skip
            if served.hold():
                work.product, work.release = served.product, served.release
                return served
            await asyncio.sleep(0)  # another took its place between the two lines: that one then
        raise EnvironmentFailure("The release was just taken off the shelf.", code="release_closed", where=product)

    async def find_knowledge(
        self, work: Work, product: str, release: str | None
    ) -> tuple[Served | ServedLanguage, Knowledge]:
        """What brings a knowledge base along. Raises InputError (model_unknown, release_unknown, knowledge_missing)."""
        served = self.shelf.get(product, release) or await self.shelf.fetch(product, release)
        if not isinstance(served, Served | ServedLanguage) or served.knowledge is None:
            raise InputError(
                f"{served.product} has no knowledge base.", code="knowledge_missing", where="model",
                hint="Its product file names none: write knowledge: {source: FOLDER} and release again.",
            )  # fmt: skip
        work.product, work.release = served.product, served.release
        return served, served.knowledge

    async def find_encoder(self, work: Work, product: str, release: str | None) -> ServedEncoder:
        served = self.shelf.get(product, release) or await self.shelf.fetch(product, release)
        if not isinstance(served, ServedEncoder):
            raise InputError(
                f"{served.product} gives no vectors.", code="model_task", where="model", hint="GET /v1/models says what each model does.",
            )  # fmt: skip
        work.product, work.release = served.product, served.release
        return served

    async def answers(self, work: Work, served: Served, rows: Sequence[Row]) -> Sequence[Answer]:
        """Checks the rows and predicts them. Raises DataError for a wrong row, Disconnected when the client leaves."""
        if len(rows) <= served.batcher.inline_rows and not served.receivers:
            served.check(rows)
            return await served.batcher.submit(rows)
        prepared = await self.aside(work, served.prepare, rows)
        if served.receivers:
            work.kept = prepared  # a DICOM file names its patient: what is kept are its pixels
        return await _or_gone(work, served.batcher.submit(prepared))

    def own_intents(self, work: Work, served: Served) -> bool:
        """Whether intents of the customer's own may take part in the answers, or one for what belongs to none."""
        assert served.intents is not None
        if served.intents.outside is not None:
            return True
        return (
            self.library is not None and self.library.has_now(work.account, served.product, served.digest) is not False
        )

    async def intent_answers(self, work: Work, served: Served, rows: Sequence[Row]) -> list[IntentAnswer]:
        """As `answers`, with the customer's own intents. Raises DataError for a wrong row."""

        def answer() -> list[IntentAnswer]:
            intents, library = served.intents, self.library
            assert intents is not None
            new = None if library is None else library.intents(work.account, served.product, served.digest, intents)
            return intents.answers(served.prepare(rows), new)

        return await self.aside(work, answer)

    async def aside(self, work: Work, task: Callable[..., Found], *arguments: Any) -> Found:
        """`task` in a thread, while the client is still there."""
        return await _or_gone(work, asyncio.get_running_loop().run_in_executor(self.shelf.aside, task, *arguments))

    async def unless_gone(self, work: Work, answering: Awaitable[Found]) -> Found:
        """What `answering` gives, while the client is still there."""
        return await _or_gone(work, asyncio.ensure_future(answering))

    def conclude(
        self,
        work: Work,
        ticket: Ticket,
        served: Served | ServedRows,
        *,
        units: int,
        rows: Sequence[Row],
        outputs: Sequence[Any],
    ) -> None:
        """Settles. From here on the work is charged, and the reply leaves."""
        ticket.release_version = served.release
        self.gate.settle(ticket, units, "served" if units else "abstained")
        work.rows, work.settled = units, ticket
        self.remember(work, ticket, served.product, served.release, inputs=work.kept or rows, outputs=outputs)

    def remember(
        self, work: Work, ticket: Ticket, product: str, release: str, *, inputs: Sequence[Row], outputs: Sequence[Any]
    ) -> None:
        """Hands the request to the record where its product keeps any, with whom it is about as hashes."""
        stored = self.recorder is not None and self.recorder.wants(product)
        if work.named and self.subjects is not None and (stored or work.asked.idempotency_key is not None):
            ticket.subjects = self.subjects.digests(work.named)
        if stored and self.recorder is not None:
            self.recorder.note(
                work.request_id, work.account, product, release=release, inputs=inputs, outputs=outputs,
                subjects=ticket.subjects,
            )  # fmt: skip

    def headers(self, work: Work, ticket: Ticket, kind: bytes, length: int) -> Headers:
        return (
            (b"content-type", kind),
            (b"content-length", b"%d" % length),
            (b"x-request-id", work.request_id.encode()),
            *ticket.headers,
        )


async def _or_gone(work: Work, future: asyncio.Future[Found]) -> Found:
    """The future's result, unless the client disconnects first."""
    gone = asyncio.ensure_future(work.receive())
    try:
        await asyncio.wait((future, gone), return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if gone.result()["type"] == "http.disconnect":
            raise Disconnected
        return await future
    finally:
        gone.cancel()
        if not future.done():
            future.cancel()


def _too_slow(work: Work, settings: Settings, seconds: float) -> Exception:
    if work.stage == "body":
        return InputError(f"The body did not arrive within {settings.seconds:g} s.", code="body_slow")
    return EnvironmentFailure(f"No answer within {seconds:g} s.", code="timeout")
