"""`estimate`, `prepare` and `train` of language models on real files: what they print, leave and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradewind.cli.app import main
from tradewind.cli.language import too_long
from tradewind.features.language import LanguageTokenizer
from tradewind.model.hf_folder import open_folder
from tradewind.train.language import load_language_run

SETTINGS = """\
product: sea
task: generation
data: {{source: {source}, format: {format}, split: {{test: 0.1, validation: 0.2}}}}
tokenizer: {{kind: {tokenizer}}}
model: {model}
train: {train}
"""
SMALL = "{kind: decoder, width: 32, depth: 2, heads: 2, context: 64}"
QUICK = "{steps: 30, batch: 4, learning_rate: 0.005, threads: 1, precision: float32}"
FACTS = [
    ("colour of the sea", "blue"),
    ("colour of the sun", "gold"),
    ("colour of snow", "white"),
    ("colour of coal", "black"),
]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Runs a verb on a product folder with given settings; returns its JSON, or the exit code and what stderr said."""
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    write_sources(tmp_path)

    def run(verb, *options, expect=0, **changed):
        filled = {
            "source": "verse.txt",
            "format": "text",
            "tokenizer": "char",
            "model": SMALL,
            "train": QUICK,
        } | changed
        (tmp_path / "tradewind.yaml").write_text(SETTINGS.format(**filled), encoding="utf-8")
        code = main([verb, "-C", str(tmp_path), "--json", *options])
        out, err = capsys.readouterr()
        assert code == expect, err
        return json.loads(out) | {"stderr": err}

    return run


def write_sources(folder: Path) -> None:
    lines = [
        f"verse {number}: the wind blows {number % 7} times west and the sails are white." for number in range(300)
    ]
    (folder / "verse.txt").write_text("\n".join(lines), encoding="utf-8")
    asked = [(f"case {n}: what is the {thing}?", answer) for n in range(15) for thing, answer in FACTS]
    (folder / "chats.jsonl").write_text("".join(
        json.dumps({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}) + "\n" for q, a in asked
    ))  # fmt: skip
    (folder / "better.jsonl").write_text("".join(
        json.dumps({"prompt": q, "chosen": a, "rejected": "i do not say"}) + "\n" for q, a in asked
    ))  # fmt: skip


def run_at(outcome):
    return load_language_run(Path(outcome["artifacts"]["run"]))


def test_text_becomes_a_run_that_is_found_again(call):
    first = call("train")
    run = run_at(first)
    assert {"hf", "golden.npz", "samples.jsonl", "steps.jsonl", "product.json", "environment.json"} <= {
        path.name for path in run.artifact.folder.iterdir()
    }
    assert run.artifact.parents == {"dataset": run.artifact.made_of["dataset"]}
    assert first["metrics"]["validation"]["bits_per_byte"] == run.summary["bits_per_byte"]
    assert "Estimated:" in first["stderr"]
    assert "It was estimated at" in first["stderr"]
    again = call("train")
    assert again["artifacts"] == first["artifacts"]
    assert "Estimated:" not in again["stderr"]


def test_a_model_is_pretrained_then_tuned_then_preferred(call):
    """Three runs, each from the folder that the one before left, with an adapter in the middle."""
    whole = "{steps: 60, batch: 8, learning_rate: 0.005, threads: 1, precision: float32}"
    talks = {"format": "chat", "source": "chats.jsonl", "tokenizer": "char", "train": whole}
    tuned = run_at(call("train", **talks))
    assert tuned.summary["objective"] == "sft"
    given = f"{{kind: decoder, pretrained: {tuned.hf}, adapt: lora, lora_rank: 4}}"
    lora = run_at(call("train", **(talks | {"tokenizer": "pretrained", "model": given})))
    assert lora.adapter is not None
    assert lora.summary["parameters"]["learn"] < 0.3 * lora.summary["parameters"]["total"]
    assert lora.summary["loss"] <= tuned.summary["loss"]
    given = f"{{kind: decoder, pretrained: {lora.hf}}}"
    preferred = call(
        "train", source="better.jsonl", format="preferences", tokenizer="pretrained", model=given, train=QUICK
    )
    assert preferred["metrics"]["validation"]["margin"] > 0
    assert run_at(preferred).summary["objective"] == "dpo"
    model, config = open_folder(run_at(preferred).hf)
    reads = LanguageTokenizer.open(run_at(preferred).hf)
    assert config.vocabulary == reads.vocabulary
    asked = reads.chat([{"role": "user", "content": "case 3: what is the colour of snow?"}])
    assert model.generate(asked, max_tokens=20, temperature=0, stops=reads.specials.stops)[-1] in reads.specials.stops


def test_an_estimate_comes_before_any_work_and_counts_what_the_run_does(call, tmp_path):
    guessed = call("estimate", "--accelerator", "a100", "--price-per-hour", "12 CNY")
    assert guessed["guessed"]
    assert guessed["price"].endswith(" CNY")
    assert not (tmp_path / ".tradewind").exists()
    run = run_at(call("train"))
    counted = call("estimate", "--accelerator", "a100")
    assert not counted["guessed"]
    assert counted["tokens"] == run.summary["tokens"]
    assert counted["parameters"] == run.summary["parameters"]
    assert counted["memory"] == run.summary["estimate"]["memory"]


def test_estimating_speaks_plainly_of_what_does_not_fit(call):
    found = call("estimate", "--accelerator", "t4", model="{kind: decoder, preset: 7b}", train="{steps: 10, batch: 1}")
    assert found["fits"] is False
    assert "more memory than there is" in found["stderr"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--accelerator", "h10"], "model.accelerator_unknown", "Did you mean h100?"),
        (["--price-per-hour", "cheap"], "input.amount", "299 CNY"),
    ],
)
def test_wrong_options_are_answered_with_one_sentence(call, options, code, words):
    found = call("estimate", *options, expect=2)
    assert found["error"]["code"] == code
    assert words in found["error"]["message"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"train": "{objective: sft, steps: 3}"}, "model.objective_unsuited"),
        ({"format": "chat", "source": "chats.jsonl", "model": "{kind: decoder, width: 32, depth: 1, heads: 2, context: 2}"},
         "data.nothing_supervised"),
        ({"model": "{kind: decoder, preset: 1m, adapt: lora}"}, "model.adapt_without_base"),
        ({"model": "{kind: decoder, pretrained: nowhere}", "tokenizer": "char"}, "model.pretrained_missing"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_learn_is_refused(call, changed, code):
    found = call("train", expect=2, **changed)
    assert found["error"]["code"] == code


def test_conversations_that_were_not_seen_whole_are_told():
    assert too_long({"context": 256, "shortened": 0, "left_out": 0}) == []
    shortened, gone = too_long({"context": 256, "shortened": 170, "left_out": 3})
    assert shortened.startswith("! 170 conversations are longer than the 256 tokens of model.context")
    assert gone.startswith("! 3 conversations were left out")
