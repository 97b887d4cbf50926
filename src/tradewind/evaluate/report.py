"""The report: `evaluate` makes it, `write` puts it into a folder as JSON, page, predictions and calibration.

Not here: the figures themselves (`analysis.py`) or the page (`page.py`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.evaluate.analysis import Analysis, Basis, analyse, checked_gates
from tradewind.evaluate.baselines import Baseline, fit_baselines, take
from tradewind.evaluate.examination import STATE_FILE, Examination, write_witnesses
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.gates import GateResult
from tradewind.evaluate.inputs import EvaluationInputs, EvaluationSplit, Scores
from tradewind.evaluate.metrics import Floats
from tradewind.evaluate.page import render
from tradewind.evaluate.predictions import (
    FILE,
    MODEL,
    Predictions,
    SplitPredictions,
    as_stored,
    write_predictions,
)  # fmt: skip
from tradewind.evaluate.slices import labels_of
from tradewind.evaluate.thresholds import positive_class
from tradewind.evaluate.trust import Context
from tradewind.features.shifts import Shifts, shift_of
from tradewind.files import canonical_json, write_json, write_text

FORMAT = 1
JSON_FILE, PAGE_FILE, CALIBRATION_FILE = "report.json", "report.html", "calibration.json"
_SLICE_COLUMNS = 30


@dataclass(frozen=True)
class BaselineCost:
    """Seconds of one predictor: its training, and the test split's prediction per row in microseconds."""

    train_seconds: float | None
    predict_microseconds: float | None


@dataclass(frozen=True)
class Timings:
    """Everything that a clock said of predictors and analysis. Nothing else changes from one run to the next, but for
    what a request costs, which a clock said too (`cost.py`)."""

    predictors: Mapping[str, BaselineCost]
    baselines_seconds: float
    analysis_seconds: float


@dataclass(frozen=True)
class Report:
    """One evaluation. `basis` and `predictions` are what `analysis` was made from; `notes` says of each baseline how it
    was fitted or why it was skipped; `unlabelled` counts rows left out by split, because their target is unknown."""

    inputs: EvaluationInputs
    basis: Basis
    predictions: Predictions
    analysis: Analysis
    notes: Mapping[str, Mapping[str, str]]
    unlabelled: Mapping[str, int]
    timings: Timings
    examination: Examination = field(default_factory=Examination)

    @property
    def context(self) -> Context:
        """What the rooms of trust know of the report."""
        basis = self.basis
        return Context(
            task=basis.task,
            classes=basis.classes,
            positive=basis.positive,
            threshold=self.threshold,
            primary=self.analysis.primary,
            settings=basis.settings,
            explain=self.inputs.explain,
            sensitive=self.inputs.sensitive,
        )

    def examined(self, examination: Examination) -> Report:
        """The report with what the rooms of trust say, and the gates over their figures too."""
        basis = replace(self.basis, further=examination.figures)
        analysis = replace(self.analysis, gates=checked_gates(self.analysis, basis))
        return replace(self, basis=basis, analysis=analysis, examination=examination)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Figures that exist, by split and name."""
        figures = self.analysis.figures
        return {
            split: {name: one.value for name, one in figures[split].items() if one.value is not None}
            for split in figures
        }

    @property
    def figures(self) -> Mapping[str, Mapping[str, Figure]]:
        return self.analysis.figures

    @property
    def gates(self) -> tuple[GateResult, ...]:
        return self.analysis.gates

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    @property
    def temperature(self) -> float:
        return self.analysis.calibration.temperature if self.analysis.calibration else 1.0

    @property
    def threshold(self) -> float | None:
        return self.analysis.threshold.value if self.analysis.threshold else None

    @property
    def shifts(self) -> dict[str, dict[str, float]]:
        """Of the threshold by group, after calibration."""
        return _calibrated(self.inputs.shifts, self.temperature)

    def to_json(self) -> dict[str, Any]:
        """The whole report but the predictions, which it names by file and digest."""
        inputs, basis = self.inputs, self.basis
        positive = None if basis.positive is None else basis.classes[basis.positive]
        model = plain(inputs.model)
        model.pop("seconds")
        return {
            "format": FORMAT,
            "product": inputs.product,
            "task": inputs.task,
            "target": inputs.target,
            "classes": list(inputs.classes),
            "positive": positive,
            "sensitive": list(inputs.sensitive),
            "parents": dict(inputs.parents),
            "settings": inputs.settings.model_dump(mode="json"),
            "predictions": {"file": FILE, "digest": digest_predictions(self.predictions)},
            "unlabelled": dict(self.unlabelled),
            "baseline_notes": plain(self.notes),
            "explain": inputs.explain.model_dump(mode="json"),
            "shifts": plain(inputs.shifts),
            "further": plain(self.examination.figures),
            "trust": plain(self.examination.sections),
            **plain(self.analysis),
            "data": plain(inputs.data),
            "model": model,
            "cost": None if inputs.cost is None else inputs.cost.to_json(),
            "timings": plain(self.timings),
        }


def plain(value: Any) -> Any:
    """Dataclasses, mappings, tuples and NumPy numbers as JSON."""
    if isinstance(value, Figure):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return rounded(value) if isinstance(value, float) else value


def digest_predictions(predictions: Predictions) -> str:
    """Digest of the numbers themselves, whatever the version of the file format."""
    sha = hashlib.sha256()
    for split in sorted(predictions):
        part = predictions[split]
        arrays: dict[str, NDArray[Any]] = {"row": part.rows_n, "target": part.target_n, **part.scores}
        if part.weight_n is not None:
            arrays["weight"] = part.weight_n
        if part.shift_n is not None:
            arrays["shift"] = part.shift_n
        for name in sorted(arrays):
            sha.update(f"{split} {name} {arrays[name].shape}".encode())
            sha.update(np.ascontiguousarray(arrays[name], dtype="<f8").tobytes())
        for name in sorted(part.slices):
            sha.update(f"{split} {name}\n".encode() + "\n".join(map(str, part.slices[name])).encode())
    return "sha256:" + sha.hexdigest()


# ---------------------------------------------------------------- making it


def evaluate(inputs: EvaluationInputs) -> Report:
    """Fits the baselines, calibrates and thresholds on validation, and computes every figure with its interval.

    Raises DataError when the test split has no row with a known target, or the scores do not fit the splits.
    """
    start = time.perf_counter()
    known = {
        name: _known(split, inputs) for name, split in
        (("train", inputs.train), ("validation", inputs.validation), ("test", inputs.test))
    }  # fmt: skip
    splits = {name: take(split, known[name]) for name, split in
              (("train", inputs.train), ("validation", inputs.validation), ("test", inputs.test))}  # fmt: skip
    if splits["test"].rows == 0:
        raise DataError(
            "The test split holds no row with a known target.", code="test_empty", where="data.split.test",
            hint="Give it a larger share, or check the target column.",
        )  # fmt: skip
    fitted: tuple[Baseline, ...] = ()
    if inputs.settings.baselines:
        fitted = fit_baselines(
            inputs.task, inputs.classes, train=splits["train"], validation=splits["validation"], test=splits["test"],
            seed=inputs.settings.seed, refit=inputs.model.refitted,
        )  # fmt: skip
    after_baselines = time.perf_counter()
    labels, left_out = _labels(inputs, known["test"])
    predictions = {
        name: SplitPredictions(
            rows_n=known[name],
            target_n=_target(splits[name], inputs),
            scores={
                MODEL: as_stored(_checked(inputs.scores.get(name), getattr(inputs, name), inputs))[known[name]],
                **{one.name: as_stored(one.scores[name]) for one in fitted if one.scores is not None},
            },
            weight_n=_weight(splits[name]),
            shift_n=_shift(inputs, name, known[name]),
            slices=labels if name == "test" else {},
        )
        for name in ("validation", "test")
        if splits[name].rows
    }
    classified = inputs.task == "classification"
    seen = splits["train"].target if splits["train"].rows else splits["test"].target
    basis = Basis(
        task=inputs.task,
        classes=inputs.classes,
        positive=positive_class(seen, inputs.classes, inputs.settings.positive) if classified else None,
        settings=inputs.settings,
        left_out=left_out,
    )
    analysis = analyse(predictions, basis)
    own = BaselineCost(inputs.model.seconds, _per_row(inputs.scores["test"].seconds, inputs.test.rows))
    costs = {one.name: BaselineCost(one.train_seconds, _per_row(one.predict_seconds, splits["test"].rows))
             for one in fitted if one.scores is not None}  # fmt: skip
    return Report(
        inputs=inputs,
        basis=basis,
        predictions=predictions,
        analysis=analysis,
        notes={one.name: {"how": one.how, "skipped": one.reason} for one in fitted},
        unlabelled={name: getattr(inputs, name).rows - len(rows) for name, rows in known.items()},
        timings=Timings({MODEL: own, **costs}, after_baselines - start, time.perf_counter() - after_baselines),
    )


def _shift(inputs: EvaluationInputs, name: str, rows: NDArray[np.int64]) -> Floats | None:
    if not inputs.shifts:
        return None
    split: EvaluationSplit = getattr(inputs, name)
    return shift_of(inputs.shifts, split.raw, rows=split.rows)[rows]


def _known(split: EvaluationSplit, inputs: EvaluationInputs) -> NDArray[np.int64]:
    """Places of the rows whose target is known."""
    assert len(split.target) == split.rows, f"{split.name}: one target for each row"
    if inputs.task == "classification":
        return np.flatnonzero(split.target >= 0)
    return np.flatnonzero(np.isfinite(split.target))


def _target(split: EvaluationSplit, inputs: EvaluationInputs) -> NDArray[Any]:
    return split.target.astype(np.int64 if inputs.task == "classification" else np.float64)


def _weight(split: EvaluationSplit) -> NDArray[np.float64] | None:
    return None if split.weight is None else split.weight.astype(np.float64)


def _checked(scores: Scores | None, split: EvaluationSplit, inputs: EvaluationInputs) -> NDArray[Any]:
    """The scores of one split. Raises DataError when they are missing, misshapen or not finite."""
    found = None if scores is None else (scores.probabilities if inputs.task == "classification" else scores.values)
    wanted = (split.rows, len(inputs.classes)) if inputs.task == "classification" else (split.rows,)
    if found is None or found.shape != wanted:
        shape = "nothing" if found is None else str(found.shape)
        raise DataError(f"The predictor gave {shape} for {split.name}; {wanted} was expected.", code="scores_shape")
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).reshape(split.rows, -1).any(axis=1).sum())
        raise DataError(
            f"The predictor gave no finite number for {bad} of {split.rows} rows of {split.name}.",
            code="scores_not_finite", hint="Train again with a smaller learning rate.",
        )  # fmt: skip
    return found


def _labels(inputs: EvaluationInputs, rows: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """One label per test row for each sliced column, and why other columns have none."""
    raw, wanted = inputs.test.raw, inputs.settings.slices
    if wanted == "auto":
        candidates = [name for name in raw if not inputs.slice_columns or name in inputs.slice_columns]
        names = [*[name for name in inputs.sensitive if name in raw], *candidates]
        names = [name for name in dict.fromkeys(names) if name != inputs.target][:_SLICE_COLUMNS]
    else:
        names = list(dict.fromkeys(wanted))
    labels: dict[str, NDArray[Any]] = {}
    left_out: dict[str, str] = {}
    for name in names:
        found = labels_of(np.asarray(raw[name])[rows]) if name in raw else "there is no such column in the test split"
        if isinstance(found, str):
            left_out[name] = found
        else:
            labels[name] = found
    return labels, left_out


def _per_row(seconds: float, rows: int) -> float | None:
    return seconds / rows * 1e6 if rows and seconds > 0 else None


# ---------------------------------------------------------------- writing it


def write(report: Report, folder: Path, *, language: Literal["en", "zh"]) -> dict[str, Path]:
    """Writes report.json, report.html, predictions.parquet, calibration.json, trust.json and what was seen; gives
    the paths by kind, but for what was seen.

    Raises EnvironmentFailure when the disk refuses.
    """
    # Through JSON once: the page is made from exactly what a reader of report.json sees.
    content = json.loads(canonical_json(report.to_json()))
    paths = {
        "json": folder / JSON_FILE, "page": folder / PAGE_FILE, "predictions": folder / FILE,
        "calibration": folder / CALIBRATION_FILE, "state": folder / STATE_FILE,
    }  # fmt: skip
    write_predictions(report.predictions, paths["predictions"])
    write_json(paths["calibration"], calibration_content(content))
    write_witnesses(report.examination, folder)
    write_json(paths["state"], plain(report.examination.state))
    write_json(paths["json"], content)
    write_text(paths["page"], render(content, language=language))
    return paths


def _calibrated(shifts: Shifts, temperature: float) -> dict[str, dict[str, float]]:
    """Shifts of log-odds as they are after calibration, which divides log-odds by the temperature."""
    return {column: {group: one / temperature for group, one in by.items()} for column, by in shifts.items()}


def calibration_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a release needs to serve what was measured: temperature, threshold and the positive class."""
    found = content["calibration"]
    return {
        "temperature": found["temperature"] if found else 1.0,
        "threshold": content["threshold"]["value"] if content["threshold"] else None,
        "positive": content["positive"],
        "classes": content["classes"],
        "shifts": _calibrated(content["shifts"], found["temperature"] if found else 1.0),
    }
