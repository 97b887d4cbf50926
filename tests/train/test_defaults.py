"""What `auto` becomes: nothing is left of it, what the user said stays, and contradictions are refused."""

import pytest

from tradewind.errors import ModelError
from tradewind.product import Product
from tradewind.train.defaults import Facts, resolve

OF_OTHER_TASKS = {
    "model.context", "model.kv_heads", "model.qk_norm", "model.tied", "train.objective", "train.steps", "train.compile",
    "model.factors", "train.negatives",
}  # fmt: skip


def product(task="classification", **sections):
    return Product(product="toy-shop", task=task, data={"source": "d.csv", "target": "y"}, **sections)


def facts(rows=1000, modalities=("tabular",), classes=2, validation_rows=100):
    return Facts(rows=rows, validation_rows=validation_rows, modalities=modalities, classes=classes)


@pytest.mark.parametrize("modality", ["tabular", "text", "image"])
def test_no_auto_is_left(modality):
    resolved = resolve(product(), facts(modalities=(modality,))).resolved()
    left = [
        f"{section}.{name}"
        for section, values in (("model", resolved["model"]), ("train", resolved["train"]), ("augment", resolved["data"]["augment"]))
        for name, value in values.items()
        if value == "auto"
    ]  # fmt: skip
    left = [name for name in left if name not in OF_OTHER_TASKS]
    assert sorted(left) == ["train.device", "train.precision", "train.threads"]  # of the machine, known to the run


def test_what_the_user_said_stays():
    said = {"optimizer": "sgd", "learning_rate": 0.5, "batch": 7, "epochs": 3, "stop_early": "never", "l2": 0.25}
    resolved = resolve(product(train=said), facts()).train
    assert {name: getattr(resolved, name) for name in said} == said


def test_few_rows_get_small_batches_and_more_epochs():
    few, many = (resolve(product(), facts(rows=rows)).train for rows in (300, 1_000_000))
    assert (few.batch, many.batch) == (32, 256)
    assert few.epochs > many.epochs


def test_gradient_descent_takes_the_whole_split():
    assert resolve(product(train={"optimizer": "gd"}), facts(rows=321)).train.batch == 321


def test_without_validation_rows_nothing_stops_early():
    assert resolve(product(), facts(validation_rows=0)).train.stop_early == "never"


def test_a_value_gets_a_loss_for_values():
    resolved = resolve(product("regression"), facts(classes=None)).train
    assert (resolved.loss, resolved.monitor, resolved.label_smoothing) == ("mse", "rmse", 0.0)


def test_a_kind_goes_to_the_columns_it_suits():
    resolved = resolve(product(model={"kind": "transformer"}), facts(modalities=("text", "tabular"))).model
    assert (resolved.text, resolved.tabular) == ("transformer", "transformer")
    resolved = resolve(product(model={"kind": "rnn"}), facts(modalities=("text", "tabular"))).model
    assert (resolved.text, resolved.tabular) == ("rnn", "tabm")


def test_weights_from_elsewhere_are_trained_for_few_epochs():
    full, scratch = (
        resolve(product(model=model), facts(rows=10_000, modalities=("text",)))
        for model in ({"pretrained": "minilm", "adapt": "full"}, {})
    )
    assert full.model.text == "pretrained"
    assert full.train.epochs < scratch.train.epochs


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"kind": "vit"}}, "vit suits none of the columns"),
        ({"train": {"loss": "mse"}}, "mse does not fit a classification"),
        ({"train": {"optimizer": "gd", "batch": 8}}, "full-batch gradient descent"),
        ({"train": {"monitor": "acuracy"}}, "Did you mean accuracy"),
    ],
)
def test_settings_that_contradict_are_refused(sections, message):
    with pytest.raises(ModelError, match=message):
        resolve(product(**sections), facts())


def test_weights_are_averaged_where_an_epoch_has_steps_enough():
    small, large = (resolve(product(), facts(rows=rows)).train for rows in (500, 50_000))
    assert (small.average, large.average) == ("none", "ema")
    assert small.keep == large.keep == "best"


def test_few_rows_are_all_learnt_from_in_the_end_unless_validation_was_given():
    assert resolve(product(), facts()).train.refit is True
    assert resolve(product(), facts(rows=1_000_000)).train.refit is False
    assert resolve(product(), facts(validation_rows=0)).train.refit is False
    own = Product.model_validate({**product().resolved(), "data": {
        "source": {"path": "d.csv"}, "target": "y", "split": {"validation": {"path": "held.csv"}}}})  # fmt: skip
    assert resolve(own, facts()).train.refit is False
    assert resolve(product(train={"refit": False}), facts()).train.refit is False
    assert resolve(product(), facts(modalities=("text", "tabular"))).train.refit is False
    assert resolve(product(train={"refit": True}), facts(modalities=("text",))).train.refit is True
