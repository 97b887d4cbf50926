"""Figures of recommended lists: beside scikit-learn and formulas written out, ties at their middle, candidates that are fair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from tradewind.data.interactions import Asked
from tradewind.errors import DataError
from tradewind.evaluate.ranking import Lists, by_user, columns, drawn, figures, of_lists
from tradewind.evaluate.recommendation import ask, candidates
from tradewind.product import Evaluate

ITEMS, USERS = 60, 25


def asked(*, users: int = USERS, items: int = ITEMS, seed: int = 0) -> Asked:
    random = np.random.default_rng(seed)
    histories = [random.permutation(items)[: random.integers(2, 9)].astype(np.int32) for _ in range(users)]
    starts = np.concatenate([[0], np.cumsum([len(one) - 1 for one in histories])])
    before = np.concatenate([one[:-1] for one in histories])
    return Asked(np.arange(users), before, starts, np.array([one[-1] for one in histories], np.int32))


def heard(who: Asked, scores: np.ndarray, *, again: bool = True, count: int = 20) -> Lists:
    settings = Evaluate(at=[5, 10], candidates=count)
    return ask(who, lambda rows: scores[rows.start : rows.stop], items=scores.shape[1], settings=settings, again=again, told=lambda share: None)  # fmt: skip


@given(seed=st.integers(0, 9999), k=st.integers(1, 30))
def test_ndcg_is_that_of_scikit_learn(seed, k):
    scores = np.random.default_rng(seed).normal(size=(USERS, ITEMS)).astype(np.float32)
    who = asked(seed=seed)
    right = np.zeros((USERS, ITEMS))
    right[np.arange(USERS), who.target] = 1
    ours = by_user(heard(who, scores).full_Q, k)["ndcg"].mean()
    assert ours == pytest.approx(ndcg_score(right, scores, k=k))


def test_figures_are_those_of_the_formulas():
    found = by_user(np.array([0.0, 2.0, 9.0, 10.0]), 10)
    assert found["hit"].tolist() == found["recall"].tolist() == [1, 1, 1, 0]
    assert found["mrr"].tolist() == pytest.approx([1, 1 / 3, 1 / 10, 0])
    assert found["ndcg"].tolist() == pytest.approx([1, 1 / np.log2(4), 1 / np.log2(11), 0])


def test_items_met_before_take_no_place_unless_they_may_come_again():
    who = asked()
    scores = np.zeros((USERS, ITEMS), np.float32)
    for row in range(USERS):
        scores[row, who.history(row)] = 2
        scores[row, who.target[row]] = 1
    assert heard(who, scores, again=False).full_Q.tolist() == [0] * USERS
    assert heard(who, scores, again=True).full_Q.tolist() == np.diff(who.starts).tolist()


def test_who_scores_all_alike_stands_in_the_middle():
    lists = heard(asked(), np.ones((USERS, ITEMS), np.float32))
    assert (lists.full_Q == (ITEMS - 1) / 2).all()
    assert (lists.sampled_Q == 20 / 2).all()


def test_the_first_items_are_in_order_of_their_scores():
    scores = np.random.default_rng(3).normal(size=(USERS, ITEMS)).astype(np.float32)
    assert heard(asked(), scores).top_QK.tolist() == np.argsort(-scores, axis=1)[:, :10].tolist()


@given(seed=st.integers(0, 999), items=st.integers(12, 3000), count=st.integers(1, 100))
def test_candidates_are_neither_met_nor_next_and_the_same_for_everybody(seed, items, count):
    who = asked(users=6, items=items, seed=seed)
    found = candidates(who, range(6), items=items, count=count, seed=seed)
    assert candidates(who, range(3, 6), items=items, count=count, seed=seed).tolist() == found[3:].tolist()
    for row in range(6):
        known = {*who.history(row).tolist(), int(who.target[row])}
        mine = found[row][found[row] >= 0].tolist()
        assert not known & set(mine)
        assert len(mine) == min(count, items - len(known))


def test_the_sampled_place_counts_the_candidates_above():
    who, scores = asked(), np.random.default_rng(1).normal(size=(USERS, ITEMS)).astype(np.float32)
    drawn_QC = candidates(who, range(USERS), items=ITEMS, count=20, seed=Evaluate().seed)
    right = scores[np.arange(USERS), who.target]
    above = [(scores[row, drawn_QC[row]] > right[row]).sum() for row in range(USERS)]
    assert heard(who, scores).sampled_Q.tolist() == above


def test_a_score_that_is_no_number_is_told():
    with pytest.raises(DataError, match="no number"):
        heard(asked(), np.full((USERS, ITEMS), np.nan, np.float32))


def test_figures_of_lists_know_the_two_ends():
    counts = np.full(10, 5)
    even, one = np.arange(10, dtype=np.int32)[:, None], np.zeros((10, 1), np.int32)
    assert of_lists(even, 1, counts) == pytest.approx(
        {"coverage": 1, "novelty": np.log2(10), "popularity": 1, "gini": 0}
    )
    assert of_lists(one, 1, counts) == pytest.approx({"coverage": 0.1, "novelty": np.log2(10), "popularity": 1, "gini": 0.9})  # fmt: skip
    assert np.isnan(of_lists(np.full((3, 2), -1, np.int32), 2, counts)["coverage"])


def test_an_interval_holds_its_figure():
    lists = heard(asked(), np.random.default_rng(1).normal(size=(USERS, ITEMS)).astype(np.float32))
    values = columns(lists, [10])
    resamples = drawn({"model": values}, resamples=400, seed=0)["model"]
    found = figures(lists, resamples, at=[10], counts_I=np.ones(ITEMS, np.int64), predictor="model", candidates=20)
    for name in values:
        assert resamples[name].mean() == pytest.approx(values[name].mean(), abs=0.03)
        assert found[name].low <= found[name].value <= found[name].high
