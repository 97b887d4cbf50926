"""Window columns of a prepared product: in time, over all its files, as a stream would have had them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tradewind.artifacts import Workspace
from tradewind.data.dataset import prepare
from tradewind.data.sources import open_source
from tradewind.errors import DataError, ProductFileError
from tradewind.features.windows import streamed
from tradewind.product import Product
from tradewind.product_file import product_of

DATA = Path(os.environ.get("TRADEWIND_DATA", Path(__file__).parents[3] / "shared" / "data"))

WINDOWS = {
    "spent_1h": {"by": "card", "sum": "amount", "over": "1h"},
    "count_1d": {"by": "card", "count": True, "over": "1d"},
    "mean_1d": {"by": ["card", "shop"], "mean": "amount", "over": "1d"},
    "std_1d": {"by": "card", "std": "amount", "over": "1d"},
    "shops_1d": {"by": "card", "distinct": "shop", "over": "1d"},
    "since": {"by": "card", "since": True, "over": "30d"},
    "ratio": {"by": "card", "ratio": "amount", "over": "30d"},
}


def _transactions(rows=400, seed=0, start=1_760_000_000):
    random = np.random.default_rng(seed)
    moments = start + np.sort(random.integers(0, 20 * 86_400, rows))
    return [
        {
            "at": str(np.datetime64(int(moment), "s")), "card": f"c{random.integers(0, 12)}",
            "shop": f"s{random.integers(0, 6)}", "amount": f"{random.gamma(2, 40):.2f}",
            "fraud": "yes" if random.random() < 0.2 else "no",
        }
        for moment in moments
    ]  # fmt: skip


def _product(folder, rows, test=None, **data):
    for name, content in (("all", rows), ("test", test or [])):
        lines = "".join(json.dumps(row) + "\n" for row in content)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    split = {"by": "time:at", "validation": 0.2, "test": "test.jsonl" if test else 0.2}
    content = {
        "source": "all.jsonl", "target": "fraud", "drop": ["at", "card", "shop"], "split": split,
        "clean": {"duplicates": "keep"}, "events": {"time": "at", "windows": WINDOWS}, **data,
    }  # fmt: skip
    return product_of({"product": "cards", "task": "classification", "data": content})


def _prepared(folder, product: Product):
    return prepare(product, base=folder, workspace=Workspace(folder / "home"))


def _streamed(product, rows):
    assert product.data.events is not None
    return list(streamed(product.data.events.spec(), iter(rows)))


def test_prepared_windows_are_those_of_a_stream_bit_for_bit(tmp_path):
    rows = _transactions()
    product = _product(tmp_path, rows)
    dataset = _prepared(tmp_path, product)
    expected = _streamed(product, rows)
    raw = {
        name: np.concatenate([dataset.raw(split)[name] for split in ("train", "validation", "test")])
        for name in WINDOWS
    }
    for name in WINDOWS:
        np.testing.assert_array_equal(raw[name], [one[name] for one in expected])


def test_a_test_file_sees_what_came_before_it_in_the_training_file(tmp_path):
    rows = _transactions()
    product = _product(tmp_path, rows[:300], test=rows[300:])
    dataset = _prepared(tmp_path, product)
    expected = [one["count_1d"] for one in _streamed(product, rows)][300:]
    np.testing.assert_array_equal(dataset.raw("test")["count_1d"], expected)
    assert max(expected[:5]) > 0


def test_windows_are_numbers_whatever_their_values_look_like(tmp_path):
    dataset = _prepared(tmp_path, _product(tmp_path, _transactions()))
    kinds = {column["name"]: column["kind"] for column in dataset.profile["columns"]}
    assert all(kinds[name] == "number" for name in WINDOWS)


def test_a_row_without_a_moment_is_rejected_with_its_place(tmp_path):
    rows = _transactions()
    rows[7]["at"] = "yesterday"
    product = _product(tmp_path, rows)
    source = open_source(product.data.source, base=tmp_path, memory=1 << 24)
    dataset = _prepared(tmp_path, product)
    rejected = [json.loads(line) for line in (dataset.artifact.folder / "rejected.jsonl").read_text().splitlines()]
    assert [(one["code"], one["line"]) for one in rejected] == [("time_missing", 8)]
    assert sum(chunk.frame.height for chunk in source.chunks()) == dataset.profile["rows"]["read"]


def test_rows_whose_truth_was_not_known_in_time_are_left_out_of_training(tmp_path):
    rows = _transactions()
    events = {"time": "at", "label_delay": "2d", "windows": WINDOWS}
    dataset = _prepared(tmp_path, _product(tmp_path, rows, events=events, drop=["card", "shop"]))
    moments = {
        split: np.array(dataset.raw(split)["at"], dtype="datetime64[s]") for split in ("train", "validation", "test")
    }
    two_days = np.timedelta64(2, "D")
    assert moments["validation"].min() - moments["train"].max() >= two_days
    assert moments["test"].min() - moments["validation"].max() >= two_days
    assert dataset.profile["cleaning"]["rejected"]["label_unknown"] > 0


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({"by": "card", "over": "1h"}, "one measure"),
        ({"by": "card", "over": "1h", "count": True, "sum": "amount"}, "count and sum"),
        ({"by": "card", "over": "soon", "count": True}, "soon"),
        ({"by": "card", "over": "never", "count": True}, "never"),
        ({"by": "card", "over": "1h", "sum": "fraud"}, "nobody knows yet"),
        ({"by": "fraud", "over": "1h", "count": True}, "target"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused(tmp_path, window, says):
    with pytest.raises(ProductFileError, match=says):
        _product(tmp_path, [], events={"time": "at", "windows": {"w": window}})


def test_a_column_that_is_not_there_or_stands_there_already_is_told(tmp_path):
    rows = _transactions(50)
    for windows, code in (
        ({"w": {"by": "cart", "over": "1h", "count": True}}, "data.column_missing"),
        ({"amount": {"by": "card", "over": "1h", "count": True}}, "data.window_name"),
    ):
        with pytest.raises(DataError) as refused:
            _prepared(tmp_path, _product(tmp_path, rows, events={"time": "at", "windows": windows}))
        assert refused.value.code == code


@pytest.mark.realdata
def test_streamed_and_batch_columns_of_credit_default_agree_exactly(tmp_path):
    """Applications as events in the order of the file, one a minute; entities by education, by age, by education and sex."""
    measures = {
        "count": True, "since": True, "sum": "BILL_AMT1", "mean": "PAY_AMT1", "min": "LIMIT_BAL", "max": "BILL_AMT1",
        "std": "LIMIT_BAL", "last": "PAY_AMT1", "ratio": "LIMIT_BAL", "distinct": "AGE",
    }  # fmt: skip
    windows = {
        f"{measure} {' '.join(by)} {over}": {"by": by, measure: of, "over": over}
        for by, over in ((["EDUCATION"], "1h"), (["AGE"], "1d"), (["EDUCATION", "SEX"], "30d"))
        for measure, of in measures.items()
    }
    data = {
        "source": str(DATA / "credit-default" / "UCI_Credit_Card.csv"), "target": "Default", "split": {"by": "time:ID"},
        "clean": {"duplicates": "keep"}, "events": {"time": "ID", "unit": "min", "windows": windows},
    }  # fmt: skip
    product = product_of({"product": "credit", "task": "classification", "data": data})
    dataset = _prepared(tmp_path, product)
    frames = open_source(product.data.source, base=tmp_path, memory=1 << 26).chunks()
    rows = [row for chunk in frames for row in chunk.frame.iter_rows(named=True)]
    expected = _streamed(product, rows)
    assert len(expected) == 30_000
    for name in windows:
        batch = np.concatenate([dataset.raw(split)[name] for split in ("train", "validation", "test")])
        np.testing.assert_array_equal(batch, [one[name] for one in expected])
