"""Learning-rate schedules: the factor on the learning rate at each step of the optimizer.

Not here: the rate itself (`defaults.py`), nor who applies it (`loop.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

ScheduleName: TypeAlias = Literal["constant", "step", "exponential", "cosine", "inverse_sqrt", "plateau"]

_STEP_AT = (0.5, 0.75)  # He et al., Deep Residual Learning, 2015: a tenth at half and at three quarters of the way
_STEP_BY = 0.1
_EXPONENTIAL_END = 0.01
_COSINE_END = 0.01  # a last step of no size is a wasted one


@dataclass
class Schedule:
    """`factor(step)` for step 0 … total_steps - 1: a linear warm-up, then the named course over what remains.

    A plateau schedule also listens: `observe` after each validation, and `state`/`restore` for checkpoints.
    """

    name: ScheduleName
    total_steps: int
    warmup: float = 0.0
    patience: int = 2
    plateau_by: float = 0.4
    plateau_factor: float = 1.0
    bad: int = 0

    @property
    def warmup_steps(self) -> int:
        return round(self.warmup * self.total_steps)

    def factor(self, step: int) -> float:
        warmup_steps = self.warmup_steps
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        remaining = max(1, self.total_steps - warmup_steps)
        done = min(1.0, (step - warmup_steps) / remaining)
        match self.name:
            case "constant":
                return 1.0
            case "step":
                return _STEP_BY ** sum(done >= at for at in _STEP_AT)
            case "exponential":
                return float(_EXPONENTIAL_END**done)
            case "cosine":  # Loshchilov and Hutter, SGDR, 2017, without restarts
                return _COSINE_END + (1 - _COSINE_END) * 0.5 * (1 + math.cos(math.pi * done))
            case "inverse_sqrt":  # Vaswani et al. 2017: from the warm-up's end on by the root of the steps
                return math.sqrt(max(1, warmup_steps) / max(1, step))
            case "plateau":
                return self.plateau_factor

    def observe(self, *, improved: bool) -> None:
        """Tells a plateau schedule how a validation went; after `patience` bad ones in a row the rate falls."""
        self.bad = 0 if improved else self.bad + 1
        if self.name == "plateau" and self.bad >= self.patience:
            self.plateau_factor *= self.plateau_by
            self.bad = 0

    def state(self) -> dict[str, Any]:
        return {"plateau_factor": self.plateau_factor, "bad": self.bad}

    def restore(self, state: dict[str, Any]) -> None:
        self.plateau_factor, self.bad = float(state["plateau_factor"]), int(state["bad"])
