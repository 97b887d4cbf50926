"""The n-gram baseline: by hand, against a slow reference, and as a probability."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.evaluate.ngram import KneserNey, discounts

A, B, C = 0, 1, 2


def reference(tokens, order, vocabulary):
    """Chen and Goodman's formulas word for word, over dictionaries: a function of context and token."""
    counts = {k: Counter(tuple(tokens[i : i + k]) for i in range(len(tokens) - k + 1)) for k in range(1, order + 1)}
    adjusted = {order: counts[order]}
    for k in range(1, order):
        before = defaultdict(set)
        for gram in counts[k + 1]:
            before[gram[1:]].add(gram[0])
        adjusted[k] = Counter({gram: len(before[gram]) for gram in counts[k]})
    taken = {k: discounts(np.array(list(adjusted[k].values()))) for k in adjusted}

    def discount(k, count):
        return 0 if count == 0 else taken[k][min(count, 3) - 1]

    def chance(context, token):
        k = len(context) + 1
        lower = chance(context[1:], token) if context else 1 / vocabulary
        of_context = {gram: count for gram, count in adjusted[k].items() if gram[:-1] == context}
        total = sum(of_context.values())
        if not total:
            return lower
        own = of_context.get((*context, token), 0)
        rest = sum(discount(k, count) for count in of_context.values())
        return (own - discount(k, own) + rest * lower) / total

    return chance


def test_a_unigram_by_hand():
    # a b a b a c: counts 3, 2, 1. One token occurs once, one twice, one three times: Y = 1/3, so D1 = 1 - 2/3 = 1/3,
    # D2 = 2 - 3 · 1/3 · 1 = 1, D3 = 3 - 4 · 1/3 · 0 = 3 taken from 3 leaves nothing, which is still a discount.
    model = KneserNey.fit(np.array([A, B, A, B, A, C]), vocabulary=4, order=1)
    rest = (1 / 3 + 1 + 3) / 6
    expected = [0 / 6 + rest / 4, 1 / 6 + rest / 4, (2 / 3) / 6 + rest / 4, rest / 4]
    np.testing.assert_allclose(model.distribution([]), expected, rtol=1e-12)


def test_a_bigram_by_hand():
    # a b a c: bigrams ab, ba, ac once each, so the fall-back discounts 0.5, 1, 1.5 are taken everywhere.
    # Before a stands b, before b stands a, before c stands a: one each of three.
    model = KneserNey.fit(np.array([A, B, A, C]), vocabulary=3, order=2)
    lower = (1 - 0.5) / 3 + (1.5 / 3) / 3  # the same for every token: 1/3
    np.testing.assert_allclose(
        model.distribution([A]), [0.5 * lower, 0.25 + 0.5 * lower, 0.25 + 0.5 * lower], rtol=1e-12
    )
    np.testing.assert_allclose(model.distribution([B]), [0.5 + 0.5 * lower, 0.5 * lower, 0.5 * lower], rtol=1e-12)
    np.testing.assert_allclose(model.distribution([C]), [lower] * 3, rtol=1e-12)  # nothing ever followed c


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_equals_the_formulas(order):
    tokens = np.random.default_rng(order).zipf(1.5, 400) % 7
    model, chance = KneserNey.fit(tokens, vocabulary=8, order=order), reference(tokens.tolist(), order, 8)
    for context in ((), (1,), (1, 2), (3, 1, 1), (1, 1, 1, 1), (7,)):
        used = context[-(order - 1) :] if order > 1 else ()
        np.testing.assert_allclose(model.distribution(context), [chance(used, token) for token in range(8)], rtol=1e-9)


@settings(max_examples=60)
@given(
    tokens=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    context=st.lists(st.integers(0, 6), max_size=6),
    order=st.integers(1, 5),
)
def test_sums_to_one(tokens, context, order):
    model = KneserNey.fit(np.array(tokens), vocabulary=7, order=order)
    found = model.distribution(context)
    assert found.min() > 0
    assert found.sum() == pytest.approx(1, abs=1e-9)


def test_losses_are_those_of_the_distribution():
    draw = np.random.default_rng(0)
    model = KneserNey.fit(draw.integers(0, 9, 3000), vocabulary=9)
    text = draw.integers(0, 9, 40)
    one_by_one = [
        -np.log(model.distribution(text[max(0, at - 4) : at].tolist())[token]) for at, token in enumerate(text)
    ]
    np.testing.assert_allclose(model.losses(text), one_by_one, rtol=1e-9)


def test_a_higher_order_learns_what_a_lower_one_cannot():
    text = np.tile([0, 1, 0, 2], 500)
    losses = [KneserNey.fit(text, vocabulary=3, order=order).losses(text)[4:].mean() for order in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.02


def test_knows_tokens_that_it_never_saw():
    model = KneserNey.fit(np.zeros(50, dtype=np.uint16), vocabulary=50_000)
    assert np.isfinite(model.losses(np.array([49_999, 0, 31_000], dtype=np.uint16))).all()


def test_a_million_tokens_take_seconds():
    import time

    tokens = np.random.default_rng(0).zipf(1.3, 1_000_000) % 8000
    start = time.process_time()
    KneserNey.fit(tokens, vocabulary=8000)
    assert time.process_time() - start < 30
