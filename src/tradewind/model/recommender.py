"""The network of a sequential recommender: what somebody met, in order, becomes a vector; the items nearest to it come next.

SASRec (Kang and McAuley, Self-Attentive Sequential Recommendation, 2018) with normalisation before each part, GELU and a start
that stands for somebody of whom nothing is known; histories packed into one row do not see each other. An item's vector is its
own plus one from its columns, so that an item nobody has met has one too. Not here: losses (`train/recommendation_task.py`).

Legend: B rows, T places, D width, H heads, I items, K chosen items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.features.column import Layout
from tradewind.model.recommender_content import Content

_START = 0.5  # standard deviation of an item's vector at the start, in units of 1 / sqrt(D)
_UNMET = 0.1  # of the items of a batch lose their own vector in training, so that columns learn to stand for them


@dataclass(frozen=True)
class RecommenderConfig:
    """Sizes. `context` are the latest events that are seen, the start among them."""

    items: int
    width: int
    depth: int
    heads: int
    context: int
    dropout: float


class Block(nn.Module):
    """Self-attention and a perceptron, each normalised before and added to what it read."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.perceptron_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTD: Tensor, mask_B1TT: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        parts = self.query_key_value(self.attention_norm(x_BTD)).reshape(B, T, 3, self.heads, D // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # [B, H, T, D / H]
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask_B1TT)
        read_BTD = self.joined(read.transpose(1, 2).reshape(B, T, D))
        x_BTD = x_BTD + F.dropout(read_BTD, self.dropout, self.training)
        thought_BTD = self.narrow(F.gelu(self.wide(self.perceptron_norm(x_BTD))))
        return x_BTD + F.dropout(thought_BTD, self.dropout, self.training)


class Recommender(nn.Module):
    """`items` has the items' own vectors, `bias` their own share of the score; columns add to both."""

    def __init__(self, config: RecommenderConfig, *, items: Layout | None = None, users: Layout | None = None) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.items = nn.Embedding(config.items, width)
        nn.init.normal_(self.items.weight, std=_START / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(config.items))
        self.item_content = None if items is None else Content(items, width + 1)
        self.user_content = None if users is None else Content(users, width)
        self.start = nn.Parameter(torch.randn(width) * _START)
        self.places = nn.Embedding(config.context, width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.dropout) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)

    def begin(self, share_I: Tensor) -> None:
        """Scores begin with how often each item is met, `share_I` [I] of all events: the popular items are the first guess."""
        with torch.no_grad():
            self.bias.copy_(share_I.log())

    def vectors(self, chosen_K: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [K, D] and shares of the score [K] of some items, by number."""
        own_KD, bias_K = self.items(chosen_K), self.bias[chosen_K]
        if self.item_content is None:
            return own_KD, bias_K
        if self.training:
            met_K = torch.rand(len(chosen_K), 1, device=own_KD.device) >= _UNMET
            own_KD = own_KD * met_K
        content_KD = self.item_content.of(chosen_K)
        return own_KD + content_KD[:, :-1], bias_K + content_KD[:, -1]

    def users(self, chosen_BT: Tensor) -> Tensor | None:
        """What users' columns add at each place, [B, T, D]; None where there are none."""
        if self.user_content is None:
            return None
        some_K, where_BT = torch.unique(chosen_BT, return_inverse=True)
        return self.user_content.of(some_K)[where_BT]

    def encode(
        self, vectors_BTD: Tensor, places_BT: Tensor, mask_B1TT: Tensor, users_BTD: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        """States [B, T, D] from the vectors of what was met, the start among them already."""
        x_BTD = vectors_BTD * math.sqrt(self.config.width) + self.places(places_BT)
        if users_BTD is not None:
            x_BTD = x_BTD + users_BTD
        x_BTD = F.dropout(x_BTD, self.config.dropout, self.training)
        for block in self.blocks:
            x_BTD = block(x_BTD, mask_B1TT)
        states_BTD: Tensor = self.norm(x_BTD)
        return states_BTD

    def read(
        self, vectors_BTD: Tensor, starts_BT: Tensor, segments_BT: Tensor, places_BT: Tensor, users_BT: Tensor
    ) -> Tensor:  # fmt: skip
        """States [B, T, D] of packed histories; where `starts_BT` one begins, and its vector is the start's."""
        vectors_BTD = torch.where(starts_BT[..., None], self._start(), vectors_BTD)
        return self.encode(vectors_BTD, places_BT, packed_mask(segments_BT), self.users(users_BT))

    def _start(self) -> Tensor:
        return (self.start / math.sqrt(self.config.width))[None]

    def parameter_groups(self) -> dict[str, dict[str, float]]:
        """Vectors that are looked up decay as other weights do; what content asks for, under this model's names."""
        found: dict[str, dict[str, float]] = {"bias": {"weight_decay": 0.0}, "places.": {"weight_decay": 0.0}}
        for name, content in (("item_content", self.item_content), ("user_content", self.user_content)):
            if content is not None:
                found |= {f"{name}.{prefix}": settings for prefix, settings in content.parameter_groups().items()}
        return found


def packed_mask(segments_BT: Tensor) -> Tensor:
    """Who sees whom, [B, 1, T, T]: what came before in the same history, and oneself."""
    T = segments_BT.shape[1]
    same_BTT = segments_BT[:, :, None] == segments_BT[:, None, :]
    return (same_BTT & torch.ones(T, T, dtype=torch.bool, device=segments_BT.device).tril())[:, None]


class SessionEncoder(nn.Module):
    """One history a row, as it is served: vectors of what was met [B, L, D] (padded behind), how many there are [B], and what
    the user's columns add [B, D]; gives the last state [B, D]."""

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, vectors_BLD: Tensor, lengths_B: Tensor, users_BD: Tensor) -> Tensor:
        B = vectors_BLD.shape[0]
        start_B1D = self.model._start()[None].expand(B, -1, -1)
        x_BTD = torch.cat([start_B1D, vectors_BLD], 1)
        T = x_BTD.shape[1]
        places_T = torch.arange(T, device=x_BTD.device)
        mask_TT = places_T[None, :] <= places_T[:, None]
        states_BTD = self.model.encode(
            x_BTD, places_T[None].expand(B, -1), mask_TT[None, None], users_BD[:, None].expand(-1, T, -1)
        )
        last_B1D = lengths_B[:, None, None].expand(-1, 1, self.model.config.width)
        return states_BTD.gather(1, last_B1D)[:, 0]
