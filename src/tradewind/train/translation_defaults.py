"""What `auto` becomes for a translator: from the pairs that there are, whether weights are pretrained, and the machine.

Not here: sizes of models (`model/seq2seq_config.py`), training (`translation.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from tradewind.errors import ModelError
from tradewind.product import Product
from tradewind.train.device import Precision

MONITORS = ("validation_loss", "perplexity")
_BATCH_TOKENS = 4096
_LEAST_STEPS = 30  # an epoch has at least so many, or batches are made smaller
_SEEN_TOKENS = 20_000_000  # target tokens that are trained on in all, where pairs are few
_PASSES, _FINE_PASSES = (3, 60), 3
_TILES_FROM = 128
_RATE, _RATE_WIDTH, _FINE_RATE = 6e-3, 128, 5e-5
# Dropout by target tokens: little text is soon known by heart (Sennrich, Zhang, Revisiting Low-Resource NMT, 2019). 0.2 with a
# rate of 6e-3 gave the better translator of half a million in half the steps (LAB.md).
_DROPOUT = ((250_000, 0.3), (20_000_000, 0.2))


@dataclass(frozen=True)
class TranslationFacts:
    """`tokens` are target tokens of the training split; `width` that of the model."""

    pairs: int
    tokens: int
    width: int
    pretrained: bool


def dropout_of(product: Product, tokens: int) -> float:
    model = product.model
    if isinstance(model.dropout, float):
        return model.dropout
    return 0.1 if model.pretrained is not None else next((share for most, share in _DROPOUT if tokens <= most), 0.1)


def resolve(product: Product, facts: TranslationFacts) -> Product:
    """No `auto` is left but precision and threads, which are the machine's. Raises ModelError for what does not suit."""
    train = product.train
    if train.batch == "full" or train.objective != "auto":
        raise ModelError("A translator is trained on batches of tokens, for its next tokens.", code="batch",
                         where="train.batch" if train.batch == "full" else "train.objective",
                         hint="Leave it out; train.batch is the number of tokens of a side in one batch.")  # fmt: skip
    batch = train.batch if isinstance(train.batch, int) else _batch(facts)
    per_epoch = max(1, math.ceil(facts.tokens / (batch * train.accumulate)))
    steps = {} if not isinstance(train.steps, int) else {"epochs": math.ceil(train.steps / per_epoch)}
    values: dict[str, object] = {
        "optimizer": "adamw",
        "learning_rate": _FINE_RATE if facts.pretrained else float(f"{_RATE * _RATE_WIDTH / facts.width:.2g}"),
        "epochs": _FINE_PASSES
        if facts.pretrained
        else min(_PASSES[1], max(_PASSES[0], round(_SEEN_TOKENS / facts.tokens))),
        "schedule": "cosine",
        "warmup": 0.1,
        "loss": "cross_entropy",
        "label_smoothing": 0.1,
        "l2": 0.0 if facts.pretrained else 1e-4,
        "clip": 1.0,
        "stop_early": "never",
        "keep": "best",
        "refit": False,
        "beta2": 0.98,
        "average": "ema",
        "average_decay": 0.998,
        "monitor": "validation_loss",
    }
    update = {name: value for name, value in values.items() if getattr(train, name) == "auto"} | steps
    monitor = str(update.get("monitor", train.monitor))
    if monitor not in MONITORS:
        raise ModelError(f"{monitor} is no figure that can be monitored here. Figures: {', '.join(MONITORS)}.",
                         code="monitor", where="train.monitor")  # fmt: skip
    shape: dict[str, object] = {"dropout": dropout_of(product, facts.tokens)}
    if facts.pretrained and product.model.adapt == "frozen":
        shape["adapt"] = "full"
    return product.model_copy(
        update={
            "train": train.model_copy(update={**update, "batch": batch}),
            "model": product.model.model_copy(update=shape),
        }
    )


def precision_of(wanted: str, device: torch.device, *, width: int) -> Precision:
    """bfloat16 on a GPU that has it, and for models of some width where the processor multiplies it in tiles (LAB.md)."""
    if wanted in ("float32", "bfloat16"):
        return "bfloat16" if wanted == "bfloat16" else "float32"
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if width >= _TILES_FROM and torch.cpu._is_amx_tile_supported() else "float32"


def _batch(facts: TranslationFacts) -> int:
    """A whole number of hundreds of tokens, so that small sets of pairs have steps enough."""
    wanted = facts.tokens // _LEAST_STEPS // 128 * 128
    return max(128, min(_BATCH_TOKENS, wanted))
