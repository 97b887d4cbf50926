"""What a payment provider reports by itself is taken in once, signed, over a real socket."""

import httpx
import pytest

from tests.business.test_invoices import final
from tests.business.test_stripe import event, signed
from tests.server.running import running
from tradewind.business import payments
from tradewind.business.payments import Answer, Charge
from tradewind.clock import milliseconds
from tradewind.server import webhooks
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate

PATH = "/v1/payments/stripe/webhook"


class Waiting:
    """Stripe, of a customer without a card: the payment waits for him."""

    name = "stripe"

    def create(self, charge: Charge) -> Answer:
        return Answer("pi_1", "pending", None, charge.key)


@pytest.fixture
def waiting(database, clock):
    _, made = final(database, clock)
    return payments.collect(database, Waiting(), made.id)


@pytest.fixture
def client(shelf, database, monkeypatch):
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_1")
    app = create_app(shelf, OpenGate(), extra_routers=[webhooks.router])
    app.rest.state.database, app.rest.state.plans, app.rest.state.settle = database, {}, lambda: None
    with running(app) as address, httpx.Client(base_url=f"http://{address}", timeout=20) as client:
        yield client


def paid(payment):
    metadata = {"tradewind_payment": payment.id}
    return event("payment_intent.succeeded", id="pi_1", object="payment_intent", status="succeeded", metadata=metadata)


def sign(payload, clock, **changes):
    return {"stripe-signature": signed(payload, at_s=milliseconds(clock) // 1000, **changes)}


def test_a_payment_that_waited_is_paid_when_stripe_says_so_however_often(client, database, clock, waiting):
    body = paid(waiting)
    for _ in range(2):
        reply = client.post(PATH, content=body, headers=sign(body, clock))
        assert (reply.status_code, reply.json()) == (200, {"received": True, "known": True})
    assert payments.get(database, waiting.id).status == "succeeded"


def test_a_wrong_signature_changes_nothing(client, database, clock, waiting):
    body = paid(waiting)
    reply = client.post(PATH, content=body, headers=sign(body, clock, secret="whsec_other"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "input.payment_signature")
    assert client.post(PATH, content=body).status_code == 400
    assert payments.get(database, waiting.id).status == "pending"


def test_an_event_about_something_else_is_received_and_unknown(client, clock):
    body = event("customer.created", id="cus_1")
    assert client.post(PATH, content=body, headers=sign(body, clock)).json() == {"received": True, "known": False}


def test_without_the_secret_nothing_is_believed(client, clock, waiting, monkeypatch):
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET")
    body = paid(waiting)
    reply = client.post(PATH, content=body, headers=sign(body, clock))
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "environment.payment_key")


@pytest.mark.parametrize("name", ["fake", "paypal"])
def test_a_provider_that_reports_nothing_has_no_route(client, name):
    assert client.post(f"/v1/payments/{name}/webhook", content=b"{}").status_code == 404
