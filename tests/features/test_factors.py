"""Implicit factors: each round solves its equations, folding in is a dense solve, and structure that is there is found."""

import numpy as np
import pytest

from tradewind.features.factors import Factors

USERS, ITEMS, WIDTH, ALPHA, RIDGE = 30, 40, 5, 6.0, 0.1


def histories(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users of two tastes: the first half of the items, or the second."""
    random = np.random.default_rng(seed)
    mine = [random.choice(ITEMS // 2, random.integers(1, 9), replace=False) + (user % 2) * ITEMS // 2 for user in range(USERS)]  # fmt: skip
    starts = np.concatenate([[0], np.cumsum([len(one) for one in mine])])
    return starts, np.concatenate(mine).astype(np.int32), random.uniform(0.5, 2, starts[-1]).astype(np.float32)


def dense(rows, weights, table):
    """(Yᵀ C Y + λ) x = Yᵀ C p with the whole of C, as the paper has it."""
    confidence = np.ones(len(table))
    confidence[rows] += ALPHA * weights
    preference = np.zeros(len(table))
    preference[rows] = 1
    table = table.astype(np.float64)
    left = table.T @ (confidence[:, None] * table) + RIDGE * np.eye(table.shape[1])
    return np.linalg.solve(left, table.T @ (confidence * preference))


def test_folding_in_is_a_dense_solve():
    starts, item, weight = histories()
    table = np.random.default_rng(1).normal(size=(ITEMS, WIDTH)).astype(np.float32)
    found = Factors.of(table, alpha=ALPHA, ridge=RIDGE).fold(starts, item, weight)
    for user in range(USERS):
        mine = slice(starts[user], starts[user + 1])
        assert found[user] == pytest.approx(dense(item[mine], weight[mine], table), rel=2e-3, abs=2e-4)


def test_factors_of_items_solve_their_equations():
    starts, item, weight = histories()
    before = Factors.fit(starts, item, weight, items=ITEMS, factors=WIDTH, alpha=ALPHA, ridge=RIDGE, rounds=3)
    after = Factors.fit(starts, item, weight, items=ITEMS, factors=WIDTH, alpha=ALPHA, ridge=RIDGE, rounds=4)
    users_UF = before.fold(starts, item, weight)
    user = np.repeat(np.arange(USERS), np.diff(starts))
    for one in range(ITEMS):
        expected = dense(user[item == one], weight[item == one], users_UF)
        assert after.items_IF[one] == pytest.approx(expected, rel=5e-3, abs=5e-4)


def test_blocks_change_nothing(monkeypatch):
    starts, item, weight = histories()
    whole = Factors.fit(starts, item, weight, items=ITEMS, factors=WIDTH).items_IF
    monkeypatch.setattr("tradewind.features.factors._BLOCK", 8)
    assert Factors.fit(starts, item, weight, items=ITEMS, factors=WIDTH).items_IF == pytest.approx(whole, rel=1e-3, abs=1e-4)  # fmt: skip


def test_items_of_the_same_taste_come_first():
    starts, item, weight = histories()
    factors = Factors.fit(starts, item, weight, items=ITEMS, factors=WIDTH)
    scores = factors.items_IF @ factors.fold(np.array([0, 2]), np.array([0, 1]))[0]
    assert scores[: ITEMS // 2].mean() > scores[ITEMS // 2 :].mean() + 0.1


def test_nobody_and_items_without_events_have_no_factors():
    starts, item, weight = histories()
    factors = Factors.fit(starts, item, weight, items=ITEMS + 1, factors=WIDTH)
    assert not factors.items_IF[-1].any()
    assert not factors.fold(np.array([0, 0]), np.empty(0, np.int64)).any()
