"""What `auto` becomes for a recommender: sizes by how many items and events there are, rates, lengths.

Not here: what a setting means (`product/`). Figures behind the choices are in `LAB.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tradewind.errors import ModelError
from tradewind.product import Product

LOSSES = ("cross_entropy", "sampled_softmax", "gbce")
_CONTEXT = 50
_ALL_ITEMS = 4000  # up to so many items, scores of all of them cost no more than drawing some
_FULL_STEP = 1024  # events of a step
_LEAST_STEPS = 30  # of an epoch: few events make small steps


@dataclass(frozen=True)
class RecommendationFacts:
    """`events` are those that training learns from."""

    items: int
    users: int
    events: int
    longest: int


def resolve(product: Product, facts: RecommendationFacts) -> Product:
    """No `auto` is left. Raises ModelError for settings that a recommender does not have."""
    train, model = product.train, product.model
    if model.kind not in ("auto", "sasrec"):
        raise ModelError(f"A recommender is a sasrec, not a {model.kind}.", code="model_kind", where="model.kind",
                         hint="Leave it out.")  # fmt: skip
    if train.loss != "auto" and train.loss not in LOSSES:
        raise ModelError(f"{train.loss} is no loss of a recommender.", code="loss", where="train.loss",
                         hint=f"Losses: {', '.join(LOSSES)}.")  # fmt: skip
    if train.batch == "full" or train.accumulate != 1:
        raise ModelError("Histories are packed into batches of a size.", code="batch", where="train.batch",
                         hint="Give a number of rows, and accumulate 1.")  # fmt: skip
    small = facts.events < 50_000
    width = model.width if isinstance(model.width, int) else 64 if small else 96 if facts.items < 200_000 else 128
    heads = model.heads if isinstance(model.heads, int) else 2
    if width % heads:
        raise ModelError(
            f"A width of {width} does not divide by {heads} heads.", code="width_heads", where="model.width"
        )
    context = model.context if isinstance(model.context, int) else max(2, min(_CONTEXT, facts.longest))
    shape = {
        "kind": "sasrec",
        "width": width,
        "heads": heads,
        "depth": model.depth if isinstance(model.depth, int) else 1 if small else 2,
        "context": context,
        "dropout": model.dropout if isinstance(model.dropout, float) else 0.4,
        "factors": model.factors if isinstance(model.factors, int) else min(64, max(8, facts.items // 20)),
    }  # fmt: skip
    length = row_length(context)
    rows = max(1, min(_FULL_STEP, facts.events // _LEAST_STEPS) // length)
    epochs = 30 if small else 20
    values: dict[str, object] = {
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup": 0.02,
        "loss": "cross_entropy" if facts.items <= _ALL_ITEMS else "sampled_softmax",
        "negatives": min(1024, max(16, facts.items // 2)),
        "label_smoothing": 0.0,
        "l2": 0.01,
        "clip": 1.0,
        "epochs": epochs,
        "batch": rows,
        "stop_early": 4,
        "keep": "best",
        "refit": True,
        "beta2": 0.98,
        "average": "none",
        "average_decay": 0.995,
        "monitor": "ndcg@10",
        "threads": 1,
        "precision": "float32",
    }
    update = {name: value for name, value in values.items() if getattr(train, name) == "auto"}
    monitor = str(update.get("monitor", train.monitor))
    if monitor not in ("ndcg@10", "hit@10", "loss"):
        raise ModelError(f"{monitor} is no figure that can be monitored here. Figures: ndcg@10, hit@10, loss.",
                         code="monitor", where="train.monitor")  # fmt: skip
    return product.model_copy(
        update={"train": train.model_copy(update=update), "model": model.model_copy(update=shape)}
    )


def row_length(context: int) -> int:
    """Places of a packed row: whole histories fit in, and a few short ones beside each other."""
    return max(context, 1 << math.ceil(math.log2(max(32, min(64, 2 * context)))))
