"""Rules of a shop: who may be shown, what is pushed, how unlike the items are, and words for wrong rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.engines.shelf_rules import Attribute, Boost, Rules, diversified
from tradewind.errors import DataError

NAMES = ["tea", "cup", "pot", "jar"]
PLACES = {name: place for place, name in enumerate(NAMES)}


def column(*values: object) -> Attribute:
    return Attribute.of(values)


SHOP = {"kind": column("food", "ware", "ware", None), "price": column(3.5, 8, None, 2)}


def shown(rules: Rules) -> list[str]:
    allowed = rules.allowed(SHOP, PLACES.get, len(NAMES))
    return NAMES if allowed is None else [name for name, may in zip(NAMES, allowed, strict=True) if may]


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        (Rules(), NAMES),
        (Rules(where={"kind": "ware"}), ["cup", "pot"]),
        (Rules(where={"kind": ["ware", "food"]}), ["tea", "cup", "pot"]),
        (Rules(where={"kind": "glass"}), []),
        (Rules(where={"price": {"min": 3}}), ["tea", "cup"]),
        (Rules(where={"price": {"min": 2, "max": 3.5}}), ["tea", "jar"]),
        (Rules(where={"kind": "ware", "price": {"max": 9}}), ["cup"]),
        (Rules(allow=["pot", "tea", "sold elsewhere"]), ["tea", "pot"]),
        (Rules(allow=[]), []),
        (Rules(exclude=["tea", "sold elsewhere"]), ["cup", "pot", "jar"]),
        (Rules(allow=["tea", "cup"], exclude=["tea"]), ["cup"]),
    ],
)  # fmt: skip
def test_only_what_all_rules_allow_is_shown(rules, names):
    assert shown(rules) == names


def test_boosts_of_one_item_are_joined():
    rules = Rules(boosts=[Boost(items=["tea"], times=2), Boost(where={"kind": "food"}, times=3, plus=1), Boost(items=["jar"], plus=-4)])  # fmt: skip
    factor, addend = rules.sums(SHOP, PLACES.get, 4)
    assert factor.tolist() == [6, 1, 1, 1]
    assert addend.tolist() == [1, 0, 0, -4]


def test_a_boost_is_for_what_meets_all_that_it_asks_of_columns():
    factor, _ = Rules(boosts=[Boost(where={"kind": "ware", "price": {"min": 1}}, times=2)]).sums(SHOP, PLACES.get, 4)
    assert factor.tolist() == [1, 2, 1, 1]


def test_items_that_come_later_have_attributes_too():
    joined = SHOP["kind"].joined(["ware", None])
    assert joined.among(["ware"]).tolist() == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: shown(Rules(where={"kinds": "ware"})), "column_unknown"),
        (lambda: shown(Rules(where={"kind": {"min": 1}})), "range"),
        (lambda: shown(Rules(where={"price": {"least": 1}})), "range"),
        (lambda: shown(Rules(where={"price": {"min": "cheap"}})), "range"),
        (lambda: Rules(diversity=1.5), "diversity"),
        (lambda: Rules(diversity=float("nan")), "diversity"),
        (lambda: Rules(boosts=[Boost(items=["tea"], times=-1)]), "boost"),
        (lambda: Rules(boosts=[Boost(items=["tea"], times=float("inf"))]), "boost"),
        (lambda: Rules(boosts=[Boost(items=["tea"], plus=float("nan"))]), "boost"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_told(make, code):
    with pytest.raises(DataError) as caught:
        make()
    assert caught.value.code == f"data.{code}"


def test_a_misspelt_column_is_guessed():
    with pytest.raises(DataError, match="kind, price") as caught:
        shown(Rules(where={"kinds": "ware"}))
    assert "kind" in caught.value.hint


@given(seed=st.integers(0, 9999), count=st.integers(1, 30), k=st.integers(1, 40), diversity=st.floats(0, 1))
def test_diversified_items_are_different_ones_and_begin_with_the_best(seed, count, k, diversity):
    random = np.random.default_rng(seed)
    vectors, scores = random.normal(size=(count, 4)).astype(np.float32), random.normal(size=count).astype(np.float32)
    order = diversified(vectors, scores, k, diversity)
    assert len(set(order.tolist())) == len(order) == min(k, count)
    if diversity < 1:
        assert order[0] == scores.argmax()
    if diversity == 0:
        assert order.tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_a_twin_of_the_best_item_comes_later_the_more_diversity_counts():
    vectors = np.array([[1, 0], [1, 0.01], [0, 1]], np.float32)
    scores = np.array([3, 2.9, 2], np.float32)
    assert diversified(vectors, scores, 3, 0.0).tolist() == [0, 1, 2]
    assert diversified(vectors, scores, 3, 0.8).tolist() == [0, 2, 1]


def test_a_column_grows_without_changing_what_was_there():
    kinds, prices = column("food", None), column(3.5, 8)
    for one in (kinds, prices):
        one.among(["food"])
    prices.between(1, 4)
    more, dear = kinds.joined(["wear", "food"]), prices.joined([None, 2])
    assert more.among(["food", "wear"]).tolist() == [True, False, True, True]
    assert dear.between(1, 4).tolist() == [True, False, False, True]
    assert (kinds.among(["wear"]).tolist(), prices.between(1, 4).tolist()) == ([False, False], [True, False])
    assert more.joined(["hat"]).among(["hat"]).tolist() == [False, False, False, False, True]


def test_a_missing_value_is_never_wanted():
    kinds = column("tea", None, "", "cup")
    for wanted, found in ((["tea"], [0]), (["tea", "cup"], [0, 3]), ([None, "tea", "cup"], [0, 3]), ([], [])):
        assert np.flatnonzero(kinds.among(wanted)).tolist() == found
    assert np.flatnonzero(kinds.joined(["cap", None]).among(["cap", "cup"])).tolist() == [3, 4]
