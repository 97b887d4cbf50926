"""Encoders of the numbers and categories of a row: `mlp`, `tabm`, `transformer`. Not the head, the loss or the optimizer.

Legend: B rows, N numbers, C categories, M members, T tokens (one for each cell and one that reads them all),
E width of the joined embeddings, D width of the network, H heads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from tradewind import product
from tradewind.errors import ModelError
from tradewind.features.column import Layout
from tradewind.model.embeddings import Categories, LinearNumbers, PeriodicNumbers, PiecewiseNumbers, category_width
from tradewind.model.encoder import Encoder

Numbers = Literal["linear", "piecewise", "periodic"]

# What the embeddings need beside the run's own rate (measured: LAB.md, tabular): a cell's vector is met by few rows.
EMBEDDING_LR_SCALE = 5.0
WIDTH, DEPTH, MEMBERS, DROPOUT = 128, 2, 8, 0.1
TRANSFORMER_WIDTH, HEADS = 64, 4


class Cells(nn.Module):
    """The embedded cells of a row, numbers before categories."""

    def __init__(self, layout: Layout, *, numbers: Numbers, number_width: int, category_width: int) -> None:
        """Raises AssertionError where the layout has neither numbers nor categories."""
        super().__init__()
        assert layout.numbers or layout.categories, "a tabular encoder needs a number or a category"
        bins = [feature.bins for feature in layout.numbers]
        self.numbers: nn.Module | None = None
        if numbers == "periodic" and bins:
            self.numbers = PeriodicNumbers(len(bins), number_width)
        elif numbers == "piecewise" and any(bins):
            self.numbers = PiecewiseNumbers(bins, number_width)
        elif bins:
            self.numbers = LinearNumbers(len(bins), number_width)
        cardinalities = [feature.cardinality for feature in layout.categories]
        self.categories = Categories(cardinalities, category_width) if cardinalities else None
        self.out_width = len(bins) * number_width + len(cardinalities) * category_width

    def forward(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """`numbers` float32 [B, N] and `categories` int64 [B, C] to [B, N, number width] and [B, C, category width].

        A kind that the layout lacks is not read and gives nothing.
        """
        cells = []
        if self.numbers is not None:
            cells.append(self.numbers(inputs["numbers"]))
        if self.categories is not None:
            cells.append(self.categories(inputs["categories"]))
        return cells


class _FlatEncoder(Encoder):
    """What `mlp` and `tabm` share: all cells of a row side by side."""

    def __init__(self, layout: Layout, *, numbers: Numbers, width: int, members: int) -> None:
        super().__init__(out_width=width, members=members)
        largest = max((feature.cardinality for feature in layout.categories), default=1)
        number_width, widest = _cell_widths(len(layout.numbers) + len(layout.categories))
        category = min(widest, category_width(largest))
        self.cells = Cells(layout, numbers=numbers, number_width=number_width, category_width=category)

    def flat(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The cells of a row, float32 [B, E]."""
        return torch.cat([cells.flatten(1) for cells in self.cells(inputs)], dim=1)

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        """Embeddings learn faster and do not decay; see `EMBEDDING_LR_SCALE`."""
        return _cell_groups(self.cells)


class MlpEncoder(_FlatEncoder):
    """A perceptron over the embedded cells: (linear, ReLU, dropout) × depth."""

    def __init__(self, layout: Layout, *, numbers: Numbers, width: int, depth: int, dropout: float) -> None:
        """`width` is that of every layer and of the output; `dropout` is a share in [0, 1)."""
        super().__init__(layout, numbers=numbers, width=width, members=1)
        assert depth > 0
        widths = [self.cells.out_width] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """`numbers` float32 [B, N] and `categories` int64 [B, C] to float32 [B, 1, D]."""
        hidden = self.flat(inputs)
        for layer in self.layers:
            hidden = self.dropout(functional.relu(layer(hidden)))
        return hidden.unsqueeze(1)


class SharedLinear(nn.Module):
    """One weight shared by M members, each with its own scale of inputs and outputs and its own bias.

    Unlike `layers.MemberLinear`, where each has a weight too. BatchEnsemble, Wen et al. 2020 (arXiv:2002.06715): the weight of member m is `weight * out_m ⊗ in_m`.
    """

    def __init__(self, inputs: int, outputs: int, *, members: int, diverse: bool) -> None:
        """`diverse` starts the members apart, each with random signs on its inputs; else they start alike."""
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        signs = torch.randint(0, 2, (members, inputs)) * 2.0 - 1.0
        self.in_scale = nn.Parameter(signs if diverse else torch.ones(members, inputs))
        self.out_scale = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-bound, bound))

    def forward(self, rows: Tensor) -> Tensor:
        """Float [B, M or 1, inputs] to [B, M, outputs]."""
        mixed: Tensor = functional.linear(rows * self.in_scale, self.weight)
        return mixed * self.out_scale + self.bias


class TabmEncoder(_FlatEncoder):
    """M perceptrons in one: they share their weights but for the scales and biases of `SharedLinear`.

    TabM, Gorishniy et al. 2024 (arXiv:2410.24210). Train with the mean of the members' losses, predict with the mean of
    their probabilities, and give each member a head of its own.
    """

    def __init__(
        self, layout: Layout, *, numbers: Numbers, width: int, depth: int, members: int, dropout: float
    ) -> None:
        """`width` is that of every layer and of the output; `dropout` is a share in [0, 1)."""
        super().__init__(layout, numbers=numbers, width=width, members=members)
        assert depth > 0
        self.layers = nn.ModuleList(
            SharedLinear(self.cells.out_width if i == 0 else width, width, members=members, diverse=i == 0)
            for i in range(depth)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """`numbers` float32 [B, N] and `categories` int64 [B, C] to float32 [B, M, D]."""
        hidden = self.flat(inputs).unsqueeze(1)
        for layer in self.layers:
            hidden = self.dropout(functional.relu(layer(hidden)))
        return hidden


class TransformerEncoder(Encoder):
    """Attention among the cells of a row; a token that reads them all stands first and gives the output.

    FT-Transformer, Gorishniy et al. 2021 (arXiv:2106.11959): pre-norm without the first norm, ReGLU, a last norm and
    ReLU on the reading token. The last layer asks for that token alone, since nothing reads the others.
    """

    def __init__(self, layout: Layout, *, numbers: Numbers, width: int, depth: int, heads: int, dropout: float) -> None:
        """`width` must divide by `heads`; `dropout` is a share in [0, 1)."""
        super().__init__(out_width=width, members=1)
        assert depth > 0
        self.cells = Cells(layout, numbers=numbers, number_width=width, category_width=width)
        self.column_TD = nn.Parameter(torch.randn(len(layout.numbers) + len(layout.categories), width) * 0.02)
        self.reader_D = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList(
            _CellAttention(width, heads=heads, dropout=dropout, normed=i > 0) for i in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """`numbers` float32 [B, N] and `categories` int64 [B, C] to float32 [B, 1, D]."""
        cells_BTD = torch.cat(self.cells(inputs), dim=1) + self.column_TD
        reader_B1D = self.reader_D.expand(cells_BTD.shape[0], 1, -1)
        tokens_BTD = torch.cat([reader_B1D, cells_BTD], dim=1)
        for i, layer in enumerate(self.layers):
            tokens_BTD = layer(tokens_BTD, first_only=i + 1 == len(self.layers))
        read_B1D: Tensor = self.norm(tokens_BTD)
        return functional.relu(read_B1D)

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        """Embeddings learn faster and do not decay; see `EMBEDDING_LR_SCALE`."""
        return _cell_groups(self.cells)


class _CellAttention(nn.Module):
    """One pre-norm layer: attention of all tokens to all, then a gated perceptron."""

    def __init__(self, width: int, *, heads: int, dropout: float, normed: bool) -> None:
        super().__init__()
        assert width % heads == 0, f"width {width} does not divide by {heads} heads"
        self.heads = heads
        self.norm = nn.LayerNorm(width) if normed else nn.Identity()
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.gate_norm = nn.LayerNorm(width)
        inner = width * 4 // 3
        self.gate, self.down = nn.Linear(width, 2 * inner), nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_BTD: Tensor, *, first_only: bool) -> Tensor:
        """Float [B, T, D] to [B, T, D], or to [B, 1, D] with `first_only`."""
        normed_BTD: Tensor = self.norm(tokens_BTD)
        asking_BQD = normed_BTD[:, :1] if first_only else normed_BTD
        tokens_BTD = tokens_BTD[:, :1] if first_only else tokens_BTD
        key, value = self.key_value(normed_BTD).chunk(2, dim=-1)
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(asking_BQD)), self._split(key), self._split(value)
        )
        read_BTD: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        tokens_BTD = tokens_BTD + self.dropout(read_BTD)
        up, gate = self.gate(self.gate_norm(tokens_BTD)).chunk(2, dim=-1)
        gated_BTD: Tensor = self.down(self.dropout(up * functional.relu(gate)))
        dropped_BTD: Tensor = self.dropout(gated_BTD)
        return tokens_BTD + dropped_BTD

    def _split(self, tokens_BTD: Tensor) -> Tensor:
        width = tokens_BTD.shape[-1] // self.heads
        split_BTHW: Tensor = tokens_BTD.reshape(tokens_BTD.shape[0], -1, self.heads, width)
        return split_BTHW.transpose(1, 2)  # [B, H, T, D / H]


def build(layout: Layout, settings: product.Model, *, outputs: int) -> Encoder:
    """The encoder for the numbers and categories of `layout`, as `settings` says; `auto` becomes the default.

    `outputs` (classes, or 1) does not shape it. Number features with `bins` are embedded piecewise unless settings say
    otherwise. Raises ModelError where a transformer's width does not divide by its heads.
    """
    kind = settings.tabular
    if kind == "auto":
        kind = settings.kind if settings.kind in ("mlp", "tabm", "transformer") else "tabm"
    numbers: Numbers = "piecewise" if settings.numbers == "auto" else settings.numbers
    depth = DEPTH if settings.depth == "auto" else settings.depth
    dropout = DROPOUT if settings.dropout == "auto" else settings.dropout
    if kind == "transformer":
        width = TRANSFORMER_WIDTH if settings.width == "auto" else settings.width
        heads = HEADS if settings.heads == "auto" else settings.heads
        if width % heads:
            raise ModelError(
                f"A transformer's width must divide by its heads, but width is {width} and heads is {heads}.",
                code="width_heads",
                where="model.width",
                hint=f"Write a multiple of {heads}, say {max(1, round(width / heads)) * heads}.",
            )
        return TransformerEncoder(layout, numbers=numbers, width=width, depth=depth, heads=heads, dropout=dropout)
    width = WIDTH if settings.width == "auto" else settings.width
    if kind == "mlp":
        return MlpEncoder(layout, numbers=numbers, width=width, depth=depth, dropout=dropout)
    members = MEMBERS if settings.members == "auto" else settings.members
    return TabmEncoder(layout, numbers=numbers, width=width, depth=depth, members=members, dropout=dropout)


def _cell_widths(cells: int) -> tuple[int, int]:
    """Width of a number's embedding and the most for a category's, so that a wide table stays affordable."""
    if cells <= 128:
        return 16, 32
    return (8, 16) if cells <= 512 else (4, 8)


def _cell_groups(cells: Cells) -> Mapping[str, dict[str, float]]:
    """Prefixes of the tables that single cells look up. Linear and periodic weights are met by every row: not here."""
    table = {"lr_scale": EMBEDDING_LR_SCALE, "weight_decay": 0.0}
    groups: dict[str, dict[str, float]] = {}
    if isinstance(cells.numbers, PiecewiseNumbers):
        groups["cells.numbers.slope_NRW"] = table
        groups["cells.numbers.level_NRW"] = table
    if cells.categories is not None:
        groups["cells.categories.table_VW"] = table
    return groups
