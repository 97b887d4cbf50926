"""Intents beside those that a release has learnt: known at once by their examples, and what belongs to none told apart.
Not here: the arithmetic (`features/prototypes.py`), how it was settled and how good it is (`evaluate/intents.py`), whose intents they
are and how they are kept (`server/intents.py`).

Legend: B rows, K learnt classes, J new ones, V width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewind.engines.onnx import OnnxPredictor
from tradewind.features.column import Values
from tradewind.features.prototypes import Floats, Space


@dataclass(frozen=True)
class NewIntents:
    """`prototypes_JV` of the classes `names`, in their order."""

    names: tuple[str, ...]
    prototypes_JV: Floats


@dataclass(frozen=True)
class IntentAnswer:
    """`label` is that of the likeliest class, or the one for texts of no class; `probabilities` are of all classes together.

    `scope` is the cosine to the nearest class; None where nobody asked whether a text belongs to one.
    """

    label: str
    probabilities: Mapping[str, float]
    scope: float | None = None
    outside: bool = False


class Intents:
    """What a release knows of intents: the space of its texts. Safe for threads.

    `outside` is the label of a text that belongs to no class, given where fewer than a share `accept` of known texts lie as
    far from every class; None never gives it.
    """

    def __init__(
        self, predictor: OnnxPredictor, state: Mapping[str, Any], *, outside: str | None = None, accept: float = 0.95
    ) -> None:
        assert predictor.has_vectors
        self._predictor = predictor
        self._space = Space.from_state(state)
        self.outside = outside
        quantiles = state["quantiles"]
        self.threshold = float(np.interp(1 - accept, np.linspace(0, 1, len(quantiles)), quantiles))

    @property
    def column(self) -> str:
        """The text that is compared."""
        return self._predictor.columns[0]

    @property
    def classes(self) -> tuple[str, ...]:
        return self._predictor.decision.classes

    def new(self, examples: Mapping[str, Sequence[str]]) -> NewIntents | None:
        """Classes by their examples; None where there are none."""
        if not examples:
            return None
        texts = np.empty(sum(map(len, examples.values())), object)
        texts[:] = [text for some in examples.values() for text in some]
        values: dict[str, Values] = {self.column: texts}
        placed_BV = self._space.placed(self._predictor.vectors(values))
        ends = np.cumsum([len(some) for some in examples.values()])[:-1]
        return NewIntents(
            tuple(examples), np.stack([self._space.prototype(mine) for mine in np.split(placed_BV, ends)])
        )

    def answers(self, rows: Sequence[Mapping[str, object]], new: NewIntents | None = None) -> list[IntentAnswer]:
        """An answer for each checked row."""
        decision = self._predictor.decision
        probabilities_BK, vectors_BV = self._predictor.with_vectors(self._predictor.inputs_of(rows))
        placed_BV = self._space.placed(vectors_BV)
        names, joint = decision.classes, probabilities_BK.astype(np.float64)
        labels = decision.labels(probabilities_BK, decision.cuts_of_rows(rows)).tolist()
        if new is not None:
            known = len(names)
            names = (*names, *new.names)
            joint = self._space.joint(probabilities_BK, placed_BV, new.prototypes_JV)
            best_B = joint.argmax(1)
            # Among the learnt classes the release's own decision stands, its threshold included.
            labels = [names[best] if best >= known else label for best, label in zip(best_B, labels, strict=True)]
        scope_B = self._space.scope(placed_BV, None if new is None else new.prototypes_JV)
        found = []
        for label, row, scope in zip(labels, joint.tolist(), scope_B.tolist(), strict=True):
            outside = self.outside is not None and scope < self.threshold
            found.append(
                IntentAnswer(
                    label=self.outside if outside and self.outside is not None else label,
                    probabilities=dict(zip(names, row, strict=True)),
                    scope=None if self.outside is None else round(scope, 6), outside=outside,
                )
            )  # fmt: skip
        return found
