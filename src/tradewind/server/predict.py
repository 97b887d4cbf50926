"""`POST /v1/predict`: rows in, answers out, charged by the row. Not the gate, nor the model: the road between them.

    {"model": "churn", "inputs": [{"tenure": 3}], "reasons": true, "counterfactuals": 2, "subject": "ann@example.org"}
    {"id", "model", "release", "price_version", "outputs": [{"label", "probabilities"}], "usage": {"units": 1}}

What stands beside an answer (reasons, counterfactuals, sets, domain, heat maps) costs no unit more.

A bare ASGI function: this is the hot path, and every layer above it would cost more than the model below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from msgspec import UNSET, UnsetType

from tradewind.engines.beside import Wanted
from tradewind.errors import InputError
from tradewind.server.desk import Desk, Work
from tradewind.server.gate import Reply
from tradewind.server.intents import told
from tradewind.server.served import Answer, Labelled, Served
from tradewind.server.served_rows import ServedRows
from tradewind.server.subjects import from_field
from tradewind.server.wire import PredictBody, Receive, Row, Scope, Send, decode_predict, encode

ROUTE = "/v1/predict"
_KIND = b"application/json"


class Predict:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._desk.serve(ROUTE, self.handle, scope, receive, send)

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        try:
            if work.method != "POST":
                raise InputError(f"{ROUTE} takes POST.", code="method_not_allowed")
            body = await desk.body(work)
            request = self._request(work, body)
            wanted = self._wanted(request)
        except InputError:
            await desk.known(work)
            raise
        name, _, pinned = request.model.partition("@")
        if request.subject is not UNSET and request.subject is not None:
            work.named = from_field(request.subject, rows=len(request.inputs))
        release = pinned or (request.release if request.release is not UNSET else None) or None
        rows = request.inputs
        ticket = await desk.admit(work, product=name, release=release, units=len(rows), body=body)
        if ticket.replay is not None:
            return ticket.replay
        try:
            served = await desk.find(work, name, release)
            if isinstance(served, Served):
                if served.intents is not None and desk.own_intents(work, served):
                    answered = await desk.intent_answers(work, served, rows)
                    outputs, charged = told(answered, floor=served.abstain_below)
                else:
                    outputs, charged = _outputs(served, await desk.answers(work, served, rows))
                _say(served, request, outputs)
                if wanted:
                    await self._beside(work, served, rows, outputs, wanted)
            else:
                outputs = await self._answered(work, served, rows, wanted)
                charged = sum("abstained" not in output for output in outputs)
            content = {
                "id": work.request_id,
                "model": served.product,
                "release": served.release,
                "price_version": ticket.price_version,
                "outputs": outputs,
                "usage": {"units": charged},
            }
            out = encode(content)
            reply = Reply(200, desk.headers(work, ticket, _KIND, len(out)), out)
            desk.conclude(work, ticket, served, units=charged, rows=rows, outputs=outputs)
        except BaseException:
            desk.gate.release(ticket)
            raise
        return reply

    def _request(self, work: Work, body: bytes) -> PredictBody:
        kind = work.asked.content_type
        if kind != _KIND and kind and not kind.lower().startswith((_KIND, b"text/json")):
            raise InputError(
                "The body must be JSON.", code="content_type", where="content-type", hint="Send Content-Type: application/json."
            )  # fmt: skip
        request = decode_predict(body)
        rows, settings = len(request.inputs), self._desk.settings
        if not rows:
            raise InputError("There is no row to predict.", code="no_rows", where="inputs")
        if rows > settings.rows:
            raise InputError(
                f"{rows} rows are more than the {settings.rows} that one request may hold.", code="too_many_rows", where="inputs"
            )  # fmt: skip
        return request

    def _wanted(self, request: PredictBody) -> Wanted | None:
        """What was asked for beside the answers; None, at no cost, where nothing was."""
        if not request.extras:
            return None
        settings = self._desk.settings
        wanted = Wanted(
            reasons=_most(request.reasons),
            counterfactuals=_most(request.counterfactuals),
            sets=request.sets is True,
            domain=request.domain is True,
            heatmap=request.heatmap is True,
        )
        if not 0 <= (wanted.reasons or 0) <= settings.reasons:
            raise InputError(f"reasons lies between 0 and {settings.reasons}.", code="reasons_range", where="reasons")
        if not 0 <= (wanted.counterfactuals or 0) <= settings.counterfactuals:
            raise InputError(
                f"counterfactuals lies between 0 and {settings.counterfactuals}.", code="counterfactuals_range", where="counterfactuals"
            )  # fmt: skip
        if wanted.slow and len(request.inputs) > settings.reason_rows:
            raise InputError(
                f"Reasons, counterfactuals and heat maps are given for at most {settings.reason_rows} rows in one request.",
                code="too_many_rows", where="inputs",
            )  # fmt: skip
        return wanted

    async def _answered(
        self, work: Work, served: ServedRows, rows: Sequence[Row], wanted: Wanted | None
    ) -> list[dict[str, Any]]:
        if wanted:
            raise InputError(
                "Nothing of this kind stands beside its answers.", code="beside_unsuited", where="model",
                hint=f"{served.product} is of the task {served.task}; GET /v1/models/{served.product} shows what an answer holds.",
            )  # fmt: skip
        return await self._desk.aside(work, served.answer, rows, work.account)

    async def _beside(
        self, work: Work, served: Served, rows: Sequence[Row], outputs: Sequence[dict[str, Any]], wanted: Wanted
    ) -> None:
        """Adds to every answer what was wanted; a row without an answer has nothing beside it."""
        served.beside.check(wanted)
        answered = [index for index, output in enumerate(outputs) if "abstained" not in output]
        if not answered:
            return
        found = await self._desk.aside(work, served.beside.of, [rows[index] for index in answered], wanted)
        for index, beside in zip(answered, found, strict=True):
            outputs[index].update(beside)


def _outputs(served: Served, answers: Sequence[Answer]) -> tuple[list[dict[str, Any]], int]:
    """One JSON object a row, and how many rows are charged: an abstained one is not."""
    classes, floor = served.classes, served.abstain_below
    if not classes:
        return [{"value": value} for value in answers], len(answers)
    outputs: list[dict[str, Any]] = []
    charged = 0
    for label, p in cast(Sequence[Labelled], answers):
        if floor is not None and max(p) < floor:
            outputs.append({"abstained": True, "confidence": max(p)})
        else:
            outputs.append({"label": label, "probabilities": dict(zip(classes, p, strict=True))})
            charged += 1
    return outputs, charged


def _say(served: Served, request: PredictBody, outputs: Sequence[dict[str, Any]]) -> None:
    """Adds the text of `serve.answers` to each output. Raises InputError where a language is asked for and there is none."""
    language = request.language or None
    if served.texts is not None:
        for output, row in zip(outputs, request.inputs, strict=True):
            output.update(served.texts.beside(output, row, language=language))
    elif language is not None:
        raise InputError(
            f"{served.product} says no texts: its product file has no serve.answers.", code="answers_missing", where="language",
            hint="Leave it out.",
        )  # fmt: skip


def _most(asked: bool | int | UnsetType) -> int | None:
    """How many: 0 for as many as usual, where just `true` was said; None where none are wanted."""
    if asked is UNSET or asked is False or asked == 0:
        return None
    return 0 if asked is True else asked
