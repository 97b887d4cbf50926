"""The room of explanations, asked of predictors whose reasons are known by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.rooms import context
from tests.server.releases import png
from tradewind.evaluate import explanations
from tradewind.evaluate.examination import Examination, again, write_witnesses
from tradewind.evaluate.page import render
from tradewind.evaluate.recompute import recompute
from tradewind.evaluate.report import evaluate, write
from tradewind.evaluate.surrogate import agreeing, fit_surrogate, judge
from tradewind.evaluate.trust import Examined, Outputs, Part
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.picture import decode
from tradewind.features.target import fit_target
from tradewind.files import canonical_json, write_json
from tradewind.product import Explain

KINDS = {"income": "number", "plan": "category", "noise": "number", "idle": "number"}
WORTH = {"basic": 0.0, "plus": 1.0, "pro": 2.5}


def raw_rows(rows, seed):
    random = np.random.default_rng(seed)
    return {
        "income": random.normal(50, 10, rows).round(2),
        "plan": np.array(list(WORTH), dtype=object)[random.integers(0, 3, rows)],
        "noise": random.normal(size=rows),
        "idle": random.normal(size=rows),
    }


def logit(raw):
    """Income counts most, the plan less, the rest nothing."""
    return 0.3 * (raw["income"].astype(float) - 50) + np.array([WORTH[word] for word in raw["plan"]]) - 1


def examined(kinds=2, *, rows=300, score=logit, explain=None, positive=1):
    """A released predictor that says exactly `score`: log-odds of class 1, or a value."""
    raw = {name: raw_rows(rows, seed) for seed, name in enumerate(("train", "validation", "test"))}
    specs = [ColumnSpec(name, kind) for name, kind in KINDS.items()]
    target = fit_target("classification", np.array(["0", "1"] * (rows // 2), dtype=object))
    features = FeatureSet.fit(specs, raw["train"], target, seed=0)
    income, plan = features.columns[0], features.columns[1]

    def outputs(z):
        if not kinds:
            return Outputs(values=z)
        p = 1 / (1 + np.exp(-z))
        shares = np.stack([1 - p, p], axis=1)
        return Outputs(shares, shares.argmax(axis=1))

    def ask_encoded(arrays):
        words = np.array([*plan.vocabulary])[arrays["categories"][:, 0] - 1]
        others = arrays["numbers"].astype(float)
        return outputs(
            score({"income": income.decode(others[:, 0]), "plan": words, "noise": others[:, 1], "idle": others[:, 2]})
        )

    def part(name):
        found = outputs(score(raw[name]))
        truth = found.decided if kinds else found.values + np.random.default_rng(5).normal(size=rows)
        return Part(raw[name], truth, None, found)

    found = replace(context(kinds), explain=explain or Explain(), positive=positive if kinds else None)
    return Examined(
        context=found, kinds=KINDS, train=part("train"), validation=part("validation"), test=part("test"),
        ask=lambda values: ask_encoded(features.encode(values)), encode=features.encode, ask_encoded=ask_encoded,
        layout=features.layout,
    )  # fmt: skip


def said(given):
    return explanations.summarise(explanations.measure(given), given.context)


@pytest.mark.parametrize("kinds", [2, 0])
def test_importance_ranks_columns_by_what_they_do(kinds):
    found = said(examined(kinds)).section["importance"]
    assert [one["column"] for one in found[:2]] == ["income", "plan"]
    for one in found[2:]:
        assert one["shapley"]["value"] == pytest.approx(0, abs=1e-5)
        assert one["shuffled"]["value"] == pytest.approx(0, abs=1e-5)
    assert found[0]["shuffled"]["low"] > 0
    assert found[0]["shapley"]["low"] < found[0]["shapley"]["value"] < found[0]["shapley"]["high"]


def test_shapley_values_of_a_sum_are_its_terms():
    given = examined()
    witness = explanations.measure(given)
    income = witness["columns"].tolist().index("income")
    assert np.abs(witness["shapley"][:, income]).mean() == pytest.approx(0.3 * 10 * np.sqrt(2 / np.pi), rel=0.3)


@pytest.mark.parametrize("kinds", [2, 0])
def test_true_reasons_move_the_score_more_than_columns_by_lot(kinds):
    figure = said(examined(kinds)).figures["faithfulness"]
    assert 0 < figure.low < figure.value <= figure.high <= 1
    assert figure.rows == 64


def test_reasons_that_name_the_wrong_columns_are_found_out(monkeypatch):
    """The same room with Shapley values turned round: what does nothing is named first."""
    honest = explanations.shapley

    def lying(*arguments, **options):
        found = honest(*arguments, **options)
        return replace(found, values_P=1 / (1e-3 + np.abs(found.values_P)))

    monkeypatch.setattr(explanations, "shapley", lying)
    figure = said(examined()).figures["faithfulness"]
    assert figure.value is None or figure.high < 0


def test_a_model_that_reads_nothing_has_no_faithfulness():
    figure = said(examined(score=lambda raw: np.zeros(len(raw["income"])))).figures["faithfulness"]
    assert (figure.value, figure.absent) == (None, "no reason moves the score")


def test_partial_dependence_follows_the_model():
    curves = {one["column"]: one for one in said(examined(0)).section["dependence"]}
    points = curves["income"]["points"]
    slope = np.polyfit([point["x"] for point in points], [point["mean"] for point in points], 1)[0]
    assert slope == pytest.approx(0.3, abs=1e-3)
    words = {point["label"]: point["mean"] for point in curves["plan"]["points"]}
    assert words["pro"] - words["basic"] == pytest.approx(2.5, abs=1e-3)
    assert all(point["low"] <= point["mean"] <= point["high"] for point in points)
    assert curves["plan"]["points"][0]["x"] is None


def test_the_tree_says_how_far_it_is_the_model():
    found = said(examined(rows=1200))
    tree = found.section["surrogate"]
    assert tree["plain"] < tree["fidelity"] == found.figures["surrogate_fidelity"].value <= 1
    assert sum(rule["share"] for rule in tree["rules"]) == pytest.approx(1)
    assert any(condition["column"] == "income" for rule in tree["rules"] for condition in rule["conditions"])
    assert len(tree["rules"]) <= 8


def test_rules_of_the_tree_say_what_its_arrays_say():
    given = examined(rows=600)
    witness = fit_surrogate(given.kinds, given.train, given.test)
    rules = judge(witness, given.context.classes)["rules"]
    columns = {
        (column, word): at
        for at, (column, word) in enumerate(zip(witness["tree_columns"], witness["tree_words"], strict=True))
    }
    agreed = []
    for row, said_class in zip(witness["tree_rows"], witness["tree_said"], strict=True):
        held = [
            rule for rule in rules
            if all(
                {
                    "<=": lambda x, v: x <= v, ">": lambda x, v: x > v, "=": lambda x, v: x == 1, "!=": lambda x, v: x == 0,
                }[one["sign"]](row[columns[one["column"], one["value"] if isinstance(one["value"], str) else ""]], one["value"])
                for one in rule["conditions"]
            )
        ]  # fmt: skip
        assert len(held) == 1
        agreed.append(float(held[0]["answer"] == given.context.classes[int(said_class)]))
    assert np.mean(agreed) == pytest.approx(agreeing(witness).mean(), abs=0.01)


def test_the_same_data_give_the_same_witness():
    one, two = (explanations.measure(examined()) for _ in range(2))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name], equal_nan=one[name].dtype.kind == "f") for name in one)


@pytest.mark.parametrize("kinds", [{}, {"income": "number"}])
def test_where_there_is_nothing_to_look_at_nothing_is_said(kinds):
    assert explanations.measure(replace(examined(), kinds=kinds)) is None


def text_examined(texts, weights):
    """Log-odds are the sum of the weights of the words in a text."""
    features = FeatureSet.fit([ColumnSpec("note", "text")], {"note": texts}, fit_target("classification", np.array(["0", "1"] * (len(texts) // 2), dtype=object)), seed=0)  # fmt: skip

    def ask(values):
        z = np.array(
            [sum(weight for word, weight in weights.items() if word in text) for text in values["note"]], dtype=float
        )
        p = 1 / (1 + np.exp(-z))
        return Outputs(np.stack([1 - p, p], axis=1), (p > 0.5).astype(int))

    outputs = ask({"note": texts})
    part = Part({"note": texts}, outputs.decided, None, outputs)
    return Examined(
        context=replace(context(2), positive=1), kinds={"note": "text"}, train=part, validation=part, test=part, ask=ask,
        encode=features.encode, ask_encoded=ask, layout=features.layout,
    )  # fmt: skip


def test_words_of_a_text_are_deleted_in_english_and_chinese():
    texts = np.array(["the food is good and the staff is kind", "这家店的菜很好吃但是送得太慢了"] * 20, dtype=object)
    found = said(text_examined(texts, {"good": 2.0, "慢": -2.0}))
    assert found.section["faithfulness"]["kind"] == "text"
    assert found.figures["faithfulness"].low > 0.3
    assert found.section["importance"] == []


def test_parts_of_a_picture_are_covered():
    pictures = np.array([png(shade) for shade in range(0, 240, 6)], dtype=object)
    spec = ColumnSpec("scan", "image", {"size": 48})
    features = FeatureSet.fit(
        [spec], {"scan": pictures}, fit_target("classification", np.array(["0", "1"] * 20, dtype=object)), seed=0
    )

    def ask_encoded(arrays):
        """The corner decides."""
        corner = arrays["image:scan"][:, 0, :8, :8].astype(float)
        p = 1 / (1 + np.exp(-(corner.max(axis=(1, 2)) - 100) / 20))
        return Outputs(np.stack([1 - p, p], axis=1), (p > 0.5).astype(int))

    def encode(values):
        arrays = features.encode(values)
        arrays["image:scan"][:, 0, :8, :8] = 255 - arrays["image:scan"][:, 0, :8, :8]
        return arrays

    assert decode(pictures[0]).shape == (1, 16, 16)
    outputs = ask_encoded(encode({"scan": pictures}))
    part = Part({"scan": pictures}, outputs.decided, None, outputs)
    given = Examined(
        context=replace(context(2), positive=1), kinds={"scan": "image"}, train=part, validation=part, test=part,
        ask=lambda values: ask_encoded(encode(values)), encode=encode, ask_encoded=ask_encoded, layout=features.layout,
    )  # fmt: skip
    found = said(given)
    assert found.section["faithfulness"]["kind"] == "image"
    assert found.figures["faithfulness"].value > 0.5


@pytest.fixture(params=[(2, "en"), (0, "zh")], ids=["classes", "values"])
def written(request, make_inputs, tmp_path):
    """A report with the room in it, on disk."""
    kinds, language = request.param
    report = evaluate(make_inputs(kinds, settings={"gates": {"faithfulness": "> 0"}}))
    given = replace(examined(kinds), context=report.context)
    witness = explanations.measure(given)
    examination = Examination(
        {"explanations": explanations.summarise(witness, report.context)}, {"explanations": witness}
    )
    write(report.examined(examination), tmp_path, language=language)
    return tmp_path


def test_a_gate_may_name_faithfulness_and_verify_computes_it_again(written):
    content = json.loads((written / "report.json").read_text())
    (gate,) = content["gates"]
    assert (gate["name"], gate["passed"]) == ("faithfulness", True)
    assert content["further"]["faithfulness"]["predictions"] == "trust/explanations.npz"
    found = recompute(written)
    assert found.holds, found.differences


def test_one_edited_digit_of_the_room_is_found(written):
    path = written / "report.json"
    content = json.loads(path.read_text())
    content["trust"]["explanations"]["importance"][0]["shapley"]["value"] += 0.001
    write_json(path, content)
    assert not recompute(written).holds


def test_the_page_says_it_in_both_languages(written):
    content = json.loads((written / "report.json").read_text())
    english, chinese = (render(content, language=language) for language in ("en", "zh"))
    assert "Faithfulness of reasons" in english
    assert "理由的可信度" in chinese
    assert "exp_" not in english + chinese
    for page in (english, chinese):
        assert page.count("<svg") == page.count("</svg>")


@pytest.mark.parametrize("kind", ["columns", "text", "image", "audio"])
def test_the_page_of_every_kind_of_product(make_inputs, kind):
    report = evaluate(make_inputs(2))
    part = said(examined())
    section = {**part.section, "faithfulness": {**part.section["faithfulness"], "kind": kind}}
    section |= {} if kind == "columns" else {"importance": [], "dependence": [], "surrogate": None}
    whole = report.examined(Examination({"explanations": replace(part, section=section)}))
    page = render(json.loads(canonical_json(whole.to_json())), language="zh")
    assert "理由的可信度" in page
    assert ("沙普利值" in page) is (kind == "columns")


def test_the_witness_is_enough(written):
    content = json.loads((written / "report.json").read_text())
    found = again(
        written, ("explanations",), replace(context(2 if content["classes"] else 0), classes=tuple(content["classes"]))
    )
    assert found.parts["explanations"].section["importance"] == content["trust"]["explanations"]["importance"]


def test_witnesses_hold_no_objects(tmp_path):
    witness = explanations.measure(examined())
    assert all(array.dtype != object for array in witness.values())
    write_witnesses(Examination({}, {"explanations": witness}), tmp_path)
    assert (tmp_path / "trust" / "explanations.npz").stat().st_size < 2_000_000
