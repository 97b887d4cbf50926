"""Whatever is sent, by the schema or against it: never a 5xx, and nothing left reserved."""

import json
import warnings
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.settings import Settings

QUICK = settings(max_examples=50, suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True)


@pytest.fixture(scope="module")
def gate():
    return OpenGate()


@pytest.fixture(scope="module")
def app(shelf, gate):
    return create_app(shelf, gate, Settings(metrics_key="m"), observer=Observer(out=None))


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_generated_requests_never_meet_a_5xx(app, gate):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    counted = {}
    for found in schema.get_all_operations():
        operation = found.ok()

        @QUICK
        @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
        def ask(case):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the generator's own transport
                reply = case.call()
            assert reply.status_code < 500, (reply.status_code, reply.text)
            counted[reply.status_code] = counted.get(reply.status_code, 0) + 1

        ask()
    assert counted[200] > 20
    assert sum(counted.values()) > 200
    assert gate.reserved == {}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1e999", "2026-13-45", "١", "NaN", "-"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(st.sampled_from(["x0", "x1", "plan"]) | st.text(max_size=4), VALUES, max_size=4)


@QUICK
@given(
    body=st.fixed_dictionaries(
        {
            "model": st.sampled_from(["churn", "price", "churn@v2"]) | st.text(max_size=5),
            "inputs": st.lists(ROWS | VALUES, max_size=4),
        }
    )
)
def test_any_json_is_answered_or_refused(client, gate, body):
    reply = client.post("/v1/predict", content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code < 500, reply.text
    assert gate.reserved == {}


@QUICK
@given(
    body=st.binary(max_size=200),
    path=st.sampled_from(["/v1/predict", "/v2/models/churn/infer"]),
    length=st.none() | st.integers(-3, 300),
)
def test_any_bytes_are_refused(client, body, path, length):
    headers = {} if length is None else {"inference-header-content-length": str(length)}
    reply = client.post(path, content=body, headers=headers)
    assert 400 <= reply.status_code < 500


TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x0", "plan", "x9"]),
        "shape": st.lists(st.integers(-1, 3), max_size=3) | VALUES,
        "datatype": st.sampled_from(["FP64", "INT64", "BYTES", "BOOL", "FP16", "X"]),
        "data": st.lists(VALUES, max_size=4),
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "x"]), VALUES, max_size=2),
    },
)


@QUICK
@given(
    body=st.fixed_dictionaries(
        {"inputs": st.lists(TENSOR, max_size=3)}, optional={"outputs": VALUES, "parameters": VALUES, "id": VALUES}
    )
)
def test_any_tensors_are_answered_or_refused(client, gate, body):
    reply = client.post("/v2/models/churn/infer", content=json.dumps(body))
    assert reply.status_code < 500, reply.text
    assert gate.reserved == {}


@QUICK
@given(path=st.text(max_size=12), method=st.sampled_from(["GET", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"]))
def test_any_path_is_answered(client, path, method):
    reply = client.request(method, "/" + quote(path, safe="/", errors="replace"))
    assert reply.status_code < 500
