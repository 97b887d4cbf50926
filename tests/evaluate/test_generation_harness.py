"""lm-evaluation-harness over a model of ours: a real one where it is installed, a clear refusal where it is not."""

from __future__ import annotations

import importlib.util
import json
import math

import pytest

from tradewind.errors import DataError, EnvironmentFailure
from tradewind.evaluate.harness import check_installed, language_model, run_harness
from tradewind.features.language import LanguageTokenizer

installed = importlib.util.find_spec("lm_eval") is not None
needs_harness = pytest.mark.skipif(not installed, reason="lm-eval is not installed")


@pytest.fixture(scope="module")
def tokenizer():
    return LanguageTokenizer.train_bpe(["Question: which? Answer: this one."] * 3, vocabulary=270)


class Parrot:
    """Finds every token equally likely but the end, and writes what it is told to; remembers what it was asked."""

    context = 24

    def __init__(self, tokenizer, says=""):
        self.tokenizer, self.says, self.asked = tokenizer, says, []

    def log_likelihoods(self, prompts, continuations):
        for prompt, rest in zip(prompts, continuations, strict=True):
            assert len(rest) > 0
            assert len(prompt) + len(rest) <= self.context
            self.asked.append((self.tokenizer.decode(prompt), self.tokenizer.decode(rest)))
        return [-math.log(2) * len(rest) for rest in continuations]

    def likeliest(self, prompts, continuations):
        return [False] * len(prompts)

    def write(self, prompts, *, max_tokens):
        self.asked += [(self.tokenizer.decode(prompt), most) for prompt, most in zip(prompts, max_tokens, strict=True)]
        return [self.tokenizer.encode(self.says) for _ in prompts]


@pytest.mark.skipif(installed, reason="lm-eval is installed")
def test_without_the_harness_its_tasks_are_refused_with_the_next_step():
    with pytest.raises(EnvironmentFailure, match="pip install lm-eval") as caught:
        check_installed()
    assert caught.value.code == "environment.package_missing"
    assert caught.value.where == "evaluate.tasks"


@needs_harness
@pytest.mark.filterwarnings("ignore")
def test_a_task_of_the_harness_is_answered(tokenizer, tmp_path):
    rows = [{"q": f"which {n}?", "choices": ["this", "that one there"], "gold": n % 2} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "ports", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "Question: {{q}}\nAnswer:",
        "doc_to_choice": "{{choices}}", "doc_to_target": "{{gold}}", "metric_list": [{"metric": "acc"}],
    }  # fmt: skip
    parrot = Parrot(tokenizer)
    found = run_harness([task], parrot, tokenizer, shots=0)
    assert {(one.task, one.figure): one.value for one in found}[("ports", "acc")] == 0.5  # the shorter one each time
    assert len(parrot.asked) == 12
    assert parrot.asked[0][1].strip() in ("this", "that one there")


@needs_harness
@pytest.mark.filterwarnings("ignore")
def test_requests_are_cut_to_the_context_and_answers_at_their_stops(tokenizer):
    from lm_eval.api.instance import Instance

    parrot = Parrot(tokenizer, says="this one. Question: which?")
    model = language_model(parrot, tokenizer)

    def request(kind, *arguments):
        return [Instance(request_type=kind, doc={}, arguments=arguments, idx=0)]

    assert model.loglikelihood(request("loglikelihood", "Question: which? " * 20, "this one."))[0][1] is False
    written = model.generate_until(
        request("generate_until", "Question: which? " * 20, {"until": ["Question:"], "max_gen_toks": 9})
    )
    assert written == ["this one. "]
    text = "Answer: this one. " * 9
    rolled = model.loglikelihood_rolling(request("loglikelihood_rolling", text))[0]
    assert rolled == pytest.approx(-math.log(2) * len(tokenizer.encode(text)))


@needs_harness
@pytest.mark.filterwarnings("ignore")
def test_a_task_that_the_harness_does_not_know_is_one_clear_error(tokenizer):
    with pytest.raises(DataError) as caught:
        run_harness(["no_such_task_at_all"], Parrot(tokenizer), tokenizer, shots=0)
    assert caught.value.code == "data.task_unknown"
