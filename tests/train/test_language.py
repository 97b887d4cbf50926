"""Language runs: what is learnt, that a kill changes nothing, and what is refused."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.memory_corpus import VERSE, chat_corpus, packed, preference_corpus, text_corpus
from tradewind.artifacts import Workspace
from tradewind.errors import InputError, ModelError
from tradewind.features.language import LanguageTokenizer
from tradewind.model.hf_folder import open_folder
from tradewind.model.weights import load_tensors
from tradewind.product import Product
from tradewind.train.language import load_language_run, train_language

ROOT = Path(__file__).parents[2]
SMALL = {"kind": "decoder", "width": 32, "depth": 2, "heads": 2, "context": 32}
QUICK = {"steps": 60, "batch": 8, "learning_rate": 5e-3, "threads": 1, "precision": "float32", "compile": False}


def product(**sections):
    given = {"product": "sea", "task": "generation", "data": {"source": "x"}, "model": SMALL, "train": QUICK}
    return Product.model_validate(given | sections)


def run_of(tmp_path, corpus, *, home="work", **sections):
    return train_language(product(**sections), corpus, workspace=Workspace(tmp_path / home))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model that has read the verse and can be tuned further."""
    folder = tmp_path_factory.mktemp("base")
    return run_of(folder, text_corpus(folder / "data"), train=QUICK | {"steps": 200, "learning_rate": 1e-2})


def records(run, name):
    return [json.loads(line) for line in (run.artifact.folder / name).read_text().splitlines()]


# ---------------------------------------------------------------- from scratch


def test_the_loss_of_a_repeated_text_falls_to_nearly_nothing(base):
    untrained = np.log(base_vocabulary(base))
    assert base.summary["loss"] < 0.25 * untrained
    assert base.summary["bits_per_byte"] == pytest.approx(base.summary["loss"] / np.log(2), rel=0.02)


def base_vocabulary(run):
    return LanguageTokenizer.open(run.hf).vocabulary


def test_a_run_leaves_a_folder_with_the_logits_of_its_golden_prompts(base):
    model, _ = open_folder(base.hf)
    with np.load(base.golden) as golden:
        prompt = torch.from_numpy(golden["prompts"][0, : golden["lengths"][0]])
        with torch.no_grad():
            logits = model.eval()(prompt[None])[0, -1].numpy()
        np.testing.assert_allclose(logits, golden["logits"][0], atol=1e-5)
        assert len(golden["prompts"]) == len(golden["lengths"]) == len(golden["logits"])


def test_the_folder_opens_in_transformers_with_the_same_logits(base):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.hf)
    with np.load(base.golden) as golden:
        prompt = torch.from_numpy(golden["prompts"][0, : golden["lengths"][0]])
        with torch.no_grad():
            logits = model(prompt[None]).logits[0, -1].numpy()
        np.testing.assert_allclose(logits, golden["logits"][0], atol=1e-4)


def test_pace_and_samples_are_written_while_it_runs(base):
    steps = [record for record in records(base, "steps.jsonl") if "learning_rate" in record]
    assert all(record["tokens_per_s"] > 0 and record["matmul_share"] > 0 for record in steps)
    evaluations = [record for record in records(base, "steps.jsonl") if "bits_per_byte" in record]
    samples = records(base, "samples.jsonl")
    assert len(samples) % len(evaluations) == 0
    assert samples[-1]["tokens"] == base.summary["tokens"] == 200 * 8 * 32
    assert all(sample["text"] and isinstance(sample["stopped"], bool) for sample in samples)


def test_the_estimate_is_held_against_the_run(base):
    estimate = base.summary["estimate"]
    assert estimate["error"] == pytest.approx(estimate["seconds"] / base.summary["seconds"] - 1)
    assert estimate["tokens"] == base.summary["tokens"]
    stored = sum(tensor.numel() for tensor in load_tensors(base.hf / "model.safetensors")[0].values())
    assert estimate["parameters"] == {"total": stored, "learn": stored}


def test_the_same_run_is_found_and_not_made_again(base, tmp_path):
    corpus = text_corpus(tmp_path / "data")
    first = run_of(tmp_path, corpus)
    stamp = (first.artifact.folder / "summary.json").stat().st_mtime_ns
    again = run_of(tmp_path, corpus, train=QUICK | {"threads": 2, "checkpoint": {"steps": 7}})
    assert (again.artifact.folder / "summary.json").stat().st_mtime_ns == stamp
    assert load_language_run(first.artifact.folder).summary == first.summary
    other = run_of(tmp_path, corpus, train=QUICK | {"steps": 61})
    assert other.artifact.digest != first.artifact.digest


@pytest.mark.parametrize("steps", [1, 19, 47, 60])
def test_as_many_steps_are_taken_as_were_asked_for(tmp_path, steps):
    run = run_of(tmp_path, text_corpus(tmp_path / "data"), train=QUICK | {"steps": steps})
    assert run.summary["steps"] == steps
    assert run.summary["tokens"] == steps * 8 * 32


def test_accumulating_batches_gives_the_gradient_of_one_large_batch(tmp_path):
    """Four batches of two conversations, unequally long, are one batch of eight: loss per token, not per batch."""
    corpus = chat_corpus(tmp_path / "data", repeats=2)
    model = SMALL | {"context": 128}
    runs = [
        run_of(tmp_path, corpus, model=model,
               train=QUICK | {"steps": 3, "batch": batch, "accumulate": parts, "clip": "none", "optimizer": "sgd", "learning_rate": 0.5})
        for batch, parts in ((8, 1), (2, 4))
    ]  # fmt: skip
    one, many = (load_tensors(run.hf / "model.safetensors")[0] for run in runs)
    start = run_of(tmp_path, corpus, model=model, train=QUICK | {"steps": 1, "learning_rate": 1e-12})
    start, _ = load_tensors(start.hf / "model.safetensors")
    assert any((one[name] - start[name]).abs().max() > 1e-3 for name in one)
    for name in one:
        torch.testing.assert_close(one[name], many[name], atol=2e-5, rtol=1e-4)


# ---------------------------------------------------------------- resuming


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    arguments = [sys.executable, "-m", "tests.train.killed_language", str(tmp_path / "killed"), "0.03"]
    process = subprocess.Popen(arguments, cwd=ROOT)
    deadline = time.monotonic() + 120
    halfway = "runs/.*/checkpoints/step-00000001*"
    while not list((tmp_path / "killed").glob(halfway)) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.kill()  # at whatever line it is on
    process.wait()
    from tests.train.killed_language import train

    killed, whole = train(tmp_path / "killed"), train(tmp_path / "whole")
    assert killed.summary["resumed"]
    assert not whole.summary["resumed"]
    for name in ("hf/model.safetensors", "golden.npz", "samples.jsonl"):
        assert (killed.artifact.folder / name).read_bytes() == (whole.artifact.folder / name).read_bytes()
    assert killed.summary["tokens"] == whole.summary["tokens"]


# ---------------------------------------------------------------- tuning


def test_tuning_on_conversations_lowers_answer_loss_and_learns_to_stop(tmp_path, base):
    corpus = chat_corpus(tmp_path / "data")
    model = {"kind": "decoder", "pretrained": str(base.hf), "adapt": "full", "context": 32}
    before = run_of(tmp_path, corpus, model=model, train=QUICK | {"steps": 1, "learning_rate": 1e-12})
    with pytest.raises(InputError, match="fits into"):
        run_of(tmp_path, corpus, model=model | {"context": 3}, train=QUICK)
    after = run_of(tmp_path, corpus, model=model, train=QUICK | {"steps": 250})
    assert after.summary["loss"] < 0.2 * before.summary["loss"]
    tuned, _ = open_folder(after.hf)
    reads = corpus.tokenizer
    said = tuned.generate(
        reads.chat([{"role": "user", "content": "what is the colour of the sea?"}]), max_tokens=20, temperature=0,
        stops=reads.specials.stops,
    )  # fmt: skip
    assert reads.decode(said) == "blue"
    assert said[-1] in reads.specials.stops


def test_an_adapter_learns_and_nothing_else_does(tmp_path, base):
    corpus = chat_corpus(tmp_path / "data")
    model = {"kind": "decoder", "pretrained": str(base.hf), "adapt": "lora", "lora_rank": 4}
    run = run_of(tmp_path, corpus, model=model, train=QUICK | {"steps": 40})
    start, _ = load_tensors(base.hf / "model.safetensors")
    merged, _ = load_tensors(run.hf / "model.safetensors")
    adapter, _ = load_tensors(run.adapter / "adapter_model.safetensors")
    assert set(merged) == set(start)
    adapted = {name.removeprefix("base_model.model.").split(".lora_")[0] + ".weight" for name in adapter}
    for name in start:
        changed = not torch.equal(start[name], merged[name])
        assert changed == (name in adapted), name
    path = "model.layers.0.mlp.up_proj"
    delta = adapter[f"base_model.model.{path}.lora_B.weight"] @ adapter[f"base_model.model.{path}.lora_A.weight"]
    torch.testing.assert_close(merged[f"{path}.weight"], start[f"{path}.weight"] + 2 * delta)
    assert json.loads((run.adapter / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"
    assert run.summary["parameters"]["learn"] == sum(tensor.numel() for tensor in adapter.values())


def test_preferences_raise_the_margin_of_the_better_answer(tmp_path, base):
    model = {"kind": "decoder", "pretrained": str(base.hf), "context": 32}
    run = run_of(tmp_path, preference_corpus(tmp_path / "data"), model=model,
                 train=QUICK | {"steps": 30, "learning_rate": 1e-3})  # fmt: skip
    found = run.summary["validation"]
    assert found["margin"] > 0.1
    assert found["accuracy"] == 1.0
    assert found["loss"] < np.log(2)  # where it starts, since nothing is preferred to itself
    first = next(record for record in records(run, "steps.jsonl") if "margin" in record)
    assert first["margin"] < found["margin"]


def test_the_first_step_on_preferences_stands_at_the_reference(tmp_path, base):
    model = {"kind": "decoder", "pretrained": str(base.hf), "context": 32}
    run = run_of(tmp_path, preference_corpus(tmp_path / "data"), model=model,
                 train=QUICK | {"steps": 1, "learning_rate": 1e-12})  # fmt: skip
    assert run.summary["train_loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert run.summary["validation"]["margin"] == pytest.approx(0, abs=1e-4)


def test_going_on_from_a_model_starts_with_its_weights(tmp_path, base):
    model = {"kind": "decoder", "pretrained": str(base.hf), "context": 32}
    run = run_of(
        tmp_path, text_corpus(tmp_path / "data"), model=model, train=QUICK | {"steps": 1, "learning_rate": 1e-12}
    )
    assert run.summary["loss"] == pytest.approx(base.summary["loss"], rel=1e-3)


# ---------------------------------------------------------------- an encoder of the team's own


def test_masked_words_give_a_folder_that_a_text_column_takes(tmp_path):
    from tradewind.features.column import TensorFeature
    from tradewind.files import digest_file
    from tradewind.model.pretrained import body
    from tradewind.product import Model

    run = run_of(tmp_path, text_corpus(tmp_path / "data"), train=QUICK | {"objective": "mlm", "steps": 120})
    assert run.summary["loss"] < 0.75 * np.log(base_vocabulary(run))
    meta = {"vocabulary": base_vocabulary(run) + 1, "offset": 1, "source": digest_file(run.hf / "tokenizer.json")}
    encoder = body(
        TensorFeature("tokens:note", "note", "tokens", "int64", (None,), meta), Model(pretrained=str(run.hf))
    )
    assert encoder.encode(torch.tensor([[3, 4, 5]])).shape == (1, 32)


# ---------------------------------------------------------------- what is refused


def broken(corpus, name, split):
    return replace(corpus, splits=corpus.splits | {name: split})


def test_a_run_in_which_nothing_is_supervised_is_refused(tmp_path):
    corpus = chat_corpus(tmp_path / "data")
    split = corpus.splits["train"]
    silent = broken(corpus, "train", replace(split, mask=np.zeros_like(split.mask)))
    with pytest.raises(ModelError, match="nothing is supervised") as error:
        run_of(tmp_path, silent)
    assert error.value.code == "model.nothing_supervised"


def test_an_empty_validation_split_is_refused(tmp_path):
    corpus = broken(text_corpus(tmp_path / "data"), "validation", packed("validation", []))
    with pytest.raises(ModelError) as error:
        run_of(tmp_path, corpus)
    assert error.value.code == "model.validation_empty"


def test_a_tokeniser_that_does_not_fit_the_weights_is_refused(tmp_path, base):
    corpus = text_corpus(tmp_path / "data")
    other = replace(corpus, tokenizer=LanguageTokenizer.train_char([VERSE[::-1] + "äöü"]))
    with pytest.raises(ModelError) as error:
        run_of(tmp_path, other, model={"kind": "decoder", "pretrained": str(base.hf)})
    assert error.value.code == "model.vocabulary_mismatch"


@pytest.mark.parametrize(
    ("sections", "code"),
    [
        ({"model": {"kind": "decoder", "pretrained": "BASE", "context": 4096}}, "model.context_too_long"),
        ({"model": {"kind": "decoder", "preset": "1m", "context": 5_000_000}}, "model.context_too_long"),
        ({"model": {"kind": "decoder", "pretrained": "BASE", "adapt": "frozen"}}, "model.nothing_learns"),
        ({"model": SMALL | {"adapt": "lora"}}, "model.adapt_without_base"),
        ({"train": QUICK | {"objective": "sft"}}, "model.objective_unsuited"),
        ({"train": QUICK | {"objective": "dpo"}}, "model.objective_unsuited"),
        ({"train": QUICK | {"batch": "full"}}, "model.batch"),
        ({"train": QUICK | {"monitor": "accuracy"}}, "model.monitor"),
        ({"model": SMALL | {"heads": 5}}, "model.decoder_shape"),
        ({"model": {"kind": "decoder", "pretrained": "/nowhere"}}, "model.pretrained_missing"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path, base, sections, code):
    model = dict(sections.get("model", SMALL))
    if model.get("pretrained") == "BASE":
        model["pretrained"] = str(base.hf)
    with pytest.raises(ModelError) as error:
        run_of(tmp_path, text_corpus(tmp_path / "data"), **(sections | {"model": model}))
    assert error.value.code == code
    assert not (tmp_path / "work" / "runs").exists()


def test_computing_activations_again_changes_no_weight(tmp_path):
    corpus = text_corpus(tmp_path / "data")
    runs = [run_of(tmp_path, corpus, train=QUICK | {"steps": 5, "recompute": again}) for again in (False, True)]
    kept, again = (load_tensors(run.hf / "model.safetensors")[0] for run in runs)
    assert runs[0].artifact.digest != runs[1].artifact.digest
    for name in kept:
        torch.testing.assert_close(kept[name], again[name], atol=1e-6, rtol=1e-5)
