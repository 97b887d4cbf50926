"""Weights of rows under which no group has more of a class than another.

Not here: how strong they are to be (`frontier.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.train.groups import Groups


def fair_weights(
    groups: Groups, target_R: NDArray[Any], *, weight_R: NDArray[Any] | None, strength: float
) -> NDArray[np.float32]:
    """`weight_R` times (expected share / share found) of the row's group and class, to the power of `strength`.

    With strength 1 the weighted group and class are independent (Kamiran and Calders, Data preprocessing techniques for
    classification without discrimination, 2012). A group is what a row is in all sensitive columns together. Rows without a
    class (-1) keep their weight; the sum over the others stays as it was.
    """
    weights = np.ones(len(target_R)) if weight_R is None else np.asarray(weight_R, dtype=np.float64)
    known = target_R >= 0
    group, label = groups.together_R[known], target_R[known].astype(np.int64)
    table = np.zeros((int(groups.together_R.max(initial=0)) + 1, int(label.max(initial=0)) + 1))
    np.add.at(table, (group, label), weights[known])
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / max(table.sum(), 1e-12)
    factor = (np.divide(expected, table, out=np.ones_like(table), where=table > 0)) ** strength
    found = weights.copy()
    found[known] *= factor[group, label]
    total = found[known].sum()
    if total > 0:
        found[known] *= weights[known].sum() / total
    return found.astype(np.float32)
