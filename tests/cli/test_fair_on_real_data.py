"""The report of a real fit on real people: its figures of groups are those that fairlearn finds on the same answers."""

import csv
import json
import os
from pathlib import Path

import pytest
from fairlearn import metrics as fairlearn

from tradewind.cli.app import main
from tradewind.data.dataset import load
from tradewind.evaluate.calibration import apply_temperature
from tradewind.evaluate.predictions import FILE, MODEL, read_predictions
from tradewind.evaluate.thresholds import decide

SHARED = Path(os.environ.get("TRADEWIND_DATA", Path(__file__).parents[3] / "shared" / "data"))
NAMES = (
    "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,capital_gain,capital_loss,"
    "hours_per_week,native_country,income"
)
PRODUCT = """\
product: income
task: classification
data: {source: people.csv, target: income, sensitive: [sex, race]}
model: {tabular: mlp, width: 32, depth: 1}
train: {epochs: 3, threads: 1, fairness: equalized_odds, fairness_strength: 0.5}
evaluate: {bootstrap: 20, baselines: false, examine: [fairness], fairness_least: 1}
"""
FIGURES = (
    "demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference", "equalized_odds_ratio",
    "equal_opportunity_difference",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.realdata
def test_figures_of_groups_are_fairlearns_on_adult(tmp_path, capsys):
    if not SHARED.exists():
        pytest.skip(f"no public data sets in {SHARED}")
    with (SHARED / "adult" / "train.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if row][:4000]
    (tmp_path / "people.csv").write_text("\n".join([NAMES, *map(",".join, rows)]) + "\n", encoding="utf-8")
    (tmp_path / "tradewind.yaml").write_text(PRODUCT, encoding="utf-8")
    assert main(["evaluate", "-C", str(tmp_path), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    report = Path(outcome["artifacts"]["report"])
    test = read_predictions(report / FILE)["test"]
    found = json.loads((report / "calibration.json").read_text(encoding="utf-8"))
    raw = load(Path(outcome["artifacts"]["dataset"])).raw("test")
    positive = found["classes"].index(found["positive"])
    decided = (
        decide(apply_temperature(test.scores[MODEL], found["temperature"]), positive, found["threshold"]) == positive
    )
    truth = test.target_n == positive
    assert 400 < len(truth) == len(raw["sex"])
    for column in ("sex", "race"):
        group = raw[column].astype(str)
        for name in FIGURES:
            if column == "race" and not name.startswith("demographic"):
                continue  # a group without positive rows: fairlearn takes its rate for 0, the report leaves it out
            wanted = getattr(fairlearn, name)(truth, decided, sensitive_features=group)
            figure = outcome["metrics"]["test"][f"{name}:{column}"]
            assert figure == pytest.approx(wanted, abs=1e-9), (name, column)
