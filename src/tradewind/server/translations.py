"""`POST /v1/translations`: texts in, translations out, charged by what the product's plans count: texts, characters or tokens.

    {"model": "en-de", "texts": ["One kite."], "from": "en", "to": "de", "glossary": {"kite": "Drachen"}, "beams": 4}
    {"id", "model", "release", "price_version", "translations": [{"text", "score", "cut", "terms", …}], "usage": {"units", …}}

Reserved is the most that can come of the texts, settled what came. Not here: what is translated together with others'
(`served_translation.py`), the search (`engines/translation.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradewind.engines.translation import Ask
from tradewind.errors import InputError
from tradewind.server.asking import read_request
from tradewind.server.desk import Desk, Work
from tradewind.server.fields import Fields
from tradewind.server.gate import Reply
from tradewind.server.served_translation import SEARCH, Search, ServedTranslator, check_together, text_of
from tradewind.server.wire import Receive, Scope, Send, encode

ROUTE = "/v1/translations"
MOST_TEXTS = 128
_READ = frozenset(["model", "text", "texts", "from", "to", *SEARCH])


class Translations:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._desk.serve(ROUTE, self.handle, scope, receive, send, seconds=self._desk.settings.answer_seconds)

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        fields, _ = await read_request(desk, work)
        fields.only(_READ)
        texts, search = _texts(fields), Search.of(fields)
        name, _, pinned = fields.required("model").partition("@")
        served = _translating(await desk.find(work, name, pinned or None))
        _languages(fields, served)
        asks = await desk.aside(work, _read, served, texts, search)
        units = served.reserved(texts, asks)
        ticket = await desk.admit(work, product=served.product, release=pinned or None, units=units, body=work.body)
        if ticket.replay is not None:
            return ticket.replay
        try:
            found = await desk.unless_gone(work, served.translate(asks))
            by_meter = served.used(texts, asks, found)
            charged, outputs = sum(by_meter.values()), [one.to_json() for one in found]
            content: dict[str, Any] = {
                "id": work.request_id, "model": served.product, "release": served.release,
                "price_version": ticket.price_version, "translations": outputs, "usage": {"units": charged, **by_meter},
            }  # fmt: skip
            out = encode(content)
            reply = Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)
            ticket.release_version = served.release
            desk.gate.settle(ticket, charged, "served", by_meter=by_meter)
            work.rows, work.settled = len(texts), ticket
            work.tokens = (sum(one.source_tokens for one in found), sum(one.target_tokens for one in found))
            kept = [{"text": text} for text in texts]
            desk.remember(work, ticket, served.product, served.release, inputs=kept, outputs=outputs)
        except BaseException:
            if work.settled is None:
                desk.gate.release(ticket)
            raise
        return reply


def _read(served: ServedTranslator, texts: Sequence[str], search: Search) -> list[Ask]:
    return [served.read(text, search) for text in texts]


def _texts(fields: Fields) -> list[str]:
    """One text or several. Raises InputError (field, no_rows, too_many_rows)."""
    one, several = fields.get("text"), fields.items("texts")
    if (one is None) == (several is None):
        raise fields.wrong("text", "and texts are both there" if one is not None else "is missing", hint="Send text, or a list as texts.")  # fmt: skip
    if several is None:
        return [text_of(fields, "text", one)]
    if not several:
        raise InputError("There is no text to translate.", code="no_rows", where="texts")
    if len(several) > MOST_TEXTS:
        raise InputError(
            f"{len(several)} texts are more than the {MOST_TEXTS} that one request may hold.", code="too_many_rows", where="texts"
        )  # fmt: skip
    texts = [text_of(fields, f"texts[{at}]", text) for at, text in enumerate(several)]
    check_together(texts, where="texts")
    return texts


def _translating(served: object) -> ServedTranslator:
    if not isinstance(served, ServedTranslator):
        raise InputError(
            "It does not translate.", code="model_task", where="model", hint="GET /v1/models says what each model does."
        )
    return served


def _languages(fields: Fields, served: ServedTranslator) -> None:
    """A caller may say the languages; another one than the product's is refused rather than translated from what it is not."""
    facts = served.engine.facts
    for name, known in (("from", facts.source), ("to", facts.target)):
        said = fields.text(name)
        if said is not None and said.lower() != known.lower():
            raise fields.wrong(
                name, f"is {said[:20]!r}, but {served.product} translates {facts.source} to {facts.target}"
            )
