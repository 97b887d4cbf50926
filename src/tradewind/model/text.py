"""Networks over the text of one column, from scratch, and the linear part over its n-grams that learns beside them.

Not here: pretrained encoders (`pretrained.py`), token numbers and n-gram weights (`features/text.py`), the loss of the
parts (`train/tasks.py`).

Legend: B rows, M members, T tokens, G n-grams, D width, H heads, K outputs (classes, or 1 for a value). Number 0 is padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.errors import EnvironmentFailure, ModelError
from tradewind.features.column import Layout, TensorFeature
from tradewind.model.encoder import Encoder
from tradewind.product import Model

_WIDTH, _DEPTH, _HEADS, _DROPOUT = 128, 1, 4, 0.5
# Shares of whole tokens and of n-grams that training leaves out, in a network that has any dropout.
_TOKENS_DROPPED, _NGRAMS_DROPPED = 0.1, 0.1
_WIDE_WEIGHTS, _WIDE_RANK = 20_000_000, 64
_FAR = -1e4
_ROTARY_BASE = 10_000.0


class Body(nn.Module):
    """Maps tokens int64 [B, T] to one vector per row, float [B, `out_width`], or with `members` to one from each,
    [B, M, `out_width`]. A row of padding alone is allowed."""

    out_width: int
    members: int | None = None
    # The linear part beside it learns from sparse inputs of length 1: it needs larger steps, and no decay (LAB.md).
    wide_rate: float = 2.5

    def forward(self, tokens_BT: Tensor) -> Tensor:
        raise NotImplementedError

    def with_vectors(self, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives, and the vector of each text that others compare it by: the same, unless a body knows better."""
        states = self(tokens_BT)
        return states, states

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        """As `Encoder.parameter_groups`, for the names inside this body."""
        return {}


class TextEncoder(Encoder):
    """A body over the tokens of one column, and beside it, where there are n-grams, linear logits.

    Reads `tokens:NAME` [B, T] and, with a wide part, `ngrams:NAME` and `ngram_weights:NAME` [B, G].
    """

    def __init__(self, body: Body, layout: Layout, *, outputs: int, ngrams: bool, dropout: float) -> None:
        super().__init__(out_width=body.out_width, members=body.members or 1)
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.tokens = _feature(layout, "tokens").name
        bag = _feature(layout, "ngrams")
        self.ngrams, self.weights = bag.name, _feature(layout, "ngram_weights").name
        vocabulary = int(bag.meta["vocabulary"])
        dropped = _NGRAMS_DROPPED if dropout else 0.0
        self.wide = NgramLogits(vocabulary, outputs, dropout=dropped) if ngrams and vocabulary > 1 else None

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """[B, M, D]."""
        encoded: Tensor = self.dropout(self.body(inputs[self.tokens]))
        return encoded.unsqueeze(1) if self.body.members is None else encoded

    def with_vectors(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What `forward` gives, and the texts' vectors [B, V], each of length 1."""
        encoded, vectors = self.body.with_vectors(inputs[self.tokens])
        encoded_BMD = encoded.unsqueeze(1) if self.body.members is None else encoded
        return self.dropout(encoded_BMD), F.normalize(vectors.flatten(1), dim=-1)

    def wide_logits(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """[B, K], or None without a wide part."""
        if self.wide is None:
            return None
        logits_BK: Tensor = self.wide(inputs[self.ngrams], inputs[self.weights])
        return logits_BK

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        groups = {f"body.{prefix}": settings for prefix, settings in self.body.parameter_groups().items()}
        if self.wide is not None:
            groups["wide."] = {"lr_scale": self.body.wide_rate, "weight_decay": 0.0}
        return groups


class Members(Body):
    """Bodies that learn side by side from different starts; their probabilities are averaged (deep ensembles,
    Lakshminarayanan, Pritzel and Blundell 2017). The linear part beside them is one for all."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self.members = len(bodies)
        self.out_width = bodies[0].out_width

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return torch.stack([body(tokens_BT) for body in self.bodies], 1)


class NgramLogits(nn.Module):
    """A linear model over weighted n-grams (the wide half of Cheng et al., Wide & Deep Learning, 2016).

    Starts at zero. Above 20 million weights it goes through 64 dimensions, as fastText does (Joulin et al. 2017).
    """

    def __init__(self, vocabulary: int, outputs: int, *, dropout: float) -> None:
        super().__init__()
        factored = vocabulary * outputs > _WIDE_WEIGHTS and outputs > _WIDE_RANK
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(vocabulary, _WIDE_RANK if factored else outputs, padding_idx=0)
        self.out = nn.Linear(_WIDE_RANK, outputs, bias=False) if factored else None
        nn.init.zeros_(self.out.weight if self.out is not None else self.embedding.weight)

    def forward(self, ngrams_BG: Tensor, weights_BG: Tensor) -> Tensor:
        """[B, K] from ids int64 [B, G] and weights float32 [B, G]."""
        weights_BG = self.dropout(weights_BG)
        logits_BK = torch.bmm(weights_BG.unsqueeze(1), self.embedding(ngrams_BG)).squeeze(1)
        return logits_BK if self.out is None else self.out(logits_BK)


class TokenEmbedding(nn.Module):
    """[B, T] to [B, T, D], zero at padding. In training whole tokens and single values are left out."""

    def __init__(self, vocabulary: int, width: int, *, dropout: float, tokens_dropped: float) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        with torch.no_grad():
            self.table.weight[0].zero_()
        self.dropout = nn.Dropout(dropout)
        self.tokens_dropped = tokens_dropped

    def forward(self, tokens_BT: Tensor) -> Tensor:
        if self.training and self.tokens_dropped > 0:
            tokens_BT = tokens_BT * (torch.rand(tokens_BT.shape, device=tokens_BT.device) >= self.tokens_dropped)
        embedded_BTD: Tensor = self.dropout(self.table(tokens_BT))
        return embedded_BTD


class CnnBody(Body):
    """Convolutions over 1 to 4 tokens and the largest answer of each (Kim, Convolutional Neural Networks for Sentence
    Classification, 2014). A `depth` above 1 puts residual convolutions over 3 tokens before them."""

    spans = (1, 2, 3, 4)

    def __init__(self, vocabulary: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(
            vocabulary, width, dropout=0.4 * dropout, tokens_dropped=_TOKENS_DROPPED if dropout else 0.0
        )
        self.before = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(depth - 1))
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, span) for span in self.spans)
        self.out_width = width * len(self.spans)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        there_B1T = (tokens_BT > 0).unsqueeze(1)
        x_BDT = self.embedding(tokens_BT).transpose(1, 2) * there_B1T
        for layer in self.before:
            x_BDT = x_BDT + F.relu(layer(x_BDT)) * there_B1T
        found = []
        for span, layer in zip(self.spans, self.convolutions, strict=True):
            # "same" padding for even spans too, so that a text of one token has an answer
            found.append(layer(F.pad(x_BDT, ((span - 1) // 2, span // 2))))
        # Answers are at least 0, so zeros at padding change no maximum.
        return (F.relu(torch.cat(found, 1)) * there_B1T).amax(2)


class RnnBody(Body):
    """A bidirectional LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014), pooled over the tokens.

    Variational dropout: one mask per text for the inputs and one for the recurrent state, the same at every token (Gal
    and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, 2016).
    """

    def __init__(self, vocabulary: int, *, width: int, depth: int, cell: str, dropout: float) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(
            vocabulary, width, dropout=0.0, tokens_dropped=_TOKENS_DROPPED if dropout else 0.0
        )
        in_widths = [width] + [2 * width] * (depth - 1)
        self.forwards = nn.ModuleList(VariationalRnn(n, width, cell=cell, dropout=0.5 * dropout) for n in in_widths)
        self.backwards = nn.ModuleList(VariationalRnn(n, width, cell=cell, dropout=0.5 * dropout) for n in in_widths)
        self.out_width = 4 * width

    def forward(self, tokens_BT: Tensor) -> Tensor:
        there_BT = tokens_BT > 0
        place_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        length_B1 = there_BT.sum(1, keepdim=True)
        # Turns the text of each row round and leaves padding behind it, where no state comes out any more.
        turned_BT1 = torch.where(place_T < length_B1, length_B1 - 1 - place_T, place_T).unsqueeze(2)
        x_BTD = self.embedding(tokens_BT)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            turned_BTD = torch.gather(x_BTD, 1, turned_BT1.expand(-1, -1, x_BTD.shape[2]))
            back_BTD = back(turned_BTD)
            back_BTD = torch.gather(back_BTD, 1, turned_BT1.expand(-1, -1, back_BTD.shape[2]))
            x_BTD = torch.cat([ahead(x_BTD), back_BTD], 2)
        return pool(x_BTD, there_BT)


class VariationalRnn(nn.Module):
    """One direction: [B, T, in_width] to [B, T, width]. With no dropout to apply it is torch's own fused layer."""

    def __init__(self, in_width: int, width: int, *, cell: str, dropout: float) -> None:
        super().__init__()
        assert cell in ("lstm", "gru")
        self.layer: nn.RNNBase = (nn.LSTM if cell == "lstm" else nn.GRU)(in_width, width, batch_first=True)
        self.dropout = dropout

    def forward(self, x_BTD: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            states_BTD: Tensor = self.layer(x_BTD)[0]
            return states_BTD
        rows, _, in_width = x_BTD.shape
        width = self.layer.hidden_size
        ones = x_BTD.new_ones
        input_mask_B1D = F.dropout(ones(rows, 1, in_width), self.dropout)
        state_mask_BD = F.dropout(ones(rows, width), self.dropout)
        w_in, w_state, b_in, b_state = cast("list[Tensor]", self.layer._flat_weights)
        from_input_TBX = F.linear(x_BTD * input_mask_B1D, w_in, b_in).transpose(0, 1)
        state_BD = x_BTD.new_zeros(rows, width)
        memory_BD = state_BD
        states: list[Tensor] = []
        for from_input_BX in from_input_TBX.unbind(0):
            from_state_BX = F.linear(state_BD * state_mask_BD, w_state, b_state)
            if isinstance(self.layer, nn.LSTM):
                enter, keep, new, show = (from_input_BX + from_state_BX).chunk(4, 1)
                memory_BD = keep.sigmoid() * memory_BD + enter.sigmoid() * new.tanh()
                state_BD = show.sigmoid() * memory_BD.tanh()
            else:
                (reset, update, new), (reset_s, update_s, new_s) = from_input_BX.chunk(3, 1), from_state_BX.chunk(3, 1)
                new = (new + (reset + reset_s).sigmoid() * new_s).tanh()
                state_BD = torch.lerp(new, state_BD, (update + update_s).sigmoid())
            states.append(state_BD)
        return torch.stack(states, 1)


class TransformerBody(Body):
    """Pre-norm blocks (Vaswani et al. 2017; Xiong et al. 2020) with rotary positions (Su et al. 2021), pooled."""

    def __init__(self, vocabulary: int, *, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ModelError(
                f"width is {width}, but must be a multiple of twice the heads, {2 * heads}.",
                code="width_heads",
                where="model.width",
            )
        share = 0.2 * dropout
        self.embedding = TokenEmbedding(
            vocabulary, width, dropout=share, tokens_dropped=_TOKENS_DROPPED if dropout else 0.0
        )
        self.blocks = nn.ModuleList(Block(width, heads=heads, dropout=share) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out_width = 2 * width

    def forward(self, tokens_BT: Tensor) -> Tensor:
        there_BT = tokens_BT > 0
        # Finite, so that a row of padding alone gives no NaN.
        mask_B11T = ((~there_BT) * _FAR)[:, None, None, :].to(self.norm.weight.dtype)
        x_BTD = self.embedding(tokens_BT)
        for block in self.blocks:
            x_BTD = block(x_BTD, mask_B11T)
        return pool(self.norm(x_BTD), there_BT)


class Block(nn.Module):
    """Attention over all tokens, then a perceptron of four times the width; [B, T, D] to [B, T, D]."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask_B11T: Tensor) -> Tensor:
        rows, length, width = x_BTD.shape
        mixed = self.query_key_value(self.norm_attention(x_BTD)).view(rows, length, 3, self.heads, -1)
        query_BHTd, key_BHTd, value_BHTd = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        seen_BHTd = F.scaled_dot_product_attention(
            rotate(query_BHTd), rotate(key_BHTd), value_BHTd, attn_mask=mask_B11T
        )
        x_BTD = x_BTD + self.dropout(self.out(seen_BHTd.transpose(1, 2).reshape(rows, length, width)))
        changed_BTD: Tensor = self.dropout(self.perceptron(self.norm_perceptron(x_BTD)))
        return x_BTD + changed_BTD


def rotate(x_BHTd: Tensor) -> Tensor:
    """Turns pairs of values by an angle that grows with the place in the text (Su et al., RoFormer, 2021)."""
    half = x_BHTd.shape[-1] // 2
    place_T1 = torch.arange(x_BHTd.shape[-2], device=x_BHTd.device, dtype=torch.float32).unsqueeze(1)
    rate_d = torch.exp(torch.arange(half, device=x_BHTd.device) * (-math.log(_ROTARY_BASE) / half))
    angle_Td = place_T1 * rate_d
    cos_Td, sin_Td = angle_Td.cos().to(x_BHTd.dtype), angle_Td.sin().to(x_BHTd.dtype)
    left, right = x_BHTd[..., :half], x_BHTd[..., half:]
    return torch.cat([left * cos_Td - right * sin_Td, right * cos_Td + left * sin_Td], -1)


def pool(x_BTD: Tensor, there_BT: Tensor) -> Tensor:
    """Largest value and mean over the tokens that are there, [B, 2D]; zeros where none is."""
    there_BT1 = there_BT.unsqueeze(2)
    count_B1 = there_BT.sum(1, keepdim=True)
    mean_BD = (x_BTD * there_BT1).sum(1) / count_B1.clamp(min=1)
    largest_BD = x_BTD.masked_fill(~there_BT1, _FAR).amax(1) * (count_B1 > 0)
    return torch.cat([largest_BD, mean_BD], 1)


def build(layout: Layout, settings: Model, *, outputs: int) -> Encoder:
    """The encoder of one text column. `settings.dropout` is that before the head; within the body it is a share of it.

    Raises ModelError for a width that the heads do not divide, and what `pretrained.body` raises.
    """
    tokens = _feature(layout, "tokens")
    vocabulary = int(tokens.meta["vocabulary"])
    width = settings.width if isinstance(settings.width, int) else _WIDTH
    depth = settings.depth if isinstance(settings.depth, int) else _DEPTH
    heads = settings.heads if isinstance(settings.heads, int) else _HEADS
    dropout = float(settings.dropout) if settings.dropout != "auto" else _DROPOUT
    ngrams = settings.ngrams is not False
    members = settings.members if isinstance(settings.members, int) else 1
    if settings.text == "pretrained":
        body, dropout = _pretrained(tokens, settings), min(dropout, 0.3)
        return TextEncoder(body, layout, outputs=outputs, ngrams=ngrams, dropout=dropout)
    make: Callable[[], Body]
    match settings.text:
        case "rnn":
            make = partial(RnnBody, vocabulary, width=width, depth=depth, cell=settings.cell, dropout=dropout)
        case "transformer":
            make = partial(TransformerBody, vocabulary, width=width, depth=depth, heads=heads, dropout=dropout)
        case _:
            make = partial(CnnBody, vocabulary, width=width, depth=depth, dropout=dropout)
    body = make() if members == 1 else Members([make() for _ in range(members)])
    return TextEncoder(body, layout, outputs=outputs, ngrams=ngrams, dropout=dropout)


def _pretrained(tokens: TensorFeature, settings: Model) -> Body:
    return cast("Body", pretrained_room().body(tokens, settings))


def pretrained_room() -> Any:
    """`pretrained.py`, loaded only now: importing transformers takes as long as training on a small table."""
    try:
        return import_module("tradewind.model.pretrained")
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"A pretrained text encoder needs the package {error.name}, which is not installed.",
            code="package_missing",
            hint="Install it with: pip install 'tradewind[train]'.",
        ) from error


def _feature(layout: Layout, role: str) -> TensorFeature:
    found = [tensor for tensor in layout.tensors if tensor.role == role]
    assert len(found) == 1, f"a text column has one tensor of the role {role}"
    return found[0]
