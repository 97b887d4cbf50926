"""Whatever is sent to the text routes, by the schema or against it: never a 5xx, nothing left reserved, no slot held."""

import json
import warnings

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from tests.server.language import CountingGenerator, app_of, served, tokenizer
from tradewind.server.gate import OpenGate

QUICK = settings(max_examples=40, suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True)
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")


@pytest.fixture(scope="module")
def gate():
    return OpenGate()


@pytest.fixture(scope="module")
def engine():
    return CountingGenerator(tokenizer())


@pytest.fixture(scope="module")
def app(gate, engine):
    return app_of(served(engine, max_tokens=8), gate)


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_generated_requests_never_meet_a_5xx(app, gate, engine):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    counted = {}
    for path in PATHS:
        operation = schema[path]["POST"]

        @QUICK
        @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
        def ask(case):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the generator's own transport
                reply = case.call()
            assert reply.status_code < 500, (reply.status_code, reply.text)
            counted[reply.status_code] = counted.get(reply.status_code, 0) + 1

        ask()
    assert counted[200] > 5
    assert sum(counted.values()) > 60
    assert (gate.reserved, engine.running) == ({}, 0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["user", "function", "text", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "function", "name", "schema"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = ["messages", "prompt", "input", "n", "stop", "stream", "tools", "tool_choice", "response_format", "temperature", "top_p",
         "max_tokens", "logprobs", "seed", "stream_options", "text", "include", "instructions", "echo", "user"]  # fmt: skip


@QUICK
@given(path=st.sampled_from(PATHS), said=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_json_is_answered_or_refused(client, gate, engine, path, said):
    whole = {"model": "writer", "messages": [{"role": "user", "content": "hello"}], "prompt": "hello", "input": "hello"}
    need = {"/v1/chat/completions": "messages", "/v1/completions": "prompt", "/v1/responses": "input"}[path]
    body = {"model": "writer", need: whole[need], **said}
    reply = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code < 500, reply.text
    assert (gate.reserved, engine.running) == ({}, 0)


@QUICK
@given(path=st.sampled_from([*PATHS, "/v1/embeddings"]), body=st.binary(max_size=200))
def test_any_bytes_are_refused(client, path, body):
    assert 400 <= client.post(path, content=body).status_code < 500
