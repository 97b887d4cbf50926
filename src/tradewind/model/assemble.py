"""From a resolved product and its fitted features to one module: which encoder reads which column.

Not here: the encoders themselves (`tabular.py`, `text.py`, `image.py`, `audio.py`), how they are joined (`trunk.py`), nor what
`auto` becomes (`train/defaults.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tradewind import plugins
from tradewind.errors import ModelError
from tradewind.features.column import Layout, TensorFeature
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import ClassTarget
from tradewind.model import audio, image, tabular, text
from tradewind.model.encoder import Encoder
from tradewind.model.trunk import TradewindModel
from tradewind.product import Model, Product

Build = Callable[..., Encoder]

_TEXT_ROLES = frozenset({"tokens", "ngrams", "ngram_weights"})
_FUSION_WIDTH = 256


def assemble(product: Product, features: FeatureSet, *, seed: int) -> TradewindModel:
    """The module for a resolved product; equal seeds give equal weights. torch's global generator is left as it was.

    Raises ModelError when no column gives an input, or a kind of column has no encoder.
    """
    outputs = len(features.target.classes) if isinstance(features.target, ClassTarget) else 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders = build_encoders(features.layout, product.model, outputs=outputs)
        dropout = product.model.dropout if isinstance(product.model.dropout, float) else 0.1
        width = product.model.width if isinstance(product.model.width, int) else _FUSION_WIDTH
        return TradewindModel(encoders, outputs=outputs, width=width, dropout=dropout)


def build_encoders(layout: Layout, settings: Model, *, outputs: int) -> dict[str, Encoder]:
    """One encoder for all numbers and categories, one for each text, image or audio column."""
    encoders: dict[str, Encoder] = {}
    if layout.numbers or layout.categories:
        part = Layout(numbers=layout.numbers, categories=layout.categories)
        encoders["tabular"] = tabular.build(part, settings, outputs=outputs)
    columns: dict[str, list[TensorFeature]] = {}
    for tensor in layout.tensors:
        columns.setdefault(tensor.column, []).append(tensor)
    # Tables, a text, pictures or recordings alone may have members; beside others a column has one encoder.
    single = settings if not encoders and len(columns) == 1 else settings.model_copy(update={"members": 1})
    for number, tensors in enumerate(columns.values()):
        role = _role(tensors)
        # Column names may hold dots and any script; module names may not.
        encoders[f"{role}_{number}"] = _builder(role)(Layout(tensors=tuple(tensors)), single, outputs=outputs)
    if not encoders:
        raise ModelError(
            "No column is left as an input.",
            code="no_input",
            where="data.columns",
            hint="See profile.json in the dataset for why columns were dropped.",
        )
    return encoders


def _role(tensors: Sequence[TensorFeature]) -> str:
    roles = {tensor.role for tensor in tensors}
    return "text" if roles <= _TEXT_ROLES else sorted(roles)[0]


def _builder(role: str) -> Build:
    """The built-in encoder of a modality, or the one that a plug-in registers under `tradewind.encoders`."""
    builtin: dict[str, Build] = {"text": text.build, "image": image.build, "audio": audio.build}
    found: Build = builtin[role] if role in builtin else plugins.load("encoders", role)
    return found
