"""Folders that transformers saved, exported and asked: the same translations, token for token."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MarianMTModel

from tradewind.engines.ctranslate import TokenTranslator
from tradewind.errors import ArtifactError, ModelError
from tradewind.features.pair_tokenizer import Frame
from tradewind.release.translation_export import export_translator

SHAPE = {
    "vocab_size": 60, "d_model": 32, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 48, "max_position_embeddings": 64, "init_std": 0.3,
}  # fmt: skip
FRAMES = {"m2m_100": Frame((5,), (2, 7), 2, 1, ()), "marian": Frame((), (59,), 0, 59, ())}
MOST = 12


def model_of(layout):
    torch.manual_seed(3)
    if layout == "m2m_100":
        ends = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2}
        return M2M100ForConditionalGeneration(M2M100Config(**SHAPE, **ends)).eval()
    ends = {
        "pad_token_id": 59,
        "eos_token_id": 0,
        "bos_token_id": 0,
        "decoder_start_token_id": 59,
        "forced_eos_token_id": None,
    }
    model = MarianMTModel(MarianConfig(**SHAPE, **ends, activation_function="swish", scale_embedding=True)).eval()
    model.final_logits_bias.normal_()
    return model


@pytest.fixture(scope="module", params=["m2m_100", "marian"])
def exported(request, tmp_path_factory):
    """A layout's model, its frame, and the folder that was exported from what transformers saved."""
    folder = tmp_path_factory.mktemp(request.param)
    model, frame = model_of(request.param), FRAMES[request.param]
    model.save_pretrained(folder / "hf")
    export_translator(folder / "hf", folder / "out", frame=frame, precisions=["fp32", "int8"])
    return model, frame, folder


def sources(frame, rows=4):
    random = np.random.default_rng(0)
    return [[*frame.before, *random.integers(8, 58, 5 + row).tolist(), frame.eos] for row in range(rows)]


def generated(model, frame, source, **how):
    found = model.generate(
        torch.tensor([source]), decoder_input_ids=torch.tensor([frame.start]), max_length=len(frame.start) + MOST, do_sample=False,
        bad_words_ids=[[frame.pad]], **how,
    )[0].tolist()[len(frame.start) :]  # fmt: skip
    return tuple(found[: found.index(frame.eos)] if frame.eos in found else found)


@pytest.mark.parametrize(("beams", "length_penalty"), [(1, 1.0), (4, 1.0), (4, 0.6)])
def test_translations_are_those_of_transformers(exported, beams, length_penalty):
    model, frame, folder = exported
    engine = TokenTranslator(folder / "out" / "fp32", frame)
    how = {"num_beams": beams} | ({"length_penalty": length_penalty, "early_stopping": True} if beams > 1 else {})
    found = engine.translate(sources(frame), beams=beams, length_penalty=length_penalty, most=MOST)
    assert [one.ids for one in found] == [generated(model, frame, source, **how) for source in sources(frame)]


def test_log_probabilities_are_those_of_transformers_and_int8_is_near(exported):
    model, frame, folder = exported
    targets = [[9, 10, 11], [12] * 7, [], [13]]
    exact = TokenTranslator(folder / "out" / "fp32", frame).log_probs(sources(frame), targets)
    near = TokenTranslator(folder / "out" / "int8", frame).log_probs(sources(frame), targets)
    for source, target, found, other in zip(sources(frame), targets, exact, near, strict=True):
        given = torch.tensor([[*frame.start, *target]])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([source]), decoder_input_ids=given).logits[0]
        wanted = logits.log_softmax(-1)[len(frame.start) - 1 :].gather(1, torch.tensor([*target, frame.eos])[:, None])
        np.testing.assert_allclose(found, wanted[:, 0], atol=1e-4)
        np.testing.assert_allclose(other, found, atol=0.5)


def test_a_missing_tensor_and_another_family_are_refused(exported, tmp_path):
    _, frame, folder = exported
    weights = load_file(folder / "hf" / "model.safetensors")
    config = json.loads((folder / "hf" / "config.json").read_text())
    del weights["model.encoder.layers.0.fc1.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="layers.0.fc1.bias is missing"):
        export_translator(tmp_path, tmp_path / "out", frame=frame, precisions=["fp32"])
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bart"}))
    with pytest.raises(ModelError) as caught:
        export_translator(tmp_path, tmp_path / "out", frame=frame, precisions=["fp32"])
    assert caught.value.code == "model.pretrained_family"
