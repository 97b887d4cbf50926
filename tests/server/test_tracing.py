"""A span for each request where somebody collects: names, attributes, and a collector on a real socket."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.cli.test_serve import ask, customer, served, shop
from tradewind.server.observe import Observer
from tradewind.server.tracing import Tracing, configured

assert shop  # the fixture


def test_a_request_is_a_span():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = Observer(out=None, tracing=Tracing(provider))
    observer.record("/v1/predict", "churn", 503, 0.25, rows=2, request_id="req_1", account="acc_1", release="v1")
    (span,) = exporter.get_finished_spans()
    assert span.name == "predict churn"
    assert span.attributes["gen_ai.response.model"] == "churn@v1"
    assert abs((span.end_time - span.start_time) / 1e9 - 0.25) < 0.001
    assert not span.status.is_ok
    assert "acc_1" not in span.to_json()


def test_an_answer_in_text_is_a_span_with_its_tokens():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Observer(out=None, tracing=Tracing(provider)).record(
        "/v1/chat/completions", "writer", 200, 0.25, rows=0, request_id="req_1", account="acc_1", release="v1", tokens=(7, 3)
    )  # fmt: skip
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.attributes["gen_ai.operation.name"]) == ("chat writer", "chat")
    assert (span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"]) == (7, 3)


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("nonsense", None),
    ],
)
def test_a_request_continues_the_trace_of_its_client(header, trace):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Observer(out=None, tracing=Tracing(provider)).record(
        "/v1/predict", "churn", 200, 0.25, rows=1, request_id="req_1", account="", release="v1", traceparent=header
    )
    (span,) = exporter.get_finished_spans()
    assert (span.parent is None) == (trace is None)
    assert trace is None or format(span.context.trace_id, "032x") == trace


@pytest.mark.parametrize("environment", [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_TRACES_EXPORTER": " "}])
def test_unasked_there_are_no_spans_and_nothing_is_said(environment):
    said = []
    assert configured(environment, said.append) is None
    assert said == []


def test_an_exporter_that_nobody_knows_is_told_and_stops_nobody():
    said = []
    assert configured({"OTEL_TRACES_EXPORTER": "zipkin"}, said.append) is None
    assert said == [
        {"event": "no_traces", "reason": "OTEL_TRACES_EXPORTER is 'zipkin'; known are otlp, console and none."}
    ]


# ---------------------------------------------------------------- a collector on a socket


@contextmanager
def collector():
    """Takes OTLP over HTTP; yields its address and what came, each with the path it came to."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append((self.path, ExportTraceServiceRequest.FromString(body)))
            reply = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", came
        finally:
            server.shutdown()
            thread.join()


def values(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def exporting(monkeypatch):
    def to(address):
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    return to


def test_a_collector_gets_each_request_of_a_served_release(shop, capsys, exporting):
    _, key = customer(shop, capsys)
    with collector() as (address, came):
        exporting(address)
        with served(shop, "--workers", "2") as (_, client):
            answers = [ask(client, key, rows=3), ask(client, "wrong")]
    assert {path for path, _ in came} == {"/v1/traces"}
    resources = [one for _, request in came for one in request.resource_spans]
    assert {values(one.resource.attributes)["service.name"] for one in resources} == {"tradewind"}
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    mine = {values(span.attributes)["tradewind.request_id"]: span for span in spans}
    good, refused = (mine[answer.headers["x-request-id"]] for answer in answers)
    assert (good.name, good.kind) == ("predict churn", Span.SPAN_KIND_SERVER)
    assert values(good.attributes) == {
        "http.route": "/v1/predict", "http.response.status_code": 200, "tradewind.request_id": answers[0].json()["id"],
        "gen_ai.operation.name": "predict", "gen_ai.provider.name": "tradewind", "gen_ai.request.model": "churn",
        "gen_ai.response.model": "churn@v1", "tradewind.rows": 3,
    }  # fmt: skip
    assert 0 < good.end_time_unix_nano - good.start_time_unix_nano < 30e9
    assert (refused.name, values(refused.attributes)["http.response.status_code"]) == ("/v1/predict", 401)
    assert refused.status.code != Status.STATUS_CODE_ERROR  # the caller's fault
    sent = b"".join(request.SerializeToString() for _, request in came)
    assert key.encode() not in sent
    assert b"acc_" not in sent


def test_a_collector_that_is_gone_stops_neither_requests_nor_the_end(shop, capsys, exporting):
    _, key = customer(shop, capsys)
    exporting("http://127.0.0.1:9")  # nobody listens there
    with served(shop) as (process, client):
        assert ask(client, key).status_code == 200
        process.terminate()
        assert process.wait(20) == 0
