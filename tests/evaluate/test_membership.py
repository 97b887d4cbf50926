"""The audit of membership: an overfitted model is found out, a private one is not, and its figures are those of scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.evaluate.rooms import examined, part
from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.evaluate import membership
from tradewind.evaluate.examination import Examination, again, write_witnesses
from tradewind.evaluate.intervals import area_above
from tradewind.evaluate.recompute import recompute
from tradewind.evaluate.report import evaluate, write
from tradewind.evaluate.trust import Outputs, Part
from tradewind.model.export import predict
from tradewind.product import Product
from tradewind.train.run import train


def said(given):
    return membership.summarise(membership.measure(given), given.context)


@pytest.mark.parametrize("kinds", [0, 2, 5])
def test_rows_alike_cannot_be_told(kinds):
    found = said(examined(kinds, rows=4000))
    assert abs(found.figures["membership_auc"].value - 0.5) < 0.02
    assert abs(found.figures["membership_advantage"].value) < 0.04
    assert abs(found.figures["membership_tpr"].value - 0.01) < 0.01
    assert found.section["verdict"] == "quiet"


@pytest.mark.parametrize("kinds", [2, 5])
def test_rows_that_were_learnt_by_heart_are_told(kinds):
    found = said(examined(kinds, rows=1000, train=part(1000, kinds, 1, signal=4.0)))
    assert found.figures["membership_auc"].low > 0.7
    assert found.figures["membership_advantage"].low > 0.3
    assert found.section["verdict"] == "loud"


def test_values_that_were_learnt_by_heart_are_told():
    learnt = part(1000, 0, 1)
    learnt = replace(learnt, answers=Outputs(values=learnt.target + 0.1 * (learnt.outputs.values - learnt.target)))
    found = said(examined(0, rows=1000, train=learnt))
    assert found.figures["membership_auc"].low > 0.8
    assert found.section["verdict"] == "loud"


def test_few_rows_give_no_verdict():
    found = said(examined(2, rows=40))
    assert found.section["verdict"] == "unclear"
    assert found.figures["membership_tpr"].value is None
    assert "too few rows" in found.figures["membership_tpr"].absent


def test_the_area_and_its_interval_agree_with_a_reference():
    random = np.random.default_rng(0)
    ours, theirs = np.round(random.normal(0.5, 1, 300), 1), np.round(random.normal(0, 1, 200), 1)
    value, low, high = area_above(ours, theirs)
    assert value == pytest.approx(roc_auc_score(np.r_[np.ones(300), np.zeros(200)], np.r_[ours, theirs]))
    again_ = [area_above(random.choice(ours, 300), random.choice(theirs, 200))[0] for _ in range(400)]
    assert (high - low) / 2 == pytest.approx(1.96 * np.std(again_), rel=0.15)


def test_a_class_that_is_hard_is_compared_with_its_like():
    """Test rows are of the hard class alone: a plain look at the loss takes that for membership, a comparison does not."""
    random = np.random.default_rng(0)

    def rows(kinds):
        p = 1 / (1 + np.exp(-(2.0 - 3.0 * kinds + random.normal(size=len(kinds)))))
        shares = np.where(kinds[:, None] == np.arange(2), p[:, None], 1 - p[:, None])
        return Part({}, kinds, None, Outputs(shares, shares.argmax(axis=1)))

    mixed = random.integers(0, 2, 3000)
    given = replace(examined(2), train=rows(mixed), validation=rows(mixed), test=rows(np.ones(3000, dtype=np.int64)))
    attacks = said(given).section["attacks"]
    assert attacks["loss"]["auc"]["value"] > 0.7
    assert abs(attacks["compared"]["auc"]["value"] - 0.5) < 0.03


def test_the_budget_of_private_training_is_a_figure_and_a_bound():
    found = said(examined(2, training={"privacy": {"epsilon": 1.5, "delta": 1e-5}}))
    assert found.figures["epsilon"].value == 1.5
    assert found.section["private"]["bound"] == pytest.approx(np.exp(1.5) * 0.01 + 1e-5)
    assert said(examined(2)).section["private"] is None


@pytest.mark.parametrize(("kinds", "language"), [(0, "zh"), (3, "en")])
def test_the_report_shows_it_a_gate_reads_it_and_verify_finds_an_edited_digit(kinds, language, make_inputs, tmp_path):
    report = evaluate(make_inputs(kinds, settings={"gates": {"membership_auc": "<= 0.9", "epsilon": "<= 1"}}))
    given = replace(examined(kinds, training={"privacy": {"epsilon": 1.5, "delta": 1e-5}}), context=report.context)
    witness = membership.measure(given)
    room = Examination({"membership": membership.summarise(witness, given.context)}, {"membership": witness})
    write(report.examined(room), tmp_path, language=language)
    content = json.loads((tmp_path / "report.json").read_text())
    assert {gate["name"]: gate["passed"] for gate in content["gates"]} == {"membership_auc": True, "epsilon": False}
    assert ("训练数据能被识别吗" if language == "zh" else "Can training rows be told?") in (
        tmp_path / "report.html"
    ).read_text()
    assert recompute(tmp_path).holds
    content["trust"]["membership"]["attacks"]["loss"]["auc"]["low"] += 1e-6
    (tmp_path / "report.json").write_text(json.dumps(content))
    assert [one.where for one in recompute(tmp_path).differences] == ["trust.membership.attacks.loss.auc.low"]


def test_the_witness_gives_the_same_again(tmp_path):
    given = examined(3)
    witness = membership.measure(given)
    found = membership.summarise(witness, given.context)
    write_witnesses(Examination({"membership": found}, {"membership": witness}), tmp_path)
    assert again(tmp_path, ("membership",), given.context).parts["membership"] == found


# ---------------------------------------------------------------- real training


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A table whose target is a coin: whatever a model knows of it, it has learnt by heart."""
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    lines = [",".join([*(f"n{at}" for at in range(8)), "coin"])]
    lines += [",".join([*(f"{one:.3f}" for one in random.normal(size=8)), str(random.integers(2))]) for _ in range(600)]
    (folder / "noise.csv").write_text("\n".join(lines) + "\n")
    return folder


def audited(folder, **settings):
    data = {"source": {"path": "noise.csv"}, "target": "coin", "split": {"test": 0.4}}
    asked = Product(
        product="noise", task="classification", data=data, model={"kind": "mlp", "dropout": 0.0},
        train={"threads": 1, "learning_rate": 0.01, **settings},
    )  # fmt: skip
    workspace = Workspace(folder / ".tradewind")
    dataset = prepare(asked, base=folder, workspace=workspace)
    run = train(asked, dataset, workspace=workspace)
    model = run.model(dataset.features)

    def of(name):
        split = dataset.split(name)
        shares = predict(model, dataset.features, dataset.features.encode(dataset.raw(name))).astype(np.float64)
        return Part({}, np.asarray(split.target), None, Outputs(shares, shares.argmax(axis=1)))

    parts = {name: of(name) for name in ("train", "validation", "test")}
    return said(replace(examined(2), **parts, training=run.summary))


def test_an_overfitted_model_is_found_out(noise):
    found = audited(noise, epochs=40, stop_early="never", keep="last", refit=False)
    assert found.section["verdict"] == "loud"
    assert found.figures["membership_auc"].low > 0.7


def test_a_private_model_of_the_same_rows_is_not(noise, monkeypatch):
    # The noise of private training is drawn by chance: one draw in many would look loud on so few rows.
    monkeypatch.setattr("tradewind.train.privacy.secrets.randbits", lambda bits: 1)
    found = audited(noise, epochs=40, privacy={"epsilon": 1.0})
    assert found.figures["epsilon"].value <= 1.0
    assert found.section["verdict"] != "loud"
    assert found.figures["membership_auc"].low < 0.55
