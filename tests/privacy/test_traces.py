"""Only what no other row says is a person's own; equal rows have equal keys wherever they were read."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradewind.privacy.traces import Own, row_key

CELLS = st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8)


def own(mine, others=()):
    found = Own()
    found.add(mine)
    found.share(others)
    return found


def test_what_others_say_too_is_nobodys_own():
    found = own(["a rare profession", "nurse"], ["nurse", "A RARE bird"])
    assert found.texts == {"a rare profession"}
    assert found.words == {"profession", "a rare profession"}


def test_short_figures_and_dates_tell_nobody_apart_but_a_telephone_number_does():
    assert not own(["52341.77", "2026-01-05", "7", "", None])
    assert own(["13800138000"]).texts == {"13800138000"}


def test_three_chinese_characters_are_enough():
    assert own(["王小明", "好"]).texts == {"王小明"}


@given(CELLS, CELLS)
def test_nothing_that_another_row_says_is_left(mine, others):
    found = own(mine, others)
    said = {text.strip() for text in others if text}
    assert not found.texts & said
    assert not found.words & {text.casefold() for text in said}
    assert found.texts <= {text.strip() for text in mine if text}


def test_a_row_from_parquet_and_one_from_golden_examples_have_one_key():
    parquet = {"n": 3, "x": float("nan"), "t": "ab", "f": np.float32(0.1), "p": b"png"}
    golden = {"n": np.float64(3.0), "x": None, "t": "ab", "f": float(np.float32(0.1)), "p": b"png"}
    assert row_key(parquet) == row_key(golden)
    assert row_key({"n": True}) != row_key({"n": 1})
