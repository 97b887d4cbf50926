"""Averages of weights against their formulas."""

import pytest
import torch
from torch import nn

from tradewind.train.averaging import Average, trained_tensors


def model_of(value):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def set_to(model, value):
    with torch.no_grad():
        model.weight.fill_(value)


def test_ema_follows_its_formula_with_the_early_decay():
    model = model_of(0.0)
    average = Average("ema", model, decay=0.9, epochs=1)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 3.0]):
        set_to(model, value)
        average.after_step()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert float(average.tensors()["weight"]) == pytest.approx(expected, rel=1e-6)


def test_swa_is_the_equal_mean_of_the_last_epochs():
    model = model_of(0.0)
    average = Average("swa", model, decay=0.9, epochs=8)
    for epoch in range(8):
        set_to(model, float(epoch))
        average.after_epoch(epoch)
    assert float(average.tensors()["weight"]) == pytest.approx(6.5)


def test_the_average_is_in_the_model_only_inside():
    model = model_of(0.0)
    average = Average("ema", model, decay=0.5, epochs=1)
    set_to(model, 4.0)
    average.after_step()
    with average.applied():
        assert float(model.weight.detach()) == pytest.approx(4 * 0.9)
    assert float(model.weight.detach()) == 4.0


def test_frozen_weights_are_not_carried_along():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].requires_grad_(False)
    assert sorted(trained_tensors(model)) == [
        "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight"
    ]  # fmt: skip
