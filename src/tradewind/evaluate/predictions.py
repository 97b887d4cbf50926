"""The stored predictions: for each row of each split what was true and what every predictor said. The witness.

Not here: any figure. A file `predictions.parquet` with the columns `split`, `row` (number in its split), `target`,
`weight`, `shift`, `model`, `baseline:NAME` and `slice:COLUMN`; probabilities are lists of K float32, values float64.

Legend: n rows, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.errors import ArtifactError, writing
from tradewind.evaluate.metrics import Floats

FILE = "predictions.parquet"
MODEL = "model"
SPLITS = ("validation", "test")
_BASELINE, _SLICE = "baseline:", "slice:"


@dataclass(frozen=True)
class SplitPredictions:
    """One split. `scores` are uncalibrated probabilities [n, K] or values [n] of `model` and each baseline; `slices`
    one label per row by column (test only)."""

    rows_n: NDArray[np.int64]
    target_n: NDArray[Any]
    scores: Mapping[str, Floats]
    weight_n: Floats | None = None
    shift_n: Floats | None = (
        None  # log-odds, before calibration, by which the model's threshold is moved for the row's groups
    )
    slices: Mapping[str, NDArray[Any]] = field(default_factory=dict)


Predictions = Mapping[str, SplitPredictions]


def as_stored(scores: NDArray[Any]) -> Floats:
    """Scores as they will be read back: probabilities lose what float32 cannot hold, before any figure is computed."""
    return scores.astype(np.float32).astype(np.float64) if scores.ndim == 2 else scores.astype(np.float64)


def column_of(predictor: str) -> str:
    """The file and column a predictor's figures come from."""
    return f"{FILE}#{predictor if predictor == MODEL else _BASELINE + predictor}"


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Writes the file. Raises EnvironmentFailure when the disk refuses."""
    names = [name for name in SPLITS if name in predictions]
    parts = [predictions[name] for name in names]
    columns: dict[str, Any] = {
        "split": pa.array(np.repeat(names, [len(part.rows_n) for part in parts]).tolist(), pa.string()),
        "row": np.concatenate([part.rows_n for part in parts]),
        "target": np.concatenate([part.target_n for part in parts]),
    }
    if any(part.weight_n is not None for part in parts):
        columns["weight"] = np.concatenate([_weight(part) for part in parts])
    if any(part.shift_n is not None for part in parts):
        columns["shift"] = np.concatenate(
            [np.zeros(len(part.rows_n)) if part.shift_n is None else part.shift_n for part in parts]
        )
    for predictor in parts[0].scores:
        name = predictor if predictor == MODEL else _BASELINE + predictor
        columns[name] = _scores(np.concatenate([part.scores[predictor] for part in parts]))
    for column in dict.fromkeys(name for part in parts for name in part.slices):
        labels = [
            [str(label) for label in part.slices[column]] if column in part.slices else [None] * len(part.rows_n)
            for part in parts
        ]
        columns[_SLICE + column] = pa.array([label for part in labels for label in part], pa.string())
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, compression="zstd")


def _weight(part: SplitPredictions) -> Floats:
    return np.ones(len(part.rows_n)) if part.weight_n is None else part.weight_n


def _scores(scores: Floats) -> Any:
    if scores.ndim == 1:
        return pa.array(scores)
    return pa.FixedSizeListArray.from_arrays(pa.array(scores.astype(np.float32).ravel()), scores.shape[1])


def read_predictions(path: Path) -> dict[str, SplitPredictions]:
    """Reads the file back, equal to what was given. Raises ArtifactError when it is missing or no such file."""
    try:
        table = pq.read_table(path)
        split_of = np.asarray(table["split"].to_pylist(), dtype=object)
        return {name: _part(table, np.flatnonzero(split_of == name)) for name in SPLITS if (split_of == name).any()}
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise ArtifactError(
            f"The stored predictions cannot be read ({error}).", code="predictions_broken", where=str(path),
            hint="Run `tradewind evaluate` again.",
        ) from error  # fmt: skip


def _part(table: Any, rows: NDArray[np.int64]) -> SplitPredictions:
    scores: dict[str, Floats] = {}
    slices: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        if name == MODEL or name.startswith(_BASELINE):
            scores[name.removeprefix(_BASELINE)] = _read_scores(table[name].combine_chunks())[rows]
        elif name.startswith(_SLICE):
            labels = np.array(table[name].to_pylist(), dtype=object)[rows]
            if len(labels) and labels[0] is not None:
                slices[name.removeprefix(_SLICE)] = labels
    weight = table["weight"].to_numpy()[rows] if "weight" in table.column_names else None
    shift = table["shift"].to_numpy()[rows] if "shift" in table.column_names else None
    return SplitPredictions(
        table["row"].to_numpy()[rows], table["target"].to_numpy()[rows], scores, weight, shift, slices
    )


def _read_scores(column: Any) -> Floats:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, dtype=np.float64).reshape(len(column), -1)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
