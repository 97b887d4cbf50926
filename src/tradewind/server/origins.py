"""Lets pages of other origins ask for conversations, those that a product file names and no others (Fetch standard, CORS).
Not here: what a public key may do there (`conversations.py`): a page is not the only thing that can send an Origin.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATH = "/v1/conversations"
_METHODS = b"GET, POST"
_HEADERS = b"authorization, content-type, idempotency-key, tradewind-conversation"
_AGE_S = b"600"


class Origins:
    """ASGI middleware. `allowed` are origins as a browser writes them; what comes from another is answered without the
    headers that would let its page read the answer."""

    def __init__(self, app: ASGIApp, *, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = {origin.encode() for origin in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == _PATH or path.startswith(f"{_PATH}/")):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        known = origin is not None and origin in self._allowed
        shared = [(b"vary", b"origin")]
        if known and origin is not None:
            shared.append((b"access-control-allow-origin", origin))
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            if known:
                shared += [
                    (b"access-control-allow-methods", _METHODS),
                    (b"access-control-allow-headers", _HEADERS),
                    (b"access-control-max-age", _AGE_S),
                ]
            await send({"type": "http.response.start", "status": 204 if known else 403, "headers": shared})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *shared]}
            await send(message)

        await self._app(scope, receive, send_shared)
