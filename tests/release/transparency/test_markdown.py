"""The card loads as Hugging Face loads a README.md."""

import json

from huggingface_hub import ModelCard

from tests.release.transparency.made import sources
from tradewind.release.transparency.document import CARD
from tradewind.release.transparency.files import paper_of


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
