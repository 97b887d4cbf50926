"""Estimates: counts are exact, seconds and money are counts times a rate, and nothing is done for them."""

from decimal import Decimal

import pytest
import torch

from tests.model.cost_formulas import training_memory, training_operations
from tests.train.memory_corpus import VERSE, chat_corpus, text_corpus
from tradewind.errors import InputError
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.money import Price
from tradewind.product import Product
from tradewind.train.accelerators import ACCELERATORS, UTILISATION
from tradewind.train.costs import Estimate, memory_of, operations, outcome
from tradewind.train.estimate import estimate
from tradewind.train.language_batches import learnt_batches
from tradewind.train.language_plan import plan_of
from tradewind.train.measure import Way, measure

CPU = torch.device("cpu")
MODEL = {"kind": "decoder", "width": 64, "depth": 3, "heads": 2, "context": 32}
TRAIN = {"steps": 50, "batch": 4, "threads": 1, "precision": "float32"}


def product(**sections):
    given = {"product": "sea", "task": "generation", "data": {"source": "text.txt"}, "model": MODEL, "train": TRAIN}
    return Product.model_validate(given | sections)


def on(product, corpus, base, **changes):
    return estimate(product, corpus=corpus, base=base, machine="h100", **changes).estimate


def test_parameters_are_those_of_the_very_module(tmp_path):
    corpus = text_corpus(tmp_path)
    plan = plan_of(product(), corpus)
    module = Decoder(plan.base.config)
    assert plan.work(CPU).parameters == {"total": sum(p.numel() for p in module.parameters())} | {
        "learn": sum(p.numel() for p in module.parameters())
    }


def test_tokens_are_steps_times_batch_times_context(tmp_path):
    work = on(product(train=TRAIN | {"accumulate": 3}), text_corpus(tmp_path), tmp_path).work
    assert work.tokens == 50 * 3 * 4 * 32
    assert work.batches == 150


def test_of_conversations_tokens_are_those_that_the_run_will_see(tmp_path):
    corpus = chat_corpus(tmp_path)
    asked = product(data={"source": "talks.jsonl", "format": "chat"}, model=MODEL | {"context": 256})
    foreseen = on(asked, corpus, tmp_path).work
    batches = learnt_batches(plan_of(asked, corpus), corpus)
    seen = [batch.tokens.size for epoch in range(9) for batch in batches.epoch(epoch)][: foreseen.batches]
    assert foreseen.tokens == pytest.approx(sum(seen), rel=0.1)
    assert foreseen.tokens < 0.5 * 50 * 4 * 256  # as if each were as long as the context


def test_operations_are_three_forward_passes_and_a_fourth_where_layers_are_computed_again(tmp_path):
    corpus = text_corpus(tmp_path)
    for recompute in (False, True):
        work = on(product(train=TRAIN | {"recompute": recompute}), corpus, tmp_path).work
        config = plan_of(product(), corpus).base.config
        assert work.operations_per_token * work.tokens == training_operations(
            config, tokens=work.tokens, length=32, recompute=recompute
        )
        assert work.operations > work.operations_per_token * work.tokens  # and the evaluations


def test_an_adapter_needs_neither_gradients_nor_states_for_frozen_weights():
    assert operations(100.0, again=0.0, learn=7, total=1000) == 2 * 100 + 6 * 7
    assert operations(100.0, again=0.0, learn=1000, total=1000) == 3 * 100


@pytest.mark.parametrize(("precision", "recompute"), [("float32", False), ("float32", True), ("bfloat16", False)])
def test_activations_counted_in_the_graph_are_those_that_the_formula_gives(precision, recompute):
    config = DecoderConfig.preset("10m", vocabulary=1000)
    found = memory_of(
        lambda: Decoder(config, recompute=recompute), rows=4, length=128, precision=precision, optimizer="adamw",
        vocabulary=1000, depth=config.depth,
    )  # fmt: skip
    formula = training_memory(config, rows=4, length=128, precision=precision, recompute=recompute)
    assert found["weights"] == found["gradients"] == formula.weights
    assert found["optimizer"] == formula.optimizer
    assert found["activations"] == pytest.approx(formula.activations, rel=0.15)


def test_memory_counted_is_what_autograd_really_keeps():
    config = DecoderConfig.preset("1m", vocabulary=300, context=64)
    found = memory_of(
        lambda: Decoder(config), rows=2, length=64, precision="float32", optimizer="sgd", vocabulary=300, depth=4
    )
    model, kept = Decoder(config), {}
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.hidden(torch.zeros(2, 64, dtype=torch.int64))
    assert found["activations"] == sum(size for size, _ in kept.values())
    assert found["optimizer"] == 0


def test_seconds_on_an_accelerator_are_operations_by_its_usual_share_of_the_peak(tmp_path):
    found = on(product(), text_corpus(tmp_path), tmp_path)
    assert found.seconds == found.work.operations / (ACCELERATORS["h100"].peak_per_s * UTILISATION)
    assert found.fits


def test_money_is_hours_times_a_price_to_the_smallest_coin(tmp_path):
    found = on(product(), text_corpus(tmp_path), tmp_path, hour=Price(Decimal(10**9), "CNY"))
    exact = Decimal(10**9) * Decimal(str(round(found.seconds, 3))) / 3600
    assert found.price == f"{exact:.2f} CNY"


def test_a_model_that_no_machine_holds_is_said_not_to_fit(tmp_path):
    large = product(model={"kind": "decoder", "preset": "7b"}, train={"steps": 10, "batch": 1})
    found = on(large, text_corpus(tmp_path), tmp_path)
    assert found.work.parameters["total"] > 6e9
    assert found.fits is False  # 7 billion weights with Adam's states in float32


def test_this_machine_is_measured_and_left_as_it_was(tmp_path):
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    found = estimate(product(), corpus=text_corpus(tmp_path), base=tmp_path, seconds=0.05).estimate
    assert found.seconds > 0
    assert "this machine" in found.machine
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)


def test_measuring_changes_no_weight():
    model = Decoder(DecoderConfig.preset("1m", vocabulary=50, context=16)).eval()
    before = [parameter.clone() for parameter in model.parameters()]
    speed = measure(
        model, model.loss, rows=2, length=16, vocabulary=50, device=CPU, ways=[Way(1, "float32")], seconds=0.02
    )
    assert speed.batch_s > 0
    assert speed.forward_s > 0
    assert speed.optimizer_s > 0
    assert speed.peak_per_s > 0
    assert not model.training
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_before_preparing_tokens_are_guessed_from_bytes(tmp_path):
    (tmp_path / "text.txt").write_text(VERSE * 100)
    found = estimate(
        product(tokenizer={"kind": "char"}, train={"epochs": 1, "batch": 4}), corpus=None, base=tmp_path, machine="a100"
    )
    assert found.is_guess
    learnt = len(VERSE) * 100 * 0.8 * 0.9
    assert found.estimate.work.tokens == pytest.approx(learnt, rel=0.02)


def test_conversations_are_counted_by_passes(tmp_path):
    corpus = chat_corpus(tmp_path)
    plan = plan_of(product(model=MODEL | {"context": 64}, train={"epochs": 3, "batch": 8}), corpus)
    assert plan.product.train.steps == 3 * len(corpus.splits["train"].starts) // 8
    assert plan.evaluations == 3


def test_the_error_is_above_zero_where_the_estimate_was_too_high(tmp_path):
    found = on(product(), text_corpus(tmp_path), tmp_path)
    doubled = Estimate(found.work, 20.0, "x")
    assert outcome(doubled, 10.0)["error"] == pytest.approx(1.0)
    assert outcome(doubled, 40.0)["error"] == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("sections", "machine", "code"),
    [
        ({}, "h1000", "model.accelerator_unknown"),
        ({"task": "classification", "data": {"source": "text.txt", "target": "y"}}, "h100", "model.estimate_task"),
        ({"data": {"source": "nowhere.txt"}}, "h100", "data.source_missing"),
    ],
)
def test_what_cannot_be_estimated_is_refused(tmp_path, sections, machine, code):
    (tmp_path / "text.txt").write_text(VERSE)
    with pytest.raises(InputError) as error:
        estimate(product(**sections), corpus=None, base=tmp_path, machine=machine)
    assert error.value.code == code
