"""Common classes drawn less often: probabilities stay those of the rows as they come."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.model.export import predict
from tradewind.product import Product
from tradewind.train.objectives import Objective
from tradewind.train.run import train
from tradewind.train.undersampling import kept_shares, logit_offsets


def product(**sections):
    settings = {"epochs": 40, "keep": "last", "stop_early": "never", "batch": 64, "threads": 1, "refit": False}
    settings |= sections.pop("train", {})
    return Product(
        product="rare", task="classification", data={"source": "rare.csv", "target": "fraud", **sections.pop("data", {})},
        model={"kind": "mlp", "width": 16, "depth": 1}, train=settings, **sections,
    )  # fmt: skip


def test_every_class_keeps_at_most_so_many_rows_for_each_of_the_rarest():
    assert kept_shares("auto", np.array([1000, 20, 50])) == (0.2, 1.0, 1.0)
    assert kept_shares(2.0, np.array([1000, 10, 50])) == (0.02, 1.0, 0.4)
    assert kept_shares("auto", np.array([90, 10])) is None
    assert kept_shares("none", np.array([1000, 1])) is None
    assert kept_shares(1.0, np.array([0, 7])) is None


def test_the_loss_takes_back_what_the_draw_did_as_king_and_zeng_have_it():
    random = np.random.default_rng(0)
    x = random.normal(size=(4000, 2))
    y = (random.random(4000) < 1 / (1 + np.exp(-(x @ [1.0, -0.5] - 4)))).astype(np.int64)
    share = 0.05
    drawn = (y == 1) | (random.random(4000) < share)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[drawn], y[drawn])
    corrected = reference.intercept_[0] + np.log(share)  # back to the odds of all rows

    weights = torch.zeros(3, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")
    inputs = torch.tensor(np.c_[x[drawn], np.ones(drawn.sum())], dtype=torch.float32)
    objective = Objective("cross_entropy", offsets=logit_offsets((share, 1.0)))

    def closure():
        optimizer.zero_grad()
        logits = torch.stack([torch.zeros(len(inputs)), inputs @ weights], -1).unsqueeze(1)
        total, rows = objective(logits, torch.tensor(y[drawn]))
        loss = total / rows
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(weights.detach().numpy(), [*reference.coef_[0], corrected], atol=2e-3)


def test_probabilities_are_calibrated_although_one_row_in_twelve_is_drawn(tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=(5000, 2))
    truth = 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1] - 4.6)))
    label = np.where(random.random(5000) < truth, "yes", "no")
    rows = [f"{a:.4f},{b:.4f},{c}" for (a, b), c in zip(x, label, strict=True)]
    (tmp_path / "rare.csv").write_text("\n".join(["a,b,fraud", *rows]) + "\n")
    workspace = Workspace(tmp_path / ".tradewind")
    asked = product(train={"undersample": 3.0})
    dataset = prepare(asked, base=tmp_path, workspace=workspace)
    run = train(asked, dataset, workspace=workspace)
    model, parts = run.model(dataset.features), [dataset.split(name) for name in ("train", "validation", "test")]
    p = np.concatenate([predict(model, dataset.features, dict(part.arrays))[:, 1] for part in parts])
    y = np.concatenate([part.target for part in parts])
    rate = (y == 1).mean()
    assert rate < 0.06
    assert p.mean() == pytest.approx(rate, rel=0.2)  # without the correction it would be some four times the rate
    high = p > np.quantile(p, 0.9)
    assert p[high].mean() == pytest.approx((y[high] == 1).mean(), rel=0.2)


@pytest.mark.parametrize(
    "sections",
    [{"data": {"augment": {"oversample": True}}}, {"train": {"class_weights": "balanced"}}],
)
def test_two_ways_of_balancing_are_one_too_many(sections):
    given = {**sections, "train": {**sections.get("train", {}), "undersample": "auto"}}
    with pytest.raises(ValidationError, match="choose one"):
        product(**given)
