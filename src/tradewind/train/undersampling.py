"""Fewer rows of common classes in each epoch, without a word of it in the probabilities. Not here: which rows are drawn
(`data/batches.py`), the loss that takes it back (`objectives.py`).

Where a share q of a class is kept, what is learnt has the odds of that class times q (Elkan, The Foundations of Cost-Sensitive
Learning, 2001, theorem 2). Prior correction (King and Zeng, Logistic Regression in Rare Events Data, 2001) takes it back by the
logarithm of q at the logit. Here that stands in the loss: the network's own logits are those of the rows as they come, so what is
validated, calibrated and exported needs no correction. Each epoch draws other rows, so over a training none is left out.

Legend: K classes.
"""

from __future__ import annotations

from math import log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import ClassTarget
from tradewind.product import Product

AUTO = 10.0  # rows of a class for each of the rarest: more tell little that is new


def kept_shares(undersample: float | Literal["none", "auto"], counts_K: NDArray[np.int64]) -> tuple[float, ...] | None:
    """The share of each class that an epoch draws, [K]; None where all are drawn whole."""
    present = counts_K[counts_K > 0]
    if undersample == "none" or len(present) < 2:
        return None
    most = (AUTO if undersample == "auto" else undersample) * float(present.min())
    shares = tuple(min(1.0, most / max(float(count), 1.0)) for count in counts_K)
    return None if min(shares) == 1.0 else shares


def kept_of(product: Product, features: FeatureSet, target: NDArray[Any]) -> tuple[float, ...] | None:
    """What `train.undersample` asks for of the rows with these targets; -1 is no label."""
    if not isinstance(features.target, ClassTarget):
        return None
    counts_K = np.bincount(target[target >= 0], minlength=len(features.target.classes))
    return kept_shares(product.train.undersample, counts_K)


def logit_offsets(shares: tuple[float, ...]) -> tuple[float, ...]:
    """What the loss adds to the logit of each class, [K]."""
    return tuple(log(share) for share in shares)
