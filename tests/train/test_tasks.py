"""Figures against scikit-learn, and mixup's invariants."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from tests.train.memory_batches import MemoryBatch, MemoryBatches, MemoryMixup, small_model, two_moons
from tradewind.errors import ModelError
from tradewind.train.objectives import Objective
from tradewind.train.tasks import SupervisedTask, choose_monitor, classification_figures, regression_figures

CPU = torch.device("cpu")


def task_for(model, **settings):
    return SupervisedTask(
        model, Objective("cross_entropy"), CPU, settings.pop("validation", None), "log_loss", **settings
    )


def test_classification_figures_are_scikit_learns():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 200)
    score = np.round(rng.normal(size=200) + target, 1)  # with ties
    p = 1 / (1 + np.exp(-score))
    figures = classification_figures(np.log(np.stack([1 - p, p], 1)), target, np.ones(200))
    found = (p > 0.5).astype(int)
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(target, p))
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(target, p))
    assert figures["f1_macro"] == pytest.approx(metrics.f1_score(target, found, average="macro"))
    assert figures["accuracy"] == pytest.approx((found == target).mean())


def test_regression_figures_are_in_the_targets_units():
    value, target = np.array([0.0, 1.0, 3.0]), np.array([1.0, 1.0, 2.0])
    figures = regression_figures(value, target, np.ones(3), scale=10.0)
    assert figures["rmse"] == pytest.approx(10 * (2 / 3) ** 0.5)
    assert figures["r2"] == pytest.approx(metrics.r2_score(target, value))


def test_rows_without_a_label_are_left_out_of_the_figures():
    log_p, target = np.log([[0.9, 0.1], [0.2, 0.8]]), np.array([0, -1])
    assert classification_figures(log_p, target, np.ones(2))["log_loss"] == pytest.approx(-np.log(0.9))


def test_validation_sees_every_row_once_and_leaves_the_mode_alone():
    arrays, label = two_moons(50)
    model = small_model(members=3).train()
    figures = task_for(model, validation=MemoryBatches(arrays, label, size=16, shuffle=False)).validate()
    whole = task_for(model, validation=MemoryBatches(arrays, label, size=50, shuffle=False)).validate()
    assert figures["log_loss"] == pytest.approx(whole["log_loss"], rel=1e-6)
    assert model.training


def test_mixup_of_equal_rows_is_the_plain_loss():
    numbers, label = np.ones((6, 4), dtype=np.float32), np.ones(6, dtype=np.int64)
    task = task_for(small_model())
    mixed, plain = (
        task.step(next(MemoryBatches({"numbers": numbers}, label, size=6, share=s).epoch(0))) for s in (0.7, None)
    )
    torch.testing.assert_close(mixed.total / mixed.weight, plain.total / plain.weight)


def test_mixup_weighs_the_two_labels_by_the_share():
    numbers = {"numbers": np.ones((2, 4), dtype=np.float32)}
    task, label = task_for(small_model()), np.array([0, 1])
    whole, mixed = (task.step(MemoryBatch(numbers, label, None, MemoryMixup(s, np.array([0, 0])))) for s in (1.0, 0.7))
    zero = task.step(MemoryBatch(numbers, np.array([0, 0])))
    torch.testing.assert_close(mixed.total, 0.7 * whole.total + 0.3 * zero.total)


def test_the_wide_part_and_the_deep_part_each_have_a_loss_of_their_own():
    model = small_model()
    model.encoders["tabular"].wide_logits = lambda inputs: inputs["numbers"][:, :2]
    arrays, label = two_moons(8)
    inputs, target = {"numbers": torch.from_numpy(arrays["numbers"])}, torch.from_numpy(label)
    deep, wide = model.decide(model.encode(inputs)[0], None)[:, 0], inputs["numbers"][:, :2]
    expected = sum(
        torch.nn.functional.cross_entropy(logits, target, reduction="sum") for logits in (deep + wide, deep, wide)
    )
    torch.testing.assert_close(task_for(model).step(MemoryBatch(arrays, label)).total, expected)


def test_a_figure_that_the_task_does_not_have_is_refused():
    with pytest.raises(ModelError, match="Did you mean rmse"):
        choose_monitor("rmsd", classes=None)
    with pytest.raises(ModelError, match="2 classes"):
        choose_monitor("roc_auc", classes=3)
