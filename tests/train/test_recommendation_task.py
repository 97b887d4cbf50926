"""Losses against drawn items: the formulas of their papers, written out."""

import pytest
import torch
from torch.nn import functional as F

from tradewind.model.recommender import Recommender, RecommenderConfig
from tradewind.train.recommendation_task import RecommendationTask

ITEMS, DRAWN = 30, 8


def task(loss: str) -> RecommendationTask:
    share = torch.arange(1, ITEMS + 1) / (ITEMS * (ITEMS + 1) / 2)
    model = Recommender(RecommenderConfig(ITEMS, 8, 1, 2, 5, 0.0))
    return RecommendationTask(model, loss, share, DRAWN, torch.device("cpu"), None)


def given() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores of the right items, of drawn ones, and both; the first target is drawn, too."""
    torch.manual_seed(0)
    target, drawn = torch.tensor([4, 9, 2]), torch.tensor([4, 1, 7, 7, 20, 11, 0, 5])
    return torch.randn(3), torch.randn(3, DRAWN), target, drawn


def test_gbce_is_the_formula_of_its_paper():
    right, wrong, target, drawn = given()
    rate = DRAWN / (ITEMS - 1)
    beta = rate * (0.75 * (1 - 1 / rate) + 1 / rate)
    other = drawn[None] != target[:, None]
    expected = -(torch.sigmoid(right) ** beta).log() - ((1 - torch.sigmoid(wrong)).log() * other).sum(1)
    assert torch.allclose(task("gbce")._drawn(right, wrong, target, drawn), expected, atol=1e-5)


def test_sampled_softmax_takes_off_how_often_an_item_is_drawn():
    made = task("sampled_softmax")
    right, wrong, target, drawn = given()
    expected_K = DRAWN * (0.5 / ITEMS + 0.5 * made.share_I[drawn])
    other = drawn[None] != target[:, None]
    total = right.exp() + (wrong.exp() / expected_K * other).sum(1)
    assert torch.allclose(made._drawn(right, wrong, target, drawn), -(right.exp() / total).log(), atol=1e-5)


def test_many_drawn_items_give_the_sum_over_all():
    made = task("sampled_softmax")
    made.negatives = 40_000
    torch.manual_seed(0)
    scores, target = torch.randn(ITEMS), torch.multinomial(made.share_I, 40_000, replacement=True)
    drawn = made._draw(target)
    one = torch.tensor([3])
    found = made._drawn(scores[one], scores[drawn][None], one, drawn)
    assert found.item() == pytest.approx(F.cross_entropy(scores[None], one).item(), rel=0.02)
