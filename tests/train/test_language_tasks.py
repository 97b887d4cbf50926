"""What a step of a language model computes, held against the formulas."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.train.memory_corpus import chat_corpus, preference_corpus, text_corpus
from tradewind.data.sequences import Conversations, Preferences, Windows
from tradewind.errors import EnvironmentFailure
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.train.language_samples import Samples, prompts_of
from tradewind.train.language_speed import _compiled
from tradewind.train.language_tasks import (
    Held,
    NextTokenTask,
    Pace,
    PreferenceTask,
    answer_log_probabilities,
    reference_of,
)

CPU = torch.device("cpu")


def decoder(vocabulary, *, seed=0, **changes):
    torch.manual_seed(seed)
    return Decoder(
        DecoderConfig.preset(
            "1m", vocabulary=vocabulary, context=64, width=32, head_width=8, depth=1, hidden=64, **changes
        )
    )


def task_over(corpus, held, model, *, pace=None):
    return NextTokenTask(model, CPU, "float32", held, pace or Pace(1.0, 1.0))


def test_answer_loss_is_the_mean_over_learnt_tokens_alone(tmp_path):
    corpus = chat_corpus(tmp_path)
    model = decoder(corpus.tokenizer.vocabulary)
    batch = next(iter(Conversations(corpus.split("train"), length=64, size=6, shuffle=False).epoch(0)))
    loss = task_over(corpus, Held([], 1.0), model).step(batch)
    logits = model(torch.from_numpy(batch.tokens))
    targets = torch.from_numpy(batch.targets)
    assert float(loss.weight) == int((targets != -100).sum()) < targets.numel() / 2
    torch.testing.assert_close(loss.total / loss.weight, F.cross_entropy(logits.flatten(0, 1), targets.flatten()))


def test_sums_over_small_batches_are_the_sum_over_a_large_one(tmp_path):
    corpus = chat_corpus(tmp_path)
    task = task_over(corpus, Held([], 1.0), decoder(corpus.tokenizer.vocabulary))
    found = []
    for size in (2, 8):
        parts = [
            task.step(one) for one in Conversations(corpus.split("train"), length=64, size=size, shuffle=False).epoch(0)
        ]
        found.append((sum(float(one.total.detach()) for one in parts), sum(float(one.weight) for one in parts)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_bits_per_byte_are_nats_over_bytes_of_the_whole_split(tmp_path):
    corpus = text_corpus(tmp_path)
    packed = corpus.split("validation")
    model = decoder(corpus.tokenizer.vocabulary)
    held = Held(Windows(packed, length=32, size=4, shuffle=False), packed.bytes / len(packed))
    figures = task_over(corpus, held, model).validate()
    with torch.no_grad():
        nats = sum(
            float(model.loss(*map(torch.from_numpy, (b.tokens, b.targets))).total) for b in held.batches.epoch(0)
        )
    assert figures["bits_per_byte"] == pytest.approx(nats / (math.log(2) * packed.bytes), rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(nats / len(packed)), rel=1e-4)
    assert model.training


def test_preferences_cost_what_the_paper_says(tmp_path):
    corpus = preference_corpus(tmp_path)
    start, now = (decoder(corpus.tokenizer.vocabulary, seed=seed) for seed in (0, 1))
    pairs = corpus.pairs("train")
    batches = Preferences(pairs, length=64, size=4, shuffle=False)
    reference = reference_of(start, batches, rows=len(pairs), device=CPU)
    task = PreferenceTask(now, CPU, "float32", Held(batches, 0.0), Pace(1.0, 1.0), beta=0.3, reference=reference)
    batch = next(iter(Preferences(pairs, length=64, size=4, seed=5, shuffle=True).epoch(0)))
    loss = task.step(batch)
    expected = 0.0
    for row in range(4):
        gains = []
        for side in (batch.chosen, batch.rejected):
            tokens, targets = (torch.from_numpy(array[row : row + 1]) for array in (side.tokens, side.targets))
            logs = [
                -F.cross_entropy(model(tokens)[0], targets[0], ignore_index=-100, reduction="sum")
                for model in (now, start)
            ]
            gains.append(float((logs[0] - logs[1]).detach()))
        expected -= math.log(1 / (1 + math.exp(-0.3 * (gains[0] - gains[1]))))
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-4)
    assert float(loss.weight) == 4


def test_padding_does_not_change_what_an_answer_is_worth(tmp_path):
    corpus = chat_corpus(tmp_path)
    model = decoder(corpus.tokenizer.vocabulary).eval()
    split = corpus.split("validation")
    together = next(iter(Conversations(split, length=64, size=4, shuffle=False).epoch(0)))
    alone = [one for batch in Conversations(split, length=64, size=1, shuffle=False).epoch(0) for one in [batch]]
    whole = answer_log_probabilities(model, together, CPU)
    assert len({batch.tokens.shape for batch in alone}) > 1
    single = torch.cat([answer_log_probabilities(model, batch, CPU) for batch in alone])
    torch.testing.assert_close(whole, single, rtol=1e-5, atol=1e-5)


def test_pace_leaves_out_what_was_not_training():
    pace = Pace(operations_per_token=10.0, peak_per_s=1000.0)
    pace.count(300, 100)
    pace.pause(2.0)
    assert pace.rates(5.0) == {"tokens_per_s": 100.0, "matmul_share": 1.0}
    later = Pace(10.0, 1000.0)
    later.restore(pace.state())
    later.count(60, 60)
    assert later.rates(1.0)["tokens_per_s"] == 60.0  # of this attempt
    assert later.whole(8.0)["tokens_per_s"] == 60.0  # of both, without the two seconds
    assert (later.tokens, later.learnt) == (360, 160)


def test_samples_after_an_interruption_are_cut_back_to_the_checkpoint(tmp_path):
    corpus = text_corpus(tmp_path)
    model = decoder(corpus.tokenizer.vocabulary)
    path = tmp_path / "samples.jsonl"
    prompts = prompts_of(corpus.split("validation"), count=2)

    def samples():
        return Samples(path, model, corpus.tokenizer, prompts, tokens=5, seed=0)

    first = samples()
    first.write(10)
    state, whole = first.state(), path.read_bytes()
    first.write(20)
    resumed = samples()
    resumed.restore(state)
    resumed.write(20)
    assert path.read_bytes().startswith(whole)
    assert len(path.read_text().splitlines()) == 2 * len(prompts)


def test_prompts_of_conversations_end_where_the_answer_begins(tmp_path):
    corpus = chat_corpus(tmp_path)
    prompts = prompts_of(corpus.split("validation"), count=3)
    assert len(prompts) == 3
    asked = corpus.tokenizer.chat([{"role": "user", "content": "what is the colour of the sea?"}])
    assert prompts[0] == asked[-len(prompts[0]) :]
    assert all(len(prompt) <= 64 for prompt in prompts)


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_a_compiler_that_fails_is_told_in_a_sentence():
    model = decoder(20)

    def fails():
        raise RuntimeError("no C++ compiler was found\nand more")

    with pytest.raises(EnvironmentFailure, match="no C\\+\\+ compiler was found") as error:
        _compiled(model, fails)
    assert error.value.code == "environment.compile"
    assert np.isfinite(model(torch.zeros(1, 3, dtype=torch.int64)).detach().numpy()).all()


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_a_compiler_that_is_older_than_the_processor_is_asked_what_it_knows():
    asked, speed = [], object()

    def fails_once():
        asked.append(torch._inductor.config.cpp.vec_isa_ok)
        if len(asked) == 1:
            raise RuntimeError("unrecognized command-line option '-mamx-bf16'")
        return speed

    assert _compiled(decoder(20), fails_once) is speed
    assert asked == [True, None]
