"""Columns of items or users as vectors: numbers and categories through a small perceptron, texts as bags of their n-grams.

Not here: what the vectors are added to (`recommender.py`). Legend: K chosen items or users, G n-grams, E width of a part, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.features.column import Layout
from tradewind.model import image, tabular
from tradewind.model.encoder import Encoder
from tradewind.product import Model

_WIDTH, _DROPOUT = 64, 0.1


class Bag(Encoder):
    """A text as the sum of its n-grams' vectors, weighted as `features/text.py` weighs them (fastText, Joulin et al. 2017)."""

    def __init__(self, layout: Layout, *, width: int) -> None:
        super().__init__(out_width=width)
        (ngrams,) = [tensor for tensor in layout.tensors if tensor.role == "ngrams"]
        self.ids, self.weights = ngrams.name, ngrams.name.replace("ngrams:", "ngram_weights:", 1)
        self.table = nn.Embedding(int(ngrams.meta["vocabulary"]), width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=width**-0.5)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids_KG, weights_KG = inputs[self.ids], inputs[self.weights]
        if self.training:  # the same sum without the gathered vectors in memory; the exporter knows the other one
            found_KE = F.embedding_bag(ids_KG, self.table.weight, per_sample_weights=weights_KG, mode="sum")
        else:
            found_KE = (self.table(ids_KG) * weights_KG[..., None]).sum(1)
        return found_KE[:, None]


class Content(nn.Module):
    """Columns to vectors [K, O]. `arrays` are encoded columns of all items or users; they are data, not weights."""

    def __init__(self, layout: Layout, outputs: int) -> None:
        super().__init__()
        settings = Model(tabular="mlp", width=_WIDTH, depth=1, members=1, dropout=_DROPOUT)
        parts: dict[str, Encoder] = {}
        if layout.numbers or layout.categories:
            table = Layout(numbers=layout.numbers, categories=layout.categories)
            parts["tabular"] = tabular.build(table, settings, outputs=outputs)
        columns = list(dict.fromkeys(tensor.column for tensor in layout.tensors))
        for number, column in enumerate(columns):
            mine = Layout(tensors=tuple(tensor for tensor in layout.tensors if tensor.column == column))
            if any(tensor.role == "ngrams" for tensor in mine.tensors):
                parts[f"text_{number}"] = Bag(mine, width=_WIDTH)
            else:
                parts[f"image_{number}"] = image.build(mine, settings, outputs=outputs)
        self.parts = nn.ModuleDict(parts)
        self.join = nn.Linear(sum(part.out_width for part in parts.values()), outputs)
        self.arrays: dict[str, Tensor] = {}

    def of(self, chosen_K: Tensor) -> Tensor:
        """Vectors [K, O] of some of them, by number."""
        assert self.arrays, "columns are given before they are asked for"
        found_KO: Tensor = self({name: wide(one[chosen_K]) for name, one in self.arrays.items()})
        return found_KO

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        found_KO: Tensor = self.join(torch.cat([part(inputs)[:, 0] for part in self.parts.values()], -1))
        return found_KO

    def parameter_groups(self) -> dict[str, dict[str, float]]:
        """What the parts ask for, under this module's names."""
        return {
            f"parts.{name}.{prefix}": dict(settings)
            for name, part in self.parts.items()
            if isinstance(part, Encoder)
            for prefix, settings in part.parameter_groups().items()
        }


def wide(tensor: Tensor) -> Tensor:
    """Integers are kept small and read as int64."""
    narrow = not tensor.is_floating_point() and tensor.dtype != torch.uint8
    read: Tensor = tensor.long() if narrow else tensor
    return read
