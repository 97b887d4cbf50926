"""Batches and a small encoder in memory, for tests of the loop. Not the real ones (`data/batches.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradewind.model.encoder import Encoder
from tradewind.model.trunk import TradewindModel


@dataclass(frozen=True)
class MemoryBatch:
    inputs: Mapping[str, NDArray[Any]]
    target: NDArray[Any]
    weight: NDArray[Any] | None = None
    mixup: MemoryMixup | None = None


@dataclass(frozen=True)
class MemoryMixup:
    share: float
    partner: NDArray[np.int64]


@dataclass(frozen=True)
class MemoryBatches:
    arrays: Mapping[str, NDArray[Any]]
    target: NDArray[Any]
    size: int
    weight: NDArray[Any] | None = None
    seed: int = 0
    shuffle: bool = True
    share: float | None = None

    def __len__(self) -> int:
        return -(-len(self.target) // self.size)

    def epoch(self, n: int, start: int = 0) -> Iterator[MemoryBatch]:
        rows = len(self.target)
        order = np.random.default_rng([self.seed, n]).permutation(rows) if self.shuffle else np.arange(rows)
        for first in range(start * self.size, rows, self.size):
            part = order[first : first + self.size]
            weight = None if self.weight is None else self.weight[part]
            mixup = None if self.share is None else MemoryMixup(self.share, np.arange(len(part))[::-1].copy())
            inputs = {name: array[part] for name, array in self.arrays.items()}
            yield MemoryBatch(inputs, self.target[part], weight, mixup)


class Plain(Encoder):
    """Numbers through one hidden layer, with dropout."""

    def __init__(self, numbers: int, width: int = 16, *, members: int = 1, dropout: float = 0.0) -> None:
        super().__init__(out_width=width, members=members)
        self.layer = nn.Linear(numbers, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        hidden_BD = self.dropout(torch.relu(self.layer(inputs["numbers"])))
        return hidden_BD.unsqueeze(1).expand(-1, self.members, -1)


def small_model(*, outputs: int = 2, members: int = 1, dropout: float = 0.0, seed: int = 0) -> TradewindModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TradewindModel({"tabular": Plain(4, members=members, dropout=dropout)}, outputs=outputs, width=16)


def two_moons(rows: int, *, seed: int = 0) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
    """Numbers [rows, 4] and a class that a linear model finds only in part."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 4)).astype(np.float32)
    label = (numbers[:, 0] * numbers[:, 1] + 0.5 * numbers[:, 2] > 0).astype(np.int64)
    return {"numbers": numbers}, label
