"""What `auto` becomes for a language model: by parameters, by tokens, by what is trained."""

from dataclasses import replace

import pytest

from tradewind.errors import ModelError
from tradewind.product import Product
from tradewind.train.language_defaults import LanguageFacts, context_of, evaluations, objective_of, resolve, sized

TEXT = LanguageFacts(
    "text", tokens=1_000_000, rows=1, longest=1_000_000, held_tokens=50_000, parameters=800_000, context=256
)
CHAT = LanguageFacts(
    "chat", tokens=60_000, rows=400, longest=230, held_tokens=6_000, parameters=100_000_000, context=2048
)


def product(**sections):
    return Product.model_validate({"product": "sea", "task": "generation", "data": {"source": "x"}} | sections)


def resolved(facts, *, objective="pretrain", **sections):
    given = product(**sections)
    return resolve(given, facts, objective=objective, context=context_of(given.model, facts, objective))


def test_nothing_is_left_open_but_what_is_measured():
    found = resolved(TEXT, model={"preset": "1m"})
    still = {name for name, value in found.train.model_dump().items() if value == "auto"}
    of_others = {"fairness_by", "fairness_strength", "robustness_radius", "negatives"}
    assert still <= {"precision", "device", "threads", "compile"} | of_others
    assert found.model.context == 256


def test_larger_models_get_smaller_rates_and_larger_steps():
    found = [resolved(replace(TEXT, parameters=size, tokens=10**10)).train for size in (10**6, 10**7, 10**8, 10**9)]
    rates = [train.learning_rate for train in found]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 5 * rates[-1]
    batches = [train.batch for train in found]
    assert batches == sorted(batches)


def test_a_run_is_as_long_as_twenty_tokens_a_parameter_where_there_is_text_enough():
    train = resolved(replace(TEXT, tokens=10**10)).train
    assert train.steps * train.batch * 256 == pytest.approx(20 * 800_000, rel=0.01)


def test_little_text_is_read_a_few_times_with_dropout():
    found = resolved(replace(TEXT, tokens=100_000))
    assert found.train.steps * found.train.batch * found.model.context / 100_000 == pytest.approx(16, rel=0.05)
    assert found.model.dropout > 0
    assert resolved(replace(TEXT, tokens=10**9)).model.dropout == 0


def test_a_tiny_corpus_shortens_the_context():
    assert resolved(replace(TEXT, tokens=2000)).model.context == 32
    assert resolved(replace(TEXT, tokens=2000), model={"context": 128}).model.context == 128


def test_what_the_product_file_says_stands():
    train = {"steps": 7, "batch": 3, "learning_rate": 0.5, "warmup": 0.3, "beta2": 0.9, "l2": 0.2, "clip": "none"}
    found = resolved(TEXT, train=train, model={"preset": "1m", "dropout": 0.4})
    assert {name: getattr(found.train, name) for name in train} == train
    assert found.model.dropout == 0.4


def test_epochs_of_text_are_passes_over_its_tokens():
    train = resolved(TEXT, train={"epochs": 2, "batch": 10}).train
    assert train.steps == -(-2 * 1_000_000 // (10 * 256))


def test_fine_tuning_is_gentler_and_an_adapter_bolder():
    scratch = resolved(replace(CHAT, kind="text")).train.learning_rate
    rates = {
        (objective, adapt): resolved(
            CHAT, objective=objective, model={"pretrained": "x", "adapt": adapt}
        ).train.learning_rate
        for objective in ("sft", "dpo")
        for adapt in ("full", "lora")
    }
    assert rates["dpo", "full"] < rates["sft", "full"] < rates["sft", "lora"] <= scratch
    assert rates["dpo", "lora"] < rates["sft", "lora"]


def test_conversations_are_gone_through_a_few_times_and_fit_the_context():
    found = resolved(CHAT, objective="sft", model={"pretrained": "x"})
    assert found.model.context == 256
    assert found.model.adapt == "full"
    assert found.train.steps == found.train.epochs * -(-400 // found.train.batch)
    assert 3 <= found.train.epochs <= 20


@pytest.mark.parametrize(("steps", "looks"), [(5, 1), (40, 2), (2000, 10), (10**6, 10)])
def test_evaluations_are_few(steps, looks):
    assert evaluations(steps) == looks


@pytest.mark.parametrize(("tokens", "preset"), [(10**5, "1m"), (10**7, "10m"), (5 * 10**8, "50m"), (10**10, "110m")])
def test_a_model_that_nobody_sized_suits_its_text(tokens, preset):
    assert sized(product().model, tokens=tokens).preset == preset
    assert sized(product(model={"depth": 3}).model, tokens=tokens).preset is None


@pytest.mark.parametrize(("kind", "objective"), [("text", "pretrain"), ("chat", "sft"), ("preferences", "dpo")])
def test_the_objective_follows_the_corpus(kind, objective):
    assert objective_of(product(), kind=kind) == objective


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("text", "sft"), ("text", "dpo"), ("chat", "dpo"), ("chat", "mlm"), ("preferences", "pretrain")],
)
def test_an_objective_that_the_corpus_cannot_serve_is_refused(kind, wanted):
    with pytest.raises(ModelError) as error:
        objective_of(product(train={"objective": wanted}), kind=kind)
    assert error.value.code == "model.objective_unsuited"
