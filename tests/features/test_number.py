"""Number columns: reading, fitting on anything, and one arithmetic for one value and for many."""

import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tradewind.errors import DataError
from tradewind.features.column import Column, ColumnSpec
from tradewind.features.number import METHODS, NumberColumn, parse_number, unit_of

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
FEW = st.sampled_from([0.0, -0.0, 1.0, 1.0, 7.5, 1e30, math.nan])
TRAINING = st.lists(st.one_of(NUMBERS, FEW), max_size=60).map(lambda found: np.array(found, dtype=np.float64))


def fitted(values, **options) -> NumberColumn:
    return NumberColumn.fit(ColumnSpec("x", "number", options), np.asarray(values), seed=0)


def one(column: Column, value: object) -> list[float]:
    numbers: list[float] = []
    assert column.apply_one(value, numbers, []) == {}
    return np.array(numbers, dtype=np.float32).tolist()


def bits(rows) -> bytes:
    return np.array(rows, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12), ("-3.5", -3.5), ("1e5", 1e5), (".5", 0.5), (" 7 ", 7), ("+7", 7), ("−5", -5),
        ("1,200", 1200), ("1,234,567.89", 1234567.89), ("12,34,567.5", 1234567.5), ("1 234 567", 1234567), ("1'234.5", 1234.5),
        ("¥12.5", 12.5), ("￥１，２００", 1200), ("US$5.00", 5), ("-$5", -5), ("$-5", -5), ("5 €", 5), ("EUR 5", 5), ("12.5元", 12.5),
        ("40%", 0.4), ("0.1%", 0.001), ("５％", 0.05), ("5‰", 0.005),
        ("3.5万", 35000), ("3.3万元", 33000), ("2亿", 2e8), ("1.5万亿", 1.5e12), ("1亿2000万", 1.2e8), ("3万5000元", 35000), ("12k", 12000),
        ("85.3平米", 85.3), ("１２ kg", 12), ("1,200公里", 1200), ("3.5万人", 35000), ("12年", 12), ("-4℃", -4), ("2 Years", 2),
        ("(1,200)", -1200), ("（40%）", -0.4), ("１２３", 123),
        ("12,5", 12.5), ("0,125", 0.125), ("1.234,56", 1234.56), ("1234,567", 1234.567), ("1.234.567", 1234567), ("1,234", 1234), ("1.234", 1.234),
    ],
)  # fmt: skip
def test_written_numbers_are_read(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-",
            "abc",
            "nan",
            "inf",
            "1e999",
            "1_000",
            "5²",
            "1/2",
            "10:20",
            "2026-01-05",
            "1.2.3",
            "--5",
            "(5",
            "-(5)",
        ),
        *(
            "2026年",
            "5m",
            "kg",
            "20-29岁",
            "3平米平米平米 5",
            "¥",
            "1,200,",
            "1,23,4",
            "+86 13800138000",
            "12 34",
            "二十",
            "9" * 400,
        ),
    ],
)
def test_what_is_no_number_is_nan(text):
    assert math.isnan(parse_number(text))


@given(st.text(max_size=30))
@example("1" * 30 + ",")
def test_reading_never_raises_and_gives_no_infinity(text):
    assert not math.isinf(parse_number(text))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_python_writes_is_read_back_exactly(number):
    assert parse_number(repr(number)) == number


@settings(max_examples=60)
@given(TRAINING, st.sampled_from(METHODS), st.sampled_from(["keep", "clip", "missing"]), st.lists(NUMBERS, max_size=20))
def test_one_value_and_many_give_the_same_bits_and_the_state_survives_json(training, method, outliers, asked):
    column = fitted(training, normalise=method, outliers=outliers)
    again = NumberColumn.from_state(json.loads(json.dumps(column.state(), allow_nan=False)))
    assert again == column
    values = np.array([*asked, *training.tolist(), math.nan], dtype=np.float64)
    numbers_BN = again.apply(values).numbers_BN
    assert np.isfinite(numbers_BN).all()
    assert bits(numbers_BN) == bits([one(column, value) for value in values.tolist()])
    assert numbers_BN.shape[1] == len(column.layout.numbers)


@settings(max_examples=40)
@given(TRAINING, st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_the_order_of_training_rows_does_not_matter(training, method, random):
    shuffled = training.tolist()
    random.shuffle(shuffled)
    assert fitted(np.array(shuffled), normalise=method) == fitted(training, normalise=method)


@settings(max_examples=40)
@given(TRAINING, st.sampled_from(METHODS), st.lists(NUMBERS.filter(math.isfinite), min_size=2, max_size=20))
def test_a_larger_number_never_gives_a_smaller_float(training, method, asked):
    inside = np.sort([value for value in asked if abs(value) <= 1e38] or [0.0])
    assert (np.diff(fitted(training, normalise=method).apply(inside).numbers_BN[:, 0]) >= 0).all()


def test_every_distinct_value_is_an_edge_where_they_are_few():
    values = np.random.default_rng(0).choice([0.0, 15024.0, 15025.0, 99999.0, 3.3], 1000)
    column = fitted(values)
    assert sorted(set(column.apply(values).numbers_BN[:, 0].tolist())) == list(column.bins)


def test_bins_follow_both_the_rows_and_the_long_tail():
    values = np.concatenate([np.zeros(10_000), np.random.default_rng(0).lognormal(8, 1, 500)])
    column = fitted(values)
    assert len(column.bins) > 40
    assert column.bins[0] == column.apply(np.array([0.0])).numbers_BN[0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_normalised_training_values_have_the_promised_scale(method):
    values = np.random.default_rng(1).normal(1000, 50, 4000)
    z = fitted(values, normalise=method).apply(values).numbers_BN[:, 0]
    if method == "none":
        assert z == pytest.approx(values, rel=1e-6)
    elif method == "minmax":
        assert (z.min(), z.max()) == (0, 1)
    else:
        assert abs(z.mean()) < 0.05
        assert 0.9 < z.std() < 1.1


def test_quantile_is_scikit_learns_but_for_ties():
    from sklearn.preprocessing import QuantileTransformer

    values = np.random.default_rng(2).lognormal(0, 2, 5000)
    reference = QuantileTransformer(output_distribution="normal", n_quantiles=1000).fit_transform(values[:, None])[:, 0]
    z = fitted(values, normalise="quantile").apply(values).numbers_BN[:, 0]
    middle = np.abs(reference) < 2
    assert np.abs(z - reference)[middle].max() < 0.02


def test_a_heavy_tail_is_brought_in_by_rank_and_a_tame_column_is_standardised():
    tame = np.random.default_rng(3).normal(0, 1, 20_000)
    assert fitted(tame).normalise == "standard"
    assert fitted(np.append(tame, 1e9)).normalise == "quantile"


def test_missing_and_infinite_training_values_bring_a_flag():
    column = fitted([1.0, math.nan, math.inf, 3.0])
    assert [feature.name for feature in column.layout.numbers] == ["x", "x:missing"]
    assert column.apply(np.array([math.nan, 2.0])).numbers_BN.tolist() == [[0.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("values", [[], [math.nan] * 3, [5.0] * 3, [math.inf], [1e300, -1e300], [5e-324, 0.0]])
@pytest.mark.parametrize("method", METHODS)
def test_a_column_with_little_to_learn_from_still_encodes(values, method):
    column = fitted(np.array(values, dtype=np.float64), normalise=method)
    assert np.isfinite(column.apply(np.array([5.0, math.nan, 1e308, -math.inf])).numbers_BN).all()


def test_impossible_values_are_missing_and_outliers_do_as_told():
    values = np.concatenate([np.linspace(20, 60, 101), [-999.0, 5000.0]])
    column = fitted(values, minimum=0, outliers="clip", normalise="none")
    assert column.apply(np.array([-999.0, 30.0, 5000.0])).numbers_BN[:2].tolist() == [[0.0, 1.0], [30.0, 0.0]]
    assert one(column, 5000.0) == one(column, 1e6)
    assert one(fitted(values, outliers="missing"), 5000.0) == [0.0, 1.0]


def test_raw_text_and_odd_objects_are_read():
    column = fitted([0.0, 10.0], normalise="none")
    values = np.array(["1,200", None, "abc", True, b"5", [1], 10**400, np.int64(3)], dtype=object)
    assert column.apply(values).numbers_BN[:, 0].tolist() == [1200, 0, 0, 1, 0, 0, 0, 3]


def test_an_unknown_normalisation_names_the_nearest():
    with pytest.raises(DataError, match="Did you mean standard"):
        fitted([1.0], normalise="standart")


@pytest.mark.parametrize(
    ("text", "unit"), [("85.3平米", "平米"), ("12 KG", "kg"), ("12", None), ("¥12.5", None), ("平米", None)]
)
def test_the_unit_behind_a_number_is_told(text, unit):
    assert unit_of(text) == unit
