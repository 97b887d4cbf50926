from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.conftest import Prepare
from tradewind.data.dataset import Dataset
from tradewind.errors import DataError

ROWS = 60
LABELS = ["a", "b"] * (ROWS // 2)
KEEP = {"duplicates": "keep", "constant": "keep"}


def rules(dataset: Dataset) -> dict[tuple[str, str], int]:
    return {(rule["rule"], rule["column"]): rule["count"] for rule in dataset.profile["cleaning"]["rules"]}


def all_raw(dataset: Dataset, column: str) -> list[Any]:
    return [value for name in ("train", "validation", "test") for value in dataset.raw(name)[column].tolist()]


def rejected(dataset: Dataset) -> list[dict[str, Any]]:
    text = (dataset.artifact.folder / "rejected.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def numbers(*first: str) -> list[str]:
    return [*first, *(f"{i}.25" for i in range(ROWS - len(first)))]


def test_units_and_separators_become_numbers_and_are_counted(make: Prepare) -> None:
    dataset = make({"x": numbers('"1,200"', "¥12.5", "3.5万", "４２"), "y": LABELS})
    assert {1200.0, 12.5, 35000.0, 42.0} <= set(all_raw(dataset, "x"))
    assert rules(dataset)["units", "x"] == 4


def test_units_stay_unread_when_the_product_says_so(make: Prepare) -> None:
    dataset = make({"x": numbers("¥12.5"), "y": LABELS}, clean={"units": False})
    assert rules(dataset)["not_a_number", "x"] == 1


def test_words_for_missing_become_missing_and_are_counted(make: Prepare) -> None:
    city = ["?", " NA ", "缺失", *["北京", "上海", "深圳"] * 19]
    dataset = make({"x": numbers("?", "None"), "city": city, "y": LABELS})
    assert rules(dataset)["missing_word", "x"] == 2
    assert rules(dataset)["missing_word", "city"] == 3
    assert all_raw(dataset, "city").count(None) == 3


def test_padding_is_taken_off_and_counted(make: Prepare) -> None:
    dataset = make({"x": numbers(" 7.5 "), "city": [" a", "a "] + ["a", "b"] * 29, "y": LABELS})
    assert set(all_raw(dataset, "city")) == {"a", "b"}
    assert rules(dataset)["whitespace", "city"] == 2
    assert rules(dataset)["whitespace", "x"] == 1


@pytest.mark.parametrize(("impossible", "left"), [("missing", ROWS), ("reject", ROWS - 1), ("keep", ROWS)])
def test_an_impossible_age_is_treated_as_the_product_says(make: Prepare, impossible: str, left: int) -> None:
    age = ["999", *(str(20 + i) for i in range(ROWS - 1))]
    dataset = make({"age": age, "y": LABELS}, clean={"impossible": impossible})
    ages = np.array(all_raw(dataset, "age"))
    assert len(ages) == left
    assert (999.0 in ages) == (impossible == "keep")


def test_infinite_numbers_are_never_kept(make: Prepare) -> None:
    dataset = make({"x": numbers("inf"), "y": LABELS}, clean={"impossible": "keep"})
    assert not np.isinf(np.array(all_raw(dataset, "x"))).any()


@pytest.mark.parametrize(("pii", "shown"), [("redact", False), ("report", True), ("keep", True)])
def test_personal_data_is_found_and_redacted(make: Prepare, pii: str, shown: bool) -> None:
    notes = [f"please write to person{i}@example.com about order {i}" for i in range(ROWS)]
    dataset = make({"note": notes, "y": LABELS}, clean={"pii": pii})
    assert ("person1@example.com" in " ".join(all_raw(dataset, "note"))) == shown
    assert rules(dataset).get(("pii_email", "note"), 0) == (0 if pii == "keep" else ROWS)


def test_a_row_without_target_is_kept_with_file_line_and_reason(make: Prepare) -> None:
    dataset = make({"x": numbers(), "y": ["a", "", *LABELS[2:]]})
    [row] = rejected(dataset)
    assert (Path(row["file"]).name, row["line"], row["code"]) == ("rows.csv", 3, "target_missing")
    assert row["reason"] == "The target y is missing."


def test_a_label_with_a_full_stop_is_the_class_without_it(make: Prepare) -> None:
    dataset = make({"x": numbers(), "y": ["a.", "b.", *LABELS[2:]]})
    assert dataset.features.target.state()["classes"] == ["a", "b"]
    assert rules(dataset)["label_full_stop", "y"] == 2


def test_a_weight_must_be_a_number_not_below_zero(make: Prepare) -> None:
    dataset = make({"x": numbers(), "w": ["-1", "", *["2"] * (ROWS - 2)], "y": LABELS}, weight="w")
    assert [row["code"] for row in rejected(dataset)] == ["weight_invalid", "weight_invalid"]
    weight = dataset.split("train").weight
    assert weight is not None
    assert set(weight.tolist()) == {2.0}


def test_outliers_are_clipped_by_the_fitted_column(make: Prepare) -> None:
    x = numbers("1000000")
    plain = make({"x": x, "y": LABELS})
    clipped = make({"x": x, "y": LABELS}, clean={"outliers": "clip"})
    assert clipped.features.fingerprint != plain.features.fingerprint


def test_when_every_row_is_rejected_the_first_reason_is_told(make: Prepare) -> None:
    with pytest.raises(DataError, match=r"60 rows were rejected; the first .*cannot be read"):
        make({"scan": [f"{value}.png" for value in range(ROWS)], "y": LABELS})
