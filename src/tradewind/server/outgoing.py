"""Events that a person should see, told to an address of the operator's: `serve.webhook`. Signed, and tried again until heard.

After Standard Webhooks (https://www.standardwebhooks.com): `webhook-id` is the same at each try, `webhook-signature` is
HMAC-SHA256 over id, timestamp and body, pauses grow to three days in all. No input and no customer's word is in an event.
Not here: webhooks that come in (`webhooks.py`), what is told (`drift_watch.py`, `handoff_events.py`), where it waits
(`outbox.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tradewind.clock import Clock, SystemClock
from tradewind.errors import EnvironmentFailure, TradewindError
from tradewind.ids import new_id
from tradewind.server.outbox import MOST_WAITING, Outbox, Waiting

# Before each further try.
PAUSES_S = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
_ANSWER_S = 10.0
_LAST_ANSWER_S = 2.0  # at the end of the process
_LOOK_S = 1.0  # how soon what another process added is seen
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


def signature(secret: bytes, *, id: str, timestamp: int, body: bytes) -> str:
    signed = hmac.new(secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


class Outgoing:
    """Tells in a thread of its own, from `start` to `stop`; what waits lies below `home`, by product, and is told by whichever
    process of this machine holds the lock. What was not heard after the last try is written into the log (`webhook_lost`).
    Raises EnvironmentFailure (webhook_secret; disk_full, permission, read_only).
    """

    def __init__(
        self, hooks: Mapping[str, Hook], environment: Mapping[str, str], *, home: Path,
        log: Callable[[Mapping[str, Any]], None], clock: Clock | None = None, pauses_s: Sequence[float] = PAUSES_S,
        most: int = MOST_WAITING,
    ) -> None:  # fmt: skip
        self._hooks = hooks
        self._secrets = {product: hook.secret(environment) for product, hook in hooks.items()}
        self._boxes = {product: Outbox(home / product, most=most) for product in hooks}
        self._rests_s = dict.fromkeys(hooks, 0.0)  # until when an address that did not answer is left alone
        self._log, self._clock, self._pauses_s = log, clock or SystemClock(), pauses_s
        self._fresh = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._hooks and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()

    def tell(self, product: str, event: Mapping[str, Any], *, id: str | None = None) -> None:
        """`event["event"]` is its kind; the rest is its data. Nothing happens where nobody asked for that kind, or where `id`
        was told before. On the disk when it returns: for a thread."""
        kind = str(event["event"])
        hook = self._hooks.get(product)
        if hook is None or kind not in hook.events:
            return
        data = {name: value for name, value in event.items() if name != "event"}
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = json.dumps({"type": kind, "timestamp": at, "data": data}, ensure_ascii=False).encode()
        id = id or new_id("evt", clock=self._clock)
        try:
            added = self._boxes[product].add(id, kind=kind, body=body)
        except TradewindError as error:  # what is told about has happened all the same
            self._lost(product, Waiting(id, kind, body), error.code)
            return
        if not added:
            self._lost(product, Waiting(id, kind, body), "too many wait")
        self._fresh.set()

    def stop(self) -> None:
        """What is due is tried once more, quickly; the rest waits on the disk for the next start."""
        self._ended = True
        self._fresh.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for box in self._boxes.values():
            box.close()

    def _run(self) -> None:
        with httpx.Client(timeout=_ANSWER_S, trust_env=False, follow_redirects=False) as client:
            while not self._ended:
                self._fresh.clear()
                self._round(client, _ANSWER_S)
                self._fresh.wait(_LOOK_S)
            self._round(client, _LAST_ANSWER_S)

    def _round(self, client: httpx.Client, seconds: float) -> None:
        """All that is due, of each address until one is not heard."""
        for product, box in self._boxes.items():
            try:
                if self._rests_s[product] <= self._now_s() and box.may_tell():
                    self._empty(client, product, box, seconds)
            except TradewindError as error:  # a full disk: the next round tries again
                self._log({"event": "webhook_waits", "product": product, "code": error.code})
                self._rests_s[product] = self._now_s() + _ANSWER_S

    def _empty(self, client: httpx.Client, product: str, box: Outbox, seconds: float) -> None:
        ending = self._ended
        for one in box.waiting():
            if one.due_s > self._now_s() or self._ended is not ending:
                return
            reason = self._try(client, product, one, seconds)
            if reason is None:
                box.end(one, at_s=self._now_s())
            elif one.tries < len(self._pauses_s):
                pause_s = self._pauses_s[one.tries]
                box.put_off(one, due_s=self._now_s() + pause_s)
                self._rests_s[product] = self._now_s() + min(pause_s, self._pauses_s[0])
                return
            else:
                box.end(one, at_s=self._now_s())
                self._lost(product, one, reason)

    def _try(self, client: httpx.Client, product: str, one: Waiting, seconds: float) -> str | None:
        """Why it was not heard, None where it was."""
        timestamp = int(self._now_s())
        headers = {
            "content-type": "application/json", "webhook-id": one.id, "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secrets[product], id=one.id, timestamp=timestamp, body=one.body),
        }  # fmt: skip
        try:
            reply = client.post(self._hooks[product].url, content=one.body, headers=headers, timeout=seconds)
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if reply.is_success else f"status {reply.status_code}"

    def _lost(self, product: str, one: Waiting, reason: str) -> None:
        told = {"webhook": one.id, "kind": one.kind, "product": product, "host": self._hooks[product].host}
        self._log({"event": "webhook_lost", **told, "reason": reason})

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
