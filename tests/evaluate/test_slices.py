"""Rows are labelled sensibly, and the worst corners are found."""

import numpy as np

from tradewind.evaluate.intervals import bootstrap
from tradewind.evaluate.metrics import Regression
from tradewind.evaluate.slices import MISSING, OTHERS, labels_of, slice_split


def objects(*values):
    return np.array(values, dtype=object)


def test_few_values_are_labels_of_their_own_and_missing_is_one_too():
    found = labels_of(objects("a", "b", None, 2.0, True))
    assert found.tolist() == ["a", "b", MISSING, "2", "true"]


def test_many_numbers_become_quantile_bands():
    found = labels_of(np.arange(100.0))
    assert sorted(set(found)) == ["0 to 24", "25 to 49", "50 to 74", "75 to 99"]


def test_a_heavy_value_leaves_fewer_bands_and_loses_no_row():
    values = np.r_[np.zeros(900), np.arange(1, 101)].astype(float)
    found = labels_of(values)
    assert set(found) == {"0", "1 to 100"}
    assert len(found) == 1000


def test_numbers_written_as_text_become_bands_too():
    assert labels_of(objects(*[str(at) for at in range(40)]))[0] == "0 to 9"


def test_beyond_twenty_values_the_rare_ones_are_others():
    values = [f"v{at}" for at in range(30) for _ in range(30 - at)]
    found = labels_of(objects(*values))
    assert len(set(found)) == 20
    assert OTHERS in found


def test_free_text_files_and_empty_columns_have_no_slices():
    assert labels_of(objects(*[f"text {at}" for at in range(50)])) == "nearly every row has a value of its own"
    assert labels_of(objects(b"a", b"b")) == "its values are files or lists"
    assert labels_of(np.full(3, np.nan)) == "every value is missing"


def made(errors, labels, **options):
    target = np.linspace(0, 1, len(errors))
    values = target + errors
    whole = bootstrap({"m": Regression(target, values)}, rows=len(errors), resamples=20, seed=0)["m"]
    return slice_split(
        {"city": labels}, lambda rows: Regression(target[rows], values[rows]), whole, primary="rmse",
        names=("rmse", "mae"), weight_N=None, resamples=50, seed=0, left_out={}, **options,
    )  # fmt: skip


def test_the_worst_slice_comes_first_with_an_interval_and_small_ones_are_not_judged():
    errors = np.r_[np.full(100, 0.1), np.linspace(0.8, 1.2, 40), np.full(5, 9.0)]
    found = made(errors * np.random.default_rng(0).choice([-1, 1], 145), np.repeat(["a", "b", "c"], [100, 40, 5]))
    assert [one.value for one in found.every] == ["a", "b", "c"]
    assert "c" not in [one.value for one in found.worst]
    assert found.worst == () or found.worst[0].low is not None


def test_a_clearly_worse_slice_is_marked_clear():
    errors = np.r_[np.full(200, 0.1), np.linspace(0.8, 1.2, 40)]
    found = made(errors, np.repeat(["a", "b"], [200, 40]))
    assert [(one.value, one.clear) for one in found.worst] == [("b", True)]
    assert found.worst[0].gap < 0
