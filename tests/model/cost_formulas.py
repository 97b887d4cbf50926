"""What training a decoder costs, by formula: the second opinion that `train/costs.py`, which counts a graph, is held against.

Legend: B rows, T tokens, N = B T, D width, H heads, K heads of keys and values, E width of a head, F hidden, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tradewind.model.cross_entropy import chunk_logits
from tradewind.model.decoder_config import DecoderConfig

Precision = Literal["float32", "bfloat16"]


def training_operations(config: DecoderConfig, *, tokens: int, length: int, recompute: bool = False) -> float:
    """Of `tokens` tokens in texts of `length`, forward and backward: three times the forward pass, and with `recompute` of
    the layers a fourth one (Chowdhery et al., PaLM, 2022, appendix B)."""
    forward = config.operations_per_token(length)
    again = forward - 2 * config.vocabulary * config.width if recompute else 0.0
    return tokens * (3 * forward + again)


@dataclass(frozen=True)
class Memory:
    """Bytes by part. `activations` are what layers keep for the backward pass, `loss` what the chunks of the loss need."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.loss


def training_memory(
    config: DecoderConfig,
    *,
    rows: int,
    length: int,
    precision: Precision = "float32",
    learnt: int | None = None,
    states: int = 2,
    recompute: bool = False,
) -> Memory:
    """Of one batch of `rows` texts of `length`. Weights, gradients and the optimizer's `states` per weight (2 for Adam, 1
    for momentum or Muon) are float32; `learnt` of the weights have them, by default all.

    `bfloat16` means autocast: products and what they keep are half as wide, the residual stream is not.
    """
    tokens = rows * length
    learnt = config.parameters() if learnt is None else learnt
    layer = tokens * _layer_bytes(config, precision)
    ends = tokens * 4 * 2 * config.width  # what the last norm is given, and what it makes
    if recompute:
        activations = ends + config.depth * tokens * 4 * config.width + layer
    else:
        activations = ends + config.depth * layer
    if precision == "bfloat16":
        activations += 2 * (config.parameters() - config.vocabulary * config.width)  # autocast's copies of the weights
    head = 4 * config.vocabulary * config.width
    loss = tokens * 4 * config.width + head + 2 * 4 * min(tokens * config.vocabulary, chunk_logits(config.vocabulary))
    return Memory(4 * config.parameters(), 4 * learnt, 4 * states * learnt, activations, loss)


def _layer_bytes(config: DecoderConfig, precision: Precision) -> int:
    """What one layer keeps for one token."""
    wide, narrow = 4, 4 if precision == "float32" else 2
    heads, shared = config.heads * config.head_width, config.kv_heads * config.head_width
    # Twice: what is normalised and 1/rms in float32, and what goes on to the next matrix.
    norms = 2 * (wide * (config.width + 1) + narrow * config.width)
    # Queries, keys, values, the answer, and one float32 per head: the logarithm of the sum that softmax divides by.
    attention = narrow * (2 * heads + 2 * shared) + 4 * config.heads
    if config.qk_norm:
        attention += wide * (heads + shared + config.heads + config.kv_heads)
    # Gate before and after SiLU, up, and their product.
    return norms + attention + narrow * 4 * config.hidden
