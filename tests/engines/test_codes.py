"""Codes of very many items: the best lie among the first by them, as many as was measured; of some items, alike each time."""

import sys

import numpy as np
import pytest

from tradewind.engines.codes import Codes
from tradewind.errors import EnvironmentFailure

ITEMS = 6000


def items(width: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(width)
    return random.normal(size=(ITEMS, width)).astype(np.float32), random.normal(size=ITEMS).astype(np.float32)


def queries(width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(40, width)).astype(np.float32)


@pytest.mark.parametrize("width", [1, 7, 64, 193])
def test_the_best_lie_among_as_many_as_was_measured(width):
    matrix, addend = items(width)
    codes = Codes(matrix, addend, like_QW=queries(width, 0), recall=0.95)
    needed = codes.needed(10)
    assert 10 <= needed < ITEMS / 4
    shared = 0
    for query in queries(width, 1):
        best = np.argsort(-(matrix @ query + addend))[:10]
        shared += len(set(best.tolist()) & set(codes.first(query, needed).tolist()))
    assert shared >= 0.9 * 400


def test_more_are_needed_for_more():
    matrix, addend = items(16)
    codes = Codes(matrix, addend, like_QW=queries(16, 0), recall=0.95)
    depths = [codes.needed(depth) for depth in (1, 10, 30, 100, 900)]
    assert depths == sorted(depths)
    assert depths[-1] >= 900


def test_only_some_are_found_and_all_of_few():
    matrix, addend = items(16)
    codes = Codes(matrix, addend, like_QW=queries(16, 0), recall=0.95)
    some = np.arange(ITEMS) % 50 == 3
    found = codes.first(queries(16, 1)[0], 500, among=some)
    assert sorted(found.tolist()) == np.flatnonzero(some).tolist()


def test_numbers_that_no_query_has_cost_nothing():
    matrix, addend = items(8)
    loud = np.concatenate([matrix, 1000 * np.random.default_rng(1).normal(size=(ITEMS, 8))], 1).astype(np.float32)
    like = np.concatenate([queries(8, 0), np.zeros((40, 8), np.float32)], 1)
    quiet = Codes(matrix, addend, like_QW=queries(8, 0), recall=0.95).needed(10)
    assert Codes(loud, addend, like_QW=like, recall=0.95).needed(10) < 4 * quiet


def test_they_are_made_alike_each_time():
    matrix, addend = items(8)
    one, other = (Codes(matrix, addend, like_QW=queries(8, 0), recall=0.95) for _ in range(2))
    query = queries(8, 1)[0]
    assert one.needed(10) == other.needed(10)
    assert one.first(query, 30).tolist() == other.first(query, 30).tolist()


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(EnvironmentFailure, match="pip install") as caught:
        Codes(*items(8), like_QW=queries(8, 0), recall=0.95)
    assert caught.value.code == "environment.package_missing"
