"""Thresholds moved by group: the odds are moved, and who is unknown has the common one."""

import numpy as np
import pytest

from tradewind.features.shifts import moved, shift_of, shift_of_rows

SHIFTS = {"sex": {"f": -0.5, "m": 0.25}, "age": {"2": 1.0}}
ROWS = [{"sex": "f"}, {"sex": " m ", "age": 2.0}, {"sex": None}, {"sex": "x", "age": 3}, {}]


def test_shifts_of_several_columns_add_up_and_the_unknown_moves_nothing():
    assert shift_of_rows(SHIFTS, ROWS).tolist() == [-0.5, 1.25, 0.0, 0.0, 0.0]


def test_columns_and_rows_agree():
    values = {name: np.array([row.get(name) for row in ROWS], dtype=object) for name in SHIFTS}
    assert shift_of(SHIFTS, values, rows=5).tolist() == shift_of_rows(SHIFTS, ROWS).tolist()
    assert shift_of(SHIFTS, {"sex": values["sex"]}, rows=5).tolist() == [-0.5, 0.25, 0.0, 0.0, 0.0]


def test_the_log_odds_of_the_threshold_are_moved():
    found = moved(0.3, np.array([0.0, 0.7, -40.0]))
    assert found[0] == 0.3
    assert np.log(found[1] / (1 - found[1])) == pytest.approx(np.log(0.3 / 0.7) + 0.7)
    assert 0 < found[2] < 1e-12
