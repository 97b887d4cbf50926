"""The classes, or the interval, that an answer leaves open at the promised coverage, by the quantiles of a release.

Not here: how the quantiles were found and whether the promise held on test rows (`evaluate/uncertainty.py`).

Legend: B rows, K classes, E edges between E + 1 bins of predicted values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewind.engines.engine import Predictions
from tradewind.errors import ArtifactError


@dataclass(frozen=True)
class AnswerSet:
    """What one row may be: `labels`, the likeliest first, or the ends `low` and `high` in the target's own unit.

    The truth lies inside for the share `promise` of rows like those that the release was tested on. Without labels no
    class is likely enough: only a model that is more often right than was promised leaves a row so. An end that is None
    is open, for too few rows were there to find it.
    """

    promise: float
    labels: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """{"promise", "labels"} or {"promise", "low", "high"}."""
        if self.labels is not None:
            return {"promise": self.promise, "labels": list(self.labels)}
        return {"promise": self.promise, "low": self.low, "high": self.high}


def answer_set(state: Mapping[str, Any], outputs: Predictions) -> list[AnswerSet]:
    """One set or interval for each of the B rows of `outputs`. `state` is `LoadedRelease.trust["uncertainty"]`:
    `promise` with `thresholds` [K], or with `edges` [E] and `low`, `high` [E + 1].

    A class is in the set when its probability reaches its threshold (Sadinle, Lei, Wasserman 2019); an interval is the
    predicted value with the ends of its bin added. Raises ArtifactError when the release has no such quantiles.
    """
    if not state:
        raise ArtifactError(
            "This release has no sets: its uncertainty was not measured.",
            code="sets_missing",
            hint="Leave evaluate.examine on auto, or name uncertainty in it, and make the release again.",
        )
    return _sets(state, outputs) if outputs.probabilities is not None else _intervals(state, outputs)


def _sets(state: Mapping[str, Any], outputs: Predictions) -> list[AnswerSet]:
    p_BK = outputs.probabilities
    assert p_BK is not None
    thresholds_K = np.array([-np.inf if one is None else one for one in state["thresholds"]])
    assert len(thresholds_K) == len(outputs.classes), "the quantiles belong to another model"
    held_BK = p_BK.astype(np.float64) >= thresholds_K
    order_BK = np.argsort(-p_BK, axis=1, kind="stable")
    return [
        AnswerSet(state["promise"], labels=tuple(outputs.classes[at] for at in order if held[at]))
        for held, order in zip(held_BK, order_BK, strict=True)
    ]


def _intervals(state: Mapping[str, Any], outputs: Predictions) -> list[AnswerSet]:
    assert outputs.values is not None
    bins_B = np.searchsorted(np.asarray(state["edges"], dtype=np.float64), outputs.values, side="right")
    return [
        AnswerSet(state["promise"], low=_end(value, state["low"][at]), high=_end(value, state["high"][at]))
        for value, at in zip(outputs.values.tolist(), bins_B.tolist(), strict=True)
    ]


def _end(value: float, distance: float | None) -> float | None:
    return None if distance is None else value + distance
