"""Translations over HTTP: what is answered, what is charged, what waits together, what is refused."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.server.conftest import KEY
from tests.server.running import running
from tradewind.engines.fake_translation import FakeTranslator
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.served_translation import served_translator
from tradewind.server.serving import Shelf
from tradewind.server.settings import Settings

ROUTE = "/v1/translations"


@pytest.fixture(scope="module")
def engine():
    return FakeTranslator({"kite": "Drachen"}, pace_s=0.02)


@pytest.fixture(scope="module")
def gate():
    return OpenGate(keys={"secret": "acc_1"})


@pytest.fixture(scope="module")
def app(engine, gate):
    shelf = Shelf([])
    for unit in ("text", "character", "token"):
        shelf.put(served_translator(engine, executor=shelf.executor, product=f"by-{unit}", version=3, unit=unit))
    yield create_app(shelf, gate, Settings(), observer=Observer(out=None))
    shelf.close()


@pytest.fixture(scope="module")
def client(app):
    with running(app) as address, httpx.Client(base_url=f"http://{address}", headers=KEY, timeout=20) as client:
        yield client


def ask(client, **body):
    return client.post(ROUTE, json={"model": "by-text"} | body)


def test_texts_are_translated_in_order_with_the_terms_that_were_kept(client):
    reply = ask(client, texts=["one red kite", ""], **{"from": "en", "to": "DE"}).json()
    first, second = reply["translations"]
    assert first["text"] == "Drachen red one"
    assert first["terms"] == [{"source": "kite", "translation": "Drachen", "kept": True, "how": "written"}]
    assert (second["text"], second["terms"]) == ("", [])
    assert (reply["release"], reply["usage"]) == ("v3", {"units": 1, "rows": 1})


def test_terms_of_a_request_go_before_those_of_the_release(client):
    reply = ask(client, text="red kite", glossary={"red": "rot", "kite": "Milan"}).json()
    assert reply["translations"][0]["text"] == "Milan rot"


@pytest.mark.parametrize(
    ("product", "by_meter"),
    [
        ("by-text", {"rows": 2}),
        ("by-character", {"characters": 11}),
        ("by-token", {"prompt_tokens": 3, "completion_tokens": 3}),
    ],
)
def test_plans_count_texts_characters_or_tokens(client, gate, product, by_meter):
    before = dict(gate.by_meter)
    reply = ask(client, model=product, texts=["one two", "four", "", " \n"])  # of what says nothing, nothing is charged
    assert reply.json()["usage"] == {"units": sum(by_meter.values()), **by_meter}
    assert {name: gate.by_meter[name] - before.get(name, 0) for name in by_meter} == by_meter
    assert gate.reserved == {}


@pytest.mark.parametrize("product", ["by-text", "by-character", "by-token"])
def test_a_request_of_nothing_is_answered_and_costs_nothing(client, gate, product):
    before = dict(gate.by_meter)
    reply = ask(client, model=product, text="")
    assert (reply.status_code, reply.json()["translations"][0]["text"], reply.json()["usage"]["units"]) == (200, "", 0)
    assert sum(gate.by_meter.values()) == sum(before.values())
    assert gate.reserved == {}


def test_rows_are_translated_where_a_text_is_the_unit(client):
    rows = [{"text": "red kite", "beams": 2}, {"text": "a b"}]
    reply = client.post("/v1/predict", json={"model": "by-text", "inputs": rows}).json()
    assert [one["text"] for one in reply["outputs"]] == ["Drachen red", "b a"]
    assert reply["usage"] == {"units": 2}
    refused = client.post("/v1/predict", json={"model": "by-token", "inputs": rows})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "input.model_task")


def test_requests_at_the_same_moment_share_a_batch(client, engine):
    engine.batches.clear()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: ask(client, text=f"a {number}").json(), range(8)))
    assert [one["translations"][0]["text"] for one in found] == [f"{number} a" for number in range(8)]
    assert max(engine.batches) > 1
    assert sum(engine.batches) == 8


def test_a_long_request_lets_others_in_between(client, engine):
    engine.batches.clear()
    assert len(ask(client, texts=["a b"] * 70).json()["translations"]) == 70
    assert engine.batches == [32, 32, 6]


def test_who_leaves_is_not_charged_and_the_rest_of_the_work_is_left(client, app, gate):
    slow = FakeTranslator(pace_s=0.2)
    app.desk.shelf.put(served_translator(slow, executor=app.desk.shelf.executor, product="slow"))
    before = dict(gate.settled)
    with pytest.raises(httpx.ReadTimeout):
        client.post(ROUTE, json={"model": "slow", "texts": ["a"] * 128}, timeout=0.1)
    time.sleep(0.6)
    assert len(slow.batches) < 4
    assert (gate.settled, gate.reserved) == (before, {})


def test_the_same_idempotency_key_is_charged_once(client, gate):
    headers = {"idempotency-key": "once"}
    replies = [
        client.post(ROUTE, json={"model": "by-text", "text": "a b"}, headers=headers) for _ in range(2)
    ]  # fmt: skip
    before = gate.settled["acc_1"]
    again = client.post(ROUTE, json={"model": "by-text", "text": "a b"}, headers=headers)
    assert replies[0].json() == replies[1].json() == again.json()
    assert gate.settled["acc_1"] == before


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "text"),
        ({"text": "a", "texts": ["a"]}, 400, "text"),
        ({"text": 1}, 400, "text"),
        ({"texts": []}, 400, "texts"),
        ({"texts": ["a"] * 129}, 413, "texts"),
        ({"texts": ["a", None]}, 400, "texts[1]"),
        ({"text": "a" * 20_001}, 400, "text"),
        ({"texts": ["a" * 20_000] * 6}, 413, "texts"),
        ({"text": "a", "to": "fr"}, 400, "to"),
        ({"text": "a", "beams": 9}, 400, "beams"),
        ({"text": "a", "length_penalty": -1}, 400, "length_penalty"),
        ({"text": "a", "glossary": {"kite": 1}}, 400, "glossary"),
        ({"text": "a", "glossary": {"!": "x"}}, 400, "glossary"),
        ({"text": "a", "glossary": {f"t{n}": "x" for n in range(201)}}, 400, "glossary"),
        ({"text": "a", "beam": 2}, 400, "beam"),
        ({"text": "a", "model": "nobody"}, 404, "model"),
    ],
)
def test_what_is_wrong_is_said_with_its_field_and_costs_nothing(client, gate, body, status, param):
    before = dict(gate.settled)
    reply = ask(client, **body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
    assert (gate.settled, gate.reserved) == (before, {})


def test_nobody_without_a_key_learns_what_is_served(client):
    reply = client.post(ROUTE, json={"model": "nobody", "text": "a"}, headers={"authorization": "Bearer wrong"})
    assert reply.status_code == 401
    assert client.get(ROUTE).status_code == 405


def test_the_list_of_models_says_what_is_translated_and_how_it_is_charged(client):
    found = client.get("/v1/models/by-token").json()
    assert (found["task"], found["from"], found["to"], found["unit"], found["glossary"]) == (
        "translation", "en", "de", "token", 1,
    )  # fmt: skip


def test_generated_requests_never_meet_a_5xx(app, gate):
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)[ROUTE]["POST"]
    counted = {}

    @settings(max_examples=40, suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True)
    @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)))
    def send(case):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the generator's own transport
            reply = case.call(headers=KEY)
        assert reply.status_code < 500, (reply.status_code, reply.text)
        counted[reply.status_code] = counted.get(reply.status_code, 0) + 1

    send()
    assert counted[200] > 3
    assert gate.reserved == {}
