"""`POST /v1/embeddings`: texts in, vectors out, in OpenAI's shape; charged by the token of the prompt. Not the encoder
(`engines/embeddings.py`).
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import InputError
from tradewind.server.asking import HARMLESS, read_request
from tradewind.server.desk import Desk, Work
from tradewind.server.fields import Fields, kind_of
from tradewind.server.gate import METER_PROMPT, Reply
from tradewind.server.served_encoder import ServedEncoder
from tradewind.server.wire import encode

_MOST = 2048
_READ = frozenset(["model", "input", "encoding_format", "dimensions"])


class Embeddings:
    route = "/v1/embeddings"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        fields, _ = await read_request(desk, work)
        fields.only(_READ, ignored=HARMLESS)
        name, _, pinned = fields.required("model").partition("@")
        served = await desk.find_encoder(work, name, pinned or None)
        kind = fields.one_of("encoding_format", ("float", "base64")) or "float"
        if (width := fields.integer("dimensions", 1, 1 << 16)) is not None and width != served.engine.width:
            fields.refuse("dimensions", f"the vectors of {served.product} have {served.engine.width} numbers")
        texts = await desk.aside(work, _tokens, fields, served)
        units = sum(map(len, texts))
        ticket = await desk.admit(work, product=served.product, release=None, units=units, body=work.body)
        if ticket.replay is not None:
            return ticket.replay
        try:
            vectors = await desk.aside(work, served.engine.embed, texts)
            body = encode(
                {
                    "object": "list",
                    "data": [
                        {"object": "embedding", "index": place, "embedding": _written(vector, kind)}
                        for place, vector in enumerate(vectors)
                    ],
                    "model": served.product,
                    "usage": {"prompt_tokens": units, "total_tokens": units},
                    "tradewind": {
                        "product": served.product, "release": served.release, "request_id": work.request_id,
                        "price_version": ticket.price_version,
                    },
                }
            )  # fmt: skip
            reply = Reply(200, desk.headers(work, ticket, b"application/json", len(body)), body)
            ticket.release_version = served.release
            desk.gate.settle(ticket, units, "served", by_meter={METER_PROMPT: units})
            work.settled, work.tokens = ticket, (units, 0)
        except BaseException:
            if work.settled is None:
                desk.gate.release(ticket)
            raise
        return reply


def _tokens(fields: Fields, served: ServedEncoder) -> list[list[int]]:
    """Texts, or texts that are tokens already. Raises InputError (field, prompt_too_long) with the place."""
    value = fields.get("input")
    if isinstance(value, str) or (isinstance(value, list) and value and _is_token(value[0])):
        value = [value]
    if not isinstance(value, list) or not value:
        found = "is missing" if value is None else "is empty" if value == [] else f"is {kind_of(value)}"
        raise fields.wrong("input", f"{found}, but must be text, a list of texts, or tokens")
    if len(value) > _MOST:
        raise fields.wrong("input", f"holds {len(value)} texts, but at most {_MOST} are taken")
    return [_one(fields, f"input[{place}]", one, served) for place, one in enumerate(value)]


def _one(fields: Fields, place: str, value: object, served: ServedEncoder) -> list[int]:
    engine = served.engine
    if isinstance(value, str):
        tokens = engine.encode(value)
    elif isinstance(value, list) and all(_is_token(one) and 0 <= one < engine.vocabulary for one in value):
        tokens = value
    else:
        raise fields.wrong(place, f"must be text, or tokens from 0 to {engine.vocabulary - 1}")
    if not value:
        raise fields.wrong(place, "is empty")
    if len(tokens) > engine.context:
        raise InputError(
            f"{place} has {len(tokens)} tokens, but {served.product} sees at most {engine.context}.",
            code="prompt_too_long", where=place, hint="Send it in parts.",
        )  # fmt: skip
    return tokens


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _written(vector: NDArray[np.float32], kind: str) -> Any:
    little = np.ascontiguousarray(vector, dtype="<f4")
    return little.tolist() if kind == "float" else b64encode(little.tobytes()).decode()
