from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.data.conftest import Prepare
from tradewind.data.dataset import Dataset
from tradewind.errors import DataError

ROWS = 200
X = [f"{value}.5" for value in range(ROWS)]
Y = ["a" if value % 3 else "b" for value in range(ROWS)]
Z = [f"{(value * 7919) % 101}.25" for value in range(ROWS)]


def findings(dataset: Dataset) -> set[tuple[str, str]]:
    return {(finding["code"], finding["column"]) for finding in dataset.profile["cleaning"]["findings"]}


def inputs(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.features.columns]


def test_constant_empty_and_identifier_columns_are_dropped_with_a_reason(make: Prepare) -> None:
    table = {"id": list(range(1, ROWS + 1)), "x": X, "same": ["k"] * ROWS, "none": [""] * ROWS, "y": Y}
    dataset = make(table)
    dropped = {column["name"]: column["dropped"] for column in dataset.profile["columns"] if "dropped" in column}
    assert inputs(dataset) == ["x"]
    assert set(dropped) == {"id", "same", "none"}
    assert dropped["id"].startswith("identifier: whole numbers that count the rows")


def test_they_stay_when_the_product_says_keep(make: Prepare) -> None:
    table = {"id": list(range(1, ROWS + 1)), "x": X, "same": ["k"] * ROWS, "y": Y}
    assert inputs(make(table, clean={"constant": "keep", "identifiers": "keep"})) == ["id", "x", "same"]


@pytest.mark.parametrize("leak", [Y, [{"a": "1.5", "b": "-2.5"}[label] for label in Y]])
def test_a_column_that_gives_the_target_away_is_found(make: Prepare, leak: list[str]) -> None:
    assert ("leakage", "leak") in findings(make({"z": Z, "leak": leak, "y": Y}))


def test_an_honest_column_is_no_leak(make: Prepare) -> None:
    assert not any(code == "leakage" for code, _ in findings(make({"z": Z, "x": X, "y": Y})))


def test_a_leak_is_dropped_or_refused_when_asked(make: Prepare) -> None:
    assert inputs(make({"z": Z, "leak": Y, "y": Y}, clean={"leakage": "drop"})) == ["z"]
    with pytest.raises(DataError, match="gives the target away"):
        make({"z": Z, "leak": Y, "y": Y}, clean={"leakage": "refuse"})


def test_a_leak_in_a_regression_is_found(make: Prepare) -> None:
    y = [f"{np.sin(value):.4f}" for value in range(ROWS)]
    leak = [f"{round(float(value))}" for value in y]
    dataset = make({"z": Z, "leak": [f"{float(value) * 2:.4f}" for value in y], "half": leak, "y": y}, task="regression",
                   clean={"duplicates": "keep"})  # fmt: skip
    assert inputs(dataset) == ["z", "leak", "half"]


def test_imbalance_and_protected_attributes_are_found(make: Prepare) -> None:
    y = ["rare" if value % 40 == 0 else "common" for value in range(ROWS)]
    dataset = make({"x": X, "gender": ["f", "m"] * (ROWS // 2), "y": y})
    assert {("imbalance", "y"), ("sensitive", "gender")} <= findings(dataset)


def test_sensitive_columns_are_kept_but_no_inputs(make: Prepare) -> None:
    table = {"x": X, "gender": ["f", "m"] * (ROWS // 2), "y": Y}
    hidden = make(table, sensitive=["gender"])
    shown = make(table, sensitive=["gender"], sensitive_as_input=True)
    assert (inputs(hidden), inputs(shown)) == (["x"], ["x", "gender"])
    assert set(hidden.raw("test")["gender"].tolist()) == {"f", "m"}


@pytest.mark.parametrize(
    ("table", "data", "code", "said"),
    [
        ({"x": X, "label": Y}, {"target": "lable"}, "target_missing", "Did you mean label?"),
        ({"x": X, "y": Y}, {"drop": ["xx"]}, "column_missing", "Columns: x, y"),
        ({"x": X, "y": Y}, {"sensitive": ["sex"]}, "column_missing", "sex"),
        ({"x": X, "y": Y}, {"columns": {"xy": "text"}}, "column_missing", "Did you mean"),
        ({"x": X, "y": Y}, {"only": ["yy"]}, "column_missing", "yy"),
        ({"x": X, "y": Y}, {"weight": "w"}, "column_missing", "w"),
        ({"x": X, "y": Y}, {"drop": ["x"]}, "no_columns", "dropped in the product file"),
        ({"x": ["1"] * ROWS, "y": Y}, {"clean": {"duplicates": "keep"}}, "split_empty", "2 of them differ"),
        ({"x": X, "y": ["a"] * ROWS}, {}, "target_constant", "a"),
        ({"x": X, "y": X}, {}, "target_not_classes", "task: regression"),
        ({"x": X, "y": Y}, {"task": "regression"}, "target_not_number", "task: classification"),
        ({"x": X, "y": [""] * ROWS}, {}, "empty", "target"),
        ({"x": X[:2], "y": Y[:2]}, {}, "target_rare", "two rows"),
    ],
)
def test_wrong_input_is_one_clear_error(
    make: Prepare, table: dict[str, list[Any]], data: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        make(table, **data)
    assert caught.value.code == f"data.{code}"
    assert said in str(caught.value)
    assert caught.value.where
    assert caught.value.hint


def test_a_test_file_without_a_column_is_refused(make: Prepare) -> None:
    with pytest.raises(DataError, match="has no column x"):
        make({"x": X, "y": Y}, files={"t.csv": "z,y\n1,a\n"}, split={"test": "t.csv"})
