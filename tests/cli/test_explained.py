"""The section `explain`: what cannot be meant is refused with line and column, by check or, where data must be seen, by prepare."""

import json
import shutil

import pytest

from tests.cli.conftest import PRODUCT, write_product
from tradewind import product_file
from tradewind.cli.app import main
from tradewind.cli.explained import spelled_out
from tradewind.errors import ProductFileError
from tradewind.features.feature_set import FeatureSet


def said(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("section", "sensitive", "where", "words"),
    [
        ("{may_change: [spend, plan]}", "[plan]", "10:31", "plan is sensitive"),
        ("{may_change: [spend, churn]}", "[]", "10:31", "churn is the target"),
        ("{may_change: [spend, spend]}", "[]", "10:31", "spend stands twice"),
        (
            "{may_change: [spend], only: {tenure: up}}",
            "[]",
            "10:47",
            "tenure has a direction, but may_change leaves it out",
        ),
        ("{only: {plan: up}}", "[plan]", "10:24", "plan is sensitive"),
        ("{only: {spend: sideways}}", "[]", "10:25", "expected one of up, down"),
        ("{reasons: {churn: You left.}}", "[]", "10:28", "churn is the target"),
        ('{reasons: {spend: ""}}', "[]", "10:28", "the sentence for spend is empty"),
    ],
)
def test_what_settings_alone_contradict_is_refused_by_check(tmp_path, section, sensitive, where, words):
    text = (
        PRODUCT.replace("  target: churn\n", f"  target: churn\n  sensitive: {sensitive}\n") + f"explain: {section}\n"
    )
    folder = write_product(tmp_path, text)
    with pytest.raises(ProductFileError) as caught:
        product_file.load(folder)
    assert words in str(caught.value)
    assert str(caught.value.where).endswith(f"tradewind.yaml:{where}")


@pytest.mark.parametrize(
    ("section", "where", "words"),
    [
        (
            "{reasons: {tenur: Too short.}}",
            "9:21",
            "tenur is no input column. Columns: tenure, plan, spend. Did you mean tenure?",
        ),
        ("{may_change: [spend, plam]}", "9:31", "plam is no input column"),
        ("{only: {plan: up}}", "9:18", "plan is a column of kind category, but number was expected"),
        ("{favourable: never}", "9:23", "there is no class never. Classes: no, yes"),
    ],
)
def test_what_the_data_contradict_is_refused_by_prepare(product, capsys, section, where, words):
    (product / "tradewind.yaml").write_text(PRODUCT + f"explain: {section}\n", encoding="utf-8")
    for _ in range(2):  # the second time the dataset is there already
        assert main(["prepare", "-C", str(product)]) == 2
        message = said(capsys)
        assert f"tradewind.yaml:{where}" in message
        assert words in message


def test_a_regression_has_no_favourable_word(tmp_path):
    folder = write_product(tmp_path, PRODUCT.replace("classification", "regression") + "explain: {favourable: high}\n")
    with pytest.raises(ProductFileError, match="from which value on"):
        product_file.load(folder)


@pytest.fixture(scope="module")
def explained(finished, tmp_path_factory):
    """The finished product, released again with words for its reasons."""
    folder = tmp_path_factory.mktemp("explained") / "churn"
    shutil.copytree(finished, folder)
    section = "explain: {favourable: no, reasons: {tenure: You have not been with us for long.}, only: {tenure: up}}\n"
    (folder / "tradewind.yaml").write_text(PRODUCT + section, encoding="utf-8")
    assert main(["release", "-C", str(folder)]) == 0
    return folder


def test_a_release_spells_out_what_may_change(finished):
    """Who serves knows no sensitive columns."""
    product = product_file.load(
        finished, changes=["data.sensitive=[plan]", "data.sensitive_as_input=true", "explain.favourable=no"]
    )
    (release, *_) = (finished / ".tradewind" / "releases").iterdir()
    features = FeatureSet.from_state(json.loads((release / "columns.json").read_text()))
    assert [column.name for column in features.columns] == ["tenure", "plan", "spend"]
    stored = spelled_out(product, features)
    assert stored == product.explain.model_dump(mode="json") | {"may_change": ["tenure", "spend"]}


def test_predict_gives_a_notice_and_a_way_out(explained, capsys):
    row = '{"tenure": 1, "plan": "basic", "spend": 50}'
    verb = ["predict", "v2", "-C", str(explained), "--row", row, "--reasons", "2", "--counterfactuals", "2"]
    capsys.readouterr()
    assert main(verb) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["label"] == "yes"
    assert answer["reasons"][0]["text"] == "You have not been with us for long."
    (first, *_) = answer["counterfactuals"]
    assert first["label"] == "no"
    assert all(change["to"] > 1 for change in first["changes"] if change["column"] == "tenure")


def test_a_file_is_answered_with_a_column_for_each(explained, tmp_path, capsys):
    target = tmp_path / "answers.jsonl"
    verb = ["predict", "v2", str(explained / "rows.csv"), "-C", str(explained), "-o", str(target)]
    assert main([*verb, "--reasons", "1", "--counterfactuals", "1"]) == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(rows) > 200
    for row in rows[:20]:
        assert len(json.loads(row["reasons"])) <= 1
        assert all(one["label"] == "no" for one in json.loads(row["counterfactuals"]))


def test_what_a_release_lacks_is_one_clear_error(explained, capsys):
    assert main(["predict", "v2", "-C", str(explained), "--row", '{"spend": 1}', "--heatmap"]) == 2
    assert "neither text nor pictures" in said(capsys)
