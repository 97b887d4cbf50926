"""Stripe as a payment provider, over its published REST API (https://docs.stripe.com/api), with no SDK.

Payment intents, refunds, idempotency keys, error objects and signed webhooks. Not here: when a charge is made
(`payments.py`). The secret key is in no error, no log and no repr.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tradewind.business.payment_methods import Card as Card
from tradewind.business.payments import Answer, Charge, Status
from tradewind.clock import Clock
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.money import CURRENCY_DIGITS, Money

API = "https://api.stripe.com"
VERSION = "2024-06-20"
TOLERANCE_S = 300
KEY_VARIABLE = "STRIPE_SECRET_KEY"
WEBHOOK_VARIABLE = "STRIPE_WEBHOOK_SECRET"
URL_VARIABLE = "TRADEWIND_STRIPE_URL"

# https://docs.stripe.com/currencies#zero-decimal: the amount is in whole units.
ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
# https://docs.stripe.com/currencies#three-decimal: thousandths whose last digit is 0.
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

_ATTEMPTS = 4
_PAUSE_S = 0.5
_STATUS: dict[str, Status] = {"succeeded": "succeeded", "canceled": "failed"}


@dataclass
class Stripe:
    """The provider `stripe`. `cards` has the account ids that may be charged at once; for the others a payment intent
    is made that waits for the customer (its status stays pending until a webhook says more).

    `pause` waits a number of seconds between attempts.
    """

    secret_key: str = field(repr=False)
    cards: Mapping[str, Card] = field(default_factory=dict)
    base: str = API
    timeout_s: float = 30.0
    pause: Callable[[float], None] = time.sleep
    name: str = "stripe"
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.secret_key}", "Stripe-Version": VERSION}
        self._client = httpx.Client(base_url=self.base, headers=headers, timeout=self.timeout_s)

    @classmethod
    def opened(cls, environment: Mapping[str, str], *, cards: Mapping[str, Card]) -> Stripe:
        """With the key in STRIPE_SECRET_KEY; TRADEWIND_STRIPE_URL names another server that keeps Stripe's rules.

        Raises EnvironmentFailure `payment_key`; InputError `payment_url` for a server that is reached without TLS.
        """
        secret, base = environment.get(KEY_VARIABLE, "").strip(), environment.get(URL_VARIABLE) or API
        if not secret:
            raise EnvironmentFailure(
                "There is no key for Stripe.", code="payment_key", where=KEY_VARIABLE,
                hint=f"Set it in the environment of this command: export {KEY_VARIABLE}=sk_…",
            )  # fmt: skip
        url = httpx.URL(base)
        if url.scheme != "https" and url.host not in ("127.0.0.1", "::1", "localhost"):
            raise InputError(
                f"{base} is no address to send a secret key to.", code="payment_url", where=URL_VARIABLE,
                hint="Use https://.",
            )  # fmt: skip
        return cls(secret, cards=cards, base=base)

    @staticmethod
    def heard(
        payload: bytes, headers: Mapping[str, str], *, environment: Mapping[str, str], clock: Clock
    ) -> Answer | None:
        """`webhook` with the endpoint's secret in STRIPE_WEBHOOK_SECRET. Raises EnvironmentFailure `payment_key` besides."""
        secret = environment.get(WEBHOOK_VARIABLE, "").strip()
        if not secret:
            raise EnvironmentFailure(
                "There is no secret to prove Stripe's webhooks by.", code="payment_key", where=WEBHOOK_VARIABLE,
                hint=f"Set it in the environment of the server: export {WEBHOOK_VARIABLE}=whsec_…",
            )  # fmt: skip
        return webhook(payload, headers.get("stripe-signature", ""), secret=secret, clock=clock)

    def create(self, charge: Charge) -> Answer:
        """Makes a payment intent, and confirms it where the account has a card. A declined card is a failed answer.

        https://docs.stripe.com/api/payment_intents/create
        """
        form = {
            "amount": str(amount_of(charge.amount)),
            "currency": charge.amount.currency.lower(),
            "description": charge.number,
            "metadata[tradewind_payment]": charge.key,
            "metadata[tradewind_invoice]": charge.invoice_id,
        }
        card = self.cards.get(charge.account_id)
        if card is not None:
            form |= {"customer": card.customer, "payment_method": card.payment_method}
            form |= {"confirm": "true", "off_session": "true"}
        else:
            form["automatic_payment_methods[enabled]"] = "true"
        try:
            return _answer(self._call("POST", "/v1/payment_intents", form=form, key=charge.key))
        except _CardError as error:
            return Answer(error.intent, "failed", error.reason, charge.key)

    def find(self, key: str) -> Answer | None:
        """https://docs.stripe.com/api/payment_intents/search; what it lists may be a minute old."""
        query = {"query": f"metadata['tradewind_payment']:'{key}'", "limit": "1"}
        found = self._call("GET", "/v1/payment_intents/search", query=query)["data"]
        return _answer(found[0]) if found else None

    def status(self, provider_id: str) -> Answer:
        """https://docs.stripe.com/api/payment_intents/retrieve"""
        return _answer(self._call("GET", f"/v1/payment_intents/{provider_id}", query={"expand[]": "latest_charge"}))

    def cancel(self, provider_id: str) -> Answer:
        """https://docs.stripe.com/api/payment_intents/cancel; one that is over already stays what it is."""
        try:
            return _answer(self._call("POST", f"/v1/payment_intents/{provider_id}/cancel", form={}, key=None))
        except InputError as error:
            if "payment_intent_unexpected_state" not in error.message:
                raise
            return self.status(provider_id)

    def refund(self, provider_id: str, *, key: str) -> Answer:
        """https://docs.stripe.com/api/refunds/create"""
        try:
            made = self._call("POST", "/v1/refunds", form={"payment_intent": provider_id}, key=key)
        except InputError as error:
            if "charge_already_refunded" not in error.message:
                raise
            return Answer(provider_id, "refunded")
        refused = made.get("status") in ("failed", "canceled")
        return Answer(provider_id, "succeeded" if refused else "refunded", made.get("failure_reason"))

    def close(self) -> None:
        self._client.close()

    # ------------------------------------------------------------ one request, tried again where that is safe

    def _call(
        self, method: str, path: str, *, form: dict[str, str] | None = None, query: dict[str, str] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Stripe's own rule for what may be tried again: https://docs.stripe.com/error-low-level#should-retry"""
        headers = {"Idempotency-Key": key} if key else {}
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                reply = self._client.request(method, path, data=form, params=query, headers=headers)
            except httpx.HTTPError as error:
                if last:
                    raise _unreachable(f"It did not answer ({type(error).__name__}).") from None
            else:
                if reply.is_success:
                    return self._body(reply)
                if last or not _again(reply):
                    raise self._error(reply)
            self.pause(_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _body(self, reply: httpx.Response) -> dict[str, Any]:
        try:
            body = reply.json()
        except ValueError:
            raise _unreachable(f"Its answer ({reply.status_code}) is no JSON.") from None
        if not isinstance(body, dict):
            raise _unreachable(f"Its answer ({reply.status_code}) is no object.")
        return body

    def _error(self, reply: httpx.Response) -> Exception:
        """https://docs.stripe.com/api/errors"""
        try:
            error = dict(reply.json()["error"])
        except (ValueError, KeyError, TypeError):
            return _unreachable(f"It answered {reply.status_code} without an error object.")
        kind, code = str(error.get("type")), str(error.get("code"))
        message = str(error.get("message", "")).replace(self.secret_key, "[SECRET]")
        if kind == "card_error":
            intent = error.get("payment_intent") or {}
            if isinstance(intent, dict) and intent.get("id"):
                return _CardError(str(intent["id"]), f"{error.get('decline_code') or code}: {message}")
        where = reply.headers.get("request-id")
        if reply.status_code >= 500 or reply.status_code in (409, 429) or kind == "idempotency_error":
            return _unreachable(f"It answered {reply.status_code}: {message}", where=where)
        if reply.status_code in (401, 403):
            return InputError(
                f"Stripe refused the secret key: {message}", code="payment_key", where=where,
                hint="Give the key of this Stripe account.",
            )  # fmt: skip
        return InputError(f"Stripe refused the request ({code}): {message}", code="payment_refused", where=where)


class _CardError(Exception):
    def __init__(self, intent: str, reason: str) -> None:
        super().__init__(reason)
        self.intent, self.reason = intent, reason


def _again(reply: httpx.Response) -> bool:
    said = reply.headers.get("stripe-should-retry")
    if said in ("true", "false"):
        return bool(said == "true")
    return reply.status_code in (409, 429) or reply.status_code >= 500


def _unreachable(message: str, *, where: str | None = None) -> EnvironmentFailure:
    hint = "Collect again later: the same key charges at most once."
    return EnvironmentFailure(f"Stripe: {message}", code="payment_unreachable", where=where, hint=hint)


def amount_of(money: Money) -> int:
    """The amount as Stripe counts it. Raises InputError `payment_amount` for one that it cannot take.

    https://docs.stripe.com/currencies
    """
    expected = 0 if money.currency in ZERO_DECIMAL else 3 if money.currency in THREE_DECIMAL else 2
    assert CURRENCY_DIGITS[money.currency] == expected
    if money.amount_minor <= 0 or (expected == 3 and money.amount_minor % 10):
        raise InputError(
            f"Stripe takes no payment of {money}.",
            code="payment_amount",
            hint="In currencies of three digits the last one must be 0." if expected == 3 else None,
        )
    return money.amount_minor


def _answer(intent: Mapping[str, Any]) -> Answer:
    charge = intent.get("latest_charge")
    refunded = isinstance(charge, dict) and charge.get("refunded") is True
    status: Status = "refunded" if refunded else _STATUS.get(str(intent.get("status")), "pending")
    failure = intent.get("last_payment_error") or {}
    key = (intent.get("metadata") or {}).get("tradewind_payment")
    return Answer(str(intent["id"]), status, failure.get("message"), key)


# ---------------------------------------------------------------- webhooks


def webhook(
    payload: bytes, signature: str, *, secret: str, clock: Clock, tolerance_s: int = TOLERANCE_S
) -> Answer | None:
    """What a webhook says of a payment, for `payments.record`; None for an event that is about something else.

    `signature` is the header `Stripe-Signature`, `secret` the endpoint's (`whsec_…`). Raises InputError
    `payment_signature` when no v1 signature is right or the timestamp is further than `tolerance_s` from now.
    https://docs.stripe.com/webhooks#verify-manually
    """
    _check(payload, signature, secret=secret, now_s=int(clock.now().timestamp()), tolerance_s=tolerance_s)
    try:
        event = json.loads(payload)
        kind, subject = str(event["type"]), event["data"]["object"]
        if kind == "charge.refunded" and subject.get("payment_intent"):
            whole = subject.get("refunded") is True
            return Answer(str(subject["payment_intent"]), "refunded") if whole else None
        if kind == "payment_intent.payment_failed":
            answer = _answer(subject)
            return Answer(answer.provider_id, "failed", answer.reason, answer.key)
        return _answer(subject) if kind.startswith("payment_intent.") else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("The webhook's body is no Stripe event.", code="payment_webhook") from None


def _check(payload: bytes, header: str, *, secret: str, now_s: int, tolerance_s: int) -> None:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1"]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or not given:
        raise InputError("The webhook has no signature that can be read.", code="payment_signature")
    expected = hmac.new(secret.encode(), stamps[0].encode() + b"." + payload, hashlib.sha256).hexdigest()
    # Every candidate is compared, so that time tells nothing.
    if not any([hmac.compare_digest(expected.encode(), value.encode()) for value in given]):  # noqa: C419
        raise InputError("The webhook's signature is wrong.", code="payment_signature")
    if abs(now_s - int(stamps[0])) > tolerance_s:
        raise InputError("The webhook's timestamp is too far from now.", code="payment_signature")
