"""Shapley values of a released predictor: what each column adds to one answer, compared with rows of its golden examples.

Not here: the arithmetic of coalitions (`features/coalitions.py`), what counts against a person (`reasons.py`).

Legend: B rows, P columns, M background rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.onnx import OnnxPredictor
from tradewind.features.coalitions import Arrays, Floats, Players, Shares, shapley
from tradewind.features.column import Values

# Rows in one call of the graph: their activations stay in the processor's nearest cache.
_AT_ONCE = 48

Score = Callable[[NDArray[Any]], Floats]  # outputs of the graph to one number a row


class Attribution:
    """A predictor with the encoded rows that answers are compared with. Safe from several threads."""

    def __init__(self, predictor: OnnxPredictor, background: Mapping[str, Values]) -> None:
        self.predictor = predictor
        self.players = Players.of(predictor.features.layout, predictor.columns)
        self.raw = background

    @cached_property
    def background(self) -> Arrays:
        """The background rows, encoded: M of each array."""
        return self.predictor.features.encode(self.raw)

    @cached_property
    def outputs(self) -> NDArray[Any]:
        """What the predictor says of the background rows: [M, K] or [M]."""
        return self.ask(self.background)

    def encode(self, rows: Sequence[Mapping[str, object]]) -> list[Arrays]:
        """Each checked row by itself, every array of length 1."""
        return [self.predictor.features.encode_rows([row]) for row in rows]

    def ask(self, arrays: Arrays) -> NDArray[Any]:
        """The graph over any number of encoded rows."""
        rows = len(next(iter(arrays.values())))
        run = self.predictor.run_encoded
        if rows <= _AT_ONCE:
            return run(arrays)
        parts = [{name: one[at : at + _AT_ONCE] for name, one in arrays.items()} for at in range(0, rows, _AT_ONCE)]
        return np.concatenate([run(part) for part in parts])

    def shares(self, row: Arrays, score: Score, *, compared: NDArray[np.int64] | None = None) -> Shares:
        """Shapley values [P] of one encoded row under `score`, over all background rows or the places `compared`."""
        background, outputs = self.background, self.outputs
        if compared is not None:
            background, outputs = {name: one[compared] for name, one in background.items()}, outputs[compared]
        return shapley(lambda arrays: score(self.ask(arrays)), self.players, row, background, base_M=score(outputs))
