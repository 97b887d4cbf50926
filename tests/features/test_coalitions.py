"""Shapley values by hand-made games: the axioms, and the definition written out over all orders."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.features.coalitions import Players, log_odds, shapley, spread
from tradewind.features.column import CategoryFeature, Layout, NumberFeature, TensorFeature


def players(columns):
    names = [f"c{at}" for at in range(columns)]
    return Players.of(Layout(numbers=tuple(NumberFeature(name, name) for name in names)), names)


def game(columns, seed, *, rows=5):
    """A random network over `columns` numbers, one row and background rows."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(columns, 6)), random.normal(size=6)

    def ask(arrays):
        return np.tanh(arrays["numbers"] @ first) @ second

    row, background = random.normal(size=(1, columns)), random.normal(size=(rows, columns))
    return ask, {"numbers": row}, {"numbers": background}


def by_definition(ask, row, background):
    """The mean over all orders and background rows of what a column adds when it joins."""
    x, others = row["numbers"][0], background["numbers"]
    values = np.zeros(len(x))
    orders = list(permutations(range(len(x))))
    for other in others:
        for order in orders:
            mixed = other.copy()
            before = ask({"numbers": mixed[None]})[0]
            for column in order:
                mixed[column] = x[column]
                after = ask({"numbers": mixed[None]})[0]
                values[column] += after - before
                before = after
    return values / (len(others) * len(orders))


def values_of(ask, row, background, **settings):
    columns = row["numbers"].shape[1]
    return shapley(ask, players(columns), row, background, base_M=ask(background), **settings)


@pytest.mark.parametrize("columns", [1, 2, 4, 5])
def test_few_columns_are_exact(columns):
    ask, row, background = game(columns, seed=columns)
    found = values_of(ask, row, background)
    assert found.exact
    np.testing.assert_allclose(found.values_P, by_definition(ask, row, background), atol=1e-12)


def test_walks_share_interactions_of_two_columns_exactly():
    def ask(arrays):
        x = arrays["numbers"]
        return 2 * x[:, 0] + x[:, 1] * x[:, 2] - 3 * x[:, 3] * x[:, 4] + x[:, 5] ** 2

    _, row, background = game(6, seed=3)
    walked = values_of(ask, row, background, exact=0, questions=10_000)
    assert not walked.exact
    np.testing.assert_allclose(walked.values_P, by_definition(ask, row, background), atol=1e-9)


def test_many_walks_come_near_the_exact_values():
    ask, row, background = game(8, seed=1, rows=8)
    exact = values_of(ask, row, background)
    walked = np.mean(
        [values_of(ask, row, background, exact=0, questions=10**6, seed=s).values_P for s in range(40)], axis=0
    )
    assert exact.exact
    np.testing.assert_allclose(walked, exact.values_P, atol=0.02 * np.abs(exact.values_P).max())


@settings(max_examples=40)
@given(columns=st.integers(1, 12), seed=st.integers(0, 10_000), exact=st.sampled_from([0, 4096]))
def test_efficiency_the_values_add_up_to_the_score_less_the_base(columns, seed, exact):
    ask, row, background = game(columns, seed)
    found = values_of(ask, row, background, exact=exact, questions=64, seed=seed)
    assert found.values_P.sum() == pytest.approx(found.score - found.base, abs=1e-9)


@settings(max_examples=40)
@given(columns=st.integers(2, 12), seed=st.integers(0, 10_000), exact=st.sampled_from([0, 4096]))
def test_dummy_a_column_that_changes_nothing_gets_nothing(columns, seed, exact):
    ask, row, background = game(columns, seed)
    idle = seed % columns

    def without(arrays):
        numbers = arrays["numbers"].copy()
        numbers[:, idle] = 0
        return ask({"numbers": numbers})

    assert values_of(without, row, background, exact=exact).values_P[idle] == pytest.approx(0, abs=1e-12)
    alike = {"numbers": background["numbers"].copy()}
    alike["numbers"][:, idle] = row["numbers"][0, idle]
    assert values_of(ask, row, alike, exact=exact).values_P[idle] == 0


@settings(max_examples=40)
@given(columns=st.integers(2, 8), seed=st.integers(0, 10_000))
def test_symmetry_columns_that_play_alike_get_alike(columns, seed):
    ask, row, background = game(columns, seed)
    for arrays in (row, background):
        arrays["numbers"][:, 1] = arrays["numbers"][:, 0]

    def symmetric(arrays):
        turned = arrays["numbers"].copy()
        turned[:, [0, 1]] = turned[:, [1, 0]]
        return ask(arrays) + ask({"numbers": turned})

    found = values_of(symmetric, row, background)
    assert found.values_P[0] == pytest.approx(found.values_P[1], abs=1e-9)


def test_the_same_seed_gives_the_same_values():
    ask, row, background = game(14, seed=2)
    one, two = (values_of(ask, row, background, questions=60, seed=7).values_P for _ in range(2))
    assert one.tolist() == two.tolist()


def test_no_more_questions_than_allowed():
    ask, row, background = game(20, seed=2, rows=30)
    asked = []

    def counting(arrays):
        asked.append(len(arrays["numbers"]))
        return ask(arrays)

    base = ask(background)
    shapley(counting, players(20), row, background, base_M=base, questions=256)
    assert sum(asked) <= 257


def test_a_column_moves_with_all_that_it_is_encoded_as():
    """One column of a number and its flag, one category, one text of another length than the background's."""
    layout = Layout(
        numbers=(NumberFeature("a", "a"), NumberFeature("a:missing", "a")),
        categories=(CategoryFeature("b", "b", 4),),
        tensors=(TensorFeature("tokens:c", "c", "tokens", "int64", (None,)),),
    )
    row = {"numbers": np.array([[1.0, 0.0]]), "categories": np.array([[3]]), "tokens:c": np.array([[7, 8, 9]])}
    background = {"numbers": np.array([[5.0, 1.0]]), "categories": np.array([[0]]), "tokens:c": np.array([[4]])}
    keep = np.array([[True, False, False], [False, True, False], [False, False, True]])
    mixed = Players.of(layout, ("a", "b", "c")).mixed(
        row, background, keep_QP=keep, other_Q=np.zeros(3, dtype=np.int64)
    )
    assert mixed["numbers"].tolist() == [[1, 0], [5, 1], [5, 1]]
    assert mixed["categories"].tolist() == [[0], [3], [0]]
    assert mixed["tokens:c"].tolist() == [[4, 0, 0], [4, 0, 0], [7, 8, 9]]


def test_log_odds_are_bounded_where_single_precision_ends():
    found = log_odds(np.array([0.0, 0.5, 1.0], dtype=np.float32))
    assert found[1] == 0
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(-found[2], rel=1e-6)


def test_spread_takes_places_from_all_over():
    assert spread(10, 3).tolist() == [0, 4, 9]
    assert spread(2, 8).tolist() == [0, 1]
