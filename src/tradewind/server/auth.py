"""Who calls: from the Authorization header to what a customer may do, remembered until something changes.

Not here: what keys are (`business/keys.py`), units and rates (`metering.py`).

A secret is looked up by its SHA-256, so that neither a comparison nor a dictionary tells a stranger how near he came. What
was found is forgotten whenever the database's revision rises, and after a minute in any case.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from tradewind.business import keys
from tradewind.business.database import Database
from tradewind.business.keys import Access
from tradewind.business.periods import Period
from tradewind.clock import milliseconds
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.server.gate import Refused

_KEEP_S = 60.0
_KEEP_CUT_OFF_S = 600.0  # while the database cannot be asked, a key that was good lives on for so long
_KEEP_REFUSED_S = 1.0  # a stranger who tries the same wrong key again does not reach the database
_MOST = 100_000


@dataclass(slots=True)
class Customer:
    """An access with what each request asks of it at hand. `period` is that of the subscription, None for operators."""

    access: Access
    period: Period | None
    until_s: float  # asked again from then on
    last_s: float  # not good beyond, even if nobody can be asked


class Authenticator:
    """Asks the database once for each key and remembers. `recall` never waits; `find` may. Safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, Customer] = {}
        self._refused: dict[bytes, tuple[float, InputError]] = {}

    def recall(self, authorization: bytes) -> Customer | None:
        """The customer behind a header that was seen before and still holds, or None: ask `find`."""
        customer = self._known.get(hashlib.sha256(authorization).digest())
        if customer is None or customer.until_s < time.monotonic():
            return None
        return customer

    def find(self, authorization: bytes | None) -> Customer:
        """The customer behind a header. Raises InputError (`key_missing`, `key_unknown`, `key_revoked`, `key_expired`,
        `account_closed`), EnvironmentFailure when the database cannot be asked.
        """
        secret = bearer(authorization)
        if secret is None or authorization is None:
            raise Refused("No API key was sent.", code="key_missing", hint="Send Authorization: Bearer KEY.")
        digest = hashlib.sha256(authorization).digest()
        if (customer := self.recall(authorization)) is not None:
            return customer
        refused = self._refused.get(digest)
        if refused is not None and refused[0] > time.monotonic():
            raise refused[1]
        try:
            access = keys.access(self._database, secret)
        except EnvironmentFailure:
            known = self._known.get(digest)
            if known is None or known.last_s < time.monotonic():
                raise
            return known
        except InputError as error:
            if len(self._refused) >= _MOST:
                self._refused.clear()
            self._refused[digest] = (time.monotonic() + _KEEP_REFUSED_S, error)
            raise
        customer = self._customer(access)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[digest] = customer
        return customer

    def access(self, authorization: str | None) -> Access:
        """As `find`, for routes that ask about the key alone."""
        return self.find(None if authorization is None else authorization.encode("latin-1", "replace")).access

    def forget(self) -> None:
        """Everything is asked again: a key, a subscription or an account changed."""
        self._known = {}
        self._refused = {}

    def _customer(self, access: Access) -> Customer:
        now_ms = milliseconds(self._database.clock)
        period = None if access.subscription is None else access.subscription.period(now_ms)
        ends_ms = [
            moment for moment in (access.expires_ms, None if period is None else period.end_ms) if moment is not None
        ]
        if access.subscription is not None and access.subscription.until_ms is not None:
            ends_ms.append(access.subscription.until_ms)
        left_s = min((end - now_ms) / 1000 for end in ends_ms) if ends_ms else _KEEP_CUT_OFF_S
        now_s = time.monotonic()
        return Customer(
            access, period, until_s=now_s + max(0.0, min(_KEEP_S, left_s)), last_s=now_s + min(_KEEP_CUT_OFF_S, left_s)
        )


def bearer(authorization: bytes | None) -> str | None:
    """The secret of `Authorization: Bearer SECRET` (RFC 6750), or None."""
    if authorization is None:
        return None
    scheme, _, secret = authorization.decode("latin-1").partition(" ")
    return (secret.strip() or None) if scheme.lower() == "bearer" else None
