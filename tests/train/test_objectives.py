"""Losses against torch and against the paper's own limits."""

import pytest
import torch
from torch.nn import functional as F

from tradewind.train.objectives import Objective, balanced_weights


def logits(rows=7, members=1, outputs=3):
    return torch.randn(rows, members, outputs, generator=torch.Generator().manual_seed(1))


TARGET = torch.tensor([0, 1, 2, 2, 1, 0, 0])


def mean(loss):
    return loss.total / loss.weight


def test_cross_entropy_is_torchs():
    expected = F.cross_entropy(logits()[:, 0], TARGET, label_smoothing=0.1)
    torch.testing.assert_close(mean(Objective("cross_entropy", label_smoothing=0.1)(logits(), TARGET)), expected)


def test_class_weights_are_torchs():
    expected = F.cross_entropy(logits()[:, 0], TARGET, weight=torch.tensor([1.0, 2.0, 0.5]))
    torch.testing.assert_close(
        mean(Objective("cross_entropy", class_weights=(1.0, 2.0, 0.5))(logits(), TARGET)), expected
    )


def test_focal_with_gamma_0_is_cross_entropy():
    focal, plain = Objective("focal", focal_gamma=0.0), Objective("cross_entropy")
    torch.testing.assert_close(mean(focal(logits(), TARGET)), mean(plain(logits(), TARGET)))


def test_focal_is_the_papers_formula():
    p = logits()[:, 0].softmax(-1)[torch.arange(7), TARGET]
    torch.testing.assert_close(
        mean(Objective("focal", focal_gamma=2.0)(logits(), TARGET)), (-((1 - p) ** 2) * p.log()).mean()
    )


def test_a_row_without_a_label_counts_nothing():
    target = TARGET.clone()
    target[3] = -1
    kept = [0, 1, 2, 4, 5, 6]
    for name in ("cross_entropy", "focal"):
        loss = Objective(name)
        torch.testing.assert_close(mean(loss(logits(), target)), mean(loss(logits()[kept], TARGET[kept])))


def test_a_missing_value_gives_neither_loss_nor_gradient():
    values = torch.randn(4, 1, 1, requires_grad=True)
    loss = Objective("mse")(values, torch.tensor([1.0, float("nan"), 0.0, 2.0]))
    loss.total.backward()
    assert loss.weight == 3
    assert values.grad[1] == 0


@pytest.mark.parametrize(
    ("name", "reference"),
    [("mse", F.mse_loss), ("mae", F.l1_loss), ("huber", lambda a, b: F.huber_loss(a, b, delta=0.5))],
)
def test_regression_losses_are_torchs(name, reference):
    values, target = logits(outputs=1), torch.arange(7.0) / 3
    torch.testing.assert_close(
        mean(Objective(name, huber_delta=0.5)(values, target)), reference(values[:, 0, 0], target)
    )


def test_members_are_averaged_by_their_losses():
    both = logits(members=2)
    loss = Objective("cross_entropy")
    expected = (mean(loss(both[:, :1], TARGET)) + mean(loss(both[:, 1:], TARGET))) / 2
    torch.testing.assert_close(mean(loss(both, TARGET)), expected)


def test_the_weight_of_a_row_is_as_if_it_stood_there_so_often():
    weight = torch.tensor([2.0, 1, 1, 1, 1, 1, 1])
    twice = [0, *range(7)]
    loss = Objective("cross_entropy")
    torch.testing.assert_close(mean(loss(logits(), TARGET, weight)), mean(loss(logits()[twice], TARGET[twice])))


def test_balanced_weights_give_every_class_the_same_sum():
    weights = balanced_weights(torch.tensor([8, 2, 0]))
    assert [8 * weights[0], 2 * weights[1], weights[2]] == [5.0, 5.0, 0.0]
