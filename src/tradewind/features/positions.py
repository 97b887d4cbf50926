"""Sines of places, as encoder-decoders add them to their tokens: one spelling for training and for what is served.

Not here: the networks (`model/seq2seq.py`, `release/translation_export.py`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def sines(count: int, width: int, *, behind: int | None = None) -> NDArray[np.float32]:
    """Sines, then cosines, [count, width] (Vaswani et al. 2017, section 3.5). M2M100 counts from behind the number of its
    padding token, `behind`, and spaces its waves a little wider; Marian, with None, counts from 0."""
    half = width // 2
    rates = np.exp(np.arange(half) * -(math.log(10000) / (half if behind is None else half - 1)))
    places = np.arange(count) + (0 if behind is None else behind + 1)
    angles = places[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)
