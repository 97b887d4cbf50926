"""Products of four-bit vectors: near the exact ones, for widths that fill no group, and for zeros."""

import numpy as np
import pytest

from tradewind.engines.nibbles import Nibbles


@pytest.mark.parametrize("width", [1, 3, 16, 24, 64, 100])
def test_products_are_near_the_exact_ones(width):
    random = np.random.default_rng(width)
    vectors = random.normal(size=(700, width)).astype(np.float32)
    query = random.normal(size=width).astype(np.float32)
    nibbles = Nibbles(vectors)
    found, exact = nibbles.products(nibbles.prepared(query)), vectors @ query
    assert found.shape == exact.shape
    assert np.sqrt(((found - exact) ** 2).mean()) < 0.15 * np.linalg.norm(query)


def test_nothing_times_anything_is_nothing():
    nibbles = Nibbles(np.zeros((3, 16), np.float32))
    assert nibbles.products(nibbles.prepared(np.ones(16, np.float32))).tolist() == [0, 0, 0]


def test_the_memory_is_an_eighth_and_the_scales():
    assert Nibbles(np.ones((1000, 64), np.float32)).nbytes == 1000 * (64 // 2 + 4)
