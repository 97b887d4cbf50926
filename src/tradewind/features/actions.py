"""Allow, review or refuse: the action whose expected cost is least, by one rule for the report and for a service.

After Elkan (The Foundations of Cost-Sensitive Learning, 2001): with calibrated probabilities the least expected cost is the
best decision. Reviewing is a third action with a price of its own, after which the truth is known (Chow 1970). Not here: how
far the probabilities are moved (`evaluate/costs.py`), who answers (`engines/`, `server/`).

Legend: N rows. p is the calibrated probability of the positive class, `loss` what a positive costs that is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.features.number import to_number, to_numbers

Action = Literal["allow", "review", "refuse"]
ACTIONS: tuple[Action, ...] = ("allow", "review", "refuse")
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Actions:
    """Costs in the unit of the product file. `false_negative` is a cost, or the column that holds it; where that is missing
    in a row, `usual` stands for it. `review` None: nobody reviews. `odds` multiplies the odds of every p."""

    false_positive: float
    false_negative: float | str
    review: float | None = None
    usual: float = 0.0
    odds: float = 1.0

    def state(self) -> dict[str, Any]:
        return {
            "false_positive": self.false_positive, "false_negative": self.false_negative, "review": self.review,
            "usual": self.usual, "odds": self.odds,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(**state)

    def losses(self, values: Mapping[str, NDArray[Any]], *, rows: int) -> Floats:
        """What each positive would cost that is allowed, [N], never below 0."""
        if not isinstance(self.false_negative, str):
            return np.full(rows, float(self.false_negative))
        found_N = to_numbers(values[self.false_negative])
        return np.maximum(np.where(np.isfinite(found_N), found_N, self.usual), 0.0)

    def loss(self, row: Mapping[str, object]) -> float:
        """The same of one row."""
        if not isinstance(self.false_negative, str):
            return float(self.false_negative)
        found = to_number(row.get(self.false_negative))
        return max(found if abs(found) < float("inf") else self.usual, 0.0)

    def expected(self, p_N: Floats, loss_N: Floats) -> Floats:
        """Expected cost of each action, [3, N] in the order of ACTIONS; without reviewers a review costs infinitely much."""
        moved_N = p_N * self.odds / (p_N * self.odds + (1.0 - p_N))
        review = np.inf if self.review is None else self.review
        return np.stack([moved_N * loss_N, np.full(len(p_N), review), (1.0 - moved_N) * self.false_positive])

    def choose(self, p_N: Floats, loss_N: Floats) -> NDArray[np.int64]:
        """Places in ACTIONS, [N]; of equal costs the milder action."""
        return np.asarray(self.expected(p_N, loss_N).argmin(axis=0), dtype=np.int64)

    def of(self, p: float, row: Mapping[str, object]) -> Action:
        """The action for one row, quickly: exactly that of `choose`."""
        moved = p * self.odds / (p * self.odds + (1.0 - p))
        costs: Sequence[float] = (
            moved * self.loss(row),
            float("inf") if self.review is None else self.review,
            (1.0 - moved) * self.false_positive,
        )
        return ACTIONS[costs.index(min(costs))]

    def paid(self, chosen_N: NDArray[np.int64], truth_N: NDArray[np.bool_], loss_N: Floats) -> Floats:
        """What the actions really cost, [N]. A reviewer is taken to find the truth."""
        review = 0.0 if self.review is None else self.review
        allowed, refused = np.where(truth_N, loss_N, 0.0), np.where(truth_N, 0.0, self.false_positive)
        return np.choose(chosen_N, [allowed, np.full(len(truth_N), review), refused])
