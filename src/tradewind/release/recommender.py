"""The release of a recommender: which files it holds and how they are read. Torch-free.

manifest.json          what it is: product, task, items, parents
model/encoder.onnx     a history to a state; items.npy, bias.npy what it is multiplied with and what is added
model/factors.npy      a linear model whose scores are added, where that helped on validation
model/content.onnx     columns of an item to its vector and bias; model/users.onnx those of a user; with their fitted columns
model/items.json       names of the items by number, and their columns for filters and boosts
model/recommender.json sizes and defaults; model/counts.npy how often each item was met in training
model/golden.npz       histories and the trainer's scores for them
report/                report.json, report.html; card.md and the rest of the transparency report
model.sig              signature over all of these

Not here: signing and digests (`bundle.py`), answering (`engines/recommendation.py`), the graphs (`model/recommender_export.py`).

Legend: I items, D width, F factors, G golden histories, J items whose scores are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.features.factors import Factors
from tradewind.features.feature_set import FeatureSet
from tradewind.files import read_json, write_json
from tradewind.release.bundle import Bundle, open_signed

TASK = "recommendation"
METERS = ("predictions",)
MODEL = "model"
ENCODER, ITEMS, BIAS, FACTORS, COUNTS = "encoder.onnx", "items.npy", "bias.npy", "factors.npy", "counts.npy"
ITEM_CONTENT, USER_CONTENT = "content.onnx", "users.onnx"
ITEM_COLUMNS, USER_COLUMNS = "content.json", "users.json"
NAMES, FACTS, GOLDEN = "items.json", "recommender.json", "golden.npz"
# Sums in another order differ in the fifth digit of a score near 10; a wrong item or place differs in the first.
TOLERANCE = 2e-3
RIDGE = 0.01
_KEPT = 256  # items whose golden scores are kept
_REQUIRED = ("manifest.json", *(f"{MODEL}/{name}" for name in (ENCODER, ITEMS, BIAS, COUNTS, NAMES, FACTS, GOLDEN)))


@dataclass(frozen=True)
class Golden:
    """`scores` [G, J] that the trainer gave for `items` [J] after each history."""

    histories: tuple[NDArray[np.int64], ...]
    items: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Parts:
    """What training leaves beside the graphs and the items' vectors. `attributes` are raw columns [I] of items by name;
    `golden_scores` [G, I] follow the histories. The linear scores have `weight`, 0 for
    none; `fresh_bias` is what an item nobody has met begins with."""

    names: Sequence[str]
    counts: NDArray[np.int64]
    context: int
    again: bool
    factors: Factors | None
    weight: float
    fresh_bias: float
    attributes: Mapping[str, Sequence[Any]]
    items: FeatureSet | None
    users: FeatureSet | None
    golden_histories: Sequence[NDArray[np.integer]]
    golden_scores: NDArray[np.float32]


@dataclass(frozen=True)
class Held:
    """A recommender as it lies on disk. `attributes` are raw columns of items, `counts` [I] events of training."""

    folder: Path
    names: list[str]
    vectors_ID: NDArray[np.float32]
    bias_I: NDArray[np.float32]
    counts: NDArray[np.int64]
    factors: Factors | None
    weight: float
    fresh_bias: float
    attributes: dict[str, list[Any]]
    items: FeatureSet | None
    users: FeatureSet | None
    context: int
    again: bool
    golden: Golden


def write_parts(folder: Path, parts: Parts) -> None:
    """Everything of `model/` that `export_recommender` does not write. Raises EnvironmentFailure."""
    kept = np.unique(np.linspace(0, len(parts.names) - 1, min(_KEPT, len(parts.names))).round().astype(np.int64))
    histories = parts.golden_histories
    np.savez(
        folder / GOLDEN, allow_pickle=False, items=kept, scores=parts.golden_scores[:, kept],
        histories=np.concatenate([np.asarray(one, np.int64) for one in histories]),
        lengths=np.array([len(one) for one in histories], np.int64),
    )  # fmt: skip
    np.save(folder / COUNTS, parts.counts)
    if parts.factors is not None:
        np.save(folder / FACTORS, parts.factors.items_IF)
    write_json(folder / NAMES, {
        "names": list(parts.names),
        "attributes": {name: [_plain(one) for one in values] for name, values in parts.attributes.items()},
    })  # fmt: skip
    for name, features in ((ITEM_COLUMNS, parts.items), (USER_COLUMNS, parts.users)):
        if features is not None:
            write_json(folder / name, features.state())
    write_json(folder / FACTS, {
        "context": parts.context,
        "again": parts.again,
        "alpha": parts.factors.alpha if parts.factors is not None else 0.0,
        "weight": parts.weight,
        "fresh_bias": parts.fresh_bias,
    })  # fmt: skip


def _plain(value: Any) -> Any:
    """A raw value as JSON: NaN is nothing."""
    return None if isinstance(value, float) and math.isnan(value) else value


def read_parts(folder: Path) -> Held:
    """Opens `model/`. Raises ArtifactError when a file is missing or broken."""
    try:
        facts, names = read_json(folder / FACTS), read_json(folder / NAMES)
        factors_path = folder / FACTORS
        factors = None
        if factors_path.is_file():
            factors = Factors.of(np.load(factors_path), alpha=float(facts["alpha"]), ridge=RIDGE)
        held = Held(
            folder=folder,
            names=[str(name) for name in names["names"]],
            vectors_ID=np.load(folder / ITEMS),
            bias_I=np.load(folder / BIAS),
            counts=np.load(folder / COUNTS),
            factors=factors,
            weight=float(facts["weight"]),
            fresh_bias=float(facts["fresh_bias"]),
            attributes={str(name): list(values) for name, values in names["attributes"].items()},
            items=_columns(folder / ITEM_COLUMNS),
            users=_columns(folder / USER_COLUMNS),
            context=int(facts["context"]),
            again=bool(facts["again"]),
            golden=_golden(folder / GOLDEN),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"The recommender cannot be read ({error}).", code="recommender_broken", where=str(folder)
        ) from error
    counts = {len(held.names), len(held.vectors_ID), len(held.bias_I), len(held.counts)}
    if len(counts) != 1:
        raise ArtifactError(f"Its files speak of {sorted(counts)} items.", code="recommender_broken", where=str(folder))
    return held


def _columns(path: Path) -> FeatureSet | None:
    return FeatureSet.from_state(read_json(path)) if path.is_file() else None


def _golden(path: Path) -> Golden:
    with np.load(path, allow_pickle=False) as file:
        edges = np.concatenate([[0], np.cumsum(file["lengths"])])
        flat = file["histories"]
        histories = tuple(flat[begin:end] for begin, end in pairwise(edges))
        return Golden(histories, file["items"], file["scores"])


def open_recommender_bundle(folder: Path, *, public_key: Path | None = None) -> Bundle:
    """Opens and verifies. Raises ArtifactError when a part is missing, VerificationFailed when bytes or signer differ."""
    bundle = open_signed(folder, required=_REQUIRED, public_key=public_key)
    if bundle.manifest.get("task") != TASK:
        raise ArtifactError(
            f"It is a release for {bundle.manifest.get('task')}, not for {TASK}.", code="wrong_task", where=str(folder)
        )
    return bundle
