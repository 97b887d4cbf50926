"""Items that the same people met: cosines of scikit-learn, the nearest first, later meetings weigh more."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from tradewind.features.neighbours import Neighbours

USERS, ITEMS = 40, 25


def histories() -> tuple[np.ndarray, np.ndarray]:
    """With items that are met twice."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, USERS)
    return np.concatenate([[0], np.cumsum(lengths)]), random.integers(0, ITEMS, lengths.sum())


def dense_cosine(starts: np.ndarray, item: np.ndarray) -> np.ndarray:
    met = np.zeros((USERS, ITEMS))
    met[np.repeat(np.arange(USERS), np.diff(starts)), item] = 1
    cosine = cosine_similarity(met.T)
    np.fill_diagonal(cosine, 0)
    return cosine


@pytest.mark.parametrize("pairs", [20_000_000, 30], ids=["at once", "in parts"])
def test_cosines_are_those_of_scikit_learn(monkeypatch, pairs):
    monkeypatch.setattr("tradewind.features.neighbours._PAIRS", pairs)
    starts, item = histories()
    near = Neighbours.fit(starts, item, items=ITEMS, most=ITEMS)
    found = np.zeros((ITEMS, ITEMS))
    for one in range(ITEMS):
        there = near.near_IK[one] >= 0
        found[one, near.near_IK[one, there]] = near.cosine_IK[one, there]
    assert found == pytest.approx(dense_cosine(starts, item), abs=1e-6)


def test_only_the_nearest_are_kept_the_nearest_first():
    starts, item = histories()
    near, cosine = Neighbours.fit(starts, item, items=ITEMS, most=4), dense_cosine(starts, item)
    assert near.cosine_IK == pytest.approx(-np.sort(-cosine, axis=1)[:, :4], abs=1e-6)


def test_scores_are_cosines_that_fade():
    starts, item = histories()
    near, cosine = Neighbours.fit(starts, item, items=ITEMS, most=ITEMS), dense_cosine(starts, item)
    (found,) = near.scores(np.array([0, 3]), np.array([4, 7, 2]), items=ITEMS, decay=0.5)
    assert found == pytest.approx(0.25 * cosine[4] + 0.5 * cosine[7] + cosine[2], abs=1e-5)


def test_nobody_has_no_scores():
    near = Neighbours.fit(*histories(), items=ITEMS)
    assert not near.scores(np.array([0, 0]), np.empty(0, np.int64), items=ITEMS).any()
