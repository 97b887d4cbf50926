"""Each guard stops the run it was made for, and says why."""

import numpy as np
import pytest
import torch

from tradewind.errors import DataError, ModelError
from tradewind.train.guards import Movement, check_loss, check_target


@pytest.mark.parametrize("target", [np.full(3, -1), np.full(3, np.nan, dtype=np.float32)])
def test_no_supervised_row(target):
    with pytest.raises(DataError, match="nothing to learn from") as caught:
        check_target(target, name="sold")
    assert caught.value.code == "data.target_missing"


@pytest.mark.parametrize("target", [np.array([1, 1, -1]), np.array([2.5, np.nan, 2.5], dtype=np.float32)])
def test_a_constant_target(target):
    with pytest.raises(DataError, match="same in all 2 training rows") as caught:
        check_target(target, name="sold")
    assert caught.value.code == "data.target_constant"


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number(loss):
    with pytest.raises(ModelError, match="by step 7: the run diverged"):
        check_loss(loss, step=7)


def test_a_loss_that_does_not_move():
    movement = Movement()
    with pytest.raises(ModelError, match="The loss stays at 0.7 over the first 3 epochs"):
        for epoch in range(3):
            movement.observe(0.7, [], steps=20 * (epoch + 1))


def test_weights_that_do_not_move():
    movement, weight = Movement(), torch.ones(3)
    movement.begin([weight])
    with pytest.raises(ModelError, match="weights do not change"):
        for epoch in range(3):
            movement.observe(0.7 - epoch / 10, [weight], steps=20 * (epoch + 1))


def test_a_run_that_learns_is_left_alone():
    movement, weight = Movement(), torch.ones(3)
    movement.begin([weight])
    for epoch in range(9):
        weight -= 0.01
        movement.observe(0.7 - epoch / 100, [weight], steps=20 * (epoch + 1))
    assert movement.done
