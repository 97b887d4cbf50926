"""What the verbs leave of uncertainty and privacy in a release, and how they refuse what contradicts itself."""

import json

from tradewind.cli.app import main
from tradewind.engines.conformal import answer_set
from tradewind.engines.loading import load
from tradewind.gate_names import named


def test_a_release_answers_with_sets(finished):
    (release,) = (finished / ".tradewind" / "releases").iterdir()
    loaded = load(release)
    answers = loaded.predictor.predict_rows([{"tenure": 1, "plan": "basic", "spend": 50.0}])
    (found,) = answer_set(loaded.trust["uncertainty"], answers)
    assert found.promise == 0.9
    assert set(found.labels) <= {"yes", "no"}


def test_figures_of_trust_stand_beside_the_others(finished, capsys):
    assert main(["evaluate", "-C", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]["test"]
    assert found.keys() >= {"coverage", "coverage_gap", "set_size", "membership_auc", "membership_advantage"}
    assert "epsilon" not in found
    assert all(named(name, task="classification") and not named(f"{name}s", task="classification") for name in found)


def test_a_private_product_says_its_budget_and_a_gate_stops_it(product, capsys):
    changes = ["--set", "train.privacy.epsilon=2", "--set", "evaluate.gates.epsilon=<= 1"]
    assert main(["evaluate", "-C", str(product), "--json", *changes]) == 1
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert 1.9 < found["metrics"]["test"]["epsilon"] <= 2
    assert not found["gates"][0]["passed"]
    assert "epsilon 1.9" in output.err or "epsilon 2.0" in output.err


def test_early_stopping_and_a_budget_contradict_each_other(product, capsys):
    changes = ["--set", "train.privacy.epsilon=2", "--set", "train.stop_early=3"]
    assert main(["train", "-C", str(product), *changes]) == 2
    assert "train.stop_early: Private training cannot go with this setting" in capsys.readouterr().err
