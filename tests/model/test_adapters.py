"""LoRA and pretrained bodies: nothing changes at the start, merging is exact, files are PEFT's, frozen stays frozen."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from tests.features.test_text import WORDPIECE
from tradewind.errors import ArtifactError, ModelError
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.model import adapters, pretrained, text
from tradewind.model.export import export
from tradewind.model.trunk import TradewindModel
from tradewind.model.weights import load_tensors
from tradewind.product import Model

transformers = pytest.importorskip("transformers")

TEXTS = ["good food", "good", "food food good", "unknown food", "food", ""]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(6, 8)
        self.value = nn.Linear(6, 8, bias=False)
        self.other = nn.Linear(8, 2)

    def forward(self, x):
        return self.other(torch.tanh(self.query(x) * self.value(x)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


X = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def trained(net, **options):
    adapters.add_lora(net, rank=2, **options)
    torch.manual_seed(2)
    for layer in adapters.adapters(net).values():
        nn.init.normal_(layer.lora_B.weight)
    return net


def test_a_new_adapter_changes_no_output_and_no_name(net):
    before, names = net(X), set(net.state_dict())
    assert adapters.add_lora(net, rank=2) == ["query", "value"]
    assert torch.equal(net(X), before)
    assert names <= set(net.state_dict())


def test_only_the_adapter_learns(net):
    adapters.add_lora(net, rank=2)
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    assert learning == {f"{layer}.lora_{part}.weight" for layer in ("query", "value") for part in "AB"}


def test_it_adds_the_scaled_product_of_its_matrices(net):
    plain = net.query(X)
    layer = trained(net, alpha=6.0).query
    expected = plain + 3.0 * X @ layer.lora_A.weight.T @ layer.lora_B.weight.T
    torch.testing.assert_close(layer(X), expected)


def test_merging_keeps_the_outputs_and_unmerging_restores_every_bit(net):
    trained(net)
    before, weight, output = net(X), net.query.weight.clone(), net.query(X)
    adapters.merge(net)
    adapters.merge(net)
    assert not torch.equal(net.query.weight, weight)
    torch.testing.assert_close(net.query(X), output)
    torch.testing.assert_close(net(X), before)
    adapters.unmerge(net)
    adapters.unmerge(net)
    assert torch.equal(net.query.weight, weight)
    assert torch.equal(net(X), before)


def test_files_have_peft_s_layout_and_come_back(net, tmp_path):
    adapters.save_adapter(trained(net, alpha=6.0), tmp_path, base="some/model")
    tensors, _ = load_tensors(tmp_path / "adapter_model.safetensors")
    assert tensors["base_model.model.query.lora_A.weight"].shape == (2, 6)
    assert tensors["base_model.model.query.lora_B.weight"].shape == (8, 2)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 2, 6.0)
    assert config["target_modules"] == ["query", "value"]
    torch.manual_seed(0)
    fresh = Net()
    assert adapters.load_adapter(fresh, tmp_path) == ["query", "value"]
    assert torch.equal(fresh(X), net(X))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"peft_type": "IA3"}, "artifact.adapter_kind"),
        ({"use_dora": True}, "artifact.adapter_kind"),
        ({"bias": "all"}, "artifact.adapter_kind"),
        ({"r": 3}, "artifact.adapter_mismatch"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(net, tmp_path, change, code):
    adapters.save_adapter(trained(net), tmp_path, base="x")
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ArtifactError) as caught:
        adapters.load_adapter(Net(), tmp_path)
    assert caught.value.code == code


def test_an_adapter_for_another_model_or_of_no_file_is_refused(net, tmp_path):
    with pytest.raises(ArtifactError) as caught:
        adapters.load_adapter(Net(), tmp_path)
    assert caught.value.code == "artifact.adapter_broken"
    adapters.save_adapter(trained(net), tmp_path, base="x")
    with pytest.raises(ArtifactError, match="query"):
        adapters.load_adapter(nn.Sequential(nn.Linear(6, 8)), tmp_path)


def test_a_model_without_such_layers_is_explained():
    with pytest.raises(ModelError, match="Its linear layers: 0"):
        adapters.add_lora(nn.Sequential(nn.Linear(2, 2)), rank=2)


# ---------------------------------------------------------------- pretrained bodies


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=6, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(place)
    (place / "tokenizer.json").write_text(json.dumps(WORDPIECE), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def features(folder):
    values = {"note": np.array(TEXTS * 2, dtype=object)}
    target = fit_target("classification", np.array([0, 1] * len(TEXTS), dtype=object))
    spec = ColumnSpec("note", "text", {"tokeniser": str(folder)})
    return FeatureSet.fit([spec], values, target, seed=0)


def encoder_of(features, folder, adapt="frozen"):
    torch.manual_seed(0)
    settings = Model(text="pretrained", pretrained=str(folder), adapt=adapt, lora_rank=2)
    return text.build(features.layout, settings, outputs=2)


def tokens_of(features, texts):
    return torch.from_numpy(features.encode({"note": np.array(texts, dtype=object)})["tokens:note"])


def test_it_is_the_mean_of_the_last_hidden_state_at_length_root_d(features, folder):
    body = encoder_of(features, folder).body
    model = transformers.AutoModel.from_pretrained(folder).eval()
    states_TD = model(input_ids=torch.tensor([[2, 4, 5, 3]])).last_hidden_state[0]
    expected_D = 4 * nn.functional.normalize(states_TD.mean(0), dim=0)
    torch.testing.assert_close(body.encode(tokens_of(features, ["good food", "good food food good"]))[0], expected_D)


@pytest.mark.parametrize("adapt", ["frozen", "full", "lora"])
def test_what_learns_is_what_was_asked_for(features, folder, adapt):
    encoder = encoder_of(features, folder, adapt).train()
    learning = {name for name, p in encoder.body.model.named_parameters() if p.requires_grad}
    assert encoder.body.model.training == (adapt != "frozen")
    if adapt == "frozen":
        assert not learning
        assert encoder.body.parameter_groups() == {}
    else:
        assert learning
        assert all("lora_" in name for name in learning) == (adapt == "lora")
        assert encoder.parameter_groups()["body.model."]["lr_scale"] < 1


@pytest.mark.parametrize("adapt", ["frozen", "full", "lora"])
def test_the_exported_graph_gives_the_same(features, folder, adapt, tmp_path):
    encoder = encoder_of(features, folder, adapt)
    encoder.body.remember([tokens_of(features, TEXTS)])
    golden = features.encode({"note": np.array(TEXTS, dtype=object)})
    report = export(TradewindModel({"text": encoder}, outputs=2, width=16), features, tmp_path, golden=golden)
    assert report.difference < 1e-5


def test_a_remembered_text_is_the_same_whatever_stands_beside_it(features, folder):
    body = encoder_of(features, folder).body.eval()
    plain = body(tokens_of(features, TEXTS))
    assert body.remember([tokens_of(features, TEXTS[:3])]) == 3
    torch.testing.assert_close(body(tokens_of(features, TEXTS)), plain)
    alone, beside = tokens_of(features, ["good"]), tokens_of(features, ["good", "food food good"])
    assert torch.equal(body._recall(alone)[0], body._recall(beside)[0])
    body.forget()
    torch.testing.assert_close(body(tokens_of(features, TEXTS)), plain)


def test_memory_is_bounded_and_only_for_what_is_frozen(features, folder):
    texts = tokens_of(features, TEXTS)
    assert encoder_of(features, folder).body.remember([texts[:2], texts[2:]], most_bytes=2 * 16 * 4) == 2
    assert encoder_of(features, folder, "lora").body.remember([texts]) == 0


def test_another_tokeniser_is_refused(folder):
    values = {"note": np.array(TEXTS, dtype=object)}
    target = fit_target("classification", np.array([0, 1] * 3, dtype=object))
    own = FeatureSet.fit([ColumnSpec("note", "text")], values, target, seed=0)
    with pytest.raises(ModelError, match="another tokeniser") as caught:
        encoder_of(own, folder)
    assert "prepare again" in str(caught.value)


def test_a_folder_that_is_no_model_is_explained(tmp_path):
    with pytest.raises(ModelError, match="no config.json"):
        pretrained.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="never loaded"):
        pretrained.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError) as caught:
        pretrained.load(tmp_path)
    assert caught.value.code == "model.pretrained_broken"


def test_the_first_token_is_taken_where_the_folder_says_so(features, folder):
    (folder / "1_Pooling").mkdir()
    file = folder / "1_Pooling" / "config.json"
    file.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    try:
        body = encoder_of(features, folder).body
    finally:
        file.unlink()
        file.parent.rmdir()
    assert body.pooling == "first"
    tokens = tokens_of(features, ["good food"])
    states_D = body.model(input_ids=tokens).last_hidden_state[0, 0]
    torch.testing.assert_close(body.encode(tokens)[0], 4 * nn.functional.normalize(states_D, dim=0))
