"""The card loads as Hugging Face loads a README.md."""

import json
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from tests.release.transparency.made import sources
from tests.release.transparency.test_files import _document
from tradewind.release.transparency.document import CARD, Statement
from tradewind.release.transparency.files import paper_of
from tradewind.release.transparency.markdown import front_matter


def _card(kind="predictor", **changes) -> ModelCard:
    return ModelCard(paper_of(sources(kind, **changes))[CARD].decode())


def test_front_matter_loads_with_licence_task_and_figures():
    data = _card().data
    assert data.license == "apache-2.0"
    assert data.pipeline_tag == "tabular-classification"
    assert data.library_name == "tradewind"
    assert data.language == ["en"]
    found = {one.metric_type: one.metric_value for one in data.eval_results}
    assert found == {"roc_auc": 0.7731, "accuracy": 0.8135}


def test_a_language_model_and_an_encoder_have_their_own_tasks():
    assert _card("language").data.pipeline_tag == "text-generation"
    assert _card("language").data.language == ["en", "zh"]
    assert _card("encoder").data.pipeline_tag == "feature-extraction"


@pytest.mark.parametrize(
    ("task", "kinds", "tag"),
    [
        ("regression", ["number", "text"], "tabular-regression"),
        ("classification", ["text"], "text-classification"),
        ("classification", ["audio"], "audio-classification"),
        ("classification", ["text", "image"], None),
        ("regression", ["image"], None),
        ("recommendation", [], None),
    ],
)
def test_the_task_is_one_of_the_hubs_or_left_out(task, kinds, tag):
    made = _document(sources())
    said = [one for one in made.statements if one.key != "task" and not one.key.startswith("data.columns.input.")]
    said += [Statement("task", task, ()), *(Statement(f"data.columns.input.{kind}", 1, ()) for kind in kinds)]
    card = ModelCard(front_matter(replace(made, statements=tuple(said))))
    assert card.data.pipeline_tag == tag
    assert {one.task_type for one in card.data.eval_results} == {tag or task}


def test_a_figure_whose_name_holds_a_point_stands_in_card_and_front_matter():
    report = json.loads(sources().report or b"")
    report["figures"]["test"]["recall_fpr_0.1"] = {"value": 0.4567, "low": 0.4, "high": 0.5}
    report["further"] = {"hit@0.5": {"value": 0.6543, "low": None, "high": None, "absent": None}}
    card = ModelCard(paper_of(sources(report=report))[CARD].decode())
    assert {one.metric_type: one.metric_value for one in card.data.eval_results}["recall_fpr_0.1"] == 0.4567
    assert "| `recall_fpr_0.1` | 0.4567 | 0.4000 | 0.5000 |" in card.text
    assert "| `hit@0.5` | 0.6543 |" in card.text


def test_a_licence_that_hugging_face_does_not_know_is_named_as_other():
    data = _card(product={"release": {"licence": "Ours, for paying customers"}}).data
    assert (data.license, data.license_name) == ("other", "ours,-for-paying-customers")


def test_an_unstated_licence_is_left_out():
    assert _card(product={"release": {}}).data.license is None


def test_words_that_mean_something_in_yaml_stay_words():
    card = _card(product={"release": {"description": "a: {c}\n---\nlicense: mit", "licence": 'x: "y"'}})
    assert card.data.license_name == 'x:-"y"'
    assert card.text.startswith("\n# credit\n")


def test_a_table_cell_cannot_leave_its_column():
    report = json.loads(sources().report or b"")
    report["slices"]["worst"][0]["value"] = "a | b\nc"
    card = paper_of(sources(report=report))[CARD].decode()
    assert "region = a \\| b c" in card
