"""Private training: no row counts for more than the clipping norm, the noise is as large as the budget asks for, and a
resumed run repeats it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.train.memory_batches import MemoryBatch, MemoryBatches, small_model, two_moons
from tradewind.artifacts import Workspace
from tradewind.data.batches import Batches
from tradewind.data.dataset import prepare
from tradewind.errors import ModelError
from tradewind.model.weights import save_model
from tradewind.product import Product, Train
from tradewind.train.loop import fit
from tradewind.train.objectives import Objective
from tradewind.train.privacy import SECRET_FILE, Budget, Private, PrivateTask, check_model, settled
from tradewind.train.run import train
from tradewind.train.tasks import SupervisedTask

CPU = torch.device("cpu")
BUDGET = Budget(epsilon=3.0, delta=1e-4, clip=0.5, q=0.25, steps=40, sigma=1.5)


def private(budget=BUDGET, *, model=None, secret=7, rows=64, objective=None):
    model = small_model(members=2) if model is None else model
    held = MemoryBatches(*two_moons(40, seed=9), size=64, shuffle=False)
    task = SupervisedTask(model, objective or Objective("cross_entropy"), CPU, held, "log_loss")
    return PrivateTask(task, budget, secret=secret, rows=rows)


def batch_of(rows, seed=0, weight=None):
    return MemoryBatch(*two_moons(rows, seed=seed), weight)


def size(sums):
    return float(torch.stack([one.norm() for one in sums.values()]).norm())


def test_no_row_moves_the_sum_by_more_than_the_clipping_norm():
    task = private()
    many = batch_of(33)
    for at in range(5):
        without = np.arange(33) != at
        fewer = MemoryBatch({"numbers": many.inputs["numbers"][without]}, many.target[without])
        (whole, _), (part, _) = task.cut(many), task.cut(fewer)
        assert size({name: whole[name] - part[name] for name in whole}) <= 0.5 * (1 + 1e-5)


def test_rows_that_are_small_enough_are_not_cut():
    task = private(Budget(3.0, 1e-4, clip=1e6, q=0.25, steps=40, sigma=1.5))
    batch = batch_of(16, weight=np.linspace(0.5, 2, 16).astype(np.float32))
    sums, mean = task.cut(batch)
    loss = task.task.step(batch)
    loss.total.backward()
    for name, parameter in task.task.model.named_parameters():
        assert torch.allclose(sums[f"model.{name}"], parameter.grad, atol=1e-5)
    assert float(mean) == pytest.approx(float(loss.total.detach()) / 16, rel=1e-5)


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_gradients_of_rows_agree_with_opacus():
    opacus = pytest.importorskip("opacus")
    model = small_model(members=1)
    task = private(model=model)
    batch = batch_of(12)
    sums, _ = task.cut(batch)
    hooked = opacus.GradSampleModule(small_model(members=1), loss_reduction="sum")
    logits = hooked({"numbers": torch.from_numpy(batch.inputs["numbers"])})
    Objective("cross_entropy")(logits, torch.from_numpy(batch.target)).total.backward()
    grads = {name.removeprefix("_module."): p.grad_sample for name, p in hooked.named_parameters()}
    norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads.values()]).norm(dim=0)
    share = (0.5 / (norms + 1e-12)).clamp(max=1.0)
    for name, grad in grads.items():
        assert torch.allclose(sums[f"model.{name}"], torch.einsum("b,b...->...", share, grad), atol=1e-5)


def test_the_noise_has_the_size_that_the_budget_asks_for():
    task = private()
    zero = {name: torch.zeros(p.shape) for name, p in task.task.model.named_parameters()}
    drawn = []
    for task.steps in range(300):
        drawn.append(torch.cat([one.flatten() for one in task.noisy(zero).values()]))
    spread = torch.cat(drawn).std()
    assert float(spread) == pytest.approx(1.5 * 0.5 / (0.25 * 64), rel=0.02)
    assert abs(float(torch.corrcoef(torch.stack(drawn[:2]))[0, 1])) < 0.3


def test_the_loop_gets_the_noisy_gradient_whole():
    task = private()
    batch = batch_of(10)
    expected = task.noisy(task.cut(batch)[0])
    loss = task.step(batch)
    (loss.total / loss.weight).backward()
    for name, parameter in task.task.model.named_parameters():
        assert torch.equal(parameter.grad, expected[f"model.{name}"])


def test_a_draw_of_no_rows_is_noise_alone():
    loss = private().step(MemoryBatch({"numbers": np.zeros((0, 4), np.float32)}, np.zeros(0, np.int64)))
    loss.total.backward()
    assert torch.isfinite(loss.total)


def test_a_row_that_overflows_adds_nothing():
    broken = batch_of(4)
    broken.inputs["numbers"][2] = np.inf
    sums, _ = private().cut(broken)
    assert all(torch.isfinite(one).all() for one in sums.values())
    assert size(sums) <= 3 * 0.5 * (1 + 1e-5)


def test_epsilon_grows_with_every_step_and_ends_within_what_was_asked():
    budget = Budget.of(Train(batch=16, epochs=10, privacy={"epsilon": 2.0, "delta": 1e-4}), rows=160)
    spent = [budget.spent(steps) for steps in range(0, budget.steps + 1, 10)]
    assert spent == sorted(spent)
    assert spent[0] == 0.0
    assert 1.98 < spent[-1] <= 2.0


def settings(**changes):
    return Train(
        optimizer="adamw", learning_rate=0.01, batch=16, epochs=4, schedule="cosine", warmup=0.1, l2=0.01, clip="none",
        accumulate=1, stop_early="never", keep="last", average="ema", average_decay=0.98, threads=1, seed=3,
        checkpoint={"steps": 3, "minutes": None, "keep": 2}, privacy={"epsilon": 3.0, "delta": 1e-4}, **changes,
    )  # fmt: skip


def fitted(folder, interrupt_after=None, secret=11):
    """Trains in `folder` and saves the weights; an interrupted call leaves checkpoints alone."""
    arrays, label = two_moons(96)

    class Cut(MemoryBatches):
        def epoch(self, n, start=0):
            for seen, batch in enumerate(super().epoch(n, start)):
                if n * 6 + start + seen == interrupt_after:
                    raise KeyboardInterrupt
                yield batch

    model = small_model(members=2, dropout=0.2)
    task = private(Budget.of(settings(), rows=96), model=model, secret=secret, rows=96)
    found = fit(
        model, task, Cut(arrays, label, size=16, seed=3), settings=settings(), folder=folder, fingerprint="columns",
        device=CPU,
    )  # fmt: skip
    save_model(model, folder / "best.safetensors")
    return task, found


def test_a_resumed_run_has_the_same_weights_bit_for_bit_and_has_spent_the_same(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    first, _ = fitted(whole)
    with pytest.raises(KeyboardInterrupt):
        fitted(parts, interrupt_after=14)
    second, found = fitted(parts)
    assert found.resumed
    assert first.steps == second.steps == 24
    assert (whole / "best.safetensors").read_bytes() == (parts / "best.safetensors").read_bytes()


def test_another_secret_gives_other_weights(tmp_path):
    for secret in (1, 2):
        (tmp_path / str(secret)).mkdir()
        fitted(tmp_path / str(secret), secret=secret)
    assert (tmp_path / "1" / "best.safetensors").read_bytes() != (tmp_path / "2" / "best.safetensors").read_bytes()


def test_rows_are_drawn_by_a_coin_each():
    split = SimpleNamespace(
        rows=200, ragged={}, arrays={"numbers": np.arange(200.0)[:, None]}, target=np.zeros(200), weight=None
    )
    batches = Batches(split, size=40, seed=0, shuffle=True, lots=1)
    drawn = [batch.rows for n in range(60) for batch in batches.epoch(n)]
    sizes = np.array([len(rows) for rows in drawn])
    assert len(drawn) == 300
    assert sizes.mean() == pytest.approx(40, abs=1.5)
    assert sizes.var() == pytest.approx(200 * 0.2 * 0.8, rel=0.3)
    assert np.bincount(np.concatenate(drawn), minlength=200).min() > 30
    again = [batch.rows for batch in Batches(split, size=40, seed=5, shuffle=True, lots=1).epoch(7, 2)]
    assert [rows.tolist() for rows in again] == [rows.tolist() for rows in drawn[37:40]]


BROKEN = [
    ({"stop_early": 3}, "train.stop_early"), ({"keep": "best"}, "train.keep"), ({"schedule": "plateau"}, "train.schedule"),
    ({"refit": True}, "train.refit"), ({"accumulate": 2}, "train.accumulate"),
    ({"class_weights": "balanced"}, "train.class_weights"), ({"fairness": "equalized_odds"}, "train.fairness"),
    ({"robustness": "fgsm"}, "train.robustness"), ({"precision": "bfloat16"}, "train.precision"),
    ({"undersample": "auto"}, "train.undersample"),
]  # fmt: skip


def product(train, **data):
    return Product(
        product="toy", task="classification", data={"source": "a.csv", "target": "y", **data},
        train={"privacy": {"epsilon": 3.0}, **train},
    )  # fmt: skip


@pytest.mark.parametrize(("train", "where"), BROKEN)
def test_a_setting_that_breaks_the_promise_is_one_clear_error(train, where):
    with pytest.raises(ModelError, match="cannot go with this setting") as caught:
        settled(product(train, sensitive=["sex"]), rows=1000)
    assert (caught.value.code, caught.value.where) == ("model.privacy", where)


def test_oversampling_and_mixup_are_refused():
    for augment in ({"oversample": True}, {"mixup": 0.2}):
        with pytest.raises(ModelError, match="cannot go with"):
            settled(product({}, augment=augment), rows=1000)


def test_a_delta_as_large_as_one_row_is_refused():
    with pytest.raises(ModelError, match="gives away") as caught:
        settled(product({"privacy": {"epsilon": 3.0, "delta": 0.01}}), rows=100)
    assert caught.value.code == "model.delta"


def test_norms_over_the_batch_are_refused():
    with pytest.raises(ModelError, match="normalises over the rows") as caught:
        check_model(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)))
    assert caught.value.code == "model.privacy_network"


def test_a_run_says_what_it_spent_and_leaves_no_secret(tmp_path):
    random = np.random.default_rng(0)
    lines = ["age,city,bought"]
    for _ in range(300):
        age, city = random.integers(18, 90), random.choice(["Wuhan", "Bonn"])
        lines.append(f"{age},{city},{'yes' if age + 20 * (city == 'Bonn') > 60 else 'no'}")
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n")
    asked = Product(
        product="shop", task="classification", data={"source": {"path": "shop.csv"}, "target": "bought"},
        train={"epochs": 3, "threads": 1, "privacy": {"epsilon": 4.0}},
    )  # fmt: skip
    workspace = Workspace(tmp_path / ".tradewind")
    run = train(asked, prepare(asked, base=tmp_path, workspace=workspace), workspace=workspace)
    spent = run.summary["privacy"]
    assert spent["epsilon"] == pytest.approx(4.0, abs=0.05)
    assert spent["epsilon"] <= 4.0
    assert spent["delta"] == pytest.approx(1 / (10 * run.summary["rows"]))
    assert run.summary["refit"] is None
    assert run.summary["steps"] == spent["steps"]
    assert not (run.artifact.folder / SECRET_FILE).exists()


def test_a_language_model_is_refused_by_the_product_file():
    with pytest.raises(ValueError, match="not trained privately yet"):
        Product(product="sea", task="generation", data={"source": "x"}, train={"privacy": {"epsilon": 3.0}})


def test_without_a_budget_nothing_is_private(tmp_path):
    assert Private.of(Train(), rows=100, folder=tmp_path) is None
    plain = Product(product="toy", task="classification", data={"source": "a.csv", "target": "y"})
    assert settled(plain, rows=100) is plain
