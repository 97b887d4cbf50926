from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from tradewind.data.inference import Inferred, infer
from tradewind.product import ColumnOptions


def kind_of(values: list[object], name: str = "column", **options: object) -> Inferred:
    given = {name: ColumnOptions.model_validate(options)} if options else {}
    return infer(pl.DataFrame({name: values}), given=given)[name]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("price", ["1.5", "2", "-3e2", "4"] * 10, "number"),
        ("price", ["1,200", "¥12.5", "3.5万", "40%"] * 10, "number"),
        ("price", ["1.5", "?", "NA", "2.25", "7"] * 10, "number"),
        ("面积", ["85.3平米", "102平米", "NA", "60 平米"] * 10, "number"),
        ("weight", ["5 kg", "300 克", "2.5 kg", "12 kg"] * 10, "category"),
        ("band", ["20-29岁", "30-39岁", "10+ years"] * 10, "category"),
        ("built", ["2019年", "2020年", "2021年"] * 10, "category"),
        ("city", ["北京", "上海", "广州"] * 20, "category"),
        ("answer", ["yes", "no"] * 20, "category"),
        ("code", ["1", "2"] * 20, "category"),
        ("postcode", ["04519", "10115", "00001"] * 20, "category"),
        ("day", ["2026-01-05", "2026-02-07"] * 20, "date"),
        ("day", ["2026年1月5日", "2026年3月6日"] * 20, "date"),
        ("created_at", [str(1_767_571_200 + 977 * i) for i in range(40)], "date"),
        ("ID", [str(i) for i in range(1, 41)], "identifier"),
        ("order", [f"A-{i:x}{i * 7919:x}" for i in range(100)], "identifier"),
        ("phone", [str(13_800_000_000 + 7919 * i) for i in range(40)], "identifier"),
        ("note", [f"the customer called {i} times about the bill" for i in range(50)], "text"),
        ("评论", [f"第{i}次送餐很快味道也非常好下次还会再来" for i in range(50)], "text"),
        ("scan", [f"images/{i}.png" for i in range(30)], "image"),
        ("empty", ["", "?", "NA"], "category"),
    ],
)
def test_strings_are_read_as_a_person_would(name: str, values: list[object], kind: str) -> None:
    assert kind_of(values, name).kind == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.5, 3.5], "number"),
        ([True, False, None], "category"),
        ([date(2026, 1, 5), None], "date"),
        ([b"\x89PNG"], "image"),
    ],
)
def test_types_of_the_source_count(values: list[object], kind: str) -> None:
    assert kind_of(values).kind == kind


def test_every_kind_comes_with_a_reason() -> None:
    assert (
        kind_of(["1,200", "300"] * 10).reason
        == "100.0% of 20 values read as numbers, 10 of them with a unit or separator"
    )


def test_the_product_file_goes_before_what_is_seen() -> None:
    assert kind_of(["1", "5", "7"], kind="category") == Inferred("category", "given in the product file", given=True)


def test_an_age_has_bounds() -> None:
    found = kind_of([str(20 + i) for i in range(30)] * 2, "age")
    assert (found.minimum, found.maximum) == (0.0, 130.0)


def test_a_lone_negative_code_bounds_a_column_of_amounts() -> None:
    assert kind_of([str(i) for i in range(30)] * 2 + ["-999"]).minimum == 0.0


def test_further_words_for_missing_are_heard() -> None:
    found = infer(pl.DataFrame({"x": ["1.5", "2.25", "bad", "bad"]}), given={}, missing=["bad"])
    assert found["x"].kind == "number"
