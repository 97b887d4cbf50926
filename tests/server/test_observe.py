"""Figures for Prometheus and lines without secrets."""

import io
import json

from prometheus_client.parser import text_string_to_metric_families

from tradewind.server.observe import BUCKETS_S, Observer


def record(observer, seconds=0.003, status=200, product="churn"):
    observer.record("/v1/predict", product, status, seconds, rows=2, request_id="req_1", account="acc_1", release="v1")


def test_the_figures_are_read_by_prometheus():
    observer = Observer(out=None)
    for seconds in (0.0001, 0.003, 99):
        record(observer, seconds)
    record(observer, product='a"b\\c\n')
    families = {
        family.name: family for family in text_string_to_metric_families(observer.render({"tradewind_ready": 1}))
    }
    mine = [s for s in families["tradewind_request_seconds"].samples if s.labels["product"] == "churn"]
    buckets = {s.labels["le"]: s.value for s in mine if s.name.endswith("_bucket")}
    assert buckets["0.0005"] == 1
    assert buckets["0.005"] == 2
    assert buckets["+Inf"] == 3
    assert len(buckets) == len(BUCKETS_S) + 1
    assert next(s.value for s in mine if s.name.endswith("_count")) == 3
    assert {s.labels["product"] for s in families["tradewind_rows"].samples} == {"churn", 'a"b\\c\n'}
    assert families["tradewind_ready"].samples[0].value == 1


def test_lines_are_json_and_written_by_a_thread():
    out = io.StringIO()
    observer = Observer(out=out)
    observer.start()
    record(observer)
    observer.event({"event": "release_live", "product": "信用"})
    assert out.getvalue() == ""  # not by the one who records
    observer.stop()
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["at"].endswith("Z")
    assert first | {"at": None} == {
        "at": None, "event": "request", "route": "/v1/predict", "product": "churn", "status": 200, "ms": 3.0, "rows": 2,
        "request_id": "req_1", "account": "acc_1", "release": "v1",
    }  # fmt: skip
    assert second["product"] == "信用"


def test_a_log_that_cannot_be_written_is_counted():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError("no space")

    observer = Observer(out=Full())
    record(observer)
    observer.write()
    assert "tradewind_log_lines_dropped_total 1" in observer.render()


def test_tokens_are_counted_by_kind_and_stand_in_the_line():
    out = io.StringIO()
    observer = Observer(out=out)
    observer.record(
        "/v1/chat/completions", "writer", 200, 0.1, rows=0, request_id="req_1", account="acc_1", release="v1", tokens=(7, 3)
    )  # fmt: skip
    observer.write()
    line = json.loads(out.getvalue())
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 3)
    labels = 'route="/v1/chat/completions",product="writer",status="200"'
    assert f'tradewind_tokens_total{{{labels},kind="prompt"}} 7' in observer.render()
    assert f'tradewind_tokens_total{{{labels},kind="completion"}} 3' in observer.render()
