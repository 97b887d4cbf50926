from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.data.conftest import Prepare, csv_of
from tests.data.test_clean import rejected
from tradewind.data.dataset import Dataset
from tradewind.data.splits import _by_chance
from tradewind.errors import DataError

ROWS = 200
X = [f"{value}.5" for value in range(ROWS)]
Y = ["a" if value % 5 else "b" for value in range(ROWS)]


def sizes(dataset: Dataset) -> tuple[int, ...]:
    return tuple(dataset.split(name).rows for name in ("train", "validation", "test"))


def column(dataset: Dataset, name: str) -> list[set[Any]]:
    return [set(dataset.raw(side)[name].tolist()) for side in ("train", "validation", "test")]


def test_shares_are_exact_in_each_class(make: Prepare) -> None:
    dataset = make({"x": X, "y": Y})
    assert sizes(dataset) == (144, 16, 40)
    assert dataset.profile["classes"]["test"] == {"a": 32, "b": 8}


def test_the_split_does_not_depend_on_the_order_of_rows() -> None:
    units = np.random.default_rng(0).integers(0, 2**63, 1000).astype(np.uint64)
    order = np.random.default_rng(1).permutation(1000)
    chosen = _by_chance(units, 0.3, seed=1, strata=None)
    assert (_by_chance(units[order], 0.3, seed=1, strata=None) == chosen[order]).all()


def test_another_seed_gives_another_split(make: Prepare) -> None:
    one, other = make({"x": X, "y": Y}), make({"x": X, "y": Y}, split={"seed": 1})
    assert column(one, "x")[2] != column(other, "x")[2]


def test_a_group_never_stands_on_two_sides(make: Prepare) -> None:
    group = [f"g{value % 20}" for value in range(ROWS)]
    dataset = make({"x": X, "patient": group, "y": Y}, split={"by": "group:patient"}, only=["x", "patient"])
    train, validation, test = column(dataset, "patient")
    assert (len(train | validation | test), len(train) + len(validation) + len(test)) == (20, 20)
    assert len(test) == 4


def test_the_group_is_no_input_unless_it_is_named(make: Prepare) -> None:
    group = [f"g{value % 20}" for value in range(ROWS)]
    dataset = make({"x": X, "patient": group, "y": Y}, split={"by": "group:patient"})
    assert [one.name for one in dataset.features.columns] == ["x"]


def test_by_time_the_latest_rows_are_tested(make: Prepare) -> None:
    day = [f"2026-{value % 12 + 1:02d}-{value % 28 + 1:02d}" for value in range(ROWS)]
    dataset = make({"x": X, "day": day, "y": Y}, split={"by": "time"})
    train, validation, test = column(dataset, "day")
    assert max(train) < min(validation)
    assert max(validation) < min(test)


def test_a_row_without_its_time_is_rejected(make: Prepare) -> None:
    day = ["soon", *(f"2026-01-{value % 28 + 1:02d}" for value in range(ROWS - 1))]
    dataset = make({"x": X, "day": day, "y": Y}, split={"by": "time:day"})
    assert [row["code"] for row in rejected(dataset)] == ["time_missing"]


def test_a_column_may_say_the_split(make: Prepare) -> None:
    side = ["train", "训练", "val", "Test"] * 50
    dataset = make({"x": X, "side": side, "y": Y}, split={"by": "column:side"})
    assert sizes(dataset) == (100, 50, 50)
    assert [one.name for one in dataset.features.columns] == ["x"]


def test_files_of_their_own_are_taken_as_they_are(make: Prepare) -> None:
    own = csv_of({"y": ["a", "b", "b"], "x": ["901", "902", "902"]})
    dataset = make({"x": X, "y": Y}, files={"t.csv": own, "v.csv": own.replace("90", "80")},
                   split={"test": "t.csv", "validation": "v.csv"})  # fmt: skip
    assert sizes(dataset) == (200, 3, 3)
    assert dataset.raw("test")["x"].tolist() == [901.0, 902.0, 902.0]


def test_a_class_with_one_row_stays_in_train(make: Prepare) -> None:
    dataset = make({"x": X, "y": ["rare", *Y[1:]]})
    assert dataset.profile["classes"]["train"]["rare"] == 1


def test_a_test_row_of_an_unseen_class_is_rejected(make: Prepare) -> None:
    dataset = make({"x": X, "y": Y}, files={"t.csv": "x,y\n901,a\n902,new\n903,b\n"}, split={"test": "t.csv"})
    assert [(row["line"], row["code"]) for row in rejected(dataset)] == [(3, "class_unseen")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"split": {"by": "time"}}, "data.time_column"),
        ({"split": {"by": "column:z"}}, "data.split_values"),
        ({"split": {"by": "group:z"}}, "data.split_empty"),
        ({"split": {"by": "group:nobody"}}, "data.column_missing"),
        ({"split": {"by": "time:z"}}, "data.time_unreadable"),
    ],
)
def test_keys_that_do_not_serve_are_one_clear_error(make: Prepare, data: dict[str, Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        make({"x": X, "z": ["word"] * ROWS, "y": Y}, **data)
    assert caught.value.code == code
    assert caught.value.where
    assert caught.value.hint


def test_a_test_file_that_is_the_training_file_leaves_nothing_to_train_on(make: Prepare) -> None:
    with pytest.raises(DataError, match="200 rows were dropped because a copy stands in another split"):
        make({"x": X, "y": Y}, split={"test": "rows.csv"})
