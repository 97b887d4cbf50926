"""The whole app: health, models, OpenAPI, docs, metrics, other people's routers, and what it must not import."""

import json
import subprocess
import sys

import httpx
import jsonschema
import pytest
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel
from starlette.testclient import TestClient

from tests.server.conftest import KEY
from tests.server.running import running
from tradewind.errors import InputError
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Shelf
from tradewind.server.settings import Settings

ROW = {"x0": 1.0, "plan": "basic"}


def quiet():
    return Observer(out=None)


# ---------------------------------------------------------------- health


def test_alive_and_ready(client):
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").status_code == 200


def test_not_ready_without_a_release_without_a_gate_and_while_draining(shelf):
    empty = Shelf([])
    app = create_app(shelf, OpenGate(ready=False), observer=quiet())
    draining = create_app(shelf, OpenGate(), observer=quiet())
    draining.draining = True
    for one, missing in (
        (create_app(empty, OpenGate(), observer=quiet()), "release"),
        (app, "gate"),
        (draining, "draining"),
    ):
        reply = TestClient(one).get("/health/ready")
        assert (reply.status_code, reply.json()["missing"]) == (503, missing)
    empty.close()


# ---------------------------------------------------------------- models, OpenAPI, docs


def test_models_are_listed_with_their_columns_and_releases(client):
    content = client.get("/v1/models").json()
    assert content["object"] == "list"
    churn = next(model for model in content["data"] if model["id"] == "churn")
    assert churn["release"] == "v1"
    assert churn["releases"] == ["v1", "v2"]
    assert set(churn["input"]["properties"]) == {"x0", "x1", "plan"}
    assert client.get("/v1/models/churn@v2").json()["release"] == "v2"
    assert client.get("/v1/models/other").status_code == 404


def test_models_are_shown_to_nobody_without_a_key(client, gate):
    for path in ("/v1/models", "/v1/models/churn"):
        reply = client.get(path, headers={"authorization": "Bearer wrong"})
        assert (reply.status_code, reply.json()["error"]["type"]) == (401, "authentication_error")
    assert gate.reserved == {}


def test_replies_are_what_the_openapi_document_says(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    assert {"row.churn", "predict.churn", "answer.churn", "answer.price"} <= schemas.keys()
    assert set(schemas["row.churn"]["properties"]) == {"x0", "x1", "plan"}

    def check(value, name):
        jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})

    request = {"model": "churn", "inputs": [ROW], "reasons": 2}
    check(request, "predict.churn")
    check(client.post("/v1/predict", json=request).json(), "answer.churn")
    check(client.post("/v1/predict", json={"model": "price", "inputs": [ROW]}).json(), "answer.price")
    check(client.post("/v1/predict", json={"model": "churn", "inputs": [{"x9": 1}]}).json(), "Error")
    with pytest.raises(jsonschema.ValidationError):
        check({"model": "churn", "inputs": [{"x9": 1}]}, "predict.churn")


def test_the_docs_page_asks_nobody_but_this_server(client):
    reply = client.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    for foreign in ("https://", "http://", "src=", "@import", "url("):
        assert foreign not in reply.text


def test_docs_can_be_left_out(shelf):
    client = TestClient(create_app(shelf, OpenGate(), Settings(docs=False, metrics=False), observer=quiet()))
    assert [client.get(path).status_code for path in ("/docs", "/openapi.json", "/metrics")] == [404, 404, 404]


# ---------------------------------------------------------------- metrics and lines


def test_metrics_count_by_route_product_and_status(client):
    client.post("/v1/predict", json={"model": "churn", "inputs": [ROW, ROW]})
    client.post("/v1/predict", json={"model": "no such model", "inputs": [ROW]})
    text = client.get("/metrics").text
    assert 'tradewind_request_seconds_count{route="/v1/predict",product="churn",status="200"} 1' in text
    assert 'tradewind_request_seconds_count{route="/v1/predict",product="",status="404"} 1' in text
    assert 'tradewind_rows_total{route="/v1/predict",product="churn",status="200"} 2' in text
    assert "no such model" not in text  # a caller cannot fill the memory with names of his own


def test_metrics_behind_a_key(shelf):
    client = TestClient(create_app(shelf, OpenGate(), Settings(metrics_key="m"), observer=quiet()))
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer m"}).status_code == 200


def test_metrics_without_a_key_are_for_this_machine(shelf):
    app = create_app(shelf, OpenGate(), observer=quiet())
    assert TestClient(app, client=("192.0.2.7", 1)).get("/metrics").status_code == 403
    assert TestClient(app, client=("127.0.0.1", 1)).get("/metrics").status_code == 200


def test_no_line_holds_a_key_or_an_input(client, log, app):
    client.post("/v1/predict", json={"model": "churn", "inputs": [{"plan": "private words"}]})
    client.post("/v1/predict", json={"model": "churn", "inputs": [{"private column": 1}]})
    client.get("/v1/models")
    client.get("/no/such/private/place")
    app.desk.observer.write()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 400, 200, 404]
    assert "private" not in log.getvalue()
    assert "secret" not in log.getvalue()


# ---------------------------------------------------------------- other routers, other failures


class Wish(BaseModel):
    count: int


def guests():
    router = APIRouter()

    @router.get("/guest")
    def guest(number: int) -> dict[str, int]:
        return {"number": number}

    @router.post("/guest")
    def wish(wish: Wish) -> dict[str, int]:
        return {"count": wish.count}

    @router.get("/refuses")
    async def refuses() -> None:
        raise InputError("Not so.", code="scope_missing")

    @router.get("/breaks")
    async def breaks() -> None:
        raise KeyError("private words")

    @router.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    return router


@pytest.fixture
def hosted(shelf, log):
    with TestClient(create_app(shelf, OpenGate(), observer=Observer(out=log), extra_routers=[guests()])) as client:
        yield client


def test_routers_of_others_are_mounted_and_documented(hosted):
    assert hosted.get("/guest?number=3").json() == {"number": 3}
    assert "/guest" in hosted.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/guest?number=x", 400, "input.field"),
        ("POST", "/guest", 400, "input.field"),
        ("GET", "/refuses", 403, "input.scope_missing"),
        ("GET", "/breaks", 500, "error.internal"),
        ("GET", "/nothing", 404, "input.route_unknown"),
        ("DELETE", "/guest", 405, "input.method_not_allowed"),
        ("GET", "/teapot", 400, "input.request"),
    ],
)
def test_every_refusal_has_the_same_shape(hosted, log, method, path, status, code):
    reply = hosted.request(method, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert "private" not in reply.text
    hosted.app.desk.observer.write()
    assert "private" not in log.getvalue()


def test_start_and_stop_are_told(shelf):
    told = []
    app = create_app(
        shelf,
        OpenGate(),
        observer=quiet(),
        on_start=[lambda: told.append("start")],
        on_stop=[lambda: told.append("stop")],
    )
    with running(app) as address:
        assert httpx.get(f"http://{address}/health/live", headers=KEY).status_code == 200
        assert told == ["start"]
    assert told == ["start", "stop"]
    assert app.draining


def test_the_server_needs_neither_torch_nor_polars_nor_the_workshops():
    program = """
import sys
import tradewind.server.app
bad = ("torch", "polars", "sklearn", "PIL", "tradewind.data", "tradewind.model", "tradewind.train", "tradewind.evaluate")
print([name for name in sys.modules if name in bad or name.startswith(tuple(b + "." for b in bad))])
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_body_beyond_the_limit_is_refused_on_every_route(client):
    reply = client.post("/v1/models", content=b"x" * 200_001)
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "input.body_too_large"
