from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.conftest import Prepare
from tradewind.data.profile import describe


def test_numbers_are_described_as_numpy_does() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    found = describe("number", pl.Series(np.r_[values, np.nan]))
    assert (found["rows"], found["missing"], found["distinct"]) == (1002, 1, 1001)
    np.testing.assert_allclose(found["quantiles"]["0.95"], np.quantile(values, 0.95))
    np.testing.assert_allclose([found["mean"], found["deviation"]], [values.mean(), values.std()])
    low, high = np.quantile(values, [0.01, 0.99])
    assert sum(found["histogram"]["counts"]) == int(((values >= low) & (values <= high)).sum())


def test_a_column_of_one_value_or_none_is_described_too() -> None:
    assert sum(describe("number", pl.Series([2.0, 2.0]))["histogram"]["counts"]) == 2
    assert describe("number", pl.Series([np.nan]))["distinct"] == 0


def test_words_are_described_by_their_most_frequent() -> None:
    found = describe("category", pl.Series([1, 2, 2, 0], dtype=pl.UInt32), ["a", "b"])
    assert found == {
        "rows": 4,
        "missing": 1,
        "distinct": 2,
        "top": [{"value": "b", "count": 2}, {"value": "a", "count": 1}],
    }


def test_the_profile_counts_rows_and_classes(make: Prepare) -> None:
    rows = {"x": [f"{value}.5" for value in range(100)], "y": ["", *["a", "b"] * 49, "a"]}
    profile = make(rows).profile
    assert profile["rows"] == {"read": 100, "rejected": 1, "train": 71, "validation": 8, "test": 20}
    assert sum(profile["classes"]["train"].values()) == 71
    assert profile["sources"][0]["split"] == "train"
