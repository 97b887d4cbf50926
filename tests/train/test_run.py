"""A run from a dataset: what it holds, that it is made once, and that its graph gives the trainer's figures."""

import json
import math

import numpy as np
import pytest

from tradewind.artifacts import Workspace, check_files
from tradewind.data.dataset import prepare
from tradewind.errors import ArtifactError, ModelError
from tradewind.model.export import predict
from tradewind.product import Product
from tradewind.release.golden import read_golden
from tradewind.train.run import identity, load_run, objective_for, train


def shop(rows=240, **sections):
    source = {"path": "shop.csv"}
    settings = {"train": {"epochs": 6, "learning_rate": 0.01, "threads": 1}, **sections}
    return Product(product="toy-shop", task="classification", data={"source": source, "target": "bought"}, **settings)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    lines = ["age,income,city,bought"]
    for _ in range(240):
        age, income, city = rng.integers(18, 90), rng.normal(3000, 900), rng.choice(["Wuhan", "Bonn", "Pune"])
        label = "yes" if age / 50 + income / 3000 + (city == "Bonn") > 2.4 else "no"
        lines.append(f"{age},{income:.2f},{city},{label}")
    (folder / "shop.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def dataset(base):
    return prepare(shop(), base=base, workspace=Workspace(base / ".tradewind"))


@pytest.fixture(scope="module")
def run(base, dataset):
    return train(shop(), dataset, workspace=Workspace(base / ".tradewind"))


def test_it_holds_what_the_contract_names(run):
    names = {path.name for path in run.artifact.folder.iterdir()}
    assert names >= {
        "artifact.json", "best.safetensors", "environment.json", "golden.json", "golden.npz", "model.onnx", "product.json",
        "steps.jsonl", "summary.json",
    }  # fmt: skip
    assert check_files(run.artifact) == []


def test_it_learns_and_says_how_well(run):
    assert run.summary["validation"]["roc_auc"] > 0.8
    assert run.summary["export"]["difference"] < 1e-5
    assert run.summary["steps"] == len(json_lines(run)) * run.summary["steps"] // run.summary["epochs"]


def json_lines(run):
    lines = (run.artifact.folder / "steps.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if "epoch_loss" in record]


def test_its_product_has_every_setting(run):
    assert run.product.train.device == "cpu"
    assert run.product.train.precision == "float32"
    assert run.product.train.optimizer == "adamw"


def test_it_is_made_once(base, dataset, run):
    assert train(shop(), dataset, workspace=Workspace(base / ".tradewind")).artifact == run.artifact


def test_its_golden_rows_give_their_outputs_from_raw(dataset, run):
    golden = read_golden(run.artifact.folder / "golden.json")
    arrays = np.load(run.artifact.folder / "golden.npz")
    encoded = dataset.features.encode(golden.columns)
    assert all(np.array_equal(encoded[name], arrays[name]) for name in encoded)
    np.testing.assert_allclose(arrays["outputs"], golden.outputs, atol=1e-7)


def test_its_golden_rows_are_nobodys_and_get_answers_as_rows_do(base, dataset, run):
    golden = read_golden(run.artifact.folder / "golden.json")
    there = {
        tuple(str(column[row]) for column in (raw["age"], raw["income"], raw["city"]))
        for raw in map(dataset.raw, ("train", "validation", "test"))
        for row in range(len(raw["age"]))
    }
    made = set(zip(*(map(str, golden.columns[name]) for name in ("age", "income", "city")), strict=True))
    assert not made & there
    model = run.model(dataset.features)
    held = predict(model, dataset.features, dict(dataset.split("validation").arrays))[:, 1]
    assert len(golden.outputs) == len(held) == 20
    assert abs(golden.outputs[:, 1].mean() - held.mean()) < 0.05
    assert abs(golden.outputs[:, 1].std() - held.std()) < 0.05


def test_its_model_comes_back_for_its_own_columns_only(dataset, run):
    assert load_run(run.artifact.folder).model(dataset.features).outputs == 2
    other = type(dataset.features)(columns=dataset.features.columns[::-1], target=dataset.features.target)
    with pytest.raises(ArtifactError, match="other columns"):
        run.model(other)


def test_the_same_again_elsewhere_is_the_same_to_the_bit(tmp_path, dataset, run):
    again = train(shop(), dataset, workspace=Workspace(tmp_path))
    assert again.artifact.digest == run.artifact.digest
    for name in ("best.safetensors", "model.onnx", "golden.npz"):
        assert again.artifact.files[name] == run.artifact.files[name], name


def test_what_changes_nothing_is_not_in_its_name(dataset):
    def name(**settings):
        return identity(shop(train=settings), dataset)

    assert name(threads=2, checkpoint={"steps": 5}) == name()
    assert name(seed=1) != name()


def test_balanced_classes_weigh_the_same(dataset):
    target = dataset.split("train").target
    product = shop(train={"loss": "cross_entropy", "class_weights": "balanced"})
    weights = objective_for(product, dataset.features, target).class_weights
    counts = np.bincount(target)
    assert counts[0] * weights[0] == pytest.approx(counts[1] * weights[1])


def test_the_weight_of_a_class_that_is_not_there_is_refused(dataset):
    product = shop(train={"loss": "cross_entropy", "class_weights": {"yess": 2.0}})
    with pytest.raises(ModelError, match="Did you mean yes"):
        objective_for(product, dataset.features, dataset.split("train").target)


# ---------------------------------------------------------------- trained again on all rows


@pytest.fixture(scope="module")
def once(base, dataset):
    return train(shop(train={"epochs": 6, "learning_rate": 0.01, "threads": 1, "refit": False}), dataset,
                 workspace=Workspace(base / ".tradewind"))  # fmt: skip


def test_a_refit_starts_again_with_validation_rows_for_the_best_number_of_epochs(dataset, run, once):
    assert run.product.train.refit is True
    assert once.summary["refit"] is None
    assert run.summary["refit"]["epochs"] == once.summary["best_epoch"] == run.summary["best_epoch"]
    lines = (run.artifact.folder / "refit" / "steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines if "epoch_loss" in line][-1]["step"]
    rows = dataset.split("train").rows + dataset.split("validation").rows
    batches = math.ceil(rows / run.product.train.batch)
    assert steps == batches * once.summary["best_epoch"]
    assert run.artifact.files["best.safetensors"] != once.artifact.files["best.safetensors"]


def test_validation_rows_keep_the_answers_of_the_model_that_had_not_seen_them(dataset, run, once):
    assert once.held_out is None
    before = predict(once.model(dataset.features), dataset.features, encoded(dataset, "validation"))
    np.testing.assert_allclose(run.held_out, before, atol=1e-6)
    after = predict(run.model(dataset.features), dataset.features, encoded(dataset, "validation"))
    assert np.abs(run.held_out - after).max() > 1e-4


def encoded(dataset, name):
    return dataset.features.encode({column.name: dataset.raw(name)[column.name] for column in dataset.features.columns})


@pytest.mark.parametrize("stop", [(0, 3), (1, 2)])
def test_a_run_that_is_interrupted_in_either_training_ends_with_the_same_weights(tmp_path, dataset, run, stop):
    """Stopped in an epoch of the first or of the second training, and run again."""
    trainings = []

    def interrupt(at):
        if not trainings or at.epoch < trainings[-1]:
            trainings.append(at.epoch)
        trainings[-1] = at.epoch
        if (len(trainings) - 1, at.epoch) == stop:
            raise KeyboardInterrupt

    settings = shop(train={"epochs": 6, "learning_rate": 0.01, "threads": 1, "checkpoint": {"steps": 2}})
    with pytest.raises(KeyboardInterrupt):
        train(settings, dataset, workspace=Workspace(tmp_path), progress=interrupt)
    again = train(settings, dataset, workspace=Workspace(tmp_path))
    for name in ("best.safetensors", "model.onnx", "held_out.npz"):
        assert again.artifact.files[name] == run.artifact.files[name], name
