"""The short way through plain rows gives the bits of the long way, and steps aside for every other row."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import DataError
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.plain_rows import PlainRows
from tradewind.features.target import fit_target

WORDS = ["a", "b", "c", "深圳"]
NORMALISE = ("standard", "minmax", "robust", "none")


def fitted(*, gaps=True, outliers="clip", rows=60, normalise=NORMALISE):
    random = np.random.default_rng(0)
    values = {f"x{i}": random.normal(3, 2, rows) for i in range(len(normalise))}
    if gaps:
        values["x0"][3] = np.nan
        values["x2"][5] = np.nan
    specs = [
        ColumnSpec(name=f"x{i}", kind="number", options={"normalise": how, "outliers": outliers})
        for i, how in enumerate(normalise)
    ]
    specs.insert(1, ColumnSpec(name="word", kind="category", options={}))
    values["word"] = np.array([WORDS[i % 4] for i in range(rows)], dtype=object)
    target = fit_target("classification", np.array(["y", "n"] * (rows // 2), dtype=object))
    return FeatureSet.fit(specs, values, target, seed=0)


FEATURES = fitted()
LONG = FeatureSet.from_state(FEATURES.state())
object.__setattr__(LONG, "_plain", None)

number = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**70), 2**70))
plain = st.fixed_dictionaries({f"x{i}": number for i in range(4)} | {"word": st.sampled_from(WORDS)})
odd = st.one_of(st.none(), st.booleans(), st.text(max_size=4), number, st.sampled_from(["1,200", " a", "b "]))
any_row = st.dictionaries(st.sampled_from(["x0", "x1", "x2", "x3", "word"]), odd, min_size=1)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert one[name].tobytes() == other[name].tobytes()


@settings(max_examples=200)
@given(st.lists(st.one_of(plain, any_row), min_size=1, max_size=5))
def test_both_ways_give_the_same_bits(rows):
    same(FEATURES.encode_rows(rows), LONG.encode_rows(rows))


@settings(max_examples=200)
@given(st.one_of(plain, any_row, st.dictionaries(st.sampled_from(["x0", "y"]), odd)))
def test_a_row_that_is_accepted_would_pass_the_long_check(row):
    def checked(features):
        try:
            return features.check_row(row)
        except DataError as error:
            return str(error)

    assert checked(FEATURES) == checked(LONG)


def test_plain_rows_do_take_the_short_way():
    row = {"x0": 1.5, "x1": 2, "x2": 0.0, "x3": -1e9, "word": "深圳"}
    short = PlainRows.of(FEATURES.columns)
    assert short.accepts(row)
    assert short.encode([row, row])["numbers"].shape == (2, 6)


@pytest.mark.parametrize("row", [{}, {"x0": 1.0}, {"x0": True, "x1": 1, "x2": 1, "x3": 1, "word": "a"},
                                 {"x0": 1, "x1": 1, "x2": 1, "x3": 1, "word": "new"}, {"x0": "1", "x1": 1, "x2": 1, "x3": 1, "word": "a"}])  # fmt: skip
def test_other_rows_do_not(row):
    short = PlainRows.of(FEATURES.columns)
    assert not short.accepts(row)


def test_a_quantile_map_is_not_plain():
    assert PlainRows.of(fitted(normalise=("quantile", "standard"), gaps=False).columns) is None


def test_missing_numbers_raise_their_flag():
    row = {"x0": math.nan, "x1": 1.0, "x2": math.inf, "x3": 1.0, "word": "a"}
    numbers = FEATURES.encode_rows([row])["numbers"][0]
    assert (numbers[1], numbers[4]) == (1.0, 1.0)
