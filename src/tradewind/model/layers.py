"""Small layers that more than one network uses. Not here: whole encoders (`tabular.py`, `text.py`, `image.py`).

Legend: B rows, M members, D width, K outputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Perceptron(nn.Sequential):
    """Linear, GELU, dropout, once per width: [..., in_width] to [..., widths[-1]]."""

    def __init__(self, in_width: int, widths: list[int], *, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(in_width, width), nn.GELU(), nn.Dropout(dropout)]
            in_width = width
        super().__init__(*layers)


class MemberLinear(nn.Module):
    """A linear layer of its own for each member: [B, M, D] to [B, M, K]. Uniform start, as `nn.Linear` has."""

    def __init__(self, in_width: int, out_width: int, *, members: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_width)
        self.weight = nn.Parameter(torch.empty(members, in_width, out_width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, out_width).uniform_(-bound, bound))

    def forward(self, x_BMD: Tensor) -> Tensor:
        product_MBK = torch.bmm(x_BMD.transpose(0, 1), self.weight)
        return product_MBK.transpose(0, 1) + self.bias
