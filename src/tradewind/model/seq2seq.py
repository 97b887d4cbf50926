"""An encoder-decoder Transformer (Vaswani et al. 2017): one text is read whole, another one is written token by token.

One module serves three layouts of Hugging Face: M2M100 and NLLB (norms before each part, as ours are), and Marian (norms
behind). Parameters have the names of theirs, so that a folder is read and written without a table of names. One matrix is
the table of words read, of words written, and of the logits (Press and Wolf 2017).

Not here: folders (`seq2seq_folder.py`), settings (`seq2seq_config.py`), the search for a translation (`engines/`).

Legend: B rows, S source tokens, T target tokens, D width, H heads, E width of a head, V vocabulary, N learnt tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.features.positions import sines
from tradewind.model.cross_entropy import LossSum, summed_cross_entropy
from tradewind.model.masks import Masks
from tradewind.model.seq2seq_config import Seq2SeqConfig

_WIDTHS = 8

_Part: TypeAlias = Callable[[Tensor], Tensor]
_ACTIVATIONS: dict[str, _Part] = {"relu": F.relu, "gelu": F.gelu, "swish": F.silu}


class _Attention(nn.Module):
    """Heads over one text, or from one text to another. Queries, keys and values are made in as few products as can be."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor | None, there_B11S: Tensor | None, *, causal: bool) -> Tensor:
        if memory_BSD is None:
            q, k, v = _together(x_BTD, self.q_proj, self.k_proj, self.v_proj).chunk(3, -1)
        else:
            q = self.q_proj(x_BTD)
            k, v = _together(memory_BSD, self.k_proj, self.v_proj).chunk(2, -1)
        q, k, v = (self._split(one) for one in (q, k, v))
        mixed = _mixed(q, k, v, there_B11S, causal=causal)
        return cast(Tensor, self.out_proj(mixed.transpose(1, 2).flatten(2)))

    def _split(self, x_BTD: Tensor) -> Tensor:
        rows, count, width = x_BTD.shape
        split: Tensor = x_BTD.view(rows, count, self.heads, width // self.heads).transpose(1, 2)
        return split


def _mixed(q_BHTE: Tensor, k_BHSE: Tensor, v_BHSE: Tensor, there_B11S: Tensor | None, *, causal: bool) -> Tensor:
    """[B, H, T, E]. For sentences the products outright are six times as fast on a CPU as torch's own kernel (LAB.md)."""
    if q_BHTE.device.type != "cpu":
        return F.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, attn_mask=there_B11S, is_causal=causal)
    scores_BHTS = (q_BHTE * q_BHTE.shape[-1] ** -0.5) @ k_BHSE.transpose(-1, -2)
    if causal:
        there_B11S = torch.ones(scores_BHTS.shape[-2:], dtype=torch.bool, device=q_BHTE.device).tril()
    if there_B11S is not None:
        scores_BHTS = scores_BHTS.masked_fill(~there_B11S, -torch.inf)
    mixed: Tensor = scores_BHTS.softmax(-1, dtype=torch.float32).to(v_BHSE.dtype) @ v_BHSE
    return mixed


def _together(x_BTD: Tensor, *parts: nn.Linear) -> Tensor:
    weight, bias = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
    return F.linear(x_BTD, weight, bias)


class _Layer(nn.Module):
    """Attention to its own text, in the decoder to the source too, and two products with an activation between."""

    def __init__(self, config: Seq2SeqConfig, masks: Masks, *, reads: bool) -> None:
        super().__init__()
        width, hidden = config.width, config.encoder_hidden if not reads else config.decoder_hidden
        heads = config.encoder_heads if not reads else config.decoder_heads
        self.norm_first, self.masks, self.activation = config.norm_first, masks, config.activation
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        if reads:
            self.encoder_attn = _Attention(width, heads)
            self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.reads = reads

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor | None, there_B11S: Tensor | None) -> Tensor:
        own = None if self.reads else there_B11S  # behind a row's end nothing is learnt, so a causal look needs no mask
        x_BTD = self._add(x_BTD, self.self_attn_layer_norm, lambda x: self.self_attn(x, None, own, causal=self.reads))
        if self.reads:
            x_BTD = self._add(
                x_BTD,
                self.encoder_attn_layer_norm,
                lambda x: self.encoder_attn(x, memory_BSD, there_B11S, causal=False),
            )
        return self._add(x_BTD, self.final_layer_norm, self._inner)

    def _inner(self, x_BTD: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(self.masks.drop(_ACTIVATIONS[self.activation](self.fc1(x_BTD)))))

    def _add(self, x_BTD: Tensor, norm: nn.Module, part: _Part) -> Tensor:
        if self.norm_first:
            return x_BTD + self.masks.drop(part(norm(x_BTD)))
        return cast(Tensor, norm(x_BTD + self.masks.drop(part(x_BTD))))


class _Stack(nn.Module):
    """Layers over embedded tokens; those with norms before each part end with one of their own."""

    def __init__(self, config: Seq2SeqConfig, shared: nn.Embedding, masks: Masks, *, reads: bool) -> None:
        super().__init__()
        depth = config.decoder_depth if reads else config.encoder_depth
        self.layers = nn.ModuleList(_Layer(config, masks, reads=reads) for _ in range(depth))
        if config.norm_first:
            self.layer_norm = nn.LayerNorm(config.width)
        self.config, self.masks = config, masks
        self._shared = (shared,)  # in a tuple: the table is the model's, not a part of each stack
        behind = config.pad if config.norm_first else None
        count = -(-config.context // _WIDTHS) * _WIDTHS  # batches come in whole widths
        places_TD = torch.from_numpy(sines(count, config.width, behind=behind))
        self.register_buffer("positions", places_TD, persistent=False)

    def forward(self, tokens_BT: Tensor, memory_BSD: Tensor | None, there_B11S: Tensor | None) -> Tensor:
        config, places_TD = self.config, cast(Tensor, self.positions)[: tokens_BT.shape[1]]
        x_BTD = F.embedding(tokens_BT, self._shared[0].weight) * config.embedding_scale + places_TD
        if torch.is_autocast_enabled(x_BTD.device.type):  # else every sum and norm between two products is in float32
            x_BTD = x_BTD.to(torch.get_autocast_dtype(x_BTD.device.type))
        x_BTD = self.masks.drop(x_BTD)
        for layer in self.layers:
            x_BTD = layer(x_BTD, memory_BSD, there_B11S)
        return cast(Tensor, self.layer_norm(x_BTD)) if config.norm_first else x_BTD


class _Body(nn.Module):
    def __init__(self, config: Seq2SeqConfig, masks: Masks) -> None:
        super().__init__()
        self.shared = nn.Embedding(config.vocabulary, config.width)
        self.encoder = _Stack(config, self.shared, masks, reads=False)
        self.decoder = _Stack(config, self.shared, masks, reads=True)


class Seq2Seq(nn.Module):
    """Source and target tokens to the logits of the target tokens one place on.

    `final_logits_bias` is Marian's, zero elsewhere; it is kept and never learnt.
    """

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        self.masks = Masks(config.dropout)
        self.model = _Body(config, self.masks)
        if config.logits_bias:
            self.register_buffer("final_logits_bias", torch.zeros(1, config.vocabulary))
        self.apply(self._begin)

    def _begin(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):  # times its scale, an embedded token has a spread of about 1
            nn.init.normal_(module.weight, std=1 / self.config.embedding_scale)

    @property
    def logits_bias(self) -> Tensor | None:
        """[V], Marian's."""
        return cast(Tensor, self.final_logits_bias)[0] if self.config.logits_bias else None

    def encode(self, source_BS: Tensor, there_BS: Tensor) -> Tensor:
        """[B, S, D]; `there_BS` bool, False where the source is padding."""
        return cast(Tensor, self.model.encoder(source_BS, None, there_BS[:, None, None]))

    def decode(self, target_BT: Tensor, memory_BSD: Tensor, there_BS: Tensor) -> Tensor:
        """States [B, T, D] from which the next tokens are told."""
        return cast(Tensor, self.model.decoder(target_BT, memory_BSD, there_BS[:, None, None]))

    def _renew(self, source_BS: Tensor, target_BT: Tensor) -> None:
        config = self.config
        largest = max(
            source_BS.numel() * max(config.width, config.encoder_hidden),
            target_BT.numel() * max(config.width, config.decoder_hidden),
        )
        self.masks.renew(source_BS.device, largest=largest, learning=self.training)

    def forward(self, source_BS: Tensor, there_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Logits float32 [B, T, V]."""
        self._renew(source_BS, target_BT)
        states_BTD = self.decode(target_BT, self.encode(source_BS, there_BS), there_BS)
        logits_BTV = F.linear(states_BTD, self.model.shared.weight).float()
        bias = self.logits_bias
        return logits_BTV if bias is None else logits_BTV + bias

    def loss(
        self, source_BS: Tensor, there_BS: Tensor, target_BT: Tensor, next_BT: Tensor, *, smoothing: float = 0.0
    ) -> LossSum:
        """Nats summed over the tokens of `next_BT` that are not -100, and their number. No logits of padding are made.

        `smoothing` spreads so much of each target evenly over the vocabulary (Szegedy et al. 2016).
        """
        self._renew(source_BS, target_BT)
        states_BTD = self.decode(target_BT, self.encode(source_BS, there_BS), there_BS)
        states_ND, head_VD, next_N = states_BTD.flatten(0, 1), self.model.shared.weight, next_BT.flatten()
        bias = self.logits_bias
        if bias is not None and bool(bias.any()):
            # The bias is one column more of the matrix, and every state has a 1 there.
            states_ND = F.pad(states_ND, (0, 1), value=1.0)
            head_VD = torch.cat([head_VD, bias[:, None].to(head_VD.dtype)], 1)
        return summed_cross_entropy(states_ND, head_VD, next_N, smoothing=smoothing)
