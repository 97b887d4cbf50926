"""A release with thresholds of groups: the sensitive column is read for the decision only, and what was measured is served."""

import json
import random

import httpx
import pytest

from tests.server.conftest import KEY
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.cli.app import main
from tradewind.engines.loading import load
from tradewind.evaluate.predictions import MODEL, read_predictions
from tradewind.release.registry import promote
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf
from tradewind.server.settings import Settings

PRODUCT = """\
product: loans
task: classification
data: {source: rows.csv, target: paid, sensitive: [sex]}
model: {tabular: mlp, width: 16, depth: 1}
train: {epochs: 4, threads: 1, fairness: demographic_parity, fairness_by: thresholds, fairness_strength: 300}
evaluate: {bootstrap: 20, baselines: false, positive: "yes", threshold: half}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loans")
    draw = random.Random(0)
    lines = ["income,years,sex,paid"]
    for _ in range(500):
        sex = draw.choice("fm")
        income, years = draw.gauss(3000 + 900 * (sex == "m"), 700), draw.randint(0, 30)
        lines.append(
            f"{income:.1f},{years},{sex},{'yes' if income / 1000 + years / 15 + draw.gauss(0, 0.5) > 4.4 else 'no'}"
        )
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "tradewind.yaml").write_text(PRODUCT)
    assert main(["release", "-C", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return load(next((folder / ".tradewind" / "releases").iterdir()))


def test_groups_have_thresholds_of_their_own(loaded):
    shifts = loaded.predictor.decision.shifts["sex"]
    assert shifts["m"] > shifts["f"]
    rows = [
        {"income": 3000 + 5 * at, "years": 12, **sex} for at in range(300) for sex in ({"sex": "f"}, {"sex": "m"}, {})
    ]
    labels = loaded.predictor.predict_rows(rows).labels
    said = {name: int((labels[at::3] == "yes").sum()) for at, name in enumerate(("f", "m", "nobody"))}
    assert said["f"] > said["m"]
    assert said["nobody"] == int((loaded.predictor.predict_rows(rows).probabilities[2::3, 1] >= 0.5).sum())


def test_the_probability_does_not_depend_on_the_group(loaded):
    row = {"income": 3600.0, "years": 12}
    found = loaded.predictor.predict_rows([row, {**row, "sex": "f"}, {**row, "sex": "no such"}])
    assert (found.probabilities == found.probabilities[0]).all()


def test_the_schema_marks_the_column(loaded):
    assert loaded.predictor.row_schema()["properties"]["sex"]["x-decision-only"] is True
    assert "sex" not in loaded.predictor.columns


def test_over_http_the_column_moves_the_label_alone(folder, loaded):
    workspace = Workspace.of(folder)
    promote(workspace, "v1")
    shelf = Shelf([Place(workspace)]).open()
    app = create_app(shelf, OpenGate(keys={"secret": "acc_1"}), Settings(), observer=Observer(out=None))
    rows = [{"income": 3000 + 10 * at, "years": 12} for at in range(100)]
    said = {}
    with running(app) as address, httpx.Client(base_url=f"http://{address}", headers=KEY, timeout=20) as client:
        for name, sex in (("f", {"sex": "f"}), ("m", {"sex": "m"}), ("nobody", {}), ("other", {"sex": "no such"})):
            inputs = [{**row, **sex} for row in rows]
            answer = client.post("/v1/predict", json={"model": "loans", "inputs": inputs})
            assert answer.status_code == 200, answer.text
            said[name] = answer.json()["outputs"]
            assert [one["label"] for one in said[name]] == loaded.predictor.predict_rows(inputs).labels.tolist()
    shelf.close()
    yes = {name: sum(one["label"] == "yes" for one in outputs) for name, outputs in said.items()}
    assert yes["f"] > yes["nobody"] == yes["other"] > yes["m"]
    assert all(
        [one["probabilities"] for one in said[name]] == [one["probabilities"] for one in said["f"]] for name in said
    )


def test_what_was_measured_is_what_is_decided(folder, loaded):
    report = next(path for path in (folder / ".tradewind" / "reports").iterdir() if path.is_dir())
    test = read_predictions(report / "predictions.parquet")["test"]
    stored = json.loads((report / "report.json").read_text())
    assert test.shift_n is not None
    assert set(test.shift_n.tolist()) == set(stored["shifts"]["sex"].values())
    claimed = stored["confusion"]["test"][0][1] + stored["confusion"]["test"][1][1]
    decision = loaded.predictor.decision
    p = test.scores[MODEL][:, 1]
    groups = {shift: group for group, shift in stored["shifts"]["sex"].items()}
    rows = [{"sex": groups[shift]} for shift in test.shift_n.tolist()]
    temperature = stored["calibration"]["temperature"]
    calibrated = 1 / (1 + ((1 - p) / p) ** (1 / temperature))
    assert int((calibrated >= decision.cuts_of_rows(rows)).sum()) == claimed


def test_a_file_in_bulk_and_verify_know_the_column(folder, loaded, capsys, monkeypatch):
    release = next((folder / ".tradewind" / "releases").iterdir())
    output = folder / "answers.csv"
    assert main(["predict", str(release), str(folder / "rows.csv"), "--output", str(output)]) == 0
    rows = [line.split(",") for line in (folder / "rows.csv").read_text().splitlines()[1:]]
    one_by_one = loaded.predictor.predict_rows([{"income": float(r[0]), "years": int(r[1]), "sex": r[2]} for r in rows])
    labels = [line.split(",")[1].strip('"') for line in output.read_text().splitlines()[1:]]
    assert labels == one_by_one.labels.tolist()
    report = next(path for path in (folder / ".tradewind" / "reports").iterdir() if path.is_dir())
    assert main(["verify", str(report)]) == 0
