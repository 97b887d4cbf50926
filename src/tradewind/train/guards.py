"""Guards that stop a run which cannot learn, and say why. Not here: early stopping, which ends a run that did learn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradewind.errors import DataError, ModelError

_EPOCHS = 3  # so many must pass without movement
_STEPS = 30  # and so many steps
_RELATIVE = 1e-6


def check_target(target: NDArray[Any], *, name: str) -> None:
    """Refuses a training target, int64 with -1 or float32 with NaN for missing, from which nothing can be learnt.

    Raises DataError when no row has a label, or all labels are equal.
    """
    known = target[target >= 0] if np.issubdtype(target.dtype, np.integer) else target[np.isfinite(target)]
    if len(known) == 0:
        raise DataError(
            f"No training row has a value in the target {name}: there is nothing to learn from.",
            code="target_missing",
            where="data.target",
            hint="See rejected.jsonl in the dataset for the rows left out.",
        )
    if (known == known[0]).all():
        raise DataError(
            f"The target {name} is the same in all {len(known)} training rows: a constant needs no model.",
            code="target_constant",
            where="data.target",
            hint="Check data.target and what clean and split left over.",
        )


def check_loss(loss: float, *, step: int) -> None:
    """Raises ModelError when the loss is no longer a finite number."""
    if not math.isfinite(loss):
        raise ModelError(
            f"The loss became {loss} by step {step}: the run diverged.",
            code="diverged",
            where="train",
            hint="Lower train.learning_rate, or set train.clip to 1; check the inputs for extreme numbers.",
        )


@dataclass
class Movement:
    """Notices a loss, or weights, that do not move in the first epochs. Asked once an epoch; done after a few."""

    losses: list[float] = field(default_factory=list)
    start: list[Tensor] | None = None
    done: bool = False

    def begin(self, parameters: list[Tensor]) -> None:
        self.start = [p.detach().clone() for p in parameters]

    def observe(self, loss: float, parameters: list[Tensor], *, steps: int) -> None:
        """`loss` is the mean of the epoch that ended after `steps` steps in all. Raises ModelError when nothing moves."""
        if self.done:
            return
        self.losses.append(loss)
        if len(self.losses) < _EPOCHS or steps < _STEPS:
            return
        self.done = True
        spread = max(self.losses) - min(self.losses)
        flat = spread <= _RELATIVE * abs(max(self.losses, key=abs)) and abs(loss) > 1e-9
        if flat or self._unmoved(parameters):
            what = f"The loss stays at {loss:.6g}" if flat else "The weights do not change"
            raise ModelError(
                f"{what} over the first {len(self.losses)} epochs: the run cannot learn.",
                code="loss_stuck",
                where="train",
                hint="Raise train.learning_rate, or check that the inputs are not all missing or constant.",
            )
        self.start = None

    def _unmoved(self, parameters: list[Tensor]) -> bool:
        if self.start is None:
            return False
        with torch.no_grad():
            moved = sum(float((p - s).square().sum()) for p, s in zip(parameters, self.start, strict=True))
            size = sum(float(s.square().sum()) for s in self.start)
        return math.sqrt(moved) <= _RELATIVE * math.sqrt(size)

    def state(self) -> dict[str, Any]:
        return {"losses": self.losses, "done": self.done}

    def restore(self, state: dict[str, Any]) -> None:
        self.losses, self.done = list(state["losses"]), bool(state["done"])
        self.start = None  # after a resume only the loss is watched
