"""Runs of translators: that they learn, that an interruption changes nothing, what time allows, what is refused."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, M2M100Config, M2M100ForConditionalGeneration

from tests.pairs import SECTIONS, product, write_pairs
from tradewind.artifacts import Workspace
from tradewind.data.parallel import prepare_parallel
from tradewind.errors import ModelError
from tradewind.model.seq2seq_folder import open_seq2seq
from tradewind.model.weights import load_tensors
from tradewind.train.translation import load_translation_run, train_translation
from tradewind.train.translation_defaults import TranslationFacts, resolve

TRAIN = SECTIONS["train"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = write_pairs(tmp_path_factory.mktemp("pairs"))
    return prepare_parallel(product(), base=folder, workspace=Workspace(folder / "work"))


@pytest.fixture(scope="module")
def run(pairs, tmp_path_factory):
    return train_translation(product(), pairs, workspace=Workspace(tmp_path_factory.mktemp("run")))


def weights(run):
    return load_tensors(run.hf / "model.safetensors")[0]


def test_the_loss_falls_far_below_that_of_words_alone(pairs, run):
    epochs = [
        one
        for line in (run.artifact.folder / "steps.jsonl").read_text().splitlines()
        if "epoch_loss" in (one := json.loads(line))
    ]
    assert [one["epoch"] for one in epochs] == [1]
    assert run.summary["validation"]["validation_loss"] < 0.7 * np.log(pairs.tokenizer.vocabulary)
    assert run.summary["tokens"] > pairs.profile["splits"]["train"]["source_tokens"]


def test_an_interrupted_run_ends_with_the_same_bits(pairs, run, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(at):
        if at.step >= 40:
            raise Interrupted

    settings = product(train=TRAIN | {"checkpoint": {"steps": 15}})
    with pytest.raises(Interrupted):
        train_translation(settings, pairs, workspace=Workspace(tmp_path), progress=stop)
    ended = train_translation(settings, pairs, workspace=Workspace(tmp_path))
    assert load_translation_run(ended.artifact.folder).summary == ended.summary
    assert ended.summary["resumed"]
    assert all(torch.equal(tensor, weights(run)[name]) for name, tensor in weights(ended).items())


def test_training_stops_when_its_time_is_up(pairs, tmp_path):
    settings = product(train=TRAIN | {"epochs": 500, "max_minutes": 0.02})
    found = train_translation(settings, pairs, workspace=Workspace(tmp_path)).summary
    assert found["stopped"] == "time"
    assert found["epochs"] < 20


def test_the_folder_opens_in_transformers_and_golden_pairs_are_its_own(pairs, run):
    model = M2M100ForConditionalGeneration.from_pretrained(run.hf).eval()
    golden = np.load(run.golden)
    first = slice(0, golden["sources_starts"][1])
    source, target = golden["sources"][first], golden["targets"][: golden["targets_starts"][1]]
    given = np.concatenate([pairs.tokenizer.frame.start, target[:-1]])
    with torch.no_grad():
        logits = model(
            input_ids=torch.from_numpy(source)[None], decoder_input_ids=torch.from_numpy(given)[None]
        ).logits[0]
    found = logits.log_softmax(-1).gather(1, torch.from_numpy(target)[:, None])[:, 0]
    np.testing.assert_allclose(found, golden["log_probs"][: len(target)], atol=1e-4)
    assert AutoTokenizer.from_pretrained(run.hf).decode(source, skip_special_tokens=True) in {
        text for text, _ in pairs.texts("validation")
    }


def test_pretrained_weights_are_fine_tuned(pairs, run, tmp_path):
    model = {"pretrained": str(run.hf), "dropout": 0.0}
    settings = product(model=model, train=TRAIN | {"learning_rate": 1e-3})
    tuned = train_translation(settings, pairs, workspace=Workspace(tmp_path))
    assert tuned.summary["validation"]["validation_loss"] < run.summary["validation"]["validation_loss"]


def test_a_folder_with_fewer_words_than_the_pairs_is_refused(pairs, tmp_path):
    config = M2M100Config(
        vocab_size=40, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(tmp_path / "small")
    assert open_seq2seq(tmp_path / "small").config.vocabulary == 40
    with pytest.raises(ModelError, match="weights know 40"):
        train_translation(product(model={"pretrained": str(tmp_path / "small")}), pairs, workspace=Workspace(tmp_path))


def test_settings_left_out_follow_from_the_pairs():
    few = resolve(product(train={}), TranslationFacts(pairs=29_000, tokens=580_000, width=128, pretrained=False))
    many = resolve(
        product(train={}), TranslationFacts(pairs=5_000_000, tokens=150_000_000, width=512, pretrained=False)
    )
    assert few.train.epochs > 10 * many.train.epochs
    assert few.train.learning_rate > many.train.learning_rate
    assert few.model.dropout > many.model.dropout


@pytest.mark.parametrize(("train", "code"), [({"batch": "full"}, "batch"), ({"monitor": "accuracy"}, "monitor")])
def test_what_does_not_suit_a_translator_is_refused(train, code):
    with pytest.raises(ModelError) as caught:
        resolve(product(train=train), TranslationFacts(100, 1000, 64, False))
    assert caught.value.code.endswith(code)
