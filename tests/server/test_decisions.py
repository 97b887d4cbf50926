"""Decisions over a socket: windows read, the transaction remembered, the action chosen, a unit charged."""

import httpx
import jsonschema
import pytest

from tests.server.conftest import KEY
from tests.server.releases import make_release
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.features.actions import Actions
from tradewind.features.windows import Window, Windows
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf
from tradewind.server.window_feed import Feeds

HOUR_MS = 3_600_000
WINDOWS = Windows("at", (Window("x1", ("card",), HOUR_MS, "count"),), id="id")
COSTS = Actions(false_positive=5.0, false_negative="amount", review=2.0)
TRUST = {
    "events": WINDOWS.state(), "actions": COSTS.state(), "explain": {"favourable": "no", "reasons": {"x1": "Many at once."}},
}  # fmt: skip


class Queue:
    """The seam's fake: what waits, in memory."""

    def __init__(self):
        self.waiting = []

    def add(self, account_id, **decision):
        self.waiting.append({"account": account_id, **decision})
        return f"rev_{len(self.waiting)}"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    cards, plain, price = (Workspace(tmp_path_factory.mktemp(name) / "home") for name in ("cards", "plain", "price"))
    make_release(cards, product="cards", trust=TRUST)
    make_release(plain, product="plain")
    make_release(price, product="price", task="regression")
    shelf = Shelf([Place(one) for one in (cards, plain, price)]).open()
    yield shelf
    shelf.close()


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def gate():
    return OpenGate(keys={"secret": "acc_1", "other": "acc_2"})


@pytest.fixture
def client(shelf, gate, queue, tmp_path):
    feeds = Feeds(tmp_path, lambda word: word[::-1])
    app = create_app(shelf, gate, observer=Observer(out=None), feeds=feeds, queue=queue)
    with running(app) as address, httpx.Client(base_url=f"http://{address}", headers=KEY, timeout=20) as client:
        yield client
    feeds.close()


def _row(place=0, **values):
    return {"at": 1_700_000_000 + place, "card": "c1", "amount": 100.0, "id": place, "x0": 0.1, "plan": "plus"} | values


def _decide(client, row, model="cards", **fields):
    return client.post("/v1/decisions", json={"model": model, "transaction": row, **fields})


def test_each_decision_sees_the_transactions_before_it(client):
    assert [_decide(client, _row(place)).json()["windows"]["x1"] for place in range(4)] == [0, 1, 2, 3]


def test_what_was_sent_as_an_event_counts_and_counts_once(client):
    events = [_row(place) for place in range(3)]
    taken = client.post("/v1/events", json={"model": "cards", "events": events})
    assert (taken.status_code, taken.json()["taken"]) == (200, 3)
    again = client.post("/v1/events", json={"model": "cards", "events": events}).json()
    assert (again["taken"], again["passed_over"]) == (0, 3)
    assert _decide(client, _row(3)).json()["windows"] == {"x1": 3}


def test_customers_have_windows_of_their_own(client):
    _decide(client, _row(0))
    other = client.post(
        "/v1/decisions", json={"model": "cards", "transaction": _row(1)}, headers={"authorization": "Bearer other"}
    )
    assert other.json()["windows"] == {"x1": 0}


def test_the_action_is_the_one_that_costs_least(client):
    for place in range(12):
        for amount in (0.5, 40.0, 5000.0):
            reply = _decide(client, _row(place, amount=amount, id=None, x0=place / 3 - 2)).json()
            assert reply["decision"] == COSTS.of(reply["score"], {"amount": amount})


def test_reasons_stand_beside_all_but_allowed_ones_unless_it_is_said_otherwise(client):
    allowed, refused = _decide(client, _row(0, amount=0)).json(), _decide(client, _row(1, amount=10**9)).json()
    assert allowed["decision"] == "allow"
    assert "reasons" not in allowed
    assert refused["decision"] != "allow"
    assert all("effect" in reason for reason in refused["reasons"])
    assert "reasons" in _decide(client, _row(2, amount=0), reasons=True).json()
    assert "reasons" not in _decide(client, _row(3, amount=10**9), reasons=False).json()


def test_a_decision_to_review_waits_with_what_it_rests_on(client, queue):
    reply = next(
        found for amount in range(5, 400, 5)
        if (found := _decide(client, _row(amount, amount=float(amount))).json())["decision"] == "review"
    )  # fmt: skip
    assert reply["review"] == "rev_1"
    (waiting,) = queue.waiting
    assert waiting["request_id"] == reply["id"]
    assert waiting["content"]["windows"] == reply["windows"]
    assert waiting["content"]["transaction"]["card"] == "c1"


def test_a_decision_is_one_unit_and_an_event_none(client, gate):
    client.post("/v1/events", json={"model": "cards", "events": [_row(0)]})
    _decide(client, _row(1))
    assert gate.settled == {"acc_1": 1}
    assert not gate.reserved


def test_names_that_nobody_reads_are_told(client):
    assert _decide(client, _row(0, shop="s1", colour="red")).json()["ignored"] == ["colour", "shop"]


def test_without_costs_what_is_positive_is_refused(client):
    for x0 in (-3.0, 0.0, 3.0):
        reply = _decide(client, {"x0": x0, "x1": 0.2, "plan": "plus"}, model="plain").json()
        assert reply["decision"] == ("refuse" if reply["score"] >= 0.5 else "allow")
        assert "windows" not in reply


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "cards"}, 400, "input.field"),
        ({"model": "cards", "transaction": {"card": "c"}}, 400, "data.time_missing"),
        ({"model": "cards", "transaction": {"at": 1.7e9, "x1": 3}}, 400, "input.window_given"),
        ({"model": "cards", "transaction": {"at": 1.7e9, "x0": "much"}}, 400, "data.value_type"),
        ({"model": "cards", "transaction": {"at": 1.7e9}, "reasons": 3}, 400, "input.field"),
        ({"model": "price", "transaction": {"x0": 1}}, 400, "input.model_task"),
        ({"model": "none", "transaction": {"x0": 1}}, 404, "input.model_unknown"),
    ],
)
def test_a_wrong_decision_is_refused_costs_nothing_and_is_no_event(client, gate, body, status, code):
    reply = client.post("/v1/decisions", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert not gate.settled
    assert _decide(client, _row(0, card="c")).json()["windows"] == {"x1": 0}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "cards", "events": []}, "input.field"),
        ({"model": "cards", "events": ["e"]}, "input.field"),
        ({"model": "plain", "events": [{"x0": 1}]}, "input.events_unsupported"),
        ({"model": "cards", "events": [{"at": 1.7e9, "card": "c"}, {"card": "c"}]}, "data.time_missing"),
        ({"model": "cards", "events": [{"at": 1.7e9}] * 1025}, "input.too_many_rows"),
    ],
)
def test_wrong_events_are_refused_whole(client, body, code):
    assert client.post("/v1/events", json=body).json()["error"]["code"] == code


def test_nobody_without_a_key_learns_anything(client):
    for route in ("decisions", "events"):
        assert client.post(f"/v1/{route}", json={}, headers={"authorization": ""}).status_code == 401


def test_replies_are_as_the_openapi_document_says(client):
    paths = client.get("/openapi.json").json()["paths"]
    asked = [
        ("decisions", {"model": "cards", "transaction": _row(0, shop="s")}),
        ("events", {"model": "cards", "events": [_row(1)]}),
    ]
    for name, body in asked:
        operation = paths[f"/v1/{name}"]["post"]
        jsonschema.validate(body, operation["requestBody"]["content"]["application/json"]["schema"])
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(client.post(f"/v1/{name}", json=body).json(), {**schema, "additionalProperties": False})
