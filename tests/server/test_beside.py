"""What stands beside an answer, over a socket: asked for in any mixture, as the OpenAPI document says, for no unit more."""

import httpx
import jsonschema
import numpy as np
import pytest

from tests.server.conftest import KEY
from tests.server.releases import make_release
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.features.domain import Domain
from tradewind.release.golden import object_array
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf
from tradewind.server.settings import Settings

EXPLAIN = {
    "reasons": {"x0": "x0 is not what it should be."},
    "favourable": "yes",
    "may_change": ["x0", "plan"],
    "most": 2,
}
UNCERTAINTY = {"promise": 0.9, "thresholds": [0.05, 0.05]}
ALL = {"reasons": True, "counterfactuals": True, "sets": True, "domain": True}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """`churn` with everything and `bare` with nothing."""
    draw = np.random.default_rng(0)
    train, held = (
        {
            "x0": draw.normal(size=600),
            "x1": draw.normal(size=600),
            "plan": object_array(["basic", "plus", "专业"] * 200),
        }
        for _ in range(2)
    )
    domain = Domain.fit({"x0": "number", "x1": "number", "plan": "category"}, train, held).state()
    trust = {"explain": EXPLAIN, "uncertainty": UNCERTAINTY, "robustness": {"domain": domain}}
    full, bare = (Workspace(tmp_path_factory.mktemp(name) / "home") for name in ("churn", "bare"))
    make_release(full, trust=trust)
    make_release(bare, product="bare")
    shelf = Shelf([Place(full), Place(bare)]).open()
    yield shelf
    shelf.close()


@pytest.fixture(scope="module")
def gate():
    return OpenGate(keys={"secret": "acc_1"})


@pytest.fixture(scope="module")
def client(shelf, gate):
    app = create_app(shelf, gate, Settings(reason_rows=5, counterfactuals=3), observer=Observer(out=None))
    with running(app) as address, httpx.Client(base_url=f"http://{address}", headers=KEY, timeout=20) as client:
        yield client


def ask(client, rows, model="churn", **more):
    return client.post("/v1/predict", json={"model": model, "inputs": rows, **more})


@pytest.fixture(scope="module")
def refused(shelf):
    """Rows to which the model says no."""
    draw = np.random.default_rng(3)
    rows = [{"x0": round(float(a), 3), "x1": round(float(b), 3), "plan": "plus"} for a, b in draw.normal(size=(20, 2))]
    labels = shelf.get("churn").predictor.predict_rows(rows).labels
    return [row for row, label in zip(rows, labels, strict=True) if label == "no"][:4]


def test_all_of_it_stands_beside_each_answer_and_costs_nothing_more(client, gate, refused):
    before = gate.settled.get("acc_1", 0)
    content = ask(client, refused, **ALL).json()
    assert content["usage"] == {"units": len(refused)}
    assert gate.settled["acc_1"] == before + len(refused)
    for output in content["outputs"]:
        assert output.keys() == {"label", "probabilities", "reasons", "counterfactuals", "set", "domain"}


def test_replies_are_what_the_openapi_document_says(client, refused):
    document = client.get("/openapi.json").json()
    request = {"model": "churn", "inputs": refused, **ALL}
    for value, name in ((request, "predict.churn"), (client.post("/v1/predict", json=request).json(), "answer.churn")):
        jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            {**request, "counterfactuals": 4},
            {"$ref": "#/components/schemas/predict.churn", "components": document["components"]},
        )


def test_reasons_of_a_refusal_are_those_against_in_the_words_of_the_product(client, refused):
    for output in ask(client, refused, reasons=True).json()["outputs"]:
        assert 0 < len(output["reasons"]) <= 2
        assert all(reason["effect"] > 0 for reason in output["reasons"])
        texts = {reason["column"]: reason.get("text") for reason in output["reasons"]}
        assert texts == {column: EXPLAIN["reasons"].get(column) for column in texts}


def test_counterfactuals_hold_when_they_are_sent(client, refused):
    outputs = ask(client, refused, counterfactuals=3).json()["outputs"]
    found = [(row, one) for row, output in zip(refused, outputs, strict=True) for one in output["counterfactuals"]]
    assert found
    for row, one in found:
        changed = row | {change["column"]: change["to"] for change in one["changes"]}
        (answer,) = ask(client, [changed]).json()["outputs"]
        assert answer["label"] == one["label"] == "yes"
        assert {change["column"] for change in one["changes"]} <= {"x0", "plan"}


def test_a_set_holds_the_classes_that_are_likely_enough(client):
    (output,) = ask(client, [{"x0": 0.0, "x1": 0.0}], sets=True).json()["outputs"]
    assert output["set"] == {"promise": 0.9, "labels": output["set"]["labels"]}
    assert output["label"] in output["set"]["labels"]


def test_a_foreign_row_is_told_from_one_at_home(client):
    home, foreign = ask(
        client, [{"x0": 0, "x1": 0, "plan": "plus"}, {"x0": 900, "x1": 0, "plan": "?!"}], domain=True
    ).json()["outputs"]
    assert home["domain"]["score"] > 0.05 > foreign["domain"]["score"]
    assert "x0" in foreign["domain"]["unusual"]


def test_nothing_stands_there_that_was_not_asked_for(client, refused):
    for more in ({}, {"reasons": False, "counterfactuals": 0, "sets": False, "domain": False, "heatmap": False}):
        (output,) = ask(client, refused[:1], **more).json()["outputs"]
        assert output.keys() == {"label", "probabilities"}


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"counterfactuals": 4}, 400, "input.counterfactuals_range"),
        ({"counterfactuals": -1}, 400, "input.counterfactuals_range"),
        ({"reasons": 17}, 400, "input.reasons_range"),
        ({"heatmap": True}, 400, "input.heatmap_missing"),
        ({"sets": 1}, 400, "input.field"),
        ({"sets": True, "model": "bare"}, 400, "input.sets_missing"),
        ({"domain": True, "model": "bare"}, 400, "input.domain_missing"),
        ({"counterfactuals": 1, "rows": 6}, 413, "input.too_many_rows"),
        ({"heatmap": True, "rows": 6}, 413, "input.too_many_rows"),
    ],
)
def test_what_cannot_be_given_is_said_and_not_charged(client, gate, refused, more, status, code):
    settled, rows = dict(gate.settled), more.pop("rows", 1)
    reply = ask(client, refused[:1] * rows, **more)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert (gate.settled, gate.reserved.get("acc_1", 0)) == (settled, 0)


def test_sets_and_domain_are_cheap_and_have_no_limit_of_rows(client, refused):
    assert len(ask(client, refused[:1] * 50, sets=True, domain=True).json()["outputs"]) == 50


def test_a_release_that_names_no_favourable_answer_turns_to_any_other(client, refused):
    (output,) = ask(client, refused[:1], model="bare", counterfactuals=1, reasons=1).json()["outputs"]
    assert len(output["reasons"]) == 1
    assert output["counterfactuals"][0]["label"] != output["label"]
