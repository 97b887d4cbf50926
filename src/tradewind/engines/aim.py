"""Which answer is the good one for the person asked about, and how far an answer is from it.

Not here: why an answer is what it is (`reasons.py`), what would change it (`counterfactual.py`).

Legend: B rows, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.engine import Decision
from tradewind.features.category import category_key
from tradewind.features.coalitions import Floats, log_odds


@dataclass(frozen=True)
class Aim:
    """`favourable` is the code of the good class, or the value from which an answer is good; None: the product file says
    neither."""

    decision: Decision
    favourable: int | float | None

    @classmethod
    def of(cls, decision: Decision, favourable: str | float | None) -> Aim:
        """From the word or the number of the product file. `check` has refused what is no class."""
        if favourable is None or not decision.classes:
            return cls(decision, None if favourable is None else float(favourable))
        return cls(decision, decision.classes.index(category_key(favourable) or ""))

    def codes(self, outputs: NDArray[Any]) -> NDArray[np.int64]:
        """The class decided for, [B], from probabilities [B, K]: the threshold is in it."""
        places = {name: place for place, name in enumerate(self.decision.classes)}
        return np.array([places[name] for name in self.decision.labels(outputs)], dtype=np.int64)

    def good(self, outputs: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each answer is the good one, [B]. For an aim that says which."""
        assert self.favourable is not None
        found: NDArray[np.bool_]
        found = self.codes(outputs) == self.favourable if self.decision.classes else outputs >= self.favourable
        return found

    def score(self, outputs: NDArray[Any], code: int | None = None) -> Floats:
        """Log-odds of the class `code`, of the good one by default; the value itself where there are no classes. [B]"""
        if not self.decision.classes:
            return outputs.astype(np.float64)
        chosen = self.favourable if code is None else code
        assert chosen is not None
        return log_odds(outputs[:, int(chosen)])
