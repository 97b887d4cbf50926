"""What `auto` becomes: a recipe for each modality, fitted to the rows and classes at hand.

Not here: what a setting means (`product.py`, `loop.py`). The figures come from the experiments in `LAB.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from tradewind.errors import ModelError
from tradewind.features.column import Layout
from tradewind.product import AudioAugment, Augment, ImageAugment, Model, Product, Train
from tradewind.train import privacy
from tradewind.train.tasks import choose_monitor

Modality: TypeAlias = Literal["tabular", "text", "image", "audio"]

_LARGE_BATCH = 128
# Refitting doubles the time: worth it while rows are few, but for texts it changed nothing (LAB.md).
_REFIT_ROWS = 20_000
_DESCENT_EPOCHS = 300  # of gradient descent, one step each
_COUPLED_DECAY = 1e-4  # L2 through the gradient needs far less than decoupled decay
_AVERAGE_DECAY = 0.995
# How far an adversary may move an input: share of full brightness of a pixel, of the range of a band, standard deviations of a number.
_PIXEL_RADIUS, _NUMBER_RADIUS = 8 / 255, 0.1
_ROLES: Mapping[str, Modality] = {
    "tokens": "text", "ngrams": "text", "ngram_weights": "text", "image": "image", "audio": "audio",
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a recipe depends on. `classes` is None for a value; `modalities` in the order of cost, the costliest first."""

    rows: int
    validation_rows: int
    modalities: tuple[Modality, ...]
    classes: int | None

    @classmethod
    def of(cls, layout: Layout, *, rows: int, validation_rows: int, classes: int | None) -> Facts:
        found: set[Modality] = {_ROLES[t.role] for t in layout.tensors if t.role in _ROLES}
        if layout.numbers or layout.categories or not found:
            found.add("tabular")
        order: tuple[Modality, ...] = ("image", "audio", "text", "tabular")
        return cls(rows, validation_rows, tuple(m for m in order if m in found), classes)


@dataclass(frozen=True)
class Recipe:
    """Settings that go together. Training has at least `updates` steps where `epochs` (fewest, most) allow it.

    `rate` and `small_rate` are the learning rates for batches from 128 rows on and for smaller ones; None for `clip` and
    `average_decay` means none.
    """

    width: int
    depth: int
    dropout: float
    rate: float
    small_rate: float
    weight_decay: float
    batch: tuple[int, int]
    epochs: tuple[int, int]
    updates: int
    patience: int | None
    clip: float | None
    smoothing: float
    average_decay: float | None
    warmup: float
    beta2: float = 0.999
    keep: Literal["best", "last"] = "best"
    heads: int = 4
    members: int = 1
    image: ImageAugment | None = None
    audio: AudioAugment | None = None


_TABM = Recipe(
    width=128, depth=2, dropout=0.1, members=8, rate=1e-3, small_rate=1e-3, weight_decay=3e-4, batch=(32, 256),
    epochs=(10, 30), updates=1000, patience=8, clip=None, smoothing=0.0, average_decay=0.995, warmup=0.02,
)  # fmt: skip
# With fewer steps in an epoch an average of weights trails behind the best epoch (LAB.md).
_FEW_STEPS = 50
_TEXT_CNN = Recipe(
    width=128, depth=1, dropout=0.5, rate=2e-3, small_rate=2e-3, weight_decay=0.01, batch=(16, 64), epochs=(13, 30),
    updates=1500, patience=3, clip=1.0, smoothing=0.1, average_decay=0.995, warmup=0.1, beta2=0.99,
)  # fmt: skip
_IMAGE_CNN = Recipe(
    width=32, depth=4, dropout=0.2, rate=2e-3, small_rate=2e-3, weight_decay=0.05, batch=(16, 32), epochs=(20, 60),
    updates=1000, patience=None, clip=None, smoothing=0.1, average_decay=0.99, warmup=0.2, beta2=0.99, keep="last",
    image=ImageAugment(flip="horizontal", rotate=5, crop=0.03, scale=0.05),
)  # fmt: skip
_AUDIO_CNN = Recipe(
    width=48, depth=3, dropout=0.2, rate=2e-3, small_rate=2e-3, weight_decay=0.05, batch=(32, 64), epochs=(12, 30),
    updates=400, patience=None, clip=None, smoothing=0.1, average_decay=0.99, warmup=0.2, beta2=0.99, keep="last",
    audio=AudioAugment(shift=0.1, speed=0.1, level=6, noise=0.5, noise_db=5, mask_time=0.1, mask_mels=0.15),
)  # fmt: skip
_TEXT_TRANSFORMER = replace(_TEXT_CNN, depth=2, rate=1e-3, small_rate=1e-3)
_PRETRAINED = replace(_TEXT_CNN, dropout=0.3, rate=1e-3, small_rate=1e-3)

# The first recipe of a modality is its default.
_RECIPES: Mapping[Modality, Mapping[str, Recipe]] = {
    "tabular": {
        "tabm": _TABM,
        "mlp": replace(_TABM, members=1),
        "transformer": replace(_TABM, width=64, members=1, rate=1e-3, small_rate=5e-4, clip=1.0, warmup=0.1),
    },
    "text": {
        "cnn": _TEXT_CNN,
        "rnn": _TEXT_CNN,
        "transformer": _TEXT_TRANSFORMER,
        "pretrained": _PRETRAINED,
    },
    "image": {
        "cnn": _IMAGE_CNN,
        "resnet": _IMAGE_CNN,
        "vit": replace(_IMAGE_CNN, width=128, depth=6, rate=1e-3, small_rate=1e-3, clip=1.0),
    },
    "audio": {
        "cnn": _AUDIO_CNN,
        "transformer": replace(_AUDIO_CNN, width=64, rate=1e-3, small_rate=1e-3, clip=1.0),
    },
}
# The rate is that of the new layers; `model/pretrained.py` scales it down for weights that come from elsewhere.
_ADAPTED: Mapping[str, Recipe] = {
    "frozen": _PRETRAINED,
    "full": replace(_PRETRAINED, epochs=(3, 8), updates=800, patience=2),
    "lora": replace(_PRETRAINED, epochs=(4, 12), updates=1000),
}


def resolve(product: Product, facts: Facts) -> Product:
    """The product with no `auto` left in `model`, `train` and `data.augment`; what the user said stays as it is.

    Two exceptions stay `auto` because they are the machine's: `train.threads`, and with several modalities the widths
    and depths, which each encoder then chooses for itself.
    Raises ModelError for settings that exclude each other or suit no column.
    """
    product = privacy.settled(product, rows=facts.rows)
    chosen = {modality: _kind(product.model, modality) for modality in facts.modalities}
    _check_kind(product.model, facts.modalities)
    main = facts.modalities[0]
    recipe = _ADAPTED[product.model.adapt] if chosen[main] == "pretrained" else _RECIPES[main][chosen[main]]
    model = _model(product.model, chosen, main, recipe)
    train = _train(product.train, recipe, facts)
    if train.refit == "auto":
        few = facts.validation_rows > 0 and facts.rows <= _REFIT_ROWS
        own = isinstance(product.data.split.validation, float) and not product.data.split.by.startswith("column:")
        train = train.model_copy(update={"refit": few and own and "text" not in facts.modalities})
    data = product.data.model_copy(update={"augment": _augment(product.data.augment, facts)})
    return product.model_copy(update={"model": model, "train": train, "data": data})


def _kind(model: Model, modality: Modality) -> str:
    """The network for one kind of column: its own setting, else `kind` where that suits, else the recipe's."""
    own: str = getattr(model, modality)
    if own != "auto":
        return own
    if modality == "text" and model.pretrained is not None:
        return "pretrained"
    return model.kind if model.kind in _RECIPES[modality] else next(iter(_RECIPES[modality]))


def _check_kind(model: Model, modalities: tuple[Modality, ...]) -> None:
    if model.pretrained is not None and "text" not in modalities:
        raise ModelError(
            f"A pretrained text encoder is named, but the columns are {' and '.join(modalities)}.", code="kind_unsuited",
            where="model.pretrained", hint="Leave it out, or say which column is text: columns: {NAME: text}.",
        )  # fmt: skip
    if model.kind == "auto" or any(model.kind in _RECIPES[modality] for modality in modalities):
        return
    suited = sorted({kind for modality in modalities for kind in _RECIPES[modality]})
    raise ModelError(
        f"The kind {model.kind} suits none of the columns, which are {' and '.join(modalities)}.", code="kind_unsuited",
        where="model.kind", hint=f"Kinds that do: {', '.join(suited)}.",
    )  # fmt: skip


def _model(model: Model, chosen: Mapping[Modality, str], main: Modality, recipe: Recipe) -> Model:
    update: dict[str, Any] = dict(chosen.items())
    for modality in _RECIPES:
        if modality not in chosen and getattr(model, modality) == "auto":
            update[modality] = next(iter(_RECIPES[modality]))
    if model.kind == "auto" and chosen[main] != "pretrained":
        update["kind"] = chosen[main]
    if len(chosen) == 1:
        alone = {"width": recipe.width, "depth": recipe.depth, "heads": recipe.heads, "dropout": recipe.dropout}
        update |= {name: value for name, value in alone.items() if getattr(model, name) == "auto"}
    if model.members == "auto":
        single = recipe.members if len(chosen) == 1 else 1
        update["members"] = _TABM.members if chosen.get("tabular") == "tabm" else single
    if model.numbers == "auto":
        update["numbers"] = "piecewise"
    if model.ngrams == "auto":
        update["ngrams"] = "text" in chosen
    if model.gradients == "auto":
        update["gradients"] = "image" in chosen
    return model.model_copy(update=update)


def _train(train: Train, recipe: Recipe, facts: Facts) -> Train:
    auto = {name for name in type(train).model_fields if getattr(train, name) == "auto"}
    _check_loss(train, facts)
    optimizer = "adamw" if train.optimizer == "auto" else train.optimizer
    batch = _batch(train, recipe, facts, optimizer)
    steps_per_epoch = math.ceil(facts.rows / batch / train.accumulate)
    if facts.modalities == ("tabular",) and steps_per_epoch < _FEW_STEPS:
        recipe = replace(recipe, average_decay=None)
    epochs = min(recipe.epochs[1], max(recipe.epochs[0], math.ceil(recipe.updates / steps_per_epoch)))
    decoupled = optimizer in ("adamw", "muon")
    smoothed = facts.classes is not None and train.loss != "focal"
    values: dict[str, Any] = {
        "optimizer": optimizer,
        "epochs": _DESCENT_EPOCHS if optimizer == "gd" else epochs,
        "learning_rate": _rate(recipe, optimizer, batch * train.accumulate),
        "schedule": "cosine",
        "warmup": recipe.warmup,
        "loss": "mse" if facts.classes is None else "cross_entropy",
        "label_smoothing": recipe.smoothing if smoothed else 0.0,
        "l2": recipe.weight_decay if decoupled else min(recipe.weight_decay, _COUPLED_DECAY),
        "clip": recipe.clip if recipe.clip is not None else "none",
        "stop_early": recipe.patience if recipe.patience and facts.validation_rows else "never",
        "keep": recipe.keep,
        "beta2": recipe.beta2,
        "average": "ema" if recipe.average_decay is not None else "none",
        "average_decay": recipe.average_decay or _AVERAGE_DECAY,
        "fairness_by": "penalty",
        "robustness_radius": _PIXEL_RADIUS if {"image", "audio"} & set(facts.modalities) else _NUMBER_RADIUS,
    }
    if train.fairness == "none":  # else a ladder of strengths is tried, and the run says which was chosen
        values["fairness_strength"] = 0.0
    update = {name: value for name, value in values.items() if name in auto}
    return train.model_copy(
        update=update | {"batch": batch, "monitor": choose_monitor(train.monitor, classes=facts.classes)}
    )


def _batch(train: Train, recipe: Recipe, facts: Facts, optimizer: str) -> int:
    if optimizer == "gd" and isinstance(train.batch, int):
        raise ModelError(
            f"gd is full-batch gradient descent, but train.batch is {train.batch}.", code="batch", where="train.batch",
            hint="Leave out batch, or choose sgd.",
        )  # fmt: skip
    if train.batch == "full" or optimizer == "gd":
        return facts.rows
    if isinstance(train.batch, int):
        return min(train.batch, facts.rows)
    smallest, largest = recipe.batch
    fitting = 1 << round(math.log2(max(1, facts.rows / 50)))  # about 50 steps an epoch while rows are few
    return max(1, min(largest, max(smallest, fitting), facts.rows))


def _rate(recipe: Recipe, optimizer: str, rows_per_step: int) -> float:
    """The recipe's rate is for Adam, AdamW and Muon (scaled to them); plain descent needs a larger one."""
    if optimizer in ("gd", "sgd"):
        return 0.1 if rows_per_step > 1 else 0.005
    if optimizer == "momentum":
        return 0.02
    return recipe.rate if rows_per_step >= _LARGE_BATCH else recipe.small_rate


def _check_loss(train: Train, facts: Facts) -> None:
    classes = train.loss in ("cross_entropy", "focal")
    if train.loss == "auto" or classes == (facts.classes is not None):
        return
    task = "regression" if facts.classes is None else "classification"
    names = "mse, mae, huber" if facts.classes is None else "cross_entropy, focal"
    raise ModelError(
        f"The loss {train.loss} does not fit a {task}.", code="loss_unsuited", where="train.loss", hint=f"Use {names}."
    )


def _augment(augment: Augment, facts: Facts) -> Augment:
    """Pictures and recordings are varied a little; words, numbers and mixup only where the user says so: none of them helped."""
    update: dict[str, Any] = {}
    if augment.image == "auto":
        update["image"] = (_IMAGE_CNN.image if "image" in facts.modalities else None) or "none"
    if augment.audio == "auto":
        update["audio"] = (_AUDIO_CNN.audio if "audio" in facts.modalities else None) or "none"
    update |= {name: "none" for name in ("text", "number") if getattr(augment, name) == "auto"}
    if augment.mixup == "auto":
        update["mixup"] = 0.0
    return augment.model_copy(update=update)
