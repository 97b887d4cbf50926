"""The best of many items: exact search is a whole sort, with ties, with items left out; an index of neighbours finds nearly the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.engines import top as rooms
from tradewind.engines.top import Top

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
    chosen, _ = Top(matrix, addend).best_of(scores, k, without=without, allowed=allowed)
    assert chosen.tolist() == sorted_whole(scores, k, without, allowed).tolist()


def test_nothing_is_left_where_all_are_barred():
    top = Top(np.ones((5, 2), np.float32), np.zeros(5, np.float32))
    places, scores = top.best(np.ones(2, np.float32), 3, without=np.arange(5))
    assert (len(places), len(scores)) == (0, 0)


def test_given_scores_are_not_changed():
    scores = np.arange(6, dtype=np.float32)
    Top(np.ones((6, 2), np.float32), scores).best_of(scores, 2, without=np.array([5]))
    assert scores.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def near() -> Top:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(4000, 24)).astype(np.float32)
    return Top(matrix, random.normal(0, 2, 4000).astype(np.float32), approximate=True)


def test_an_index_finds_nearly_all_of_the_best_and_scores_them_exactly(near):
    random = np.random.default_rng(1)
    shared = 0
    for _ in range(50):
        query = random.normal(size=24).astype(np.float32)
        exact, _ = near.exact(query, 10, without=NONE)
        found, scores = near.best(query, 10, without=NONE)
        shared += len(set(exact.tolist()) & set(found.tolist()))
        assert scores == pytest.approx(near.matrix_IW[found] @ query + near.addend_I[found], rel=1e-5)
        assert (np.diff(scores) <= 0).all()
    assert shared >= 0.95 * 500


def test_an_index_leaves_out_what_is_barred(near):
    query = np.ones(24, np.float32)
    barred, _ = near.exact(query, 30, without=NONE)
    found, _ = near.best(query, 10, without=barred)
    assert len(found) == 10
    assert not set(found.tolist()) & set(barred.tolist())
