"""Sines of places, against those of transformers."""

import numpy as np
from transformers.models.m2m_100.modeling_m2m_100 import M2M100SinusoidalPositionalEmbedding
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

from tradewind.features.positions import sines


def test_m2m100_counts_from_behind_its_padding():
    theirs = M2M100SinusoidalPositionalEmbedding(20, 16, padding_idx=1)
    np.testing.assert_allclose(sines(20, 16, behind=1), theirs.weights[2:22].numpy(), atol=1e-6)


def test_marian_counts_from_nothing():
    theirs = MarianSinusoidalPositionalEmbedding(20, 16)
    np.testing.assert_allclose(sines(20, 16), theirs.create_weight().numpy(), atol=1e-6)
