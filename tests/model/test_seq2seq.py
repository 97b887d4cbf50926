"""Encoder-decoders: the logits of transformers, folders there and back, the loss, and dropout from one pool."""

import json

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForSeq2SeqLM,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
)

from tradewind.errors import ArtifactError, ModelError
from tradewind.model.masks import Masks
from tradewind.model.seq2seq import Seq2Seq
from tradewind.model.seq2seq_config import Seq2SeqConfig
from tradewind.model.seq2seq_folder import open_seq2seq, save_seq2seq
from tradewind.model.weights import load_tensors, save_tensors
from tradewind.product import Model

SHAPE = {
    "vocab_size": 50, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 64, "max_position_embeddings": 64,
    "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "scale_embedding": True,
}  # fmt: skip
FAMILIES = {"marian": (MarianConfig, MarianMTModel), "m2m_100": (M2M100Config, M2M100ForConditionalGeneration)}


@pytest.fixture(params=FAMILIES)
def reference(request, tmp_path):
    config, kind = FAMILIES[request.param]
    torch.manual_seed(0)
    model = kind(config(**SHAPE)).eval()
    if request.param == "marian":
        model.final_logits_bias.normal_()
    model.save_pretrained(tmp_path)
    return model, tmp_path


def batch():
    torch.manual_seed(1)
    source, target = torch.randint(3, 50, (3, 7)), torch.randint(3, 50, (3, 5))
    there = torch.ones(3, 7, dtype=torch.bool)
    there[1, 4:] = False
    return source.masked_fill(~there, 1), there, target


def theirs(model, source, there, target):
    return model(input_ids=source, attention_mask=there.long(), decoder_input_ids=target).logits


@torch.no_grad()
def test_a_folder_gives_the_logits_of_transformers(reference):
    model, folder = reference
    torch.testing.assert_close(open_seq2seq(folder)(*batch()), theirs(model, *batch()), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_folder_that_was_saved_opens_in_transformers(reference, tmp_path_factory):
    model, folder = reference
    again = tmp_path_factory.mktemp("again")
    save_seq2seq(open_seq2seq(folder), again)
    opened = AutoModelForSeq2SeqLM.from_pretrained(again).eval()
    torch.testing.assert_close(theirs(opened, *batch()), theirs(model, *batch()))


@torch.no_grad()
def test_a_batch_may_be_padded_beyond_the_context_to_a_whole_width():
    config = Seq2SeqConfig(50, 32, 1, 1, 2, 2, 48, 48, context=7, start=2, eos=2, pad=1)
    model, (source, there, target) = Seq2Seq(config).eval(), batch()
    wide = [F.pad(one, (0, 8 - one.shape[1])) for one in (source, there, target)]
    torch.testing.assert_close(model(*wide)[:, :5], model(source, there, target), atol=1e-5, rtol=1e-5)


def test_the_loss_is_torchs_with_smoothing_and_without_what_is_not_learnt(reference):
    _, folder = reference
    model, (source, there, target) = open_seq2seq(folder), batch()
    following = torch.randint(3, 50, target.shape)
    following[2, 3:] = -100
    found = model.loss(source, there, target, following, smoothing=0.1)
    found.total.backward()
    gradient = model.model.shared.weight.grad.clone()
    model.zero_grad()
    wanted = F.cross_entropy(
        model(source, there, target).flatten(0, 1), following.flatten(), label_smoothing=0.1, reduction="sum"
    )
    wanted.backward()
    torch.testing.assert_close(found.total, wanted)
    torch.testing.assert_close(gradient, model.model.shared.weight.grad, atol=1e-5, rtol=1e-4)
    assert found.weight == 13


def test_padding_changes_nothing(reference):
    model = open_seq2seq(reference[1])
    source, there, target = batch()
    with torch.no_grad():
        alone = model(source[1:2, :4], there[1:2, :4], target[1:2])
        torch.testing.assert_close(model(source, there, target)[1:2], alone, atol=1e-6, rtol=1e-5)


def test_parameters_are_counted_without_building(reference):
    model = open_seq2seq(reference[1])
    assert model.config.parameters() == sum(one.numel() for one in model.parameters())


def test_a_missing_tensor_is_named(reference):
    folder = reference[1]
    tensors, _ = load_tensors(folder / "model.safetensors")
    del tensors["model.decoder.layers.1.fc1.weight"]
    save_tensors(folder / "model.safetensors", tensors)
    with pytest.raises(ArtifactError, match=r"decoder\.layers\.1\.fc1\.weight is missing"):
        open_seq2seq(folder)


def test_another_family_is_refused(reference):
    folder = reference[1]
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "t5"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="family t5"):
        open_seq2seq(folder)


def test_a_size_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ModelError, match="7b") as caught:
        Seq2SeqConfig.from_product(Model(preset="7b"), vocabulary=9, tokens=9, start=0, eos=0, pad=1, dropout=0.0)
    assert "50m" in (caught.value.hint or "")


def test_dropout_keeps_its_share_and_its_mean_and_comes_from_torchs_generator():
    masks = Masks(0.25)

    def drawn():
        torch.manual_seed(3)
        masks.renew(torch.device("cpu"), largest=40_000, learning=True)
        return masks.drop(torch.ones(200, 200)), masks.drop(torch.ones(200, 200))

    first, second = drawn()
    assert not torch.equal(first, second)
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(first.mean()) == pytest.approx(1.0, abs=0.02)
    assert all(torch.equal(one, other) for one, other in zip(drawn(), (first, second), strict=True))


def test_nothing_is_dropped_where_nothing_is_learnt():
    model = Seq2Seq(Seq2SeqConfig(20, 16, 1, 1, 2, 2, 16, 16, 32, start=0, eos=0, pad=1, dropout=0.5)).eval()
    source, there, target = torch.randint(20, (2, 4)), torch.ones(2, 4, dtype=torch.bool), torch.randint(20, (2, 3))
    assert torch.equal(model(source, there, target), model(source, there, target))
