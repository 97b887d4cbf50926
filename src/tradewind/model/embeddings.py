"""Embeddings of table cells: numbers (linear, piecewise linear, periodic) and categories. Not the networks on top (`tabular.py`).

Legend: B rows, N numbers, C categories, E edges of the column that has most, R = E + 1 rows of its table, V codes of all
categories together, W width of an embedding, F frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# Beyond this many standard deviations a number moves only its bins, so one outlier cannot throw the net.
_LINEAR_REACH = 5.0
# A piecewise value lies in one of R rows: below the first edge, between two, at or above the last.
_BIN_STD = 0.1
_SMALLEST_BIN = 1e-30  # its inverse is still a float32
_CATEGORY_STD = 0.3


class LinearNumbers(nn.Module):
    """`weight * clip(x, -5, 5) + bias`, a weight and a bias vector for each column.

    The feature tokenizer of Gorishniy et al. 2021 (arXiv:2106.11959), section 3.3, with the reach bounded.
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        assert columns > 0
        assert width > 0
        self.weight_NW = nn.Parameter(torch.empty(columns, width).uniform_(-1, 1))
        self.bias_NW = nn.Parameter(torch.empty(columns, width).uniform_(-1, 1))

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """Numbers float32 [B, N] in normalised units to float32 [B, N, W]."""
        reach_BN1 = numbers_BN.clamp(-_LINEAR_REACH, _LINEAR_REACH).unsqueeze(-1)
        return reach_BN1 * self.weight_NW + self.bias_NW


class PiecewiseNumbers(nn.Module):
    """A function of each number that is linear between its edges and may jump at each of them, plus `LinearNumbers`.

    The linear pieces are the PLE-Q embedding of Gorishniy et al. 2022 (arXiv:2203.05556), initialised at zero as in
    TabM (arXiv:2410.24210). A free vector for each bin is added: an edge that is a value seen in training gives that
    value its own vector, as a tree would give it a leaf of its own.

    `PLE(x) @ weight` sums the weights of the bins below x and a share of its own, so it is read from two rows of a
    table (what lies below, and the slope here) at a cost that does not grow with the number of edges. A column without
    edges keeps the linear part alone.
    """

    edges_NE: Tensor
    pieces: Tensor
    offset_N: Tensor

    def __init__(self, bins: Sequence[Sequence[float]], width: int) -> None:
        """`bins` holds the increasing edges of each column in normalised units; none for one that stays linear."""
        super().__init__()
        # Edges meet the values in float32, as these are stored; two that are one there are one.
        increasing = [torch.from_numpy(np.unique(np.array(edges, dtype=np.float32))) for edges in bins]
        columns, most = len(bins), max((len(edges) for edges in increasing), default=0)
        assert columns > 0
        assert most > 0, "no column has edges: LinearNumbers"
        rows = most + 1
        # Padding is infinite, so no value reaches it. Below the first edge and from the last on, the share is zero.
        edges_NE = torch.full((columns, most), math.inf)
        start_NR, inverse_NR = torch.zeros(columns, rows), torch.zeros(columns, rows)
        for column, edges in enumerate(increasing):
            edges_NE[column, : len(edges)] = edges
            start_NR[column, 1 : len(edges)] = edges[:-1]
            inverse_NR[column, 1 : len(edges)] = 1 / edges.diff().clamp_min(_SMALLEST_BIN)
        self.register_buffer("edges_NE", edges_NE, persistent=False)
        pieces = torch.stack([start_NR, inverse_NR], dim=-1).flatten(0, 1)
        self.register_buffer("pieces", pieces, persistent=False)  # [N * R, 2]
        self.register_buffer("offset_N", torch.arange(columns) * rows, persistent=False)
        self.linear = LinearNumbers(columns, width)
        self.slope_NRW = nn.Parameter(torch.zeros(columns, rows, width))
        self.level_NRW = nn.Parameter(torch.randn(columns, rows, width) * _BIN_STD)

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """Numbers float32 [B, N] in normalised units to float32 [B, N, W]."""
        row_BN = (numbers_BN.unsqueeze(-1) >= self.edges_NE).sum(-1) + self.offset_N
        start_BN, inverse_BN = functional.embedding(row_BN, self.pieces).unbind(-1)
        share_BN = ((numbers_BN - start_BN) * inverse_BN).clamp(0, 1)
        below_NRW = self.slope_NRW.cumsum(1) - self.slope_NRW + self.level_NRW
        table = torch.cat([below_NRW, self.slope_NRW], dim=-1).flatten(0, 1)  # [N * R, 2W]
        level_BNW, slope_BNW = functional.embedding(row_BN, table).chunk(2, dim=-1)
        linear_BNW: Tensor = self.linear(numbers_BN)
        return level_BNW + share_BN.unsqueeze(-1) * slope_BNW + linear_BNW


class PeriodicNumbers(nn.Module):
    """Sines and cosines of learned frequencies, one linear map shared by all columns, a ReLU.

    PLR (lite) of Gorishniy et al. 2022 (arXiv:2203.05556), section 3.4, with the raw number beside the waves.
    """

    def __init__(self, columns: int, width: int, *, frequencies: int = 24, scale: float = 0.1) -> None:
        """`scale` is the standard deviation of the first frequencies, in cycles per normalised unit."""
        super().__init__()
        assert columns > 0
        assert frequencies > 0
        bound = 3 * scale
        frequency_NF = nn.init.trunc_normal_(torch.empty(columns, frequencies), std=scale, a=-bound, b=bound)
        self.frequency_NF = nn.Parameter(frequency_NF)
        self.mix = nn.Linear(2 * frequencies, width)
        self.linear = LinearNumbers(columns, width)

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """Numbers float32 [B, N] in normalised units to float32 [B, N, W]."""
        angle_BNF = 2 * math.pi * self.frequency_NF * numbers_BN.unsqueeze(-1)
        waves = torch.cat([angle_BNF.cos(), angle_BNF.sin()], dim=-1)  # [B, N, 2F]
        return functional.relu(self.mix(waves) + self.linear(numbers_BN))


class Categories(nn.Module):
    """A vector for each value of each category, all columns in one table: one look-up serves a row."""

    offset_C: Tensor

    def __init__(self, cardinalities: Sequence[int], width: int) -> None:
        """`cardinalities` count the codes of each column, 0 (missing or never seen) among them."""
        super().__init__()
        assert cardinalities
        assert min(cardinalities) > 0
        starts = torch.tensor([0, *cardinalities[:-1]]).cumsum(0)
        self.register_buffer("offset_C", starts, persistent=False)
        self.table_VW = nn.Parameter(torch.randn(sum(cardinalities), width) * _CATEGORY_STD)

    def forward(self, categories_BC: Tensor) -> Tensor:
        """Codes int64 [B, C], each below the cardinality of its column, to float32 [B, C, W]."""
        return functional.embedding(categories_BC + self.offset_C, self.table_VW)


def category_width(cardinality: int) -> int:
    """Width of an embedding for a column of that many codes: 8 up to 64, growing with the cube root, 32 at most."""
    return min(32, max(8, 2 * math.ceil(math.cbrt(cardinality))))
