"""Category columns: one key for one value however it is written, codes by frequency."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.features.category import CategoryColumn, category_key
from tradewind.features.column import ColumnSpec

VALUES = st.one_of(
    st.text(max_size=4),
    st.sampled_from(["a", "b", " a", "2", "2.0", "True", "是"]),
    st.integers(-3, 3),
    st.floats(),
    st.booleans(),
    st.none(),
)
TRAINING = st.lists(VALUES, max_size=40)


def objects(values) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array


def fitted(values, **options) -> CategoryColumn:
    return CategoryColumn.fit(ColumnSpec("c", "category", options), objects(values), seed=0)


def one(column: CategoryColumn, value: object) -> int:
    categories: list[int] = []
    assert column.apply_one(value, [], categories) == {}
    return categories[0]


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("a", "a"), (" a ", "a"), ("2.0", "2"), (2.0, "2"), (2, "2"), (np.int64(2), "2"), (np.float32(0.1), "0.1"), (0.1, "0.1"),
        (True, "true"), ("True", "true"), (np.bool_(False), "false"), ("01", "01"), ("1.10", "1.10"), (-0.0, "0"), ("-0.0", "0"),
        (None, None), (math.nan, None), ("", None), ("  ", None), ("已婚", "已婚"), (1e22, "10000000000000000000000"), (b"x", "x"),
    ],
)  # fmt: skip
def test_a_value_has_one_key_however_it_is_written(value, key):
    assert category_key(value) == key


def test_codes_go_by_frequency_then_by_name_and_zero_is_unknown():
    column = fitted(["b", "a", "c", "c", None, "b", "a"])
    assert column.vocabulary == ("a", "b", "c")
    assert column.apply(objects(["c", None, "never seen", " a"])).categories_BC.tolist() == [[3], [0], [0], [1]]
    assert column.layout.categories[0].cardinality == 4


def test_rare_values_and_those_beyond_the_size_get_no_code():
    assert fitted(["a", "a", "b"], minimum_count=2).vocabulary == ("a",)
    assert fitted(["a", "a", "b", "b", "b"], most=1).vocabulary == ("b",)


@settings(max_examples=60)
@given(TRAINING, TRAINING)
def test_one_value_and_many_agree_and_the_state_survives_json(training, asked):
    column = fitted(training)
    again = CategoryColumn.from_state(json.loads(json.dumps(column.state())))
    assert again == column
    values = [*training, *asked]
    assert again.apply(objects(values)).categories_BC[:, 0].tolist() == [one(column, value) for value in values]


@settings(max_examples=40)
@given(TRAINING, st.randoms(use_true_random=False))
def test_the_order_of_training_rows_does_not_matter(training, random):
    shuffled = list(training)
    random.shuffle(shuffled)
    assert fitted(shuffled) == fitted(training)


def test_arrays_of_numbers_and_of_objects_give_the_same_codes():
    values = np.array([1.0, 2.5, math.nan, 2.5, 1.0, 1.0])
    column = fitted(values.tolist())
    assert column == CategoryColumn.fit(ColumnSpec("c", "category"), values, seed=0)
    assert column.apply(values).categories_BC.tolist() == column.apply(objects(values.tolist())).categories_BC.tolist()
    assert CategoryColumn.fit(ColumnSpec("c", "category"), np.array([True, False]), seed=0).vocabulary == (
        "false",
        "true",
    )


def test_odd_objects_never_raise():
    column = fitted(["a"])
    for value in ([1], {"a": 1}, np.array([1, 2]), object(), b"\xff"):
        assert one(column, value) == 0
