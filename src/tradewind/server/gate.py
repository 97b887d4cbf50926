"""The gate before work: who calls, may they, and is there a unit left. A protocol, and the fake that lets everybody in.

Not here: keys, plans, leases and the journal (`auth.py`, `metering.py`), which stand behind a real gate.

The order of one call is `enter_now` (or `enter`, where that gave None), then exactly one of `settle` and `release`; after
`settle` comes `finish` where the call had an idempotency key, and only then does the last byte of the reply leave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from tradewind.errors import InputError

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
Outcome: TypeAlias = Literal["served", "abstained", "disconnected"]

METER_ROWS = "rows"
METER_CHARACTERS = "characters"
METER_PROMPT = "prompt_tokens"
METER_COMPLETION = "completion_tokens"


class Refused(InputError):
    """The gate says no. `retry_after_s` says from when on it is worth trying again; `headers` go onto the reply."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        where: str | None = None,
        hint: str | None = None,
        retry_after_s: float | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(message, code=code, where=where, hint=hint)
        self.retry_after_s = retry_after_s
        self.headers = headers


class Call:
    """One request as the gate sees it. Nothing is hashed until somebody asks for the digest.

    `product` is None and `units` 0 where only the key is asked about; `scope` is what the key must be allowed. A plain class:
    one is made for every request.
    """

    __slots__ = (
        "authorization", "body", "idempotency_key", "meter", "method", "path", "product", "release", "request_id", "scope", "units",
    )  # fmt: skip

    def __init__(
        self,
        *,
        authorization: bytes | None,
        method: str,
        path: str,
        request_id: str,
        product: str | None = None,
        release: str | None = None,
        meter: str = METER_ROWS,
        units: int = 0,
        idempotency_key: str | None = None,
        body: bytes = b"",
        scope: str = "predict",
    ) -> None:
        self.authorization = authorization
        self.method = method
        self.path = path
        self.request_id = request_id
        self.product = product
        self.release = release
        self.meter = meter
        self.units = units
        self.idempotency_key = idempotency_key
        self.body = body
        self.scope = scope

    @property
    def digest(self) -> str:
        """SHA-256 of method, path and body, hexadecimal: two calls under one idempotency key must agree in it."""
        head = f"{self.method} {self.path}\n".encode("utf-8", "replace")
        return hashlib.sha256(head + self.body).hexdigest()

    @property
    def bearer(self) -> str | None:
        """The secret of `Authorization: Bearer SECRET` (RFC 6750); None where there is none."""
        if self.authorization is None:
            return None
        scheme, _, secret = self.authorization.decode("latin-1").partition(" ")
        return (secret.strip() or None) if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class Reply:
    """A finished reply, kept so that the same idempotency key gets the same bytes."""

    status: int
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Ticket:
    """Let in. `headers` (x-ratelimit-*) go onto the reply. `replay` is the answer of an earlier equal call: it is sent as it
    stands, and neither `settle` nor `release` is called. A gate may hand out a subclass with what it needs at the end.

    `release_version` is set by the server before `settle`: what the usage event names. `subjects` before `finish`: keyed
    hashes of whom the call is about.
    """

    account_id: str
    request_id: str
    price_version: str
    headers: Headers = ()
    replay: Reply | None = None
    release_version: str = ""
    subjects: tuple[str, ...] = ()


class Gate(Protocol):
    @property
    def ready(self) -> bool:
        """Whether calls can be let in at all: the journal can be written and the database was seen."""
        ...

    def enter_now(self, call: Call) -> Ticket | None:
        """Lets a call in without waiting, or None where it must be awaited. Raises house errors, `Refused` above all."""
        ...

    async def enter(self, call: Call) -> Ticket:
        """As `enter_now`, but may ask the database. May be cancelled when the request's time is up."""
        ...

    def settle(
        self, ticket: Ticket, units: int, outcome: Outcome, *, by_meter: Mapping[str, int] | None = None
    ) -> None:
        """Charges `units` (at most those reserved). Durable when it returns. Raises EnvironmentFailure: nothing is sent.

        `by_meter` says what they were used for where that is more than one thing; its sum is `units`.
        """
        ...

    def release(self, ticket: Ticket) -> None:
        """Gives the reservation back: nothing was answered, nothing is charged."""
        ...

    async def finish(self, ticket: Ticket, reply: Reply) -> None:
        """Keeps the reply of a call that had an idempotency key. After `settle`, before the reply leaves."""
        ...


@dataclass
class OpenGate:
    """Lets every key in and counts in memory; with `keys` (secret to account) only those. For development and for tests.

    `waits` makes every call take the awaited way.
    """

    keys: Mapping[str, str] | None = None
    waits: bool = False
    ready: bool = True
    price: str = "open"
    settled: dict[str, int] = field(default_factory=dict)  # units by account
    outcomes: list[tuple[str, int, Outcome]] = field(default_factory=list)  # request id, units, outcome
    by_meter: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)  # units by request id, until settled or released
    released: int = 0
    _replies: dict[tuple[str, str], tuple[str, Reply | None]] = field(default_factory=dict)
    _idempotent: dict[str, tuple[str, str]] = field(default_factory=dict)

    def enter_now(self, call: Call) -> Ticket | None:
        return None if self.waits else self._enter(call)

    async def enter(self, call: Call) -> Ticket:
        return self._enter(call)

    def settle(
        self, ticket: Ticket, units: int, outcome: Outcome, *, by_meter: Mapping[str, int] | None = None
    ) -> None:
        reserved = self.reserved.pop(ticket.request_id)
        assert 0 <= units <= reserved
        for meter, part in (by_meter or {METER_ROWS: units}).items():
            self.by_meter[meter] = self.by_meter.get(meter, 0) + part
        self.settled[ticket.account_id] = self.settled.get(ticket.account_id, 0) + units
        self.outcomes.append((ticket.request_id, units, outcome))

    def release(self, ticket: Ticket) -> None:
        del self.reserved[ticket.request_id]
        self.released += 1
        if key := self._idempotent.pop(ticket.request_id, None):
            del self._replies[key]

    async def finish(self, ticket: Ticket, reply: Reply) -> None:
        key = self._idempotent.pop(ticket.request_id)
        self._replies[key] = (self._replies[key][0], reply)

    def _enter(self, call: Call) -> Ticket:
        account = "open"
        if self.keys is not None:
            secret = call.bearer
            if secret is None:
                raise Refused("No API key was sent.", code="key_missing", hint="Send Authorization: Bearer KEY.")
            if secret not in self.keys:
                raise Refused("The API key is not known.", code="key_unknown")
            account = self.keys[secret]
        ticket = Ticket(account, call.request_id, self.price)
        if call.idempotency_key is not None and call.units:
            ticket.replay = self._replay(call, (account, call.idempotency_key))
        if ticket.replay is None:
            self.reserved[call.request_id] = call.units
        return ticket

    def _replay(self, call: Call, key: tuple[str, str]) -> Reply | None:
        digest = call.digest
        known = self._replies.get(key)
        if known is None:
            self._replies[key] = (digest, None)
            self._idempotent[call.request_id] = key
            return None
        if known[0] != digest:
            raise Refused("This idempotency key was used for another request.", code="idempotency_conflict")
        if known[1] is None:
            raise Refused("A request with this idempotency key is still running.", code="idempotency_running")
        return known[1]
