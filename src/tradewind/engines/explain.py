"""Reasons by occlusion: how far the answer moves when a column's value is replaced by those of other rows.

Not here: Shapley values and counterfactuals. Method: the prediction difference of Robnik-Šikonja and Kononenko (2008),
over a fixed background in place of the full marginal distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.engine import Predictions, Predictor
from tradewind.features.column import Values

_SURE = 1e-7  # nearer to 0 or 1 a probability in single precision tells nothing


@dataclass(frozen=True)
class Reason:
    """`effect` is what this value adds to the answer: to the log-odds of the given label, or in units of the target.

    Log-odds, because beside a probability near 1 every effect on the probability itself would look like nothing.
    """

    column: str
    value: object
    effect: float


def explain(
    predictor: Predictor, values: Mapping[str, Values], background: Mapping[str, Values], *, most: int = 4
) -> list[list[Reason]]:
    """For each of B rows its `most` strongest reasons, strongest first.

    Every column is replaced in turn by its value in each of the M background rows (a column absent there: by a missing
    value) and the mean answer subtracted: B x M x columns predictions.
    """
    rows = max((len(column) for column in values.values()), default=0)
    if rows == 0:
        return []
    full = {name: values[name] if name in values else np.full(rows, None, dtype=object) for name in predictor.columns}
    answer = predictor.predict(full)
    score_B = _score(answer, answer)
    effects = np.zeros((rows, len(predictor.columns)))
    for index, name in enumerate(predictor.columns):
        others = background.get(name, np.full(1, None, dtype=object))
        repeated = {key: np.repeat(column, len(others)) for key, column in full.items()}
        repeated[name] = np.tile(np.asarray(others, dtype=object), rows)
        occluded = _score(predictor.predict(repeated), answer, repeat=len(others))
        effects[:, index] = score_B - occluded.reshape(rows, len(others)).mean(axis=1)
    return [_strongest(effects[row], {name: full[name][row] for name in full}, most) for row in range(rows)]


def _score(predictions: Predictions, answer: Predictions, *, repeat: int = 1) -> NDArray[np.float64]:
    """Log-odds of the label that `answer` gave to each row, or the value itself."""
    if predictions.values is not None:
        return predictions.values
    assert predictions.probabilities is not None
    assert answer.labels is not None
    chosen = np.repeat(np.array([answer.classes.index(label) for label in answer.labels]), repeat)
    p_B = predictions.probabilities[np.arange(len(chosen)), chosen].astype(np.float64).clip(_SURE, 1 - _SURE)
    scores: NDArray[np.float64] = np.log(p_B) - np.log1p(-p_B)
    return scores


def _strongest(effects: NDArray[np.float64], row: Mapping[str, object], most: int) -> list[Reason]:
    names: Sequence[str] = list(row)
    order = np.argsort(-np.abs(effects), kind="stable")[:most]
    return [
        Reason(names[index], _plain(row[names[index]]), float(effects[index])) for index in order if effects[index] != 0
    ]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value.item() if isinstance(value, np.generic) else value
