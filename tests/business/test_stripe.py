"""The adapter against a local server that keeps Stripe's published rules: keys, replays, errors, signatures."""

import hashlib
import hmac
import json
import logging
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from tests.business.test_invoices import final
from tradewind.business import payments, stripe
from tradewind.business.payments import Charge
from tradewind.business.stripe import Card, Stripe
from tradewind.clock import FixedClock
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.money import Money

SECRET = "sk_test_51Hsecretsecretsecret"
GOOD, DECLINED = Card("cus_1", "pm_card_visa"), Card("cus_2", "pm_card_chargeDeclined")


class Double:
    """Payment intents in memory. `script` holds what happens to the next requests: a status, "drop" (after the work
    was done) or None.
    """

    def __init__(self):
        self.intents, self.replies, self.refunds, self.seen, self.script = {}, {}, {}, [], []

    def handle(self, method, path, query, form, headers):
        self.seen.append((method, path, form, dict(headers)))
        fault = self.script.pop(0) if self.script else None
        if headers.get("authorization") != f"Bearer {SECRET}":
            return 401, error(
                "invalid_request_error", message=f"Invalid API Key provided: {headers.get('authorization')}"
            )
        if isinstance(fault, int):
            return fault, error("api_error", message="Something went wrong.")
        key = headers.get("idempotency-key")
        if key and key in self.replies:
            path_then, form_then, reply = self.replies[key]
            if (path_then, form_then) != (path, form):
                return 400, error("idempotency_error", message="Keys for idempotent requests can only be used with...")
            self.seen[-1][3]["replayed"] = True
        else:
            reply = self.work(method, path, query, form)
            if key and reply[0] != 401:
                self.replies[key] = path, form, reply
        return None if fault == "drop" else reply

    def work(self, method, path, query, form):
        parts = path.strip("/").split("/")
        if (method, path) == ("POST", "/v1/payment_intents"):
            return self.create(form)
        if path == "/v1/payment_intents/search":
            wanted = query["query"][0].removeprefix("metadata['tradewind_payment']:'").removesuffix("'")
            found = [one for one in self.intents.values() if one["metadata"].get("tradewind_payment") == wanted]
            return 200, {"object": "search_result", "data": found, "has_more": False}
        if (method, path) == ("POST", "/v1/refunds"):
            intent = self.intents[form["payment_intent"]]
            if intent["latest_charge"]["refunded"]:
                return 400, error("invalid_request_error", code="charge_already_refunded", message="Already refunded.")
            intent["latest_charge"]["refunded"] = True
            return 200, {"id": "re_1", "object": "refund", "status": "succeeded", "payment_intent": intent["id"]}
        intent = self.intents.get(parts[2])
        if intent is None:
            return 404, error("invalid_request_error", code="resource_missing", message="No such payment_intent")
        if parts[-1] == "cancel":
            if intent["status"] in ("succeeded", "canceled"):
                return 400, error("invalid_request_error", code="payment_intent_unexpected_state", message="No.")
            intent["status"] = "canceled"
        return 200, intent

    def create(self, form):
        amount, currency = form.get("amount", ""), form.get("currency", "")
        if not amount.isdigit() or int(amount) == 0 or currency != currency.lower():
            return 400, error("invalid_request_error", code="parameter_invalid_integer", message="Invalid integer")
        intent = {
            "id": f"pi_{len(self.intents) + 1}", "object": "payment_intent", "amount": int(amount), "currency": currency,
            "status": "requires_payment_method", "latest_charge": None, "last_payment_error": None,
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
        }  # fmt: skip
        self.intents[intent["id"]] = intent
        if form.get("confirm") == "true":
            if form["payment_method"] == DECLINED.payment_method:
                declined = error(
                    "card_error",
                    code="card_declined",
                    decline_code="insufficient_funds",
                    message="Your card was declined.",
                )
                declined["error"]["payment_intent"] = dict(intent)
                return 402, declined
            intent |= {"status": "succeeded", "latest_charge": {"id": "ch_1", "refunded": False}}
        return 200, intent

    @property
    def charged(self):
        return sum(one["amount"] for one in self.intents.values() if one["status"] == "succeeded")


def error(kind, *, message, **more):
    return {"error": {"type": kind, "message": message, **more}}


@pytest.fixture
def double():
    made = Double()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self):
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            form = dict(parse_qsl(body, strict_parsing=True)) if body else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = made.handle(self.command, url.path, parse_qs(url.query), form, headers)
            if reply is None:
                self.close_connection = True
                return
            data = json.dumps(reply[1]).encode()
            self.send_response(reply[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Request-Id", "req_stripe_1")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = serve

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.base = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def provider(double, pauses):
    made = Stripe(SECRET, cards={"acc_1": GOOD, "acc_2": DECLINED}, base=double.base, pause=pauses.append)
    yield made
    made.close()


def charge(account="acc_1", amount=30_900, currency="CNY", key="pay_1"):
    return Charge(key, "inv_1", "TW-2026-000001", account, Money(amount, currency))


def test_a_charge_is_a_confirmed_payment_intent(provider, double):
    answer = provider.create(charge())
    assert (answer.status, answer.provider_id, answer.key) == ("succeeded", "pi_1", "pay_1")
    method, path, form, headers = double.seen[0]
    assert (method, path, headers["idempotency-key"]) == ("POST", "/v1/payment_intents", "pay_1")
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert (form["amount"], form["currency"], form["confirm"]) == ("30900", "cny", "true")
    assert form["metadata[tradewind_invoice]"] == "inv_1"


def test_an_account_without_a_card_gets_an_intent_that_waits(provider, double):
    answer = provider.create(charge("acc_3"))
    assert answer.status == "pending"
    double.intents["pi_1"] |= {"status": "succeeded", "latest_charge": {"id": "ch_1", "refunded": False}}
    assert provider.status("pi_1").status == "succeeded"


def test_the_same_key_is_the_same_charge(provider, double):
    assert provider.create(charge()) == provider.create(charge())
    assert double.charged == 30_900
    assert double.seen[1][3]["replayed"]


def test_the_same_key_for_another_amount_is_not_said_to_be_uncharged(provider):
    provider.create(charge())
    with pytest.raises(EnvironmentFailure, match="idempotent"):
        provider.create(charge(amount=1))


def test_a_declined_card_is_an_answer(provider):
    answer = provider.create(charge("acc_2"))
    assert (answer.status, answer.provider_id) == ("failed", "pi_1")
    assert answer.reason == "insufficient_funds: Your card was declined."


@pytest.mark.parametrize("fault", [500, 503, 409, 429, "drop"])
def test_what_may_pass_is_tried_again_with_the_same_key(provider, double, pauses, fault):
    double.script = [fault, fault]
    assert provider.create(charge()).status == "succeeded"
    assert {one[3]["idempotency-key"] for one in double.seen} == {"pay_1"}
    assert (double.charged, len(double.seen), pauses) == (30_900, 3, [0.5, 1.0])


def test_it_gives_up_after_four_and_says_that_nobody_knows(provider, double):
    double.script = [500] * 4
    with pytest.raises(EnvironmentFailure, match="answered 500") as raised:
        provider.create(charge())
    assert raised.value.code == "environment.payment_unreachable"
    assert len(double.seen) == 4


def test_a_server_that_is_not_there_is_said(pauses):
    provider = Stripe(SECRET, base="http://127.0.0.1:9", pause=pauses.append)
    with pytest.raises(EnvironmentFailure, match="did not answer"):
        provider.status("pi_1")
    provider.close()


def test_a_refusal_is_final_and_not_tried_again(provider, double):
    with pytest.raises(InputError, match="resource_missing"):
        provider.status("pi_9")
    assert len(double.seen) == 1


def test_the_secret_key_is_in_no_error_log_or_repr(double, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = Stripe("sk_test_wrong_secret", base=double.base)
    with pytest.raises(InputError) as raised:
        wrong.create(charge())
    wrong.close()
    assert raised.value.code == "input.payment_key"
    assert "sk_test_wrong_secret" not in f"{raised.value}{raised.value!r}{wrong!r}{caplog.text}"


def test_a_refund_is_made_once(provider, double):
    provider.create(charge())
    assert provider.refund("pi_1", key="pay_1:refund").status == "refunded"
    assert provider.refund("pi_1", key="pay_1:refund").status == "refunded"
    assert provider.refund("pi_1", key="another").status == "refunded"
    assert provider.status("pi_1").status == "refunded"


def test_cancelling_stops_what_waits_and_leaves_what_came_in(provider):
    provider.create(charge("acc_3", key="pay_3"))
    provider.create(charge(key="pay_1"))
    assert provider.cancel("pi_1").status == "failed"
    assert provider.cancel("pi_1").status == "failed"
    assert provider.cancel("pi_2").status == "succeeded"


def test_a_payment_is_found_by_its_key(provider):
    provider.create(charge())
    assert provider.find("pay_1").provider_id == "pi_1"
    assert provider.find("pay_2") is None


@pytest.mark.parametrize(
    ("amount", "currency", "sent"), [(500, "JPY", 500), (500, "KRW", 500), (500, "CNY", 500), (5120, "KWD", 5120)]
)
def test_amounts_are_what_stripe_counts(amount, currency, sent):
    assert stripe.amount_of(Money(amount, currency)) == sent


@pytest.mark.parametrize(("amount", "currency"), [(5124, "KWD"), (0, "CNY"), (-1, "CNY")])
def test_amounts_that_stripe_cannot_take_are_refused_before_asking(amount, currency):
    with pytest.raises(InputError, match="takes no payment"):
        stripe.amount_of(Money(amount, currency))


def test_an_invoice_is_collected_through_a_server_that_charges_and_then_fails(database, clock, double, pauses):
    who, made = final(database, clock)
    provider = Stripe(SECRET, cards={who.id: GOOD}, base=double.base, pause=pauses.append)
    double.script = ["drop", 500, 500, 500]
    with pytest.raises(EnvironmentFailure):
        payments.collect(database, provider, made.id)
    assert double.charged == 30_900
    assert payments.collect(database, provider, made.id).status == "succeeded"
    paid = payments.collect(database, provider, made.id)
    assert (double.charged, paid.provider_id) == (30_900, "pi_1")
    assert payments.refund(database, provider, paid.id, actor="test").status == "refunded"
    provider.close()


# ---------------------------------------------------------------- webhooks

CLOCK = FixedClock(datetime(2026, 3, 10, 12, tzinfo=UTC))
NOW_S = int(CLOCK.now().timestamp())


def event(kind, **subject):
    return json.dumps({"id": "evt_1", "object": "event", "type": kind, "data": {"object": subject}}).encode()


def signed(payload, *, secret="whsec_1", at_s=NOW_S):
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"


INTENT = {"id": "pi_1", "object": "payment_intent", "metadata": {"tradewind_payment": "pay_1"}}
PAID = event("payment_intent.succeeded", status="succeeded", **INTENT)


def test_a_signed_webhook_says_what_became_of_a_payment():
    answer = stripe.webhook(PAID, signed(PAID), secret="whsec_1", clock=CLOCK)
    assert (answer.provider_id, answer.status, answer.key) == ("pi_1", "succeeded", "pay_1")


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (event("payment_intent.payment_failed", status="requires_payment_method", **INTENT), "failed"),
        (event("payment_intent.canceled", status="canceled", **INTENT), "failed"),
        (event("payment_intent.processing", status="processing", **INTENT), "pending"),
        (event("charge.refunded", id="ch_1", payment_intent="pi_1", refunded=True), "refunded"),
    ],
)
def test_each_kind_of_event_has_its_status(payload, status):
    assert stripe.webhook(payload, signed(payload), secret="whsec_1", clock=CLOCK).status == status


@pytest.mark.parametrize(
    "payload", [event("customer.created", id="cus_1"), event("charge.refunded", payment_intent="pi_1", refunded=False)]
)
def test_an_event_about_something_else_is_nothing(payload):
    assert stripe.webhook(payload, signed(payload), secret="whsec_1", clock=CLOCK) is None


@pytest.mark.parametrize(
    "header",
    [
        "", "t=1", "v1=ab", "t=x,v1=ab", "t=²,v1=ab", "t=1,t=2,v1=ab", f"t={NOW_S},v1=ü",
        signed(PAID, secret="whsec_2"), signed(PAID + b" "), signed(PAID, at_s=NOW_S - 301), signed(PAID, at_s=NOW_S + 301),
    ],
)  # fmt: skip
def test_a_signature_that_does_not_hold_is_refused(header):
    with pytest.raises(InputError) as raised:
        stripe.webhook(PAID, header, secret="whsec_1", clock=CLOCK)
    assert raised.value.code == "input.payment_signature"


def test_one_right_signature_among_several_is_enough():
    header = signed(PAID).replace("v1=", "v1=00,v1=")
    assert stripe.webhook(PAID, header, secret="whsec_1", clock=CLOCK).status == "succeeded"


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"type": "payment_intent.succeeded", "data": {"object": 3}}'])
def test_a_signed_body_that_is_no_event_is_said(payload):
    with pytest.raises(InputError) as raised:
        stripe.webhook(payload, signed(payload), secret="whsec_1", clock=CLOCK)
    assert raised.value.code == "input.payment_webhook"
