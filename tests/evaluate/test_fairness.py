"""The fairness room: three verdicts, figures over columns and intersections, a witness that finds one edited digit, a page."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.test_page import Outside
from tests.evaluate.test_recompute import changed, leaves
from tradewind.evaluate.examination import Examination
from tradewind.evaluate.fairness import measure, summarise
from tradewind.evaluate.fairness_words import FIGURES, WORDS
from tradewind.evaluate.gates import check
from tradewind.evaluate.page import render
from tradewind.evaluate.recompute import recompute
from tradewind.evaluate.report import evaluate, write
from tradewind.evaluate.strings import Strings
from tradewind.evaluate.trust import Context, Examined, Outputs, Part
from tradewind.files import canonical_json, write_json
from tradewind.product import Evaluate, Explain

EOD = "equalized_odds_difference"


def examined(
    columns, target, *, decided=None, score=None, value=None, classes=("no", "yes"), training=None, **settings
):
    """What the room is given: raw sensitive columns, what is true and what the model says."""
    rows = len(target)
    if value is None:
        score = np.full(rows, 0.5) if score is None else score
        probabilities = np.full((rows, len(classes)), 1 / len(classes))
        probabilities[:, -1] = score
        outputs = Outputs(probabilities=probabilities, decided=decided)
    else:
        outputs = Outputs(values=value)
    context = Context(
        task="classification" if value is None else "regression", classes=classes if value is None else (),
        positive=1 if value is None and len(classes) == 2 else None, threshold=0.5, primary="roc_auc",
        settings=Evaluate(**{"bootstrap": 60, **settings}), explain=Explain(), sensitive=tuple(columns),
    )  # fmt: skip
    part = Part({name: np.asarray(values, dtype=object) for name, values in columns.items()}, target, None, outputs)
    none = {"ask": None, "encode": None, "ask_encoded": None}
    return Examined(context, {}, part, part, part, **none, training=training or {})


def said(*args, **kwargs):
    given = examined(*args, **kwargs)
    witness = measure(given)
    assert witness is not None
    return summarise(witness, given.context)


def groups(**sizes):
    return np.repeat(list(sizes), list(sizes.values()))


def alike(group):
    """Every other row is positive, and every other of those and of the rest is decided so: no group differs."""
    at = np.concatenate([np.arange((group == name).sum()) for name in dict.fromkeys(group)])
    return at % 2, (at // 2) % 2


def difference(part, name, column=0, among="columns"):
    return next(one for one in part.section[among][column]["differences"] if one["name"] == name)


# ---------------------------------------------------------------- verdicts


def test_groups_that_are_alike_hold():
    group = groups(F=400, M=400)
    part = said({"sex": group}, *alike(group)[:1], decided=alike(group)[1])
    assert difference(part, EOD)["verdict"] == "holds"
    assert part.figures[EOD].value == 0
    assert part.figures[EOD].unsure is None


def test_groups_that_are_not_alike_are_violated_and_clearly_so():
    group = groups(F=400, M=400)
    target, decided = alike(group)
    decided[group == "F"] = 0
    found = difference(said({"sex": group}, target, decided=decided), EOD)
    assert found["verdict"] == "violated"
    assert found["clear"]
    assert [end["group"] for end in found["ends"]] == ["F", "M"]


@pytest.mark.parametrize("size", [1, 2, 8])
def test_a_group_of_eight_never_passes(size):
    group = np.concatenate([groups(F=400, M=400), np.full(size, "X")])
    target, decided = alike(group)
    part = said({"sex": group}, target, decided=decided)
    for name in ("demographic_parity_difference", EOD, "accuracy_difference", "demographic_parity_ratio"):
        found = difference(part, name)
        assert found["verdict"] == "not enough data", name
        assert "X" in found["left_out"]
        rule = ">= 0" if name.endswith("ratio") else "<= 1"
        (gate,) = check({name: rule}, part.figures, None, task="classification")
        assert not gate.passed
        assert "not enough data" in gate.says


def test_a_small_group_does_not_excuse_a_difference_between_large_ones():
    group = np.concatenate([groups(F=400, M=400), np.full(8, "X")])
    target, decided = alike(group)
    decided[group == "F"] = 0
    assert difference(said({"sex": group}, target, decided=decided), EOD)["verdict"] == "violated"


def test_enough_rows_of_a_group_are_not_enough_positives():
    group = groups(F=400, M=400)
    target, decided = alike(group)
    target[(group == "F").nonzero()[0][5:]] = 0
    part = said({"sex": group}, target, decided=decided)
    assert difference(part, "equal_opportunity_difference")["verdict"] == "not enough data"
    assert difference(part, "demographic_parity_difference")["verdict"] == "holds"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["F"] * 200, "one group only"),
        ([None] * 200, "every value is missing"),
        ([f"row {at}" for at in range(200)], "a value of its own"),
    ],
    ids=["one group", "all missing", "groups of one"],
)
def test_a_column_without_groups_to_compare_has_no_verdict(values, why):
    target, decided = alike(np.repeat("a", 200))
    group = groups(F=100, M=100)
    part = said({"sex": group, "odd": values}, target, decided=decided)
    assert part.figures[f"{EOD}:odd"].value is None
    assert part.figures[f"{EOD}:sex"].unsure is None
    for name in (EOD, f"{EOD}:odd"):
        (gate,) = check({name: "<= 1"}, part.figures, None, task="classification")
        assert not gate.passed, name
        assert why in gate.says


def test_a_gate_moves_the_bound_of_its_figure():
    group = groups(F=400, M=400)
    target, decided = alike(group)
    decided[(group == "F").nonzero()[0][:120]] = 0
    part = said({"sex": group}, target, decided=decided)
    assert difference(part, EOD)["verdict"] == "violated"
    part = said({"sex": group}, target, decided=decided, gates={EOD: "<= 0.3"})
    assert difference(part, EOD)["verdict"] == "holds"


# ---------------------------------------------------------------- columns, classes, values


def test_the_leading_figure_is_the_worst_column_and_intersections_stand_beside():
    group = groups(F=400, M=400)
    target, decided = alike(group)
    decided[group == "F"] = 0
    part = said({"even": np.tile(np.repeat(["a", "b"], 4), 100), "sex": group}, target, decided=decided)
    figures = part.figures
    assert figures[EOD].value == max(figures[f"{EOD}:sex"].value, figures[f"{EOD}:even"].value)
    assert figures[EOD].how.startswith("largest minus smallest true or false positive rate")
    assert [one["column"] for one in part.section["intersections"]] == ["even×sex"]
    assert f"{EOD}:even×sex" in figures
    assert len(part.section["intersections"][0]["groups"]) == 4


def test_numbers_are_banded_and_missing_values_are_a_group():
    draw = np.random.default_rng(0)
    ages = [None if at % 10 == 0 else float(draw.integers(18, 80)) for at in range(400)]
    target, decided = alike(np.repeat("a", 400))
    names = [one["group"] for one in said({"age": ages}, target, decided=decided).section["columns"][0]["groups"]]
    assert len(names) == 5
    assert "(missing)" in names
    assert sum(" to " in name for name in names) == 4


def test_of_many_classes_the_worst_counts_and_is_named():
    group = groups(F=300, M=300)
    target = np.tile([0, 1, 2], 200)
    decided = target.copy()
    decided[(group == "F") & (target == 2)] = 0
    part = said({"sex": group}, target, decided=decided, classes=("a", "b", "c"))
    found = difference(part, EOD)
    assert found["value"] == 1
    assert found["of"] == "c"
    assert part.section["columns"][0]["groups"][0]["classes"]["c"]["true_positive_rate"]["value"] == 0


def test_errors_of_groups_are_compared_where_values_are_predicted():
    draw = np.random.default_rng(0)
    group = groups(F=300, M=300)
    true = draw.normal(size=600) * 1000
    value = true + np.where(group == "F", 300, 100) * draw.choice([-1, 1], 600)
    part = said({"sex": group}, true, value=value)
    found = difference(part, "mae_difference")
    assert found["value"] == pytest.approx(200)
    assert found["verdict"] == "violated"
    assert found["bound"] == pytest.approx(0.1 * 200)
    assert part.figures["mae_ratio"].value == pytest.approx(1 / 3)


def test_an_interval_holds_its_figure_and_grows_with_fewer_rows():
    draw = np.random.default_rng(1)
    widths = []
    for rows in (200, 2000):
        group, (target, decided) = draw.choice(["F", "M"], rows), draw.integers(0, 2, (2, rows))
        figure = said({"sex": group}, target, decided=decided, bootstrap=300).figures[EOD]
        assert figure.low <= figure.value <= figure.high
        widths.append(figure.high - figure.low)
    assert widths[0] > 2 * widths[1]


# ---------------------------------------------------------------- the witness and the page


FRONTIER = {
    "goal": "equalized_odds", "by": "penalty", "gap_goal": 0.05, "columns": ["city"], "chosen": 1,
    "frontier": [
        {"strength": 0.0, "split": "validation", "quality": 0.93, "quality_name": "roc_auc", "gap": 0.18, "how": "plain"},
        {"strength": 1.0, "split": "validation", "quality": 0.92, "quality_name": "roc_auc", "gap": 0.04, "how": "penalty"},
    ],
}  # fmt: skip


def examine_report(made, training=None):
    """The report with what the room says of its own predictions."""
    part = made.predictions["test"]
    scores = part.scores["model"]
    outputs = (
        Outputs(values=scores) if made.basis.task == "regression" else Outputs(scores, scores.argmax(axis=1).astype(np.int64))
    )  # fmt: skip
    raw = {name: made.inputs.test.raw[name][part.rows_n] for name in made.inputs.sensitive}
    seen = Part(raw, part.target_n, None, outputs)
    none = {"ask": None, "encode": None, "ask_encoded": None}
    given = Examined(made.context, {}, seen, seen, seen, **none, training=training or {})
    witness = measure(given)
    assert witness is not None
    parts = {"fairness": summarise(witness, made.context)}
    return made.examined(Examination(parts, {"fairness": witness}))


@pytest.fixture(scope="module", params=[(2, "en"), (4, "zh"), (0, "zh")], ids=["binary", "multiclass", "regression"])
def made(request, make_inputs):
    kinds, language = request.param
    training = {"fairness": FRONTIER} if kinds == 2 else None
    inputs = replace(make_inputs(kinds), sensitive=("city", "age"))
    return examine_report(evaluate(inputs), training), language


def test_every_edited_last_digit_is_found(made, tmp_path):
    report, language = made
    write(report, tmp_path, language=language)
    assert recompute(tmp_path).holds
    path = tmp_path / "report.json"
    content = json.loads(path.read_text())
    places = [(("trust", *where), value) for where, value in leaves(content["trust"])]
    places += [(("further", *where), value) for where, value in leaves(content["further"])]
    for where, value in places:
        changed(content, where, value + 1 if isinstance(value, int) else value * (1 + 2e-9) + (value == 0) * 1e-9)
    write_json(path, content)
    found = {one.where for one in recompute(tmp_path).differences}
    assert {".".join(map(str, where)) for where, _ in places} <= found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_each_group_and_stands_alone(made, language):
    report = json.loads(canonical_json(made[0].to_json()))
    html = render(report, language=language)
    words = Strings(language)
    assert f"<h2>{words('fairness')}</h2>" in html
    for name in ("Lyon", "Nice"):
        assert name in html
    outside = Outside()
    outside.feed(html)
    assert outside.found == []
    trained = report["trust"]["fairness"]["training"] is not None
    for key in ("fair_frontier", "fair_chosen", "penalty"):  # the picture, the chosen try, and how it came about
        assert (words(key) in html) == trained, key
    if language == "zh":
        part = html[html.index(words("fairness")) :]
        for english, chinese in WORDS.values():
            assert english == chinese or "{" in english or f">{english}<" not in part


def test_words_exist_in_both_languages_and_reasons_are_translated():
    assert all(english and chinese for english, chinese in (*WORDS.values(), *FIGURES.values()))
    words = Strings("zh")
    for reason in (
        "fewer than 10 rows behind a rate of X (3), Y (4) and 2 more",
        "sex: fewer than 10 rows behind a rate of X (3)",
        "there is one group only",
        "race: every value is missing",
    ):
        assert words.reason(reason) != reason
