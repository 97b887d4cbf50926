"""The language model, whole: from tokens to the logits of the next one, to a loss, and to a text.

RMSNorm before each part (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), attention whose heads may share keys
and values (Ainslie et al. 2023), SwiGLU (Shazeer 2020), optionally normalised queries and keys (Henry et al. 2020).
Parameters have the names of the Hugging Face Llama and Qwen3 models, so that weights are exchanged as they are.

Not here: sizes (`decoder_config.py`), folders on disk (`hf_folder.py`), adapters (`adapters.py`), the training step
(`train/language_tasks.py`), serving (`engines/genai.py`).

Legend: B rows, T tokens, S tokens that can be looked at, D width, H heads, K heads of keys and values, E width of a head,
V vocabulary, N tokens of all rows. Rows are padded on the right: a token sees only what is left of it, so padding changes
nothing before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tradewind.model.cross_entropy import IGNORED, LossSum, summed_cross_entropy, token_cross_entropy
from tradewind.model.decoder_config import DecoderConfig

__all__ = ["IGNORED", "Cache", "Decoder", "DecoderConfig", "LossSum"]

_INIT_STD = 0.02


class Cache:
    """Keys and values of the tokens so far, for each layer [B, K, context, E], so that a new token costs one step."""

    def __init__(self, config: DecoderConfig, *, rows: int, device: torch.device, dtype: torch.dtype) -> None:
        shape = (config.depth, 2, rows, config.kv_heads, config.context, config.head_width)
        self.held = torch.empty(shape, device=device, dtype=dtype)
        self.length = 0

    def add(self, layer: int, k_BKTE: Tensor, v_BKTE: Tensor) -> tuple[Tensor, Tensor]:
        """Appends and returns all of the layer, [B, K, S, E] each. `length` moves on once all layers have added."""
        end = self.length + k_BKTE.shape[2]
        held = self.held[layer]
        held[0, :, :, self.length : end] = k_BKTE
        held[1, :, :, self.length : end] = v_BKTE
        return held[0, :, :, :end], held[1, :, :, :end]


class RmsNorm(nn.Module):
    """x over the root of its mean square, in float32 whatever comes in; what goes out is as wide as products want it."""

    def __init__(self, width: int, *, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        wide, weight = x.float(), self.weight.float()
        if device == "cpu" and not torch.compiler.is_compiling():
            return cast(Tensor, _CpuRmsNorm.apply(wide, weight, self.eps)).to(dtype)  # type: ignore[no-untyped-call]
        return F.rms_norm(wide, (x.shape[-1],), weight, self.eps).to(dtype)


class _CpuRmsNorm(torch.autograd.Function):
    """On the CPU torch has no kernel for it and its parts take up to 2.6 times as long (LAB.md). The gradient is that of a layer
    norm whose mean is 0, which has a kernel, and the term that the mean would have taken away."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight_D, scale)
        normed: Tensor = (x * scale).mul_(weight_D)
        return normed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight_D, scale = ctx.saved_tensors
        grad, width = grad.contiguous(), x.shape[-1]
        centred, weight_grad_D, _ = torch.ops.aten.native_layer_norm_backward(
            grad, x.contiguous(), [width], torch.zeros_like(scale), scale, weight_D, None, [True, True, False]
        )
        mean = torch.mv(grad.view(-1, width), weight_D).view(scale.shape)
        return centred.addcmul_(scale, mean, value=1 / width), weight_grad_D, None


class Attention(nn.Module):
    """Causal attention; `window` limits it to so many tokens, the own one included."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads, self.kv_heads, self.head_width = layer, config.heads, config.kv_heads, config.head_width
        self.slides = config.sliding_window is not None and layer >= config.window_from
        bias, width = config.attention_bias, config.width
        self.q_proj = nn.Linear(width, config.heads * config.head_width, bias=bias)
        self.k_proj = nn.Linear(width, config.kv_heads * config.head_width, bias=bias)
        self.v_proj = nn.Linear(width, config.kv_heads * config.head_width, bias=bias)
        self.o_proj = nn.Linear(config.heads * config.head_width, width, bias=config.output_bias)
        if config.qk_norm:
            self.q_norm = RmsNorm(config.head_width, eps=config.norm_eps)
            self.k_norm = RmsNorm(config.head_width, eps=config.norm_eps)
        self.qk_norm = config.qk_norm

    def forward(self, x_BTD: Tensor, turns: Turns, cache: Cache | None) -> Tensor:
        rows, length = x_BTD.shape[:2]
        q_BTHE = self.q_proj(x_BTD).view(rows, length, self.heads, self.head_width)
        k_BTKE = self.k_proj(x_BTD).view(rows, length, self.kv_heads, self.head_width)
        v_BKTE = self.v_proj(x_BTD).view(rows, length, self.kv_heads, self.head_width).transpose(1, 2)
        if self.qk_norm:
            q_BTHE, k_BTKE = self.q_norm(q_BTHE), self.k_norm(k_BTKE)
        q_BHTE, k_BKTE = turns.turn(q_BTHE).transpose(1, 2), turns.turn(k_BTKE).transpose(1, 2)
        if cache is not None:
            k_BKTE, v_BKTE = cache.add(self.layer, k_BKTE, v_BKTE)
        mask_TS = turns.window_TS if self.slides else turns.mask_TS
        y_BHTE = F.scaled_dot_product_attention(
            q_BHTE, k_BKTE, v_BKTE, attn_mask=mask_TS, is_causal=turns.causal and mask_TS is None,
            enable_gqa=self.heads != self.kv_heads,
        )  # fmt: skip
        y_BTD: Tensor = self.o_proj(y_BHTE.transpose(1, 2).reshape(rows, length, -1))
        return y_BTD


class SwiGlu(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return y_BTD


class Layer(nn.Module):
    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(config.width, eps=config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RmsNorm(config.width, eps=config.norm_eps)
        self.mlp = SwiGlu(config.width, config.hidden)
        self.dropout = config.dropout

    def forward(self, x_BTD: Tensor, turns: Turns, cache: Cache | None) -> Tensor:
        x_BTD = x_BTD + self._drop(self.self_attn(self.input_layernorm(x_BTD), turns, cache))
        return x_BTD + self._drop(self.mlp(self.post_attention_layernorm(x_BTD)))

    def _drop(self, x_BTD: Tensor) -> Tensor:
        return F.dropout(x_BTD, self.dropout, self.training) if self.dropout else x_BTD


class Turns:
    """What every layer of one pass shares: the rotations of its positions and who may see whom.

    `mask_TS` is None where plain causality says it all, which is the fast kernel; True means "sees".
    """

    def __init__(self, cos: Tensor, sin: Tensor, *, length: int, past: int, window: int | None) -> None:
        self.causal = length > 1  # a single token sees all there is
        self.cos, self.sin = cos, sin  # [1 or B, T, 1, E]; the first half of `sin` has its sign turned
        self.mask_TS: Tensor | None = None
        self.window_TS: Tensor | None = None
        total = past + length
        slides = window is not None and total > window
        if (past and length > 1) or slides:
            own_T1 = torch.arange(past, total, device=cos.device).unsqueeze(1)
            other_1S = torch.arange(total, device=cos.device).unsqueeze(0)
            causal_TS = other_1S <= own_T1
            if past and length > 1:
                self.mask_TS = causal_TS
            if slides:
                assert window is not None
                self.window_TS = causal_TS & (other_1S > own_T1 - window)
        if not slides:
            self.window_TS = self.mask_TS

    def turn(self, x_BTHE: Tensor) -> Tensor:
        """Each pair (i, i + E/2) by its angle: x cos + rotate_half(x) sin, the roll being the cheapest way to swap halves."""
        cos, sin = self.cos.to(x_BTHE.dtype), self.sin.to(x_BTHE.dtype)
        return torch.addcmul(x_BTHE * cos, x_BTHE.roll(x_BTHE.shape[-1] // 2, -1), sin)


class Body(nn.Module):
    """What Hugging Face calls `model`: everything but the logits."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config, layer) for layer in range(config.depth))
        self.norm = RmsNorm(config.width, eps=config.norm_eps)


class Decoder(nn.Module):
    """A causal language model.

    `recompute` keeps only the input of each layer for the backward pass and computes the rest again (Chen et al.,
    Training Deep Nets with Sublinear Memory Cost, 2016): less memory for a third more work.
    """

    def __init__(self, config: DecoderConfig, *, recompute: bool = False) -> None:
        super().__init__()
        self.config, self.recompute = config, recompute
        self.model = Body(config)
        if not config.tied:
            self.lm_head = nn.Linear(config.width, config.vocabulary, bias=False)
        self._angles: tuple[Tensor, Tensor] | None = None
        self.reset()

    def reset(self) -> None:
        """GPT-2's start (Radford et al. 2019): normal with 0.02, and what writes to the residual stream smaller by the
        root of how many parts do. From torch's own generator, so that a seed gives the same weights."""
        for name, parameter in self.named_parameters():
            if parameter.is_meta:
                continue
            if parameter.ndim == 1:
                (nn.init.zeros_ if name.endswith("bias") else nn.init.ones_)(parameter)
            else:
                writes = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=_INIT_STD / (math.sqrt(2 * self.config.depth) if writes else 1.0))

    @property
    def head_VD(self) -> Tensor:
        """The matrix that makes logits: its own, or the embedding table where the two are tied."""
        return self.model.embed_tokens.weight if self.config.tied else self.lm_head.weight

    def hidden(self, tokens_BT: Tensor, *, positions_BT: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """The normalised state after the last layer, [B, T, D]. Positions count from the end of the cache by default."""
        length, past = tokens_BT.shape[1], cache.length if cache is not None else 0
        assert past + length <= self.config.context or cache is None, "the cache is full"
        x_BTD: Tensor = self.model.embed_tokens(tokens_BT)
        if self.config.dropout:
            x_BTD = F.dropout(x_BTD, self.config.dropout, self.training)
        cos_TE, sin_TE = self._rotations(past + length, x_BTD.device)
        if positions_BT is None:
            cos, sin = cos_TE[past : past + length, None], sin_TE[past : past + length, None]
        else:
            cos_TE, sin_TE = self._rotations(max(past + length, int(positions_BT.max()) + 1), x_BTD.device)
            cos, sin = cos_TE[positions_BT].unsqueeze(2), sin_TE[positions_BT].unsqueeze(2)
        turns = Turns(cos, sin, length=length, past=past, window=self.config.sliding_window)
        for layer in self.model.layers:
            if cache is not None:
                x_BTD = layer.forward(x_BTD, turns, cache)  # never compiled: each length would be compiled anew
            elif self.recompute and self.training and torch.is_grad_enabled():
                x_BTD = cast(Tensor, checkpoint(layer, x_BTD, turns, None, use_reentrant=False))
            else:
                x_BTD = layer(x_BTD, turns, None)
        if cache is not None:
            cache.length += length
        normed_BTD: Tensor = self.model.norm(x_BTD)
        return normed_BTD

    def forward(self, tokens_BT: Tensor, *, positions_BT: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Logits [B, T, V] of the token after each, from ids int64 [B, T]."""
        return F.linear(self.hidden(tokens_BT, positions_BT=positions_BT, cache=cache), self.head_VD)

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor) -> LossSum:
        """The summed loss over the targets that are not -100 and their number; the logits never stand whole in memory."""
        hidden_BTD = self.hidden(tokens_BT)
        return summed_cross_entropy(hidden_BTD.flatten(0, 1), self.head_VD, targets_BT.flatten())

    def token_losses(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Minus the log probability of each target, float32 [B, T], 0 where the target is -100; also for gradients."""
        hidden_BTD = self.hidden(tokens_BT)
        losses_N = token_cross_entropy(hidden_BTD.flatten(0, 1), self.head_VD, targets_BT.flatten())
        return losses_N.view(targets_BT.shape)

    def compile_layers(self) -> None:
        """Compiles the layers, one graph for all of them, in place: names of weights stay."""
        for layer in self.model.layers:
            layer.compile()

    def new_cache(self, rows: int) -> Cache:
        weight = self.model.embed_tokens.weight
        return Cache(self.config, rows=rows, device=weight.device, dtype=weight.dtype)

    @torch.no_grad()
    def generate(
        self,
        tokens: Sequence[int],
        *,
        max_tokens: int,
        temperature: float = 1.0,
        seed: int | None = None,
        stops: Iterable[int] = (),
    ) -> list[int]:
        """The ids that follow `tokens` (at least one), the stop that ended it included. A temperature of 0 takes the likeliest.

        Beyond the context the older half is forgotten. Made for samples while training; serving has engines of its own.
        """
        assert tokens, "generation starts from at least one token"
        assert max_tokens >= 0, "tokens are counted from 0"
        was_training = self.training
        self.eval()
        device = self.model.embed_tokens.weight.device
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        ends, ids = set(stops), list(tokens)
        made: list[int] = []
        cache, fresh = self.new_cache(1), ids[-self.config.context :]
        try:
            while len(made) < max_tokens:
                if cache.length + len(fresh) > self.config.context:
                    cache.length, fresh = 0, ids[-max(1, self.config.context // 2) :]
                state_BTD = self.hidden(torch.tensor([fresh], device=device), cache=cache)
                logits_V = F.linear(state_BTD[0, -1], self.head_VD).float().cpu()
                if temperature == 0:
                    chosen = int(logits_V.argmax())
                else:
                    shares_V = torch.softmax(logits_V / temperature, 0)
                    chosen = int(torch.multinomial(shares_V, 1, generator=generator))
                made.append(chosen)
                ids.append(chosen)
                if chosen in ends:
                    break
                fresh = [chosen]
        finally:
            self.train(was_training)
        return made

    def _rotations(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines [S, E] for at least `length` positions; grown when a longer text comes."""
        if self._angles is None or self._angles[0].shape[0] < length or self._angles[0].device != device:
            with torch.inference_mode(False):  # what is made here may be used in training, too
                self._angles = _rotations(self.config, max(length, min(self.config.context, 4096)), device)
        return self._angles

    def _apply(self, fn: Any, recurse: bool = True) -> Decoder:
        self._angles = None  # computed again where the weights now are
        return cast(Decoder, super()._apply(fn, recurse))  # type: ignore[no-untyped-call]


def _rotations(config: DecoderConfig, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    width = config.head_width
    speed_E = 1.0 / config.rope_base ** (torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)
    if (scaling := config.rope_scaling) is not None:
        # Llama 3.1: slow turns are slowed by the factor, fast ones stay, those between are blended.
        turns_E = scaling.original_context * speed_E / (2 * math.pi)
        share_E = (turns_E - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
        share_E = share_E.clamp(0.0, 1.0)
        speed_E = (1 - share_E) * speed_E / scaling.factor + share_E * speed_E
    angle_SE = torch.outer(torch.arange(length, dtype=torch.float32, device=device), speed_E)
    cos_SE, sin_SE = angle_SE.cos(), angle_SE.sin()
    return torch.cat((cos_SE, cos_SE), 1), torch.cat((-sin_SE, sin_SE), 1)
