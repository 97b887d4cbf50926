"""Heads: from the trunk's vector to logits or a value, and from members to one prediction.

Not here: the trunk (`assemble.py`), nor the loss (`train/objectives.py`).

Legend: B rows, M members, D width, K outputs (classes, or 1 for a value).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from tradewind.model.layers import MemberLinear


class Head(nn.Module):
    """[B, M, D] to logits [B, M, K]; each member has weights of its own."""

    def __init__(self, width: int, outputs: int, *, members: int) -> None:
        super().__init__()
        self.layer: nn.Module = (
            nn.Linear(width, outputs) if members == 1 else MemberLinear(width, outputs, members=members)
        )

    def forward(self, x_BMD: Tensor) -> Tensor:
        logits_BMK: Tensor = self.layer(x_BMD)
        return logits_BMK


def log_probabilities(logits_BMK: Tensor) -> Tensor:
    """log of the members' mean probability, [B, K]."""
    log_p_BMK = logits_BMK.log_softmax(-1)
    members = logits_BMK.shape[1]
    if members == 1:
        return log_p_BMK.squeeze(1)
    return log_p_BMK.logsumexp(1) - math.log(members)


def values(values_BMK: Tensor, *, mean: float = 0.0, scale: float = 1.0) -> Tensor:
    """The members' mean value in the target's own units, [B]."""
    return values_BMK.squeeze(-1).mean(1) * scale + mean
