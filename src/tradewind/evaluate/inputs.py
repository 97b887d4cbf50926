"""What evaluation is given: arrays and plain facts, filled in by the verb from a dataset, a run and an engine.

Not here: reading any of it. This room never opens a dataset.

Legend: n rows, N numbers, C categories, K classes, W words of a bag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.cost import RequestCost
from tradewind.features.shifts import Shifts
from tradewind.product import Evaluate, Explain

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class EvaluationSplit:
    """One split. `target` is int64 class codes (-1: unknown, left out) or float64 values in the target's own unit.

    `raw` holds raw values by column, shape [n], for slices; it may be empty for the training split. The encoded arrays
    are for the baselines: `numbers` [n, N] normalised, `categories` [n, C] with `cardinalities` [C], `bags` a scipy CSR
    matrix [n, W] of TF-IDF weights per text column, `images` uint8 [n, channels, height, width] per image column, `sounds`
    uint8 [n, frames, bands] per audio column.
    `flags` names pairs (number, flag): where column `flag` of `numbers` is above 0, column `number` was missing.
    """

    name: str
    rows: int
    target: NDArray[Any]
    raw: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    numbers: NDArray[np.floating[Any]] | None = None
    categories: NDArray[np.integer[Any]] | None = None
    cardinalities: tuple[int, ...] = ()
    flags: tuple[tuple[int, int], ...] = ()
    bags: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    sounds: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    weight: NDArray[np.floating[Any]] | None = None


@dataclass(frozen=True)
class Scores:
    """What a predictor said of a split, before calibration: `probabilities` [n, K] or `values` [n], and its seconds."""

    probabilities: NDArray[np.floating[Any]] | None = None
    values: NDArray[np.floating[Any]] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainingPoint:
    """One epoch of the training curve. `validation` is the loss on the validation split."""

    epoch: float
    train: float | None
    validation: float | None


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the data profile: `counts` per band between `edges` (numbers, dates) or per `labels` (the rest)."""

    name: str
    kind: str
    missing: float = 0.0  # share of rows
    counts: tuple[int, ...] = ()
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    role: str = "input"  # input, target, sensitive, dropped …
    note: str = ""


@dataclass(frozen=True)
class RejectedRow:
    """A row that preparation put aside: where it stood and why."""

    file: str
    line: int
    reason: str
    text: str = ""


@dataclass(frozen=True)
class DataFacts:
    """What preparation says of the data; shown in the report, not computed here."""

    rows: int = 0
    columns: tuple[ColumnProfile, ...] = ()
    cleaning: Mapping[str, int] = field(default_factory=dict)  # repair → rows or values
    rejected: int = 0
    rejected_reasons: Mapping[str, int] = field(default_factory=dict)
    rejected_rows: tuple[RejectedRow, ...] = ()  # the first few


@dataclass(frozen=True)
class ModelFacts:
    """What training says of the model; shown in the report, not computed here. `seconds` is its training time."""

    name: str = "model"
    parameters: int | None = None
    seconds: float | None = None
    epochs: float | None = None
    best_epoch: float | None = None
    refitted: bool = False  # trained again on validation rows too; the scores of validation are from before that
    curve: Sequence[TrainingPoint] = ()
    curve_figure: str = "log_loss"  # what the curve's validation values are


@dataclass(frozen=True)
class EvaluationInputs:
    """Everything that one evaluation sees. `scores` are those of the product's predictor on validation and test."""

    product: str
    task: Task
    target: str
    classes: tuple[str, ...]
    train: EvaluationSplit
    validation: EvaluationSplit
    test: EvaluationSplit
    scores: Mapping[str, Scores]
    settings: Evaluate = field(default_factory=Evaluate)
    sensitive: tuple[str, ...] = ()
    slice_columns: Mapping[str, str] = field(default_factory=dict)  # column → category or number; empty: all of raw
    data: DataFacts = field(default_factory=DataFacts)
    model: ModelFacts = field(default_factory=ModelFacts)
    parents: Mapping[str, str] = field(default_factory=dict)  # digests of dataset and run
    explain: Explain = field(default_factory=Explain)
    shifts: Shifts = field(default_factory=dict)  # of the model's threshold by group, before calibration
    cost: RequestCost | None = None  # what one request costs, where it was measured
