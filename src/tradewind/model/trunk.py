"""The whole network of a supervised task: encoders side by side, a trunk that joins them, one head.

Not here: how it is chosen from a product (`assemble.py`).

Legend: B rows, M members, D width, K outputs (classes, or 1 for a value).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tradewind.model.encoder import Encoder
from tradewind.model.heads import Head
from tradewind.model.layers import Perceptron


class TradewindModel(nn.Module):
    """Encoders side by side, joined by a fusion perceptron where there are several, and one head.

    A single encoder goes straight to the head. With several, each is normalised, members are broadcast to the largest
    number, and their concatenation passes a perceptron. Wide logits of any encoder are added to every member.
    """

    def __init__(self, encoders: Mapping[str, Encoder], *, outputs: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        assert encoders
        assert all("." not in name for name in encoders)
        self.encoders = nn.ModuleDict(dict(encoders))
        self.members = max(encoder.members for encoder in encoders.values())
        assert all(encoder.members in (1, self.members) for encoder in encoders.values())
        self.outputs = outputs
        self.norms: nn.ModuleDict | None = None
        self.fusion: Perceptron | None = None
        head_width = next(iter(encoders.values())).out_width
        if len(encoders) > 1:
            self.norms = nn.ModuleDict({name: nn.LayerNorm(encoder.out_width) for name, encoder in encoders.items()})
            self.fusion = Perceptron(sum(e.out_width for e in encoders.values()), [width], dropout=dropout)
            head_width = width
        self.head = Head(head_width, outputs, members=self.members)

    def encode(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """The trunk's input [B, M, D] (before fusion) and the sum of wide logits [B, K], or None."""
        parts: list[Tensor] = []
        wide_BK: Tensor | None = None
        for name, encoder in self.encoders.items():
            assert isinstance(encoder, Encoder)
            part_BMD = encoder(inputs)
            if self.norms is not None:
                part_BMD = self.norms[name](part_BMD)
            if encoder.members != self.members:
                part_BMD = part_BMD.expand(-1, self.members, -1)
            parts.append(part_BMD)
            logits_BK = encoder.wide_logits(inputs)
            if logits_BK is not None:
                wide_BK = logits_BK if wide_BK is None else wide_BK + logits_BK
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1), wide_BK

    def decide(self, encoded_BMD: Tensor, wide_BK: Tensor | None) -> Tensor:
        """Logits [B, M, K] from what `encode` gave."""
        if self.fusion is not None:
            encoded_BMD = self.fusion(encoded_BMD)
        logits_BMK: Tensor = self.head(encoded_BMD)
        return logits_BMK if wide_BK is None else logits_BMK + wide_BK.unsqueeze(1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits [B, M, K], or normalised values [B, M, 1]."""
        encoded_BMD, wide_BK = self.encode(inputs)
        return self.decide(encoded_BMD, wide_BK)

    def parameter_groups(self) -> dict[str, dict[str, float]]:
        """What the encoders ask for, under the whole model's parameter names."""
        found: dict[str, dict[str, float]] = {}
        for name, encoder in self.encoders.items():
            assert isinstance(encoder, Encoder)
            for prefix, settings in encoder.parameter_groups().items():
                found[f"encoders.{name}.{prefix}"] = dict(settings)
        return found
