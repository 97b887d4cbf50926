"""Bytes to requests and back: the JSON of `/v1/predict`, the headers that matter, the body within its limits.

Not here: what a request means (`predict.py`, `oip.py`). Decoding is msgspec's; what it lets pass, equal names in one
object, is found by counting, and read again slowly only where the count is in doubt.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from itertools import count
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from tradewind.clock import SystemClock, milliseconds
from tradewind.errors import InputError

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Row: TypeAlias = dict[str, Any]

# The ASGI extension of our protocol (`protocol.py`) that sends a whole reply in one call and tells whether it did.
WHOLE = "tradewind.whole"

JSON = msgspec.json.Encoder()
_NAME_THEN_COLON = b'":'
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_WORKER = os.urandom(8).hex()
_NUMBERS = count(1)
_CLOCK = SystemClock()


class PredictBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """`reasons` and `counterfactuals` may say how many; `subject` says whom the rows are about. `release` pins a version, as
    does `model: name@v3`. `language` is that of answer texts."""

    model: str
    inputs: list[Row]
    reasons: bool | int | UnsetType = UNSET
    subject: str | list[str | None] | UnsetType | None = UNSET
    release: str | UnsetType | None = UNSET
    counterfactuals: bool | int | UnsetType = UNSET
    sets: bool | UnsetType = UNSET
    domain: bool | UnsetType = UNSET
    heatmap: bool | UnsetType = UNSET
    language: Literal["en", "zh"] | UnsetType | None = UNSET

    @property
    def extras(self) -> int:
        """How many fields beside model and inputs were sent."""
        return (
            (self.reasons is not UNSET) + (self.release is not UNSET) + (self.counterfactuals is not UNSET)
            + (self.sets is not UNSET) + (self.domain is not UNSET) + (self.heatmap is not UNSET)
            + (self.subject is not UNSET) + (self.language is not UNSET)
        )  # fmt: skip


_BODY = msgspec.json.Decoder(PredictBody)


class Disconnected(Exception):
    """The client went away before it had an answer. Nobody is told and nothing is charged."""


class Asked:
    """The headers of one request that anything here reads."""

    __slots__ = (
        "authorization",
        "content_encoding",
        "content_length",
        "content_type",
        "header_length",
        "idempotency_key",
        "subject",
        "traceparent",
    )

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.authorization: bytes | None = None
        self.content_type: bytes = b""
        self.content_encoding: bytes = b""
        self.content_length = -1
        self.idempotency_key: str | None = None
        self.header_length: str | None = None
        self.traceparent: str | None = None
        self.subject: bytes | None = None
        for name, value in headers:
            if name == b"authorization":
                self.authorization = value
            elif name == b"content-type":
                self.content_type = value
            elif name == b"content-length":
                self.content_length = int(value) if value.isdigit() and len(value) < 19 else -1
            elif name == b"idempotency-key":
                self.idempotency_key = value.decode("latin-1")
            elif name == b"traceparent":
                self.traceparent = value.decode("latin-1")
            elif name == b"tradewind-subject":
                self.subject = value
            elif name == b"content-encoding":
                self.content_encoding = value
            elif name == b"inference-header-content-length":
                self.header_length = value.decode("latin-1")


def new_request_id() -> str:
    """`req_`, milliseconds, a random number of this process and a count: unique over workers, cheap, in order of time."""
    return f"req_{milliseconds(_CLOCK):011x}{_WORKER}{next(_NUMBERS):08x}"


async def read_body(receive: Receive, *, limit: int, announced: int) -> bytes:
    """The whole body. Raises InputError beyond `limit` bytes, Disconnected when the client leaves."""
    if announced > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def decode_predict(body: bytes) -> PredictBody:
    """Raises InputError (json, field) that names the place."""
    try:
        asked = _BODY.decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        place = _PLACE.search(text)
        raise InputError(
            f"{_PLACE.sub('', text)}.", code="field", where=place.group(1) if place else None,
            hint='Send {"model": "NAME", "inputs": [{"COLUMN": VALUE}]}.',
        ) from None  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise bad_json(error) from None
    names = 2 + asked.extras + sum(map(len, asked.inputs))
    # Single bytes are found ten times as fast as pairs, and most bodies hold none of these.
    laid_out = b"\n" in body or b"\t" in body or b"\r" in body
    spaced = b" :" in body or (laid_out and (b"\n:" in body or b"\t:" in body or b"\r:" in body))
    if spaced or body.count(_NAME_THEN_COLON) != names:
        refuse_doubles(body)
    return asked


def refuse_doubles(body: bytes) -> None:
    """Raises InputError where one object has a name twice: which of the two was meant, nobody knows (RFC 8259, 4)."""
    try:
        json.loads(body, object_pairs_hook=_single)
    except (ValueError, RecursionError) as error:
        raise bad_json(error) from None


def bad_json(error: Exception, *, what: str = "body") -> InputError:
    if isinstance(error, RecursionError):
        return InputError("The JSON is nested too deep.", code="json")
    if isinstance(error, UnicodeError):
        return InputError(f"The {what} is not UTF-8.", code="json")
    reason = str(error).removeprefix("JSON is malformed: ") or "it cannot be read"
    return InputError(f"The {what} is no JSON: {reason[:200]}.", code="json")


async def answer(
    send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]], *, kind: bytes = b"application/json"
) -> None:
    """The reply in two messages, with its length."""
    start = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_whole(
    scope: Scope, send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    """A finished reply, whose length is among its headers: at once where the server can, else in two messages."""
    extensions = scope.get("extensions")
    if extensions is None or WHOLE not in extensions or not extensions[WHOLE](status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def encode(content: Mapping[str, Any]) -> bytes:
    return JSON.encode(content)


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Double(f"the name {twice[:80]!r} stands twice in one object")
    return found


class _Double(ValueError):
    pass


def _too_large(limit: int) -> InputError:
    return InputError(
        f"The body is larger than {limit} bytes.", code="body_too_large", hint="Send fewer rows in one request."
    )
