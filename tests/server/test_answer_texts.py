"""What is said beside an answer: by class, by language, below a confidence, with values of the row; never at a price."""

import httpx
import pytest

from tests.server.releases import make_release
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.product import Answers
from tradewind.server.answer_texts import AnswerTexts
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf

TEXTS = Answers.model_validate({
    "texts": {"yes": {"en": "{name} leaves ({confidence}).", "zh": "{name} 会流失。"}, "no": "ok {label} {x}"},
    "below": 0.6, "fallback": {"en": "A person will call.", "zh": "请稍候，转人工。"},
})  # fmt: skip
SURE = {"label": "yes", "probabilities": {"no": 0.1, "yes": 0.9}}


def said(output, row=None, language=None, own="en"):
    return AnswerTexts(TEXTS, own).beside(output, row or {}, language=language)


def test_the_text_of_the_class_in_the_language_that_was_asked():
    assert said(SURE, {"name": "Ann"}) == {"answer": "Ann leaves (90 %)."}
    assert said(SURE, {"name": "安"}, "zh") == {"answer": "安 会流失。"}
    assert said(SURE, {"name": "安"}, own="zh")["answer"] == "安 会流失。"


def test_values_are_put_in_as_they_are_and_never_read_as_templates():
    output = {"label": "no", "probabilities": {"no": 1.0, "yes": 0.0}}
    assert said(output, {"x": "{label.__class__}"})["answer"] == "ok no {label.__class__}"
    assert said(output, {"x": 0.5})["answer"] == "ok no 0.5"
    assert said(output)["answer"] == "ok no "


def test_below_the_bound_and_for_an_abstained_row_the_fallback_is_said():
    unsure = {"label": "yes", "probabilities": {"no": 0.45, "yes": 0.55}}
    assert said(unsure) == {"answer": "A person will call.", "fallback": True}
    assert said({"abstained": True, "confidence": 0.4}, language="zh") == {
        "answer": "请稍候，转人工。",
        "fallback": True,
    }
    assert said({"label": "maybe", "probabilities": {"maybe": 1.0}})["fallback"] is True


def test_without_texts_for_it_nothing_is_said():
    only = AnswerTexts(Answers.model_validate({"texts": {"yes": "y"}}))
    assert only.beside({"label": "no", "probabilities": {"no": 1.0}}, {}) == {}
    assert only.beside({"value": 3.0}, {}) == {}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    spoken, silent = (Workspace(tmp_path_factory.mktemp(name)) for name in ("spoken", "silent"))
    make_release(spoken)
    make_release(silent, product="mute")
    shelf = Shelf([Place(spoken, texts=AnswerTexts(TEXTS.model_copy(update={"below": 0.0}))), Place(silent)]).open()
    with running(create_app(shelf, OpenGate(), observer=Observer(out=None))) as address:
        yield address
    shelf.close()


def ask(address, model="churn", **more):
    return httpx.post(
        f"http://{address}/v1/predict", json={"model": model, "inputs": [{"x0": 5.0, "plan": "basic"}], **more}
    )


def test_the_answer_stands_in_the_output_and_costs_no_unit_more(address):
    reply = ask(address, language="zh").json()
    (output,) = reply["outputs"]
    assert output["answer"] in ("ok no ", " 会流失。")
    assert reply["usage"] == {"units": 1}


def test_a_language_without_texts_is_refused_and_so_is_an_unknown_one(address):
    assert ask(address, "mute").status_code == 200
    assert ask(address, "mute", language="en").json()["error"]["code"].endswith("answers_missing")
    assert ask(address, language="fr").json()["error"]["param"] == "language"


def test_the_openapi_document_tells_both(address):
    schemas = httpx.get(f"http://{address}/openapi.json").json()["components"]["schemas"]
    assert schemas["predict.churn"]["properties"]["language"]["enum"] == ["en", "zh", None]
    assert "answer" in schemas["answer.churn"]["properties"]["outputs"]["items"]["properties"]
