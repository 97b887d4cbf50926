"""The best of many items: exact search is a whole sort, with ties, with items left out; an index of neighbours finds nearly the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    """Items in groups, as learnt ones lie, with codes."""
    random = np.random.default_rng(0)
    matrix = THEMES[random.integers(0, 60, ITEMS)] + random.normal(size=(ITEMS, WIDTH))
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
def test_codes_find_nearly_all_of_the_best_and_score_them_exactly(near, rule):
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


def test_few_items_are_scored_and_their_codes_are_small(near):
    assert near.codes is not None
    assert near.codes.needed(10) < ITEMS / 20
    assert near.codes.nbytes < near.matrix_IW.nbytes / 4
    assert near.codes.needed(1001) is None


def test_many_that_were_met_are_left_out_and_the_next_ones_found(near):
    query = queries(2)[0]
    barred = in_order(near, query, 300, NONE)
    found, _ = near.best(query, 10, without=barred)
    assert len(set(in_order(near, query, 310, NONE)[300:]) & set(found.tolist())) >= 9
    assert not set(found.tolist()) & set(barred.tolist())


def test_all_are_scored_where_too_many_were_met(near):
    query = queries(2)[1]
    barred = in_order(near, query, 1500, NONE)
    found, _ = near.best(query, 10, without=barred)
    assert found.tolist() == in_order(near, query, 10, barred).tolist()


def test_all_are_scored_where_lifts_are_many(near):
    query, lifts = queries(2)[2], np.random.default_rng(5).normal(0, 3, ITEMS).astype(np.float32)
    found, _ = near.best(query, 10, without=NONE, lifts_I=lifts)
    assert found.tolist() == in_order(near, query, 10, NONE, lifts=lifts).tolist()


def test_few_items_have_no_codes():
    matrix = np.random.default_rng(0).normal(size=(9000, 8)).astype(np.float32)
    assert Top.near(matrix, np.zeros(9000, np.float32), like_QW=matrix[:20]).codes is None
