"""Gates on figures that a product's report will not have are refused, with the reason; what a report can have is known by name."""

from pathlib import Path

import pytest

from tradewind import product_file
from tradewind.errors import ProductFileError
from tradewind.evaluate import ranking
from tradewind.evaluate.fairness_rates import ERROR_GAPS, GAPS
from tradewind.evaluate.generation_answers import ATTACK_FIGURES
from tradewind.evaluate.metrics import BINARY, REGRESSION
from tradewind.evaluate.perturbations import TRIALS
from tradewind.gate_names import FAMILIES, Facts, fault, held_names, named
from tradewind.gate_rules import FAIRNESS

TASKS = ("classification", "regression", "recommendation", "translation", "generation")
EOD = "equalized_odds_difference"


# ---------------------------------------------------------------- what there is


def test_every_figure_of_quality_robustness_lists_and_attacks_is_known():
    assert all(named(name, task="classification") for name in BINARY)
    assert all(named(name, task="regression") for name in REGRESSION)
    assert all(named(f"robust_{trial.name}", task=task) for trial in TRIALS for task in TASKS[:2])
    assert all(named(name, task="recommendation") for name in ranking.names([1, 10, 500]))
    assert all(named(name, task="generation") for name in ATTACK_FIGURES.values())


def test_every_fairness_figure_may_be_a_gate():
    assert {name for name, task in FAIRNESS.items() if task == "classification"} == set(GAPS)
    assert {name for name, task in FAIRNESS.items() if task == "regression"} == set(ERROR_GAPS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "name", ["roc_auk", "", "ndcg@", "ndcg@ten", "ndgc@10", "sensitivity_at_specificity", "bleu@5", "accuracy:"]
)
def test_an_invented_name_is_none(name, task):
    assert not named(name, task=task)


@pytest.mark.parametrize("share", [0.9, 0.975, 0.5, 0.999])
@pytest.mark.parametrize("held", ["specificity", "sensitivity"])
def test_a_name_with_a_share_is_read_back(held, share):
    for name in held_names(held, share):
        assert named(name, task="classification")
        assert fault({name: ">= 0.5"}, Facts("classification", **{held: share})) is None
        _, says, hint = fault({name: ">= 0.5"}, Facts("classification"))
        assert f"evaluate.{held} does not say {share:g}" in says
        assert hint == f"Add {held}: {share:g}."


# ---------------------------------------------------------------- what a product will not have


def facts(task, **more):
    return Facts(task, **{"at": (5, 10), **more})


@pytest.mark.parametrize(
    ("gate", "found", "words"),
    [
        ("roc_acu", facts("classification"), "roc_acu is no figure of classification. Did you mean roc_auc?"),
        ("roc_auc", facts("regression"), "roc_auc is no figure of regression. Some that there are: rmse, mae"),
        ("beats_baselin", facts("translation"), "Did you mean beats_baseline?"),
        ("ndcg@20", facts("recommendation"), "evaluate.at has no 20. Add it: at: [5, 10, 20]."),
        ("saving", facts("classification"), "the product file has no evaluate.costs. Add evaluate.costs."),
        ("terms_kept", facts("translation"), "the product file has no translation.glossary"),
        ("retrieval_mrr", facts("classification"), "the product file has no knowledge"),
        ("accuracy:faqs", facts("generation", tasks=["faq"]), "evaluate.tasks has no faqs. Did you mean faq?"),
        ("accuracy:sums", facts("generation"), "Add its file: tasks: [sums.jsonl]."),
        ("robust_typing", facts("classification", rooms=["fairness"]), "leaves robustness out. Add robustness to it."),
        ("specificity_reached_90", facts("classification", rooms=[], specificity=0.9), "leaves screening out"),
        (EOD, facts("classification"), "names no column"),
        (EOD, facts("regression", sensitive=["sex"]), "no figure of regression"),
        (f"{EOD}:sxe", facts("classification", sensitive=["sex", "race"]), "Did you mean sex?"),
        ("mae_difference:sex×rice", facts("regression", sensitive=["sex", "race"]), "Did you mean sex×race?"),
        (EOD, facts("classification", sensitive=["sex"], rooms=[]), "leaves fairness out"),
    ],
)  # fmt: skip
def test_a_gate_whose_figure_will_not_be_there_is_told(gate, found, words):
    name, says, hint = fault({"beats_baseline": True, gate: "<= 0.1"}, found)
    assert name == gate
    assert words in f"{says}. {hint}"
    assert fault({gate: False}, found) is None


@pytest.mark.parametrize("rule", [True, ">= 0.02"])
def test_nothing_beats_baselines_that_are_not_fitted(rule):
    name, says, hint = fault({"beats_baseline": rule}, facts("regression", baselines=False))
    assert (name, says) == ("beats_baseline", "beats_baseline is asked for, but evaluate.baselines is false")
    assert hint == "Leave one of the two out."
    assert fault({"beats_baseline": False}, facts("regression", baselines=False)) is None


def test_a_figure_needs_a_comparison():
    _, says, hint = fault({"beats_baseline": True, "rmse": True}, facts("regression"))
    assert (says, hint) == ("rmse needs a comparison", "Write one, as in '>= 0.77': true is for beats_baseline.")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.names[0])
def test_what_the_product_file_asks_for_may_be_a_gate(family):
    rooms, settings = [family.room] if family.room else [], frozenset({family.needs})
    for task in family.of:
        assert fault(dict.fromkeys(family.names, ">= 0"), Facts(task, rooms=rooms, settings=settings)) is None


def test_every_scenario_has_gates_that_it_can_meet():
    for file in Path(product_file.__file__).parent.glob("scenarios/*/tradewind.yaml"):
        assert product_file.load(file).evaluate.gates or "writing" in str(file)


def test_an_encoder_of_masked_words_has_no_report_for_a_gate(tmp_path):
    (tmp_path / "tradewind.yaml").write_text(
        "product: words\ntask: generation\ndata: {source: words.txt}\ntrain: {objective: mlm}\nevaluate: {gates: {loss: '<= 2'}}\n"
    )
    with pytest.raises(ProductFileError, match="no report that a gate could read"):
        product_file.load(tmp_path)
