"""A product of another kind than a table's behind the same route: its rows, its charges, what cannot stand beside them."""

from dataclasses import dataclass

import httpx
import pytest

from tests.server.conftest import KEY
from tests.server.running import running
from tradewind.errors import DataError
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.served_rows import ServedRows
from tradewind.server.serving import Shelf
from tradewind.server.settings import Settings

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


@dataclass(frozen=True)
class Mirror(ServedRows):
    """Writes a text backwards for whoever asks; an empty one has no answer."""

    task = "translation"

    def answer(self, rows, account):
        for row in rows:
            if not isinstance(row.get("text"), str):
                raise DataError("text is missing.", code="value_type", where="text")
        return [
            {"text": row["text"][::-1], "for": account} if row["text"] else {"abstained": True, "confidence": 0.0}
            for row in rows
        ]

    def facts(self):
        return {"from": "en", "to": "ne"}


@pytest.fixture
def gate():
    return OpenGate(keys={"secret": "acc_1"})


@pytest.fixture
def client(gate):
    shelf = Shelf([])
    shelf.put(Mirror("mirror", 3, "sha256:0", 0, TEXT, TEXT))
    app = create_app(shelf, gate, settings=Settings(), observer=Observer(out=None))
    with running(app) as address, httpx.Client(base_url=f"http://{address}", headers=KEY) as client:
        yield client
    shelf.close()


def test_rows_are_answered_for_the_customer_and_only_answers_are_charged(client, gate):
    reply = client.post("/v1/predict", json={"model": "mirror", "inputs": [{"text": "abc"}, {"text": ""}]}).json()
    assert reply["outputs"] == [{"text": "cba", "for": "acc_1"}, {"abstained": True, "confidence": 0.0}]
    assert (reply["release"], reply["usage"]) == ("v3", {"units": 1})
    assert gate.settled == {"acc_1": 1}


def test_a_wrong_row_names_its_column_and_costs_nothing(client, gate):
    reply = client.post("/v1/predict", json={"model": "mirror", "inputs": [{"text": 1}]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "text")
    assert gate.settled == {}


def test_nothing_stands_beside_its_answers(client):
    reply = client.post("/v1/predict", json={"model": "mirror", "inputs": [{"text": "a"}], "reasons": True})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "input.beside_unsuited")


def test_it_has_no_tensors(client):
    infer = client.post("/v2/models/mirror/infer", json={"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]})  # fmt: skip
    assert infer.status_code == 400
    assert "/v1/predict" in infer.text


def test_it_stands_in_the_list_and_in_the_openapi_document(client):
    assert (
        client.get("/v1/models/mirror").json() | {"from": "en", "to": "ne", "task": "translation"}
        == client.get("/v1/models/mirror").json()
    )
    document = client.get("/openapi.json").json()
    assert document["components"]["schemas"]["row.mirror"] == TEXT
    assert "reasons" not in document["components"]["schemas"]["predict.mirror"]["properties"]
