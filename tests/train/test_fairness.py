"""Penalty and adversary against what they say they are, by hand and by fairlearn; what a checkpoint keeps of them."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tests.train.memory_batches import MemoryBatch, MemoryBatches, small_model, two_moons
from tradewind.train.fairness import Adversary, FairTask, Penalty
from tradewind.train.groups import Groups
from tradewind.train.objectives import Objective

CPU = torch.device("cpu")
ROWS = 400


@dataclass(frozen=True)
class PlacedBatch(MemoryBatch):
    rows: np.ndarray | None = None


def placed(arrays, label, size, epoch):
    """Batches that know the places of their rows."""
    order = {**arrays, "place": np.arange(len(label))}
    for batch in MemoryBatches(order, label, size=size).epoch(epoch):
        inputs = {name: array for name, array in batch.inputs.items() if name != "place"}
        yield PlacedBatch(inputs, batch.target, rows=batch.inputs["place"])


def groups(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 2, rows), rng.integers(0, 3, rows)], axis=1)
    return Groups(("sex", "race"), (("f", "m"), ("a", "b", "c")), codes)


def logits_of(p):
    return torch.log(torch.stack([1 - p, p], 1)).unsqueeze(1)


def penalty(target, goal="equalized_odds", found=None, **more):
    return Penalty(found or groups(), goal, target, asked=[1], device=CPU, **more)


def by_hand(p, target, found, goal, believed):
    """Squared distances of the mean of `p` in each group from that in all rows."""
    total, cells = 0.0, [np.ones(len(p), bool)] if goal == "demographic_parity" else [target == 1, target == 0]
    for q, rows in enumerate(cells):
        at = 0
        for column, names in enumerate(found.names):
            for code in range(len(names)):
                mean = p[rows & (found.codes_RC[:, column] == code)].mean()
                total += believed[q, at] * (mean - p[rows].mean()) ** 2
                at += 1
    return total


@pytest.mark.parametrize("goal", ["demographic_parity", "equalized_odds"])
def test_rates_that_stay_give_the_sum_of_squared_distances(goal):
    rng = np.random.default_rng(1)
    found, target, p = groups(), rng.integers(0, 2, ROWS), rng.random(ROWS)
    term = penalty(target, goal, sharp=1.0)
    for _ in range(1500):
        value = term(logits_of(torch.tensor(p)), torch.tensor(target), None, torch.tensor(found.codes_RC))
    assert float(value) == pytest.approx(by_hand(p, target, found, goal, term.believed_QG.numpy()), rel=1e-4)


def test_its_gradient_is_that_of_the_sum_where_rates_are_those_of_the_batch():
    rng = np.random.default_rng(2)
    found, target = groups(), rng.integers(0, 2, ROWS)
    raw = torch.tensor(rng.normal(size=ROWS), requires_grad=True)
    term = penalty(target, sharp=1.0)
    codes = torch.tensor(found.codes_RC)
    with torch.no_grad():
        for _ in range(1500):
            term(logits_of(raw.sigmoid()), torch.tensor(target), None, codes)
    (gradient,) = torch.autograd.grad(term(logits_of(raw.sigmoid()), torch.tensor(target), None, codes), raw)
    believed, at, step = term.believed_QG.numpy(), 7, 1e-4
    moved = [raw.detach().clone() for _ in range(2)]
    moved[0][at] += step
    moved[1][at] -= step
    high, low = (by_hand(one.sigmoid().numpy(), target, found, "equalized_odds", believed) for one in moved)
    assert float(gradient[at]) == pytest.approx((high - low) / (2 * step), rel=1e-3)


def test_equal_rates_cost_nothing():
    target = np.tile([0, 1], ROWS // 2)
    value = penalty(target)(
        logits_of(torch.full((ROWS,), 0.3)), torch.tensor(target), None, torch.tensor(groups().codes_RC)
    )
    assert float(value) < 1e-6


def test_values_are_compared_by_their_means_and_errors():
    found = groups()
    target = np.where(found.codes_RC[:, 0] == 1, 1.0, -1.0).astype(np.float32)
    said = torch.tensor(target).view(-1, 1, 1)
    apart, errors = (
        Penalty(found, goal, target, asked=[], device=CPU) for goal in ("demographic_parity", "equalized_odds")
    )
    for _ in range(600):
        different = apart(said, torch.tensor(target), None, torch.tensor(found.codes_RC))
        none = errors(said, torch.tensor(target), None, torch.tensor(found.codes_RC))
    assert float(different) > 0.5
    assert float(none) == pytest.approx(0, abs=1e-8)


def test_several_classes_are_each_held_against_the_rest():
    found, target = groups(), np.arange(ROWS) % 3
    term = Penalty(found, "equalized_odds", target, asked=[0, 1, 2], device=CPU)
    assert term.share_QG.shape == (6, 5)
    value = term(torch.randn(ROWS, 2, 3), torch.tensor(target), None, torch.tensor(found.codes_RC))
    assert float(value) >= 0


def fair_task(term, strength=5.0, seed=0):
    arrays, label = two_moons(ROWS)
    task = FairTask(
        small_model(seed=seed), Objective("cross_entropy"), CPU, None, "log_loss",
        term=term, strength=strength, codes_RC=torch.tensor(groups().codes_RC),
    )  # fmt: skip
    return task, lambda epoch: list(placed(arrays, label, 64, epoch))


def terms():
    _, label = two_moons(ROWS)
    return {
        "penalty": lambda: penalty(label),
        "adversary": lambda: Adversary(groups(), "equalized_odds", inputs=2, classes=2, seed=0, device=CPU),
    }


@pytest.mark.parametrize("kind", ["penalty", "adversary"])
def test_a_checkpoint_gives_the_same_bits(kind):
    make = terms()[kind]
    (first, batches), second = fair_task(make()), make()
    for batch in batches(0):
        first.step(batch)
    second.restore(json.loads(json.dumps(first.state()["term"])))
    other, _ = fair_task(second)
    assert [first.step(b).total.item() for b in batches(1)] == [other.step(b).total.item() for b in batches(1)]


@pytest.mark.parametrize("kind", ["penalty", "adversary"])
def test_learning_with_it_brings_the_groups_together(kind):
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 2000)
    numbers = rng.normal(size=(2000, 4)).astype(np.float32)
    numbers[:, 0] += 2 * side
    label = (numbers[:, 0] + numbers[:, 1] + rng.normal(size=2000) > 1).astype(np.int64)
    found = Groups(("side",), (("0", "1"),), side[:, None])
    gaps = []
    for strength in (0.0, 30.0 if kind == "penalty" else 3.0):
        term = (
            penalty(label, "demographic_parity", found) if kind == "penalty"
            else Adversary(found, "demographic_parity", inputs=2, classes=2, seed=0, device=CPU)
        )  # fmt: skip
        model = small_model()
        task = FairTask(
            model, Objective("cross_entropy"), CPU, None, "log_loss", term=term, strength=strength,
            codes_RC=torch.tensor(found.codes_RC),
        )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for epoch in range(15):
            for batch in placed({"numbers": numbers}, label, 100, epoch):
                loss = task.step(batch)
                optimizer.zero_grad()
                (loss.total / loss.weight).backward()
                optimizer.step()
        p = model({"numbers": torch.tensor(numbers)}).softmax(-1)[:, 0, 1].detach().numpy()
        gaps.append(abs((p[side == 1] > 0.5).mean() - (p[side == 0] > 0.5).mean()))
    assert gaps[0] > 0.4
    assert gaps[1] < 0.5 * gaps[0]
