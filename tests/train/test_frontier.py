"""A fair run: strength nought is the plain run bit for bit, a ladder says what it found, what cannot be had is refused."""

import json

import numpy as np
import pytest

from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.errors import ModelError
from tradewind.product import Product
from tradewind.train import run as runs
from tradewind.train.frontier import Fairness, Point
from tradewind.train.run import train

POINT = {"strength", "split", "quality", "quality_name", "gap", "gap_seen", "column", "of", "how"}


def loans(task="classification", target="paid", augment=None, robustness="none", **settings):
    source = {
        "source": {"path": "loans.csv"},
        "target": target,
        "sensitive": ["sex", "town"],
        "drop": ["grade", "owed", "paid"],
    }
    source["drop"] = [name for name in source["drop"] if name != target]
    if augment:
        source["augment"] = augment
    train = {"epochs": 3, "learning_rate": 0.01, "threads": 1, "robustness": robustness, **settings}
    model = {"tabular": "mlp", "width": 16, "depth": 1}
    return Product(product="loans", task=task, data=source, model=model, train=train, evaluate={"fairness_least": 5})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loans")
    rng = np.random.default_rng(0)
    lines = ["age,income,sex,town,grade,owed,paid"]
    for _ in range(400):
        sex, town = rng.choice(["f", "m"]), rng.choice(["Bonn", "Pune", ""])
        age, income = rng.integers(18, 90), rng.normal(3000 + 800 * (sex == "m"), 900)
        owed = income / 1000 + age / 60 + rng.normal()
        lines.append(
            f"{age},{income:.2f},{sex},{town},{'abc'[min(2, int(max(owed, 0) / 2))]},{owed:.3f},{'yes' if owed > 4.5 else 'no'}"
        )
    (folder / "loans.csv").write_text("\n".join(lines) + "\n")
    return folder


def made(base, product, name=".tradewind"):
    workspace = Workspace(base / name)
    return train(product, prepare(product, base=base, workspace=workspace), workspace=workspace)


def weights(run):
    return run.artifact.files["best.safetensors"]


@pytest.mark.parametrize("by", ["penalty", "adversarial", "reweighing", "thresholds"])
def test_strength_nought_is_the_plain_run_bit_for_bit(base, by):
    plain = made(base, loans())
    fair = made(base, loans(fairness="equalized_odds", fairness_by=by, fairness_strength=0.0))
    assert weights(fair) == weights(plain)
    assert fair.artifact.digest != plain.artifact.digest
    assert "fairness" not in plain.summary


@pytest.mark.parametrize(("by", "goal"), [("auto", "equalized_odds"), ("thresholds", "demographic_parity")])
def test_a_ladder_says_what_every_strength_gave(base, by, goal):
    run = made(base, loans(fairness=goal, fairness_by=by))
    found = run.summary["fairness"]
    assert (found["goal"], found["gap_goal"], found["columns"]) == (goal, 0.05, ["sex", "town"])
    assert found["by"] == ("penalty" if by == "auto" else by)
    assert found["frontier"][0]["strength"] == 0.0
    assert all(set(point) == POINT for point in found["frontier"])
    assert 0 <= found["chosen"] < len(found["frontier"])
    assert (run.artifact.folder / "steps.jsonl").is_file()
    assert not list(run.artifact.folder.glob("fairness/*/checkpoints"))


@pytest.mark.slow
def test_the_chosen_strength_asked_for_by_itself_is_the_same_model(base):
    ladder = made(base, loans(fairness="demographic_parity", fairness_by="penalty"))
    point = ladder.summary["fairness"]["frontier"][-1]
    again = made(base, loans(fairness="demographic_parity", fairness_by="penalty", fairness_strength=point["strength"]))
    assert again.summary["fairness"]["frontier"] == [point]
    chosen = ladder.summary["fairness"]["chosen"]
    own = made(base, loans(
        fairness="demographic_parity", fairness_strength=ladder.summary["fairness"]["frontier"][chosen]["strength"],
    ))  # fmt: skip
    assert weights(own) == weights(ladder)


@pytest.mark.slow
def test_an_interrupted_ladder_ends_with_the_same_weights(base, monkeypatch):
    product = loans(
        fairness="equalized_odds", fairness_by="penalty", checkpoint={"steps": 2, "minutes": None, "keep": 2}
    )
    whole, fitted = made(base, product, "whole"), runs.fit
    seen = []

    def breaks(*given, **named):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return fitted(*given, **named)

    monkeypatch.setattr(runs, "fit", breaks)
    with pytest.raises(KeyboardInterrupt):
        made(base, product, "broken")
    monkeypatch.setattr(runs, "fit", fitted)
    again = made(base, product, "broken")
    assert weights(again) == weights(whole)
    assert again.summary["fairness"] == whole.summary["fairness"]


def test_values_and_several_classes_can_be_fair_too(base):
    owed = made(base, loans("regression", "owed", fairness="demographic_parity", fairness_strength=5.0)).summary[
        "fairness"
    ]
    grade = made(base, loans(target="grade", fairness="equalized_odds", fairness_strength=5.0)).summary["fairness"]
    assert owed["frontier"][0]["quality_name"] == "rmse"
    assert "standard deviations" in owed["frontier"][0]["how"]
    assert grade["frontier"][0]["quality_name"] == "accuracy"


@pytest.mark.parametrize(
    ("product", "says"),
    [
        (loans("regression", "owed", fairness="equalized_odds", fairness_by="thresholds"), "a value is predicted"),
        (loans("regression", "owed", fairness="equalized_odds", fairness_by="reweighing"), "a value is predicted"),
        (loans(target="grade", fairness="equalized_odds", fairness_by="thresholds"), "there are 3"),
        (loans(fairness="equalized_odds", augment={"mixup": 0.2}), "Mixup blends rows"),
        (loans(fairness="equalized_odds", robustness="group_dro"), "group_dro and train.fairness"),
    ],
)
def test_what_does_not_suit_is_refused(base, product, says):
    with pytest.raises(ModelError, match=says) as caught:
        made(base, product)
    assert caught.value.where.startswith("train.fairness")


def test_thresholds_of_a_column_of_many_numbers_are_refused(base):
    product = loans(fairness="equalized_odds", fairness_by="thresholds")
    product = product.model_copy(update={"data": product.data.model_copy(update={"sensitive": ["sex", "age"]})})
    with pytest.raises(
        ModelError, match=r"age holds many numbers, which are compared in bands such as 18 to"
    ) as caught:
        made(base, product)
    assert caught.value.code == "model.fairness_unsuited"
    assert "penalty" in caught.value.hint


def test_fairness_needs_a_sensitive_column():
    with pytest.raises(ValueError, match="data.sensitive names no column"):
        Product(
            product="loans",
            task="classification",
            data={"source": "x.csv", "target": "y"},
            train={"fairness": "equalized_odds"},
        )


def point(gap, quality, strength=1.0):
    return Point(strength, "train", quality, "roc_auc", gap, gap, "sex", "selected", "")


@pytest.mark.parametrize(
    ("points", "chosen"),
    [
        ([point(0.2, 0.9), point(0.04, 0.88), point(0.01, 0.8)], 1),  # the best that keeps the goal with room
        ([point(0.2, 0.9), point(0.049, 0.88)], 1),  # just kept
        ([point(0.2, 0.9), point(0.1, 0.88), point(0.15, 0.8)], 1),  # not kept by any: the nearest
        ([point(0.04, 0.88, 0.0), point(0.03, 0.9)], 0),  # the plain model keeps it: nothing is to be mended
        ([point(0.07, 0.88, 0.0), point(0.08, 0.9)], 0),
    ],
)
def test_the_best_point_that_keeps_the_goal_is_chosen(base, points, chosen):
    product = made(base, loans(fairness="equalized_odds", fairness_strength=0.0)).product
    fairness = Fairness.of(product, prepare(loans(), base=base, workspace=Workspace(base / ".tradewind")))
    assert fairness.chosen(points) == chosen
    assert json.dumps(fairness.summary(points))
