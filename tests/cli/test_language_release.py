"""Documents to a signed release that answers in the terminal, by the verbs alone."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from tests.train.memory_corpus import chat_corpus
from tradewind.artifacts import Workspace
from tradewind.cli.app import main
from tradewind.cli.release_language import held_out
from tradewind.cli.token_cost import written_s
from tradewind.engines.loading import load_embedder, load_generator
from tradewind.files import read_json
from tradewind.release.language import read_language_golden
from tradewind.release.registry import Registry

PRODUCT = """
product: tiny-writer
task: generation
data: {{source: verse.txt, format: text, split: {{test: 0.1, validation: 0.2}}}}
tokenizer: {{kind: bpe, vocabulary: 300}}
model: {model}
train: {train}
serve: {{plans: {{free: {{monthly: 0 CNY, included: 1000}}}}}}
"""
LEARNT = "{steps: 80, batch: 8, learning_rate: 0.005, threads: 1, precision: float32}"
SHAPE = "{kind: decoder, width: 32, depth: 2, heads: 2, context: 64}"


def _product(folder: Path, *, model: str = SHAPE, train: str = "{steps: 12, batch: 4}") -> Path:
    folder.mkdir(parents=True)
    lines = [f"verse {n}: the wind blows {n % 7} times west, 第{n}次风从西边吹来，帆是白的。" for n in range(300)]
    (folder / "verse.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "tradewind.yaml").write_text(PRODUCT.format(model=model, train=train), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _product(tmp_path_factory.mktemp("writer") / "product", train=LEARNT)
    assert main(["run", "-C", str(folder), "--set", "release.quantization_loss={int8: 1.0, int4: 9.0}"]) == 0
    return folder


def _release(folder: Path) -> Path:
    (found,) = (folder / ".tradewind" / "releases").iterdir()
    return found


@pytest.mark.slow
def test_the_bundle_holds_what_was_asked_for_with_its_figures(released: Path):
    release = _release(released)
    manifest = read_json(release / "manifest.json")
    assert manifest["task"] == "generation"
    assert manifest["meters"] == ["prompt_tokens", "completion_tokens"]
    assert set(manifest["precisions"]) == {"fp32", "int8", "int4"}
    assert manifest["precisions"]["fp32"]["loss"] == 0
    assert manifest["precisions"]["fp32"]["golden_difference"] <= manifest["parity"]["tolerance"]
    sizes = [manifest["precisions"][one]["bytes"] for one in ("fp32", "int8", "int4")]
    assert sizes == sorted(sizes, reverse=True)
    for name in ("hf/model.safetensors", "genai/int4/genai_config.json", "golden.json", "report/card.md", "model.sig"):
        assert (release / name).is_file(), name
    assert "bits_per_byte" in (release / "report" / "card.md").read_text()
    model = AutoModelForCausalLM.from_pretrained(release / "hf")
    assert sum(weight.numel() for weight in model.parameters()) == manifest["parameters"]


@pytest.mark.slow
def test_what_a_token_costs_stands_in_the_release_and_no_plan_sells_below_it(released: Path, tmp_path: Path, capsys):
    cost = read_json(_release(released) / "manifest.json")["cost"]
    times = cost["request"]
    assert 0 < times["prompt_seconds"] < times["alone_seconds"] < 1
    assert 0 < times["bulk_seconds"] < times["alone_seconds"]
    assert times["precision"] == "int8"
    assert "## What a token costs" in (_release(released) / "report" / "card.md").read_text()
    copy = Path(shutil.copytree(released, tmp_path / "copy"))
    absurd = "serve.machine_hour=1000000000000 CNY"
    asked = ["run", "-C", str(copy), "--set", "release.quantization_loss={int8: 1.0, int4: 9.0}", "--set", absurd]
    assert main(asked) == 1
    assert "The plan free includes 1000 units for 0.00 CNY, below their cost of" in capsys.readouterr().err
    assert len(Registry.open(Workspace.of(copy)).versions) == 1
    assert main([*asked, "--set", "serve.plans.free.below_cost=true"]) == 0
    file = copy / "tradewind.yaml"
    file.write_text(file.read_text().replace("serve: {plans", "serve: {machine_hour: 1000000000000 CNY, plans"))
    assert main(["serve", "-C", str(copy), "--port", "0"]) == 1
    assert "below their cost" in capsys.readouterr().err


@pytest.mark.slow
def test_the_registry_takes_it_and_it_can_be_promoted_and_verified(released: Path, capsys):
    assert main(["promote", "-C", str(released)]) == 0
    registry = Registry.open(Workspace.of(released))
    assert registry.aliases == {"candidate": 1, "live": 1}
    assert main(["verify", "live", "-C", str(released)]) == 0
    assert "golden prompts" in capsys.readouterr().out


def test_a_long_conversation_is_measured_with_the_question_of_its_answer(tmp_path: Path):
    corpus = chat_corpus(tmp_path)
    whole, size = held_out(corpus, context=512)
    packed = corpus.split("validation")
    assert sum(int(learnt.sum()) for _, learnt in whole) == packed.learnt
    context = max(len(tokens) for tokens, _ in whole) - 2  # one token less than the longest needs
    cut, same = held_out(corpus, context=context)
    assert same == size  # no answer lost a byte
    assert max(len(tokens) for tokens, _ in cut) == context + 1
    for (tokens, learnt), (before, counted) in zip(cut, whole, strict=True):
        assert np.array_equal(tokens, before[-len(tokens) :])
        assert np.array_equal(learnt, counted[-len(tokens) :])


def test_a_disturbance_never_makes_a_token_cost_nothing():
    assert written_s((0.2, 1), (1.2, 11)) == pytest.approx(0.1)
    assert written_s((0.5, 16), (0.4, 300)) == pytest.approx(0.4 / 300)
    assert written_s((0.5, 0), (0.4, 0)) == 0


def _chat(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return main(["chat", "-C", str(folder), *options])


@pytest.mark.slow
def test_chat_answers_what_stands_on_stdin_and_says_the_same_again(released: Path, monkeypatch, capsys):
    said = []
    for _ in range(2):
        assert _chat(released, monkeypatch, "The quick brown?", "--temperature", "0", "--max-tokens", "12") == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].endswith("\n")


@pytest.mark.slow
def test_chat_refuses_what_it_cannot_do_in_one_sentence(released: Path, monkeypatch, capsys):
    for text, options, words in (
        (" ", (), "nothing on stdin"),
        ("hi", ("--precision", "int2"), "no precision int2"),
        ("hi", ("--temperature", "9"), "from 0 to 2"),
        ("word " * 500, (), "at most 64"),
    ):
        assert _chat(released, monkeypatch, text, *options) == 2
        error = capsys.readouterr().err
        assert words in error
        assert "Traceback" not in error
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi"))
    assert main(["chat", "-C", str(released), "v9"]) == 2


@pytest.mark.slow
def test_a_conversation_goes_on_until_quit_and_survives_a_message_that_is_too_long(released: Path, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = iter(["hello", "", "word " * 500, "again", "/quit", "never"])
    monkeypatch.setattr("builtins.input", lambda _: next(said))
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(["chat", "-C", str(released), "--max-tokens", "4", "--system", "Be brief."]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("\n") >= 2
    assert "at most 64" in shown.err
    assert next(said) == "never"


@pytest.mark.slow
def test_a_precision_that_loses_too_much_stops_the_release_and_leaves_nothing(released: Path, tmp_path: Path, capsys):
    folder = Path(shutil.copytree(released, tmp_path / "copy"))
    code = main(["release", "-C", str(folder), "--json", "--set", "release.quantization_loss={int4: 0.0}"])
    found = json.loads(capsys.readouterr().out)
    assert code == 1
    assert found["error"]["code"] == "gate.quantization_loss"
    assert len(list((folder / ".tradewind" / "releases").iterdir())) == 1


@pytest.mark.slow
def test_an_adapter_ships_alone_and_is_served_on_its_base(released: Path, tmp_path: Path):
    base = _release(released)
    folder = _product(
        tmp_path / "tuned",
        model=f"{{pretrained: {base / 'hf'}, adapt: lora, lora_rank: 2}}",
        train="{steps: 6, batch: 4}",
    )
    yaml = (folder / "tradewind.yaml").read_text().replace("{kind: bpe, vocabulary: 300}", "{kind: pretrained}")
    (folder / "tradewind.yaml").write_text(yaml)
    shutil.copytree(released / ".tradewind" / "keys", folder / ".tradewind" / "keys")  # one team, one signer
    assert main(["release", "-C", str(folder), "--set", "release.adapter=alone"]) == 0
    adapter = _release(folder)
    assert read_json(adapter / "manifest.json")["precisions"] == {}
    assert not (adapter / "hf").exists()
    assert main(["verify", "-C", str(folder)]) == 0
    golden = read_language_golden(adapter / "golden.json")
    engine = load_generator(base, precision="fp32", slots=1, adapters={"tone": adapter})
    found = engine.last_logits(golden.prompts, adapter="tone")
    engine.close()
    np.testing.assert_allclose(found, golden.logits, atol=golden.tolerance)
    assert main(["chat", "-C", str(folder)]) == 2  # there is nothing in it that answers


@pytest.mark.slow
def test_masked_words_become_an_encoder_release_that_gives_vectors(tmp_path: Path):
    folder = _product(tmp_path / "encoder", train="{objective: mlm, steps: 6, batch: 4}")
    assert main(["release", "-C", str(folder)]) == 0
    engine = load_embedder(_release(folder))
    texts = [engine.encode(text) for text in ("The quick fox", "你好", "The quick fox", "")]
    vectors = engine.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    np.testing.assert_allclose(engine.embed(texts[1:2])[0], vectors[1], atol=1e-5)
    assert main(["verify", "-C", str(folder)]) == 0
