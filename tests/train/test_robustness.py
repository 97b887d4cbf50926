"""Attacks against autograd by hand, the ball they stay in, worst groups, and resumes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.train.memory_batches import MemoryBatch, MemoryBatches, small_model, two_moons
from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.errors import ModelError
from tradewind.model.text import TokenEmbedding
from tradewind.product import Product, Train
from tradewind.train.defaults import Facts, resolve
from tradewind.train.loop import fit
from tradewind.train.objectives import Objective
from tradewind.train.robustness import Adversary, Reach, RowGroups, WorstGroupTask, _Words, withstanding
from tradewind.train.run import train
from tradewind.train.tasks import SupervisedTask

CPU = torch.device("cpu")
RADIUS = 0.2


def moons(rows=32):
    arrays, label = two_moons(rows)
    return MemoryBatch(arrays, label), torch.from_numpy(arrays["numbers"]), torch.from_numpy(label)


def changed(method, numbers, label, *, model=None, steps=7, reach=None):
    model = model or small_model()
    adversary = Adversary(method, steps, RADIUS, {"numbers": reach or Reach(RADIUS)})

    def loss_of(inputs):
        return F.cross_entropy(model(inputs)[:, 0], label, reduction="sum")

    with adversary.against(model, {"numbers": numbers}, loss_of) as inputs:
        return inputs["numbers"], loss_of


def test_a_step_of_fgsm_is_the_sign_of_the_gradient_by_hand():
    _, numbers, label = moons()
    model = small_model()
    torch.manual_seed(1)
    found, _ = changed("fgsm", numbers, label, model=model)
    torch.manual_seed(1)
    start = numbers + RADIUS * (torch.rand_like(numbers) * 2 - 1)
    start.requires_grad_(True)
    F.cross_entropy(model({"numbers": start})[:, 0], label, reduction="sum").backward()
    by_hand = start.detach() - numbers + 1.25 * RADIUS * start.grad.sign()
    torch.testing.assert_close(found, numbers + by_hand.clamp(-RADIUS, RADIUS))


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_an_attack_stays_in_the_ball_and_raises_the_loss(method):
    _, numbers, label = moons()
    torch.manual_seed(0)
    found, loss_of = changed(method, numbers, label)
    assert (found - numbers).abs().max() <= RADIUS + 1e-6
    assert loss_of({"numbers": found}) > loss_of({"numbers": numbers})


def test_more_steps_find_more_than_one():
    _, numbers, label = moons(256)
    model = small_model(seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    losses = {}
    for method in ("fgsm", "pgd"):
        torch.manual_seed(0)
        found, loss_of = changed(method, numbers, label, model=model, steps=20)
        losses[method] = loss_of({"numbers": found}).item()
    assert losses["pgd"] >= losses["fgsm"]


def test_pixels_stay_pixels():
    reach = Reach(8.0, 0.0, 255.0)
    clean = torch.tensor([0.0, 2.0, 128.0, 255.0])
    assert (clean + reach.within(torch.full((4,), 20.0), clean)).tolist() == [8.0, 10.0, 136.0, 255.0]
    assert (clean + reach.within(torch.full((4,), -20.0), clean)).tolist() == [0.0, 0.0, 120.0, 247.0]


def test_flags_are_left_alone():
    _, numbers, label = moons()
    found, _ = changed("pgd", numbers, label, reach=Reach(RADIUS, free_N=torch.tensor([1.0, 0.0, 1.0, 0.0])))
    assert torch.equal(found[:, 1], numbers[:, 1])
    assert torch.equal(found[:, 3], numbers[:, 3])
    assert not torch.equal(found[:, 0], numbers[:, 0])


def test_noise_has_the_deviation_that_was_asked_for():
    numbers = torch.zeros(4000, 4)
    found, _ = changed("noise", numbers, torch.zeros(4000, dtype=torch.int64))
    assert float(found.std()) == pytest.approx(RADIUS, rel=0.05)


def test_an_attack_leaves_no_gradient_and_the_mode_as_it_was():
    _, numbers, label = moons()
    model = small_model(dropout=0.5).train()
    changed("pgd", numbers, label, model=model)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_task_with_an_adversary_learns_from_changed_rows():
    batch, numbers, label = moons()
    model = small_model()
    adversary = Adversary("fgsm", 1, RADIUS, {"numbers": Reach(RADIUS)})
    task = SupervisedTask(model, Objective("cross_entropy"), CPU, None, "log_loss", adversary=adversary)
    torch.manual_seed(1)
    loss = task.step(batch)
    torch.manual_seed(1)
    found, loss_of = changed("fgsm", numbers, label, model=model)
    torch.testing.assert_close(loss.total, loss_of({"numbers": found}))
    assert loss.total.requires_grad


# ---------------------------------------------------------------- words


def word_model():
    torch.manual_seed(0)
    table = TokenEmbedding(20, 6, dropout=0.0, tokens_dropped=0.0)
    return torch.nn.Sequential(table, torch.nn.Flatten(), torch.nn.Linear(30, 2)), table


@pytest.mark.parametrize("method", ["fgsm", "pgd", "noise"])
def test_vectors_of_words_are_changed_within_the_radius_and_never_at_padding(method):
    model, table = word_model()
    tokens = torch.randint(1, 20, (8, 5))
    tokens[:, 3:] = 0
    label = torch.randint(0, 2, (8,))
    adversary = Adversary(method, 5, RADIUS, {}, [table])

    def loss_of(inputs):
        return F.cross_entropy(model(inputs["tokens"]), label, reduction="sum")

    plain, before = table(tokens).detach(), loss_of({"tokens": tokens}).item()
    with adversary.against(model, {"tokens": tokens}, loss_of) as inputs:
        moved = (table(inputs["tokens"]) - plain).detach()
        after = loss_of(inputs).item()
    assert torch.equal(table(tokens), plain)
    assert float(moved[:, 3:].abs().max()) == 0
    assert float(moved[:, :3].abs().max()) > 0
    if method != "noise":
        assert float(moved.abs().max()) <= RADIUS * float(table.table.weight.detach().std()) + 1e-6
        assert after > before


def test_tables_that_nobody_looked_up_are_passed_over():
    _, first = word_model()
    _, second = word_model()
    words = _Words([first, second], RADIUS)
    with words.learning() as met:
        second(torch.ones(1, 2, dtype=torch.int64))
        assert len(met()) == 1
    words.move([torch.ones(1, 2, 6)], 10.0)
    assert words.deltas[0] is None
    assert words.deltas[1].unique().tolist() == pytest.approx([words.radii[1]])


# ---------------------------------------------------------------- the worst group


def group_task(codes, *, seed=0):
    codes_R = torch.tensor(codes)
    groups = RowGroups(codes_R, torch.bincount(codes_R).float())
    model = small_model(seed=seed)
    return WorstGroupTask(model, Objective("cross_entropy"), CPU, None, "log_loss", groups=groups)


class Rows(MemoryBatch):
    at = 0

    @property
    def rows(self):
        return self.at + np.arange(len(self.target))


def test_with_equal_shares_the_loss_is_the_mean_of_the_groups_losses():
    arrays, label = two_moons(40)
    task = group_task([0] * 30 + [1] * 10)
    found = task.step(Rows(arrays, label))
    logits = task.model({"numbers": torch.from_numpy(arrays["numbers"])})[:, 0]
    each = F.cross_entropy(logits, torch.from_numpy(label), reduction="none")
    losses = torch.stack([each[:30].mean(), each[30:].mean()]).detach().double()
    shares = torch.exp(0.01 * (losses + 1 / torch.tensor([30.0, 10.0]).sqrt()))
    expected = (losses * shares / shares.sum()).sum()  # Sagawa et al. 2020, algorithm 1
    assert (found.total / found.weight).item() == pytest.approx(float(expected), rel=1e-5)


def test_the_share_of_a_group_that_fares_badly_grows():
    arrays, label = two_moons(40)
    label[:20] = 0
    arrays["numbers"][:] = 0.0
    task = group_task([0] * 20 + [1] * 20)
    with torch.no_grad():
        task.model.head.layer.bias.copy_(torch.tensor([3.0, -3.0]))  # right for the first group alone
    label[20:] = 1
    for _ in range(50):
        task.step(Rows(arrays, label))
    assert task._share_G[1] > 0.9
    assert task.rates(1.0)["worst_group_share"] == float(task._share_G.max())


def test_its_shares_come_back_from_a_checkpoint():
    arrays, label = two_moons(20)
    task, other = group_task([0] * 10 + [1] * 10), group_task([0] * 10 + [1] * 10)
    task.step(Rows(arrays, label))
    other.restore(task.state())
    assert torch.equal(task._share_G, other._share_G)


# ---------------------------------------------------------------- resumed


class Interrupted(MemoryBatches):
    """Batches with their places in the split; breaks off before number `stop`, counted over all epochs."""

    stop = None
    seen = 0

    def epoch(self, n, start=0):
        for at, batch in enumerate(super().epoch(n, start), start=start):
            if self.seen == self.stop:
                raise KeyboardInterrupt
            object.__setattr__(self, "seen", self.seen + 1)
            found = Rows(batch.inputs, batch.target)
            object.__setattr__(found, "at", at * self.size)
            yield found


SETTINGS = Train(
    optimizer="adamw", learning_rate=0.01, batch=16, epochs=3, schedule="constant", warmup=0.0, l2=0.01, clip=1.0,
    stop_early="never", average="none", average_decay=0.9, threads=1, keep="last", beta2=0.99,
    checkpoint={"steps": 3, "minutes": None, "keep": 2},
)  # fmt: skip


@pytest.mark.parametrize("robustness", ["fgsm", "pgd", "noise", "group_dro"])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, robustness):
    def fitted(folder, stop=None):
        arrays, label = two_moons(80)
        batches = Interrupted(arrays, label, size=16)
        object.__setattr__(batches, "stop", stop)
        if robustness == "group_dro":
            task = group_task(label.tolist())
        else:
            adversary = Adversary(robustness, 3, RADIUS, {"numbers": Reach(RADIUS)})
            model = small_model(dropout=0.3)
            task = SupervisedTask(model, Objective("cross_entropy"), CPU, None, "log_loss", adversary=adversary)
        fit(task.model, task, batches, settings=SETTINGS, folder=folder, fingerprint="columns", device=CPU)
        return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])

    whole = fitted(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "torn", stop=8)
    assert torch.equal(fitted(tmp_path / "torn"), whole)


# ---------------------------------------------------------------- through the product


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    lines = ["age,income,city,sex,bought"]
    for _ in range(200):
        age, income, city = rng.integers(18, 90), rng.normal(3000, 900), rng.choice(["Wuhan", "Bonn", "Pune"])
        label = "yes" if age / 50 + income / 3000 + (city == "Bonn") > 2.4 else "no"
        lines.append(f"{age},{income:.2f},{city},{rng.choice(['f', 'm'])},{label}")
    (folder / "shop.csv").write_text("\n".join(lines) + "\n")
    return folder


def shop(robustness, *, data=None, **settings):
    fast = {"epochs": 2, "learning_rate": 0.01, "threads": 1, "refit": False, **settings}
    sections = {"source": {"path": "shop.csv"}, "target": "bought", **(data or {"sensitive": ["sex"]})}
    return Product(product="toy-shop", task="classification", data=sections, train={**fast, "robustness": robustness})


def asked_for(product, base, folder):
    """The task of a small model as `product` wants it, with its defaults."""
    dataset = prepare(product, base=base, workspace=Workspace(folder))
    split = dataset.split("train")
    facts = Facts.of(dataset.features.layout, rows=split.rows, validation_rows=20, classes=2)
    task = SupervisedTask(small_model(), Objective("cross_entropy"), CPU, None, "log_loss")
    return withstanding(task, resolve(product, facts), dataset.features, split)


def test_numbers_are_changed_by_a_tenth_of_a_deviation_by_default(tmp_path, base):
    adversary = asked_for(shop("pgd"), base, tmp_path).adversary
    assert adversary.steps == 7
    reach = adversary.reaches["numbers"]
    assert reach.radius == 0.1
    assert reach.free_N.tolist() == [1.0, 1.0]


def test_nothing_is_changed_where_nothing_is_asked_for(tmp_path, base):
    assert asked_for(shop("none"), base, tmp_path).adversary is None


def test_categories_alone_cannot_be_changed(tmp_path, base):
    product = shop("fgsm", data={"only": ["city"], "clean": {"duplicates": "keep", "constant": "keep"}})
    with pytest.raises(ModelError, match="there are none"):
        asked_for(product, base, tmp_path)


@pytest.mark.parametrize(
    "section", [{"data": {"sensitive": ["sex"], "augment": {"mixup": 0.2}}}, {"fairness": "demographic_parity"}]
)
def test_group_dro_and_what_else_weighs_rows_contradict_each_other(tmp_path, base, section):
    with pytest.raises(ModelError, match="contradict"):
        asked_for(shop("group_dro", **section), base, tmp_path)


@pytest.mark.slow
def test_a_run_learns_against_its_adversary(tmp_path, base):
    """From the product file to weights that are others than those of the plain run."""
    weights = {}
    for robustness in ("none", "fgsm"):
        product = shop(robustness)
        dataset = prepare(product, base=base, workspace=Workspace(tmp_path))
        run = train(product, dataset, workspace=Workspace(tmp_path))
        weights[robustness] = run.artifact.files["best.safetensors"]
    assert run.product.train.robustness_radius == 0.1
    assert weights["none"] != weights["fgsm"]


def test_group_dro_without_groups_is_refused(tmp_path, base):
    split = prepare(shop("none"), base=base, workspace=Workspace(tmp_path)).split("train")
    with pytest.raises(ModelError, match="one group"):
        RowGroups.of(split, [], classes=False)


def test_groups_are_the_sensitive_columns_with_the_class(tmp_path, base):
    split = prepare(shop("none"), base=base, workspace=Workspace(tmp_path)).split("train")
    groups = RowGroups.of(split, ["sex"], classes=True)
    assert len(groups.rows_G) == 4
    assert int(groups.rows_G.sum()) == split.rows
    sex = split.raw_column("sex")
    for group in range(4):
        inside = (groups.codes_R == group).numpy()
        assert len(set(sex[inside])) == 1
        assert len(set(split.target[inside])) == 1
