"""Optimizers against their formulas worked out here, and against torch."""

import pytest
import torch
from torch import nn

from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.train import optimizers


def one_weight(value=1.0):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def steps(model, optimizer, gradients, rate=0.1):
    for gradient in gradients:
        model.weight.grad = torch.tensor([[gradient]])
        optimizer.set_rate(rate)
        optimizer.step()
        optimizer.zero_grad()
    return float(model.weight.detach())


def test_sgd_steps_against_the_gradient():
    model = one_weight()
    assert steps(model, optimizers.build(model, name="sgd", rate=0.1, weight_decay=0.0), [2.0]) == pytest.approx(0.8)


def test_sgd_takes_l2_through_the_gradient():
    model = one_weight()
    assert steps(model, optimizers.build(model, name="sgd", rate=0.1, weight_decay=0.5), [2.0]) == pytest.approx(0.75)


def test_momentum_is_nesterovs():
    model = one_weight()
    weight, velocity = 1.0, 0.0
    for gradient in (2.0, -1.0, 0.5):
        velocity = 0.9 * velocity + gradient
        weight -= 0.1 * (gradient + 0.9 * velocity)
    found = steps(model, optimizers.build(model, name="momentum", rate=0.1, weight_decay=0.0), [2.0, -1.0, 0.5])
    assert found == pytest.approx(weight, rel=1e-6)


@pytest.mark.parametrize("beta2", [0.999, 0.9])
@pytest.mark.parametrize(("name", "decoupled"), [("adam", False), ("adamw", True)])
def test_adam_is_the_papers(name, decoupled, beta2):
    """Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2."""
    weight, m, v, decay = 1.0, 0.0, 0.0, 0.2
    for t, gradient in enumerate([2.0, -1.0, 0.5], start=1):
        g = gradient if decoupled else gradient + decay * weight
        m, v = 0.9 * m + 0.1 * g, beta2 * v + (1 - beta2) * g * g
        if decoupled:
            weight -= 0.1 * decay * weight
        weight -= 0.1 * (m / (1 - 0.9**t)) / ((v / (1 - beta2**t)) ** 0.5 + 1e-8)
    model = one_weight()
    found = steps(
        model, optimizers.build(model, name=name, rate=0.1, weight_decay=decay, beta2=beta2), [2.0, -1.0, 0.5]
    )
    assert found == pytest.approx(weight, rel=1e-5)


def test_muon_moves_a_hidden_matrix_by_an_orthogonal_update_and_the_rest_by_adamw():
    torch.manual_seed(0)
    model = nn.ModuleDict({"body": nn.Linear(8, 8), "head": nn.Linear(8, 2)})
    before = model["body"].weight.detach().clone()
    optimizer = optimizers.build(model, name="muon", rate=0.1, weight_decay=0.0)
    gradient = torch.randn(8, 8)
    model["body"].weight.grad = gradient
    optimizer.step()
    update = torch.linalg.svdvals(model["body"].weight.detach() - before)
    assert update.max() / update.min() < 2.5
    assert torch.linalg.cond(gradient) > 8
    assert [type(part).__name__ for part in optimizer.parts] == ["Muon", "AdamW"]
    assert len(optimizer.parts[0].param_groups[0]["params"]) == 1


@pytest.mark.parametrize("tied", [True, False])
def test_muon_leaves_tokens_to_adamw_on_both_ends_of_a_language_model(tied):
    sizes = {"width": 32, "depth": 1, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 64, "tied": tied}
    model = Decoder(DecoderConfig.preset("1m", vocabulary=40, context=16, **sizes))
    muon, _ = optimizers.build(model, name="muon", rate=0.1, weight_decay=0.0).parts
    given = {id(p) for group in muon.param_groups for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in given}
    assert names
    assert all(".layers." in name for name in names)


def test_biases_get_no_decay_and_a_prefix_its_own_rate():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    optimizer = optimizers.build(
        model, name="adamw", rate=1.0, weight_decay=0.1, overrides={"b.": {"lr_scale": 5.0, "weight_decay": 0.0}}
    )
    optimizer.set_rate(0.5)
    found = {(group["lr"], group["weight_decay"]): len(group["params"]) for group in optimizer.parts[0].param_groups}
    assert found == {(0.5, 0.1): 1, (0.5, 0.0): 1, (2.5, 0.0): 2}


@pytest.mark.parametrize("name", ["gd", "sgd", "momentum", "adam", "adamw", "muon"])
def test_its_state_goes_on_to_the_bit(name):
    def run(stop):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
        data = torch.randn(6, 5, 3)
        optimizer = optimizers.build(model, name=name, rate=0.01, weight_decay=0.1)
        for step in range(6):
            if step == stop:
                state = {key: value.clone() for key, value in optimizer.state().items()}
                optimizer = optimizers.build(model, name=name, rate=0.01, weight_decay=0.1)
                optimizer.restore(state)
            model(data[step]).square().mean().backward()
            optimizer.set_rate(0.01 * (step + 1))
            optimizer.step()
            optimizer.zero_grad()
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(run(stop=None), run(stop=3))
