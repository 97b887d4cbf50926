"""Events that a person should see, told to an address of the operator's: `serve.webhook`. Signed, tried again, never waited for.

After Standard Webhooks (https://www.standardwebhooks.com): `webhook-id` is the same at each try, `webhook-signature` is
HMAC-SHA256 over id, timestamp and body. No input and no customer's word is in an event. Not here: webhooks that come in
(`webhooks.py`), what is told (`drift_watch.py`, `saying.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import hmac
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx

from tradewind.clock import Clock, SystemClock
from tradewind.errors import EnvironmentFailure
from tradewind.ids import new_id

PAUSES_S = (5.0, 30.0, 300.0, 1800.0)  # before each further try
_ANSWER_S = 10.0
_LAST_ANSWER_S = 2.0  # at the end of the process
_WAITING_MOST = 1000
_PREFIX = "whsec_"


@dataclass(frozen=True)
class Hook:
    """Where the events of one product go. The secret itself stands in the environment."""

    url: str
    secret_env: str
    events: frozenset[str]

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def secret(self, environment: Mapping[str, str]) -> bytes:
        """Raises EnvironmentFailure webhook_secret."""
        text = environment.get(self.secret_env, "")
        try:
            secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            secret = b""
        if not text.startswith(_PREFIX) or not 24 <= len(secret) <= 64:
            raise EnvironmentFailure(
                f"The environment variable {self.secret_env} holds no secret of a webhook.", code="webhook_secret",
                where="serve.webhook.secret_env", hint="Set it to whsec_ and the base64 of 24 to 64 random bytes.",
            )  # fmt: skip
        return secret


@dataclass(order=True)
class _Waiting:
    due_s: float
    number: int
    product: str = field(compare=False)
    id: str = field(compare=False)
    kind: str = field(compare=False)
    body: bytes = field(compare=False)
    tries: int = field(compare=False, default=0)


def signature(secret: bytes, *, id: str, timestamp: int, body: bytes) -> str:
    signed = hmac.new(secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


class Outgoing:
    """Tells in a thread of its own, from `start` to `stop`. `tell` never waits. What was not heard after the last try, or when
    the process ends, is written into the log (`webhook_lost`). Raises EnvironmentFailure webhook_secret.
    """

    def __init__(
        self, hooks: Mapping[str, Hook], environment: Mapping[str, str], *, log: Callable[[Mapping[str, Any]], None],
        clock: Clock | None = None, pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:  # fmt: skip
        self._hooks = hooks
        self._secrets = {product: hook.secret(environment) for product, hook in hooks.items()}
        self._log, self._clock, self._pauses_s = log, clock or SystemClock(), pauses_s
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._numbers = count()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._hooks and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()

    def tell(self, product: str, event: Mapping[str, Any]) -> None:
        """`event["event"]` is its kind; the rest is its data. Nothing happens where nobody asked for that kind."""
        kind = str(event["event"])
        hook = self._hooks.get(product)
        if hook is None or kind not in hook.events:
            return
        data = {name: value for name, value in event.items() if name != "event"}
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = json.dumps({"type": kind, "timestamp": at, "data": data}, ensure_ascii=False).encode()
        one = _Waiting(0.0, next(self._numbers), product, new_id("evt", clock=self._clock), kind, body)
        with self._changed:
            if len(self._waiting) >= _WAITING_MOST:
                self._lost(one, "too many wait")
                return
            heapq.heappush(self._waiting, one)
            self._changed.notify()

    def stop(self) -> None:
        """What still waits is tried once more, quickly."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        with httpx.Client(timeout=_ANSWER_S, trust_env=False, follow_redirects=False) as client:
            while (one := self._next()) is not None:
                reason = self._try(client, one, _ANSWER_S)
                if reason is None:
                    continue
                if one.tries >= len(self._pauses_s):
                    self._lost(one, reason)
                    continue
                one.due_s = self._now_s() + self._pauses_s[one.tries]
                one.tries += 1
                with self._changed:
                    heapq.heappush(self._waiting, one)
            for one in self._waiting:
                reason = self._try(client, one, _LAST_ANSWER_S)
                if reason is not None:
                    self._lost(one, reason)

    def _next(self) -> _Waiting | None:
        """The next that is due; None at the end."""
        with self._changed:
            while not self._ended:
                now_s = self._now_s()
                if self._waiting and self._waiting[0].due_s <= now_s:
                    return heapq.heappop(self._waiting)
                self._changed.wait(self._waiting[0].due_s - now_s if self._waiting else None)
        return None

    def _try(self, client: httpx.Client, one: _Waiting, seconds: float) -> str | None:
        """Why it was not heard, None where it was."""
        timestamp = int(self._now_s())
        headers = {
            "content-type": "application/json", "webhook-id": one.id, "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secrets[one.product], id=one.id, timestamp=timestamp, body=one.body),
        }  # fmt: skip
        try:
            reply = client.post(self._hooks[one.product].url, content=one.body, headers=headers, timeout=seconds)
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if reply.is_success else f"status {reply.status_code}"

    def _lost(self, one: _Waiting, reason: str) -> None:
        host = self._hooks[one.product].host
        self._log(
            {
                "event": "webhook_lost",
                "webhook": one.id,
                "kind": one.kind,
                "product": one.product,
                "host": host,
                "reason": reason,
            }
        )

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
