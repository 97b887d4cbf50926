"""Small encoders and feature sets for tests of the model room. Not a test itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.model.encoder import Encoder
from tradewind.model.trunk import TradewindModel


class Numbers(Encoder):
    """Numbers and categories through one hidden layer."""

    def __init__(self, numbers: int, cardinality: int, *, members: int = 1) -> None:
        super().__init__(out_width=8, members=members)
        self.layer = nn.Linear(numbers, 8)
        self.table = nn.Embedding(cardinality, 8)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        hidden_BD = torch.relu(self.layer(inputs["numbers"]) + self.table(inputs["categories"][:, 0]))
        return hidden_BD.unsqueeze(1).expand(-1, self.members, -1)


class Words(Encoder):
    """Mean of token embeddings, with wide logits from the same tokens."""

    def __init__(self, name: str, outputs: int) -> None:
        super().__init__(out_width=6)
        self.name = name
        self.table = nn.Embedding(50, 6, padding_idx=0)
        self.wide = nn.Embedding(50, outputs, padding_idx=0)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.table(inputs[self.name]).mean(1, keepdim=True)

    def wide_logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.wide(inputs[self.name]).sum(1)

    def parameter_groups(self) -> dict[str, dict[str, float]]:
        return {"wide.": {"lr_scale": 2.5}}


def raw_rows(rows: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    values = {"age": rng.normal(40, 9, rows), "income": rng.normal(3000, 800, rows)}
    return {**values, "city": np.array([["Wuhan", "Bonn", "Pune"][i % 3] for i in range(rows)], dtype=object)}


def features_of(task: str = "classification", rows: int = 12) -> FeatureSet:
    values = raw_rows(rows)
    label = np.array([i % 3 for i in range(rows)] if task == "classification" else values["income"] / 7, dtype=object)
    specs = [ColumnSpec("age", "number"), ColumnSpec("income", "number"), ColumnSpec("city", "category")]
    return FeatureSet.fit(specs, values, fit_target(task, label), seed=0)


def model_for(features: FeatureSet, *, outputs: int, members: int = 1) -> TradewindModel:
    torch.manual_seed(0)
    layout = features.layout
    tabular = Numbers(len(layout.numbers), layout.categories[0].cardinality, members=members)
    return TradewindModel({"tabular": tabular}, outputs=outputs, width=8)
