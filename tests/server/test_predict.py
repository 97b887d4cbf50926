"""POST /v1/predict over a socket: answers, charges, reasons, limits, and a 400 for whatever a caller gets wrong."""

import asyncio
import json
import socket
import threading
import time
from dataclasses import replace

import httpx
import pytest

from tests.server.conftest import KEY
from tests.server.running import running
from tradewind.engines.batcher import Batcher
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf
from tradewind.server.settings import Settings

ROW = {"x0": 0.5, "x1": -1, "plan": "plus"}


def ask(client, rows=(ROW,), model="churn", headers=None, **more):
    return client.post("/v1/predict", json={"model": model, "inputs": list(rows), **more}, headers=headers)


def quiet():
    return Observer(out=None)


def test_a_row_is_answered_and_charged_as_one_unit(client, gate, shelf):
    reply = ask(client)
    content = reply.json()
    assert reply.status_code == 200
    expected = shelf.get("churn").predictor.predict_rows([ROW]).to_rows()
    assert content["outputs"] == expected
    assert content | {"id": None, "outputs": None} == {
        "id": None, "model": "churn", "release": "v1", "price_version": "open", "outputs": None, "usage": {"units": 1},
    }  # fmt: skip
    assert content["id"] == reply.headers["x-request-id"]
    assert gate.settled == {"acc_1": 1}
    assert gate.outcomes == [(content["id"], 1, "served")]


def test_many_rows_are_answered_in_order(client, gate, shelf):
    rows = [{"x0": i / 10} for i in range(90)]
    content = ask(client, rows).json()
    expected = shelf.get("churn").predictor.predict_rows(rows).to_rows()
    assert [one["label"] for one in content["outputs"]] == [one["label"] for one in expected]
    for one, other in zip(content["outputs"], expected, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
    assert gate.settled == {"acc_1": 90}


def test_a_regression_answers_values(client):
    content = ask(client, model="price").json()
    assert isinstance(content["outputs"][0]["value"], float)


def test_a_version_is_pinned_in_the_name_or_beside_it(client):
    by_name = ask(client, model="churn@v2").json()
    beside = ask(client, release="v2").json()
    assert by_name["release"] == beside["release"] == "v2"
    assert by_name["model"] == "churn"
    assert by_name["outputs"] == beside["outputs"] != ask(client).json()["outputs"]


def test_crowds_on_one_connection_pool_each_get_their_own(app, shelf):
    rows = [{"x0": i / 7, "plan": "basic"} for i in range(60)]
    expected = [shelf.get("churn").predictor.predict_rows([row]).to_rows()[0]["probabilities"] for row in rows]

    async def crowd(address):
        async with httpx.AsyncClient(base_url=f"http://{address}", headers=KEY, timeout=20) as client:
            replies = await asyncio.gather(
                *(client.post("/v1/predict", json={"model": "churn", "inputs": [row]}) for row in rows)
            )
        return [reply.json()["outputs"][0]["probabilities"] for reply in replies]

    with running(app) as address:
        found = asyncio.run(crowd(address))
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_reasons_name_the_columns_that_moved_the_answer(client):
    output = ask(client, reasons=True).json()["outputs"][0]
    assert {reason["column"] for reason in output["reasons"]} == {"x0", "x1"}
    assert [abs(reason["effect"]) for reason in output["reasons"]] == sorted(
        (abs(reason["effect"]) for reason in output["reasons"]), reverse=True
    )
    assert len(ask(client, reasons=1).json()["outputs"][0]["reasons"]) == 1
    assert "reasons" not in ask(client, reasons=False).json()["outputs"][0]


# ---------------------------------------------------------------- what a caller gets wrong


@pytest.mark.parametrize(
    ("rows", "code", "param"),
    [
        ([{"x9": 1}], "data.column_unknown", "x9"),
        ([{"x0": []}], "data.value_type", "x0"),
        ([{"x0": "many"}], "data.value_type", "x0"),
        ([{}], "data.row_empty", None),
        ([ROW, {"x0": {"a": 1}}], "data.value_type", "x0"),
    ],
)
def test_a_wrong_row_is_400_with_its_column_and_nothing_is_charged(client, gate, rows, code, param):
    reply = ask(client, rows)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, code, param)
    assert error["type"] == "invalid_request_error"
    assert gate.settled == {}
    assert gate.reserved == {}
    assert gate.released == 1


def test_of_many_rows_the_wrong_one_is_numbered(client):
    assert ask(client, [ROW, ROW, {"x9": 1}]).json()["error"]["message"].startswith("Row 3: No such column")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"text"', b'{"model": "churn"}', b'{"model": 1, "inputs": [{}]}',
        b'{"model": "churn", "inputs": {}}', b'{"model": "churn", "inputs": [1]}', b'{"model": "churn", "inputs": []}',
        b'{"model": "churn", "inputs": [{"x0": NaN}]}', b'{"model": "churn", "inputs": [{"x0": Infinity}]}',
        b'{"model": "churn", "inputs": [{"x0": 1e999}]}', b'{"model": "churn", "inputs": [{"x0": 1}], "other": 1}',
        b'{"model": "churn", "inputs": [{"x0": 1, "x0": 2}]}', b'{"model": "churn", "inputs": [{"x0": 1, "x0" : 2}]}',
        b'{"model": "churn", "model": "price", "inputs": [{"x0": 1}]}',
        b'{"model": "churn", "inputs": [{"x0": 1, "\\u0078\\u0030": 2}]}',
        b'{"model": "churn", "inputs": [{"x0": 1}], "inputs": [{"x0": 1}]}',
        b'{"model": "churn", "inputs": [{"plan": "\xff"}]}', b'{"model": "churn", "inputs": [{"plan": "\\ud800"}]}',
        b'{"model": "churn", "inputs": [{"x0": ' + b"[" * 50_000 + b"]" * 50_000 + b"}]}",
        b'{"model": "churn", "inputs": [{"x0": 1}], "reasons": 1.5}',
        b'{"model": "churn", "inputs": [{"x0": 1}], "reasons": -1}',
        b'{"model": "churn", "inputs": [{"x0": 1}], "reasons": 99}',
        b'{"model": "churn", "inputs": [{"x0": 1}], "release": 3}',
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_400(client, gate, body):
    reply = client.post("/v1/predict", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["message"]
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert gate.settled == {}
    assert gate.reserved == {}


def test_spaces_and_escapes_in_an_honest_body_are_no_doubles(client):
    body = b'{"model" : "churn", "inputs"\n:\t[{"x0" :1, "plan": "a\\":b \\\\\\": {"}]}'
    assert client.post("/v1/predict", content=body).status_code == 200


@pytest.mark.parametrize("value", [10**30, 10**4000, -(10**400), 1e308, True, 5e-324, "１２"])
def test_numbers_at_the_edge_are_answered(client, value):
    assert ask(client, [{"x0": value}]).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": ""}, 401, "input.key_missing"),
        ({"authorization": "Basic secret"}, 401, "input.key_missing"),
        ({"authorization": "Bearer wrong"}, 401, "input.key_unknown"),
        ({"content-type": "text/plain"}, 415, "input.content_type"),
        ({"content-encoding": "gzip"}, 415, "input.content_encoding"),
        ({"idempotency-key": "k" * 256}, 400, "input.idempotency_key"),
        ({"idempotency-key": ""}, 400, "input.idempotency_key"),
    ],
)
def test_headers_that_do_not_do(client, headers, status, code):
    reply = ask(client, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_without_a_key_nobody_learns_what_is_wrong_with_a_body(client):
    reply = client.post("/v1/predict", content=b"{", headers={"authorization": "Bearer wrong"})
    assert reply.status_code == 401


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"model": "chrun"}, 404, "input.model_unknown"),
        ({"model": "churn@v9"}, 404, "input.release_unknown"),
        ({"release": "new"}, 404, "input.release_unknown"),
        ({"rows": [ROW] * 101}, 413, "input.too_many_rows"),
        ({"rows": [ROW] * 6, "reasons": True}, 413, "input.too_many_rows"),
        ({"rows": [{"plan": "x" * 200_000}]}, 413, "input.body_too_large"),
    ],
)
def test_what_is_not_there_and_what_is_too_much(client, gate, more, status, code):
    reply = ask(client, **more)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert gate.reserved == {}


def test_a_name_nearly_right_gets_a_hint(client):
    assert "Did you mean churn?" in ask(client, model="chrun").json()["error"]["message"]


def test_a_body_without_an_announced_length_is_bounded_too(client):
    reply = client.post("/v1/predict", content=(b"x" * 10_000 for _ in range(40)))
    assert reply.status_code == 413


def test_another_method_is_405(client):
    assert client.get("/v1/predict").status_code == 405


# ---------------------------------------------------------------- abstaining, waiting, leaving


@pytest.fixture
def doubtful(made_homes):
    shelf = Shelf([Place(made_homes[0], abstain_below=0.7)]).open()
    yield shelf
    shelf.close()


def test_an_unsure_row_has_no_answer_and_no_price(doubtful):
    rows = [{"x0": i / 4} for i in range(-8, 9)]
    sure = [max(p) >= 0.7 for p in doubtful.get("churn").predictor.predict_rows(rows).probabilities.tolist()]
    assert 0 < sum(sure) < len(rows)
    gate = OpenGate()
    with running(create_app(doubtful, gate, observer=quiet())) as address:
        content = httpx.post(
            f"http://{address}/v1/predict", json={"model": "churn", "inputs": rows, "reasons": 1}
        ).json()
    assert ["label" in output for output in content["outputs"]] == sure
    for output in content["outputs"]:
        assert output.keys() == (
            {"label", "probabilities", "reasons"} if "label" in output else {"abstained", "confidence"}
        )
    assert content["usage"]["units"] == gate.settled["open"] == sum(sure)


def test_where_every_row_is_unsure_the_outcome_says_so(made_homes):
    shelf, gate = Shelf([Place(made_homes[0], abstain_below=1.0)]).open(), OpenGate()
    with running(create_app(shelf, gate, observer=quiet())) as address:
        httpx.post(f"http://{address}/v1/predict", json={"model": "churn", "inputs": [ROW]})
    shelf.close()
    assert [(units, outcome) for _, units, outcome in gate.outcomes] == [(0, "abstained")]


class Held:
    """A predict function that waits until it is let go."""

    def __init__(self, answers):
        self.answers, self.free, self.started = answers, threading.Event(), threading.Event()

    def __call__(self, rows):
        self.started.set()
        self.free.wait(10)
        return self.answers(rows)


@pytest.fixture
def held(made_homes):
    """A shelf whose model is slow, and what holds it up."""
    shelf = Shelf([Place(made_homes[0])]).open()
    served = shelf.get("churn")
    hold = Held(served.answer)
    slow = replace(served, batcher=Batcher(hold, seconds_a_row=1.0, executor=shelf.executor))
    shelf._live = {"churn": slow}
    yield shelf, hold
    hold.free.set()
    shelf.close()


def test_a_client_that_leaves_before_its_answer_is_not_billed(held):
    shelf, hold = held
    gate = OpenGate()
    body = json.dumps({"model": "churn", "inputs": [ROW]}).encode()
    with running(create_app(shelf, gate, observer=quiet())) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert hold.started.wait(5)
        deadline = time.monotonic() + 5
        while not gate.released and time.monotonic() < deadline:
            time.sleep(0.005)
        hold.free.set()
    assert (gate.settled, gate.reserved, gate.released) == ({}, {}, 1)


def test_an_answer_that_takes_too_long_is_504_and_not_charged(held):
    shelf, _ = held
    gate = OpenGate()
    with running(create_app(shelf, gate, Settings(seconds=0.1), observer=quiet())) as address:
        reply = httpx.post(f"http://{address}/v1/predict", json={"model": "churn", "inputs": [ROW]})
        assert reply.status_code == 504
        assert reply.json()["error"]["code"] == "environment.timeout"
        assert (gate.settled, gate.reserved) == ({}, {})


def test_a_body_that_does_not_come_is_408(shelf):
    with running(create_app(shelf, OpenGate(), Settings(seconds=0.1), observer=quiet())) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
            assert connection.recv(4096).startswith(b"HTTP/1.1 408")


# ---------------------------------------------------------------- the gate's ways


def test_the_awaited_way_through_the_gate_gives_the_same(shelf):
    gate = OpenGate(waits=True)
    with running(create_app(shelf, gate, observer=quiet())) as address:
        assert httpx.post(f"http://{address}/v1/predict", json={"model": "churn", "inputs": [ROW]}).status_code == 200
    assert gate.settled == {"open": 1}


def test_the_same_idempotency_key_gets_the_same_bytes_and_is_charged_once(client, gate):
    headers = {"idempotency-key": "k1"}
    first, again = ask(client, headers=headers), ask(client, headers=headers)
    assert first.content == again.content
    assert first.headers["x-request-id"] == again.headers["x-request-id"]
    assert gate.settled == {"acc_1": 1}
    assert ask(client, [{"x0": 2}], headers=headers).status_code == 422
    assert gate.settled == {"acc_1": 1}


def test_a_request_that_failed_leaves_its_idempotency_key_free(client):
    headers = {"idempotency-key": "k2"}
    assert ask(client, [{"x9": 1}], headers=headers).status_code == 400
    assert ask(client, headers=headers).status_code == 200


class Broken(OpenGate):
    def settle(self, ticket, units, outcome):
        raise OSError("secret place /var/journal")


def test_a_reply_that_cannot_be_charged_does_not_leave(shelf, log):
    gate = Broken()
    app = create_app(shelf, gate, observer=Observer(out=log))
    with running(app) as address:
        reply = httpx.post(f"http://{address}/v1/predict", json={"model": "churn", "inputs": [ROW]})
    assert reply.status_code == 500
    assert "journal" not in reply.text
    assert gate.reserved == {}
    assert '"error": "OSError"' in log.getvalue()
    assert "journal" not in log.getvalue()
