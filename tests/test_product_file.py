"""The product file: defaults, `--set`, and every mistake answered with its place and the nearest word."""

import json
import re

import pytest

from tradewind.errors import ProductFileError
from tradewind.product_file import _FORMS, json_schema, load, product_of

GOOD = """\
product: credit-risk
task: classification
data:
  source: data/applications.csv
  target: default
  columns: {note: text}
  split: {test: 0.3}
train:
  epochs: 5
evaluate:
  gates: {roc_auc: ">= 0.77", beats_baseline: true}
serve:
  plans:
    pro: {monthly: 299 CNY, included: 100, overage: 0.002 CNY, rate: 50/s}
"""


def read(tmp_path, text, *changes):
    (tmp_path / "tradewind.yaml").write_text(text, encoding="utf-8")
    return load(tmp_path, changes=changes)


def test_a_short_file_is_filled_with_defaults(tmp_path):
    product = read(tmp_path, GOOD)
    assert product.data.source.path == "data/applications.csv"
    assert product.data.columns["note"].kind == "text"
    assert product.data.split.validation == 0.1
    assert product.train.optimizer == "auto"


def test_the_resolved_copy_reads_back_as_the_same_product(tmp_path):
    product = read(tmp_path, GOOD)
    assert product_of(json.loads(json.dumps(product.resolved()))) == product


def test_set_changes_a_value_and_makes_sections_on_the_way(tmp_path):
    product = read(tmp_path, GOOD, "train.epochs=7", "model.kind=tabm", "data.source.header=[a, b]")
    assert (product.train.epochs, product.model.kind) == (7, "tabm")
    assert product.data.source.header == ["a", "b"]
    assert product.data.source.path == "data/applications.csv"


MISTAKES = [
    ("task: classification", "task: clasification", "2:7", "Did you mean classification?"),
    ("  target: default", "  targt: default", "5:3", "Did you mean target?"),
    ("columns: {note: text}", "columns: {note: txt}", "6:19", "Did you mean text?"),
    ("  split: {test: 0.3}", "  splitt: {test: 0.3}", "7:3", "Did you mean split?"),
    ("test: 0.3", "test: 1.3", "7:3", "between 0 and 1"),
    ("test: 0.3", "test: 0.3, by: groop", "7:3", "must be random, time, group:COLUMN"),
    ("epochs: 5", "epochs: many", "9:11", "expected a whole number or auto"),
    ("epochs: 5", "lr: 0.1", "9:3", "Did you mean learning_rate?"),
    ("epochs: 5", "epochs: 0", "9:11", "greater than 0"),
    ("train:\n", "translation: {from: en, to: de, form: fr}\ntrain:\n", "8:33", "Did you mean from?"),
    ('">= 0.77"', "0.77", "11:20", "no gate"),
    ("299 CNY", "299", "14:20", "no amount"),
    ("50/s", "50", "14:", "no rate"),
    ("0.002 CNY", "0.002 USD", "14:5", "overage in USD"),
    ("product: credit-risk", "product: Credit Risk", "1:10", "lower-case"),
    ("product: credit-risk", "product: x", "1:10", "2 to 63 lower-case"),
    ("  plans:", "  webhook: {url: 'ftp://x'}\n  plans:", "13:", "begins with https://"),
    ("product: credit-risk\n", "", "", "product is missing"),
    ("  target: default\n", "", "3:1", "target: COLUMN"),
    ("task: classification", "task: [classification", "", "no YAML"),
    ("task: classification", "task: classification\ntask: regression", "", "no YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "words"), MISTAKES)
def test_a_mistake_is_answered_with_place_expectation_and_nearest_word(tmp_path, old, new, place, words):
    with pytest.raises(ProductFileError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert words in str(caught.value)
    assert f"tradewind.yaml:{place}" in str(caught.value)


def test_a_mistake_in_set_names_set_not_a_line(tmp_path):
    with pytest.raises(ProductFileError, match=r"--set train\.epochs: .*expected a whole number"):
        read(tmp_path, GOOD, "train.epochs=many")
    with pytest.raises(ProductFileError, match="Write PATH=VALUE"):
        read(tmp_path, GOOD, "nonsense")


def test_all_further_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(ProductFileError, match="Also wrong: train.epochs"):
        read(tmp_path, GOOD.replace("clas", "klas").replace("epochs: 5", "epochs: x"))


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"- a\n", "expected a mapping"), (b"product: \xff\n", "no UTF-8")]
)
def test_a_file_that_is_no_product_file(tmp_path, content, words):
    (tmp_path / "tradewind.yaml").write_bytes(content)
    with pytest.raises(ProductFileError, match=words):
        load(tmp_path)


def test_a_missing_file_says_how_to_begin(tmp_path):
    with pytest.raises(ProductFileError, match="tradewind init"):
        load(tmp_path)


def test_every_form_that_a_text_must_have_is_told_in_words():
    found = set(re.findall(r'"pattern": ("(?:[^"\\\\]|\\\\.)*")', json.dumps(json_schema(), ensure_ascii=False)))
    assert {json.loads(pattern) for pattern in found} <= _FORMS.keys()
    assert len(found) > 4


def test_the_json_schema_knows_every_section():
    schema = json_schema()
    assert set(schema["properties"]) == {
        "product", "task", "language", "data", "domain", "translation", "tokenizer", "model", "train", "evaluate", "explain", "knowledge", "release", "serve",
        "privacy",
    }  # fmt: skip
    assert schema["additionalProperties"] is False
