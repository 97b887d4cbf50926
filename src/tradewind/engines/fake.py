"""A deterministic predictor without a model, for tests of whatever stands before an engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tradewind.engines.engine import Decision, Predictions, Usage
from tradewind.features.column import Values


@dataclass(frozen=True)
class FakePredictor:
    """The probabilities of a row follow from the digest of its values alone: same row, same answer, on any machine."""

    decision: Decision
    columns: tuple[str, ...]

    def predict(self, values: Mapping[str, Values]) -> Predictions:
        rows = max((len(column) for column in values.values()), default=0)
        return self.predict_rows([{name: values[name][i] for name in values} for i in range(rows)])

    def predict_rows(self, rows: Sequence[Mapping[str, object]]) -> Predictions:
        seeds = [_seed({name: row.get(name) for name in self.columns}) for row in rows]
        usage = Usage(rows=len(rows))
        if self.decision.task == "regression":
            return Predictions(len(rows), values=np.array([seed[0] / 255 for seed in seeds]), usage=usage)
        weights = np.array(
            [[1 + seed[k] for k in range(len(self.decision.classes))] for seed in seeds], dtype=np.float64
        )
        weights = weights.reshape(len(rows), len(self.decision.classes))
        probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        labels = self.decision.labels(probabilities)
        return Predictions(len(rows), self.decision.classes, probabilities, labels, usage=usage)


def _seed(row: Mapping[str, object]) -> bytes:
    return hashlib.sha256(repr(sorted((name, str(value)) for name, value in row.items())).encode()).digest()
