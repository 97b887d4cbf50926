"""Weights go to disk and back, and a file that does not fit is refused by name."""

import pytest
import torch
from torch import nn

from tradewind.errors import ArtifactError
from tradewind.model.weights import load_into, load_model, parameters, save_model


def net(width=3):
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_a_model_comes_back_to_the_bit(tmp_path):
    model, other = net(), net()
    with torch.no_grad():
        model[0].weight.add_(1)
    save_model(model, tmp_path / "w.safetensors", metadata={"fingerprint": "x"})
    assert load_model(other, tmp_path / "w.safetensors") == {"fingerprint": "x"}
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_tied_weights_are_saved(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    save_model(model, tmp_path / "w.safetensors")
    load_model(model, tmp_path / "w.safetensors")


def test_a_missing_tensor_is_named():
    state = net().state_dict()
    del state["0.bias"]
    with pytest.raises(ArtifactError, match=r"0\.bias is missing .*0 unknown, 1 missing"):
        load_into(net(), state, where="x")


def test_another_shape_is_refused():
    with pytest.raises(ArtifactError, match=r"0\.weight has the shape \(4, 2\), but \(3, 2\)"):
        load_into(net(), net(4).state_dict(), where="x")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_model(net(), tmp_path / "w.safetensors")


def test_frozen_weights_are_counted_apart():
    model = net()
    model[1].requires_grad_(False)
    assert parameters(model) == {"total": 15, "learn": 9}
