"""A language model on the shelf: held while it answers, closed after the last answer, one beside the other kinds."""

import threading
from types import SimpleNamespace

import httpx
import pytest

from tests.server.language import HELLO, KEY, CountingGenerator, served, serving, tokenizer
from tests.server.releases import make_release
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.cli import serve as verb
from tradewind.errors import InputError
from tradewind.files import write_json
from tradewind.product import Product
from tradewind.release.registry import promote, register
from tradewind.server import serving as rooms
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.marks import Marking
from tradewind.server.served_language import Writing
from tradewind.server.serving import Place, Shelf


class Closing(CountingGenerator):
    closed = 0

    def close(self):
        self.closed += 1


def test_a_replaced_release_is_closed_behind_its_last_answer():
    one = served(Closing(tokenizer()))
    one.hold()
    one.hold()
    one.retire()
    one.let_go()
    assert one.engine.closed == 0
    one.let_go()
    assert one.engine.closed == 1
    assert not one.hold()


def test_an_idle_release_is_closed_at_once_and_once():
    one = served(Closing(tokenizer()))
    one.retire()
    one.retire()
    assert one.engine.closed == 1


def test_each_answer_lets_its_release_go():
    one = served(Closing(tokenizer()))
    with serving(one) as (address, _), httpx.Client(base_url=address, headers=KEY) as client:
        for said in ({}, {"stream": True}, {"temperature": 9}, {"n": 2}):
            client.post("/v1/chat/completions", json={"model": "writer", "messages": HELLO, **said})
    one.retire()
    assert one.engine.closed == 1


class Loader:
    """In the place of `load_generator`: fakes that say which release they are."""

    def __init__(self):
        self.engines = []

    def __call__(self, folder, *, precision, public_key=None, adapters=None, slots=16, waiting=256):
        self.engines.append(Closing(tokenizer(), answer=f"release {folder.name}"))
        return self.engines[-1]


@pytest.fixture
def workspace(tmp_path):
    """Two releases of a language model in a registry; v1 is live."""
    workspace = Workspace(tmp_path / "home")
    for number in (1, 2):
        folder = tmp_path / "home" / "releases" / f"{number}"
        folder.mkdir(parents=True)
        precisions = {"fp32": {}, "int8": {}}
        write_json(folder / "manifest.json", {"task": "generation", "product": "writer", "precisions": precisions})
        register(workspace, f"sha256:{number}" + "0" * 60, folder)
    promote(workspace, "v1")
    return workspace


def test_a_promoted_language_model_takes_the_place_of_the_old_one_which_is_closed(workspace):
    loader = Loader()
    shelf = Shelf([Place(workspace, writing=Writing(marking=Marking("Ann"), max_tokens=9))], load_engine=loader).open()
    first = shelf.get("writer")
    assert (first.release, first.precision, first.marking.provider, first.max_tokens) == ("v1", "int8", "Ann", 9)
    promote(workspace, "v2")
    shelf.look()
    assert shelf.get("writer").release == "v2"
    assert first.engine.closed == 1
    shelf.close()
    assert [engine.closed for engine in loader.engines] == [1, 1]


def test_promoting_while_answers_run_fails_no_request(workspace):
    shelf = Shelf([Place(workspace)], load_engine=Loader()).open()
    statuses = []
    with (
        running(create_app(shelf, OpenGate())) as address,
        httpx.Client(base_url=f"http://{address}", timeout=20) as client,
    ):
        for number in range(40):
            if number % 5 == 0:
                promote(workspace, f"v{1 + number // 5 % 2}")
                threading.Thread(target=shelf.look).start()
            body = {"model": "writer", "messages": HELLO, "stream": bool(number % 2)}
            statuses.append(client.post("/v1/chat/completions", json=body).status_code)
    shelf.close()
    assert statuses == [200] * 40


def test_the_product_file_chooses_the_precision(workspace):
    shelf = Shelf([Place(workspace, writing=Writing(precision="fp32"))], load_engine=Loader()).open()
    assert shelf.get("writer").precision == "fp32"
    shelf.close()


def test_rows_and_text_are_served_side_by_side(workspace, tmp_path):
    churn = Workspace(tmp_path / "churn" / "home")
    make_release(churn)
    shelf = Shelf([Place(workspace), Place(churn)], load_engine=Loader()).open()
    with (
        running(create_app(shelf, OpenGate())) as address,
        httpx.Client(base_url=f"http://{address}", timeout=20) as client,
    ):
        rows = client.post("/v1/predict", json={"model": "churn", "inputs": [{"x0": 1.0}]})
        text = client.post("/v1/chat/completions", json={"model": "writer@v2", "messages": HELLO})
        listed = client.get("/v1/models").json()["data"]
        document = client.get("/openapi.json").json()
        wrong = client.post("/v1/chat/completions", json={"model": "churn", "messages": HELLO})
    assert rows.json()["usage"] == {"units": 1}
    assert text.json()["choices"][0]["message"]["content"] == "release 2"
    assert {(one["id"], one["task"]) for one in listed} == {("churn", "classification"), ("writer", "generation")}
    assert {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/predict"} <= document["paths"].keys()
    assert document["components"]["schemas"]["chat.request"]["properties"]["model"]["enum"] == ["writer"]
    assert wrong.json()["error"]["code"] == "input.model_task"
    shelf.close()


def test_without_a_language_model_its_routes_are_not_documented(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert not {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"} & paths.keys()


def test_what_the_product_file_says_reaches_the_shelf(tmp_path):
    product = Product.model_validate({
        "product": "writer", "task": "generation", "language": "zh", "data": {"source": "text"},
        "serve": {"mark": "text", "mark_at": "start", "precision": "int4", "max_tokens": 7, "slots": 3, "waiting": 5, "seller": {"name": "Ann", "tax_id": "9144"}},
    })  # fmt: skip
    place = verb._place(rooms, SimpleNamespace(workspace=Workspace(tmp_path), product=product))
    assert (place.writing.precision, place.writing.max_tokens) == ("int4", 7)
    assert (place.writing.slots, place.writing.waiting) == (3, 5)
    assert place.writing.marking == Marking("Ann", "9144", explicit=True, at="start", language="zh")


class Picky(CountingGenerator):
    def start(self, prompt, sampling):
        if sampling.schema is not None:
            raise InputError("It cannot be bound.", code="guidance_unsupported")
        return super().start(prompt, sampling)


def test_what_an_engine_refuses_is_told_with_its_field_and_costs_nothing():
    with serving(served(Picky(tokenizer()))) as (address, gate), httpx.Client(base_url=address, headers=KEY) as client:
        form = {"type": "json_object"}
        chat = client.post(
            "/v1/chat/completions", json={"model": "writer", "messages": HELLO, "n": 2, "response_format": form}
        )
        response = client.post(
            "/v1/responses", json={"model": "writer", "input": "x", "text": {"format": form}, "stream": True}
        )
    assert (chat.status_code, chat.json()["error"]["param"]) == (400, "response_format")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "text.format")
    assert (gate.reserved, gate.by_meter) == ({}, {})
