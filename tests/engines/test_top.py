"""The best of many items: exact search is a whole sort, with ties, with items left out; an index of neighbours finds nearly the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.engines import cells
from tradewind.engines import top as rooms
from tradewind.engines.top import Top, best_of

NONE = np.empty(0, np.int64)


def sorted_whole(scores, k, without, allowed=None):
    """Every item in order of its score, then of its place."""
    left = np.ones(len(scores), bool) if allowed is None else allowed.copy()
    left[without] = False
    places = np.flatnonzero(left)
    return places[np.lexsort((places, -scores[places]))[:k]]


@given(seed=st.integers(0, 9999), items=st.integers(1, 300), k=st.integers(1, 40), barred=st.integers(0, 60), levels=st.integers(1, 50))  # fmt: skip
def test_exact_is_a_whole_sort(seed, items, k, barred, levels):
    random = np.random.default_rng(seed)
    # Whole numbers: many ties, and sums that are the same in any order.
    matrix = random.integers(-levels, levels + 1, (items, 3)).astype(np.float32)
    addend = random.integers(-levels, levels + 1, items).astype(np.float32)
    query = random.integers(-3, 4, 3).astype(np.float32)
    without = random.integers(0, items, barred)
    allowed = random.random(items) < 0.7
    scores = matrix @ query + addend
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rooms, "_BLOCK", 32)
        places, found = Top(matrix, addend).exact(query, k, without=without)
    assert places.tolist() == sorted_whole(scores, k, without).tolist()
    assert found.tolist() == scores[places].tolist()
    chosen, _ = best_of(scores, k, without=without, allowed=allowed)
    assert chosen.tolist() == sorted_whole(scores, k, without, allowed).tolist()


def test_nothing_is_left_where_all_are_barred():
    top = Top(np.ones((5, 2), np.float32), np.zeros(5, np.float32))
    places, scores = top.best(np.ones(2, np.float32), 3, without=np.arange(5))
    assert (len(places), len(scores)) == (0, 0)


def test_given_scores_are_not_changed():
    scores = np.arange(6, dtype=np.float32)
    best_of(scores, 2, without=np.array([5]))
    assert scores.tolist() == [0, 1, 2, 3, 4, 5]


ITEMS, WIDTH = 20_000, 24


@pytest.fixture(scope="module")
def near() -> Top:
    """Items in groups, as learnt ones lie, in cells of 500."""
    random = np.random.default_rng(0)
    matrix = THEMES[random.integers(0, 60, ITEMS)] + random.normal(size=(ITEMS, WIDTH))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cells, "CELL", 500)
        return Top.near(matrix.astype(np.float32), random.normal(0, 2, ITEMS).astype(np.float32), like_QW=queries(0))


THEMES = np.random.default_rng(7).normal(size=(60, WIDTH))


def queries(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (THEMES[random.integers(0, 60, 50)] + 0.5 * random.normal(size=(50, WIDTH))).astype(np.float32)


def in_order(top: Top, query, k, without, allowed=None, lifts=0):
    return sorted_whole(top.matrix_IW @ query + top.addend_I + lifts, k, without, allowed)


RULES = {
    "none": {},
    "most are allowed": {"allowed": np.random.default_rng(3).random(ITEMS) < 0.9},
    "few are allowed": {"allowed": np.arange(ITEMS) % 50 == 0},
    "some are lifted": {"lifts_I": np.where(np.arange(ITEMS) % 40 == 0, np.float32(3), np.float32(0))},
    "some are put back": {"lifts_I": np.where(np.arange(ITEMS) % 2 == 0, np.float32(-9), np.float32(0))},
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_cells_find_nearly_all_of_the_best_and_score_them_exactly(near, rule):
    shared = 0
    lifts = rule.get("lifts_I", np.zeros(ITEMS, np.float32))
    for query in queries(1):
        barred = in_order(near, query, 5, NONE, rule.get("allowed"), lifts)[:3]
        found, scores = near.best(query, 10, without=barred, **rule)
        shared += len(set(in_order(near, query, 10, barred, rule.get("allowed"), lifts)) & set(found.tolist()))
        assert len(set(found.tolist())) == 10
        assert scores == pytest.approx((near.matrix_IW @ query + near.addend_I + lifts)[found], rel=1e-5, abs=1e-5)
        assert (np.diff(scores) <= 0).all()
    assert shared >= 0.95 * 500


def test_most_items_are_not_looked_at(near):
    assert near.cells is not None
    assert near.cells.looked_at < 0.6
    assert near.cells.nbytes < near.matrix_IW.nbytes / 2
    assert sum(len(near.cells.candidates(query, 10)) for query in queries(1)) < 50 * ITEMS / 20


def test_many_that_were_met_are_left_out_and_the_next_ones_found(near):
    query = queries(2)[0]
    barred = in_order(near, query, 300, NONE)
    found, _ = near.best(query, 10, without=barred)
    assert len(set(in_order(near, query, 310, NONE)[300:]) & set(found.tolist())) >= 9
    assert not set(found.tolist()) & set(barred.tolist())


def test_all_are_looked_at_where_the_cells_hold_too_few(near):
    query = queries(2)[1]
    allowed = np.ones(ITEMS, bool)
    allowed[in_order(near, query, ITEMS - 20_000 + 19_000, NONE)] = False
    found, _ = near.best(query, 10, without=NONE, allowed=allowed)
    assert found.tolist() == in_order(near, query, 10, NONE, allowed).tolist()


def test_cells_are_made_alike_each_time():
    random = np.random.default_rng(0)
    matrix, addend = random.normal(size=(9000, 8)).astype(np.float32), np.zeros(9000, np.float32)
    one, other = (Top.near(matrix, addend, like_QW=matrix[:20]) for _ in range(2))
    query = random.normal(size=8).astype(np.float32)
    assert one.best(query, 30, without=NONE)[0].tolist() == other.best(query, 30, without=NONE)[0].tolist()
