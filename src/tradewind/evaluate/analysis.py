"""From stored predictions to every figure of a report: one pure function, used by `evaluate` and again by `verify`.

Not here: fitting baselines, or anything that needs more than the predictions and the settings.

Legend: n rows, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate import calibration, gates, thresholds
from tradewind.evaluate.curves import Curves, class_curves, hardest, scatter
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.inputs import Task
from tradewind.evaluate.intervals import Draws, bootstrap, difference, figure
from tradewind.evaluate.metrics import (
    SMALLER_IS_BETTER,
    Classification,
    Floats,
    Measure,
    Regression,
    confusion,
)  # fmt: skip
from tradewind.evaluate.predictions import MODEL, Predictions, SplitPredictions, column_of
from tradewind.evaluate.slices import Slices, slice_split
from tradewind.features.shifts import moved
from tradewind.product import Evaluate

_SLICE_RESAMPLES = 200

_HOW = {
    "roc_auc": "area under the ROC curve, ties counted half",
    "pr_auc": "average precision",
    "accuracy": "share of rows whose predicted class is the true one",
    "precision": "share of rows predicted positive that are",
    "recall": "share of positive rows predicted so",
    "f1": "harmonic mean of precision and recall of the positive class",
    "precision_macro": "mean over the classes of their precision",
    "recall_macro": "mean over the classes of their recall",
    "f1_macro": "mean over the classes of their F1",
    "f1_micro": "F1 of all decisions together, equal to accuracy",
    "f1_weighted": "mean over the classes of their F1, weighted by true rows",
    "log_loss": "mean negative natural logarithm of the true class's probability",
    "brier": "mean square distance of probability and outcome",
    "ece": "expected calibration error over 15 equal-width bins",
    "mse": "mean square error",
    "rmse": "root of the mean square error, in the target's unit",
    "mae": "mean absolute error, in the target's unit",
    "r2": "1 minus the square error over the target's variance",
}
_DECIDED = {"accuracy", "precision", "recall", "f1", "precision_macro", "recall_macro", "f1_macro", "f1_micro",
            "f1_weighted"}  # fmt: skip


@dataclass(frozen=True)
class Basis:
    """What, beside the predictions, the figures depend on. `positive` is the positive class's code of two classes."""

    task: Task
    classes: tuple[str, ...]
    positive: int | None
    settings: Evaluate
    left_out: Mapping[str, str] = field(default_factory=dict)  # column without slices → reason
    further: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitFacts:
    rows: int
    weighted: bool
    classes: Mapping[str, int]


@dataclass(frozen=True)
class ClassFigures:
    """Precision, recall and F1 of one class on the test split (unweighted rows)."""

    name: str
    rows: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Calibration:
    """The temperature fitted on validation, with log loss and calibration error before and after it by split."""

    temperature: float
    before: Mapping[str, Mapping[str, float | None]]
    after: Mapping[str, Mapping[str, float | None]]
    bins_before: tuple[calibration.ReliabilityBin, ...]
    bins: tuple[calibration.ReliabilityBin, ...]


@dataclass(frozen=True)
class BaselineFigures:
    """A baseline on the test split: its figures and, figure by figure, the model minus it with a paired interval.

    `verdict` of the primary figure: better or worse where the interval leaves 0 out, else unclear.
    """

    name: str
    figures: Mapping[str, Figure]
    differences: Mapping[str, Figure]
    verdict: str
    temperature: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Analysis:
    primary: str
    splits: Mapping[str, SplitFacts]
    figures: Mapping[str, Mapping[str, Figure]]
    confusion: Mapping[str, Any]
    by_class: tuple[ClassFigures, ...]
    curves: Curves
    calibration: Calibration | None
    threshold: thresholds.Threshold | None
    baselines: tuple[BaselineFigures, ...]
    lead: Figure | None  # over the best baseline, positive for better
    lead_over: str
    slices: Slices
    gates: tuple[gates.GateResult, ...]


@dataclass(frozen=True)
class _Prepared:
    """A predictor after calibration and threshold."""

    temperature: float
    threshold: thresholds.Threshold | None
    scores: Mapping[str, Floats]
    cuts: Mapping[str, Floats] = field(
        default_factory=dict
    )  # by split, the threshold of each row, where groups have their own


def primary_figure(basis: Basis) -> str:
    """The figure that baselines, slices and the page lead with."""
    if basis.task == "regression":
        return "rmse"
    return "accuracy" if basis.positive is None else "roc_auc"


def analyse(predictions: Predictions, basis: Basis) -> Analysis:
    """Every figure that follows from the predictions; the same for the same input."""
    settings, primary = basis.settings, primary_figure(basis)
    test = predictions["test"]
    ready = {name: _prepare(name, predictions, basis) for name in test.scores}
    drawn: dict[str, dict[str, Draws]] = {}
    for split, part in predictions.items():
        names = list(ready) if split == "test" else [MODEL]
        measures = {name: _measure(part, ready[name], split, basis) for name in names}
        drawn[split] = bootstrap(
            measures, rows=len(part.rows_n), resamples=settings.bootstrap, seed=settings.seed, weight_N=part.weight_n
        )
    figures = {
        split: {
            name: _figure(drawn[split][MODEL], name, split, predictions[split], MODEL, ready[MODEL], basis)
            for name in drawn[split][MODEL].points
        }
        for split in predictions
    }
    baselines = tuple(
        _baseline(name, drawn["test"], ready[name], primary, test, basis) for name in ready if name != MODEL
    )
    lead, lead_over = _lead(baselines, primary)
    classification = basis.task == "classification"
    return Analysis(
        primary=primary,
        splits={split: _facts(part, basis) for split, part in predictions.items()},
        figures=figures,
        confusion=_confusions(predictions, ready[MODEL], basis) if classification else {},
        by_class=_by_class(test, ready[MODEL], basis) if classification else (),
        curves=_curves(test, ready[MODEL], basis),
        calibration=_calibration(predictions, ready[MODEL], drawn, basis) if classification else None,
        threshold=ready[MODEL].threshold,
        baselines=baselines,
        lead=lead,
        lead_over=lead_over,
        slices=_slices(test, ready[MODEL], drawn["test"][MODEL], primary, basis),
        gates=_gates(figures["test"], lead, lead_over, basis),
    )


def checked_gates(analysis: Analysis, basis: Basis) -> tuple[gates.GateResult, ...]:
    """The gates over the analysis and the further figures of `basis`."""
    return _gates(analysis.figures["test"], analysis.lead, analysis.lead_over, basis)


def _gates(
    test: Mapping[str, Figure], lead: Figure | None, lead_over: str, basis: Basis
) -> tuple[gates.GateResult, ...]:
    return gates.check(basis.settings.gates, {**test, **basis.further}, lead, task=basis.task, against=lead_over)


# ---------------------------------------------------------------- predictors


def _prepare(name: str, predictions: Predictions, basis: Basis) -> _Prepared:
    """Fits temperature and threshold on validation, the same way for the model and each baseline."""
    if basis.task == "regression":
        return _Prepared(
            1.0, None, {split: part.scores[name] for split, part in predictions.items() if name in part.scores}
        )
    temperature, threshold = 1.0, None
    checked = predictions.get("validation")
    if checked is not None and basis.settings.calibrate and name != "majority":
        temperature = calibration.fit_temperature(checked.target_n, checked.scores[name], weight_N=checked.weight_n)
    scores = {
        split: calibration.apply_temperature(part.scores[name], temperature) for split, part in predictions.items()
    }
    if basis.positive is not None:
        threshold = thresholds.Threshold(0.5, "half", note="there is no validation split")
        if checked is not None:
            threshold = _threshold(
                basis.settings,
                scores["validation"][:, basis.positive],
                checked.target_n == basis.positive,
                _weights(checked),
            )
    cuts = {}
    if name == MODEL and threshold is not None:
        cuts = {
            split: moved(threshold.value, part.shift_n / temperature)
            for split, part in predictions.items()
            if part.shift_n is not None
        }
    return _Prepared(temperature, threshold, scores, cuts)


def _threshold(
    settings: Evaluate, positive_n: Floats, truth_n: NDArray[np.bool_], weight_n: Floats
) -> thresholds.Threshold:
    rule = settings.threshold
    if rule not in ("specificity", "sensitivity"):
        return thresholds.choose(rule, positive_n, truth_n, weight_n)
    share = settings.specificity if rule == "specificity" else settings.sensitivity
    assert share is not None
    bound = thresholds.at_share(positive_n, truth_n, share, of=str(rule))
    return thresholds.Threshold(rounded(bound) or 0.0, str(rule), share)


def _weights(part: SplitPredictions) -> Floats:
    return np.ones(len(part.rows_n)) if part.weight_n is None else part.weight_n


def _decided(one: _Prepared, split: str, basis: Basis) -> NDArray[np.int64]:
    common = one.threshold.value if one.threshold else 0.5
    return thresholds.decide(one.scores[split], basis.positive, one.cuts.get(split, common))


def _measure(part: SplitPredictions, one: _Prepared, split: str, basis: Basis) -> Measure:
    if basis.task == "regression":
        return Regression(part.target_n, one.scores[split])
    return Classification(part.target_n, one.scores[split], _decided(one, split, basis), basis.positive, basis.classes)


def _figure(
    draws: Draws, name: str, split: str, part: SplitPredictions, predictor: str, one: _Prepared, basis: Basis
) -> Figure:
    how = _HOW[name]
    if basis.task == "classification" and basis.positive is None and name in ("roc_auc", "pr_auc"):
        how += ", macro one-vs-rest over the classes that occur"
    if name in _DECIDED and one.threshold is not None:
        how += f", positive from a probability of {one.threshold.value:.4g}"
        how += ", moved for each group" if one.cuts else ""
    if basis.task == "classification" and name not in _DECIDED and one.temperature != 1.0:
        how += f", probabilities at temperature {one.temperature:.4g}"
    if part.weight_n is not None:
        how += ", rows weighted"
    return figure(draws, name, split=split, rows=len(part.rows_n), predictions=column_of(predictor), how=how)


# ---------------------------------------------------------------- the parts


def _facts(part: SplitPredictions, basis: Basis) -> SplitFacts:
    by_class: dict[str, int] = {}
    if basis.task == "classification":
        counts = np.bincount(part.target_n, minlength=len(basis.classes))
        by_class = {name: int(rows) for name, rows in zip(basis.classes, counts, strict=True)}
    return SplitFacts(len(part.rows_n), part.weight_n is not None, by_class)


def _baseline(
    name: str, drawn: Mapping[str, Draws], one: _Prepared, primary: str, test: SplitPredictions, basis: Basis
) -> BaselineFigures:
    ours, theirs, rows = drawn[MODEL], drawn[name], len(test.rows_n)
    origin = f"{column_of(MODEL)} and {column_of(name)}"
    differences = {
        key: difference(ours, theirs, key, split="test", rows=rows, predictions=origin) for key in ours.points
    }
    figures = {key: _figure(theirs, key, "test", test, name, one, basis) for key in theirs.points}
    return BaselineFigures(
        name=name,
        figures=figures,
        differences=differences,
        verdict=_verdict(differences[primary], primary),
        temperature=one.temperature if basis.task == "classification" else None,
        threshold=one.threshold.value if one.threshold else None,
    )


def _verdict(gain: Figure, primary: str) -> str:
    if gain.low is None or gain.high is None or gain.low <= 0 <= gain.high:
        return "unclear"
    return "better" if (gain.low > 0) != (primary in SMALLER_IS_BETTER) else "worse"


def _lead(baselines: tuple[BaselineFigures, ...], primary: str) -> tuple[Figure | None, str]:
    """How far the model is ahead of the best baseline in the primary figure, positive for better, and its name."""
    known = [(one.differences[primary], one.name) for one in baselines if one.differences[primary].value is not None]
    if not known:
        return None, ""
    if primary not in SMALLER_IS_BETTER:
        gain, name = min(known, key=lambda pair: pair[0].value or 0.0)
        return gain, name
    gain, name = max(known, key=lambda pair: pair[0].value or 0.0)
    low, high = (None if end is None else -end for end in (gain.high, gain.low))
    how = gain.how.replace("of the model minus", "of the model, sign turned, minus")
    return Figure(-(gain.value or 0.0) + 0.0, how, gain.split, gain.rows, gain.predictions, low, high), name


def _confusions(predictions: Predictions, one: _Prepared, basis: Basis) -> dict[str, Any]:
    kinds = len(basis.classes)
    return {
        split: confusion(part.target_n, _decided(one, split, basis), kinds).tolist()
        for split, part in predictions.items()
    }


def _by_class(test: SplitPredictions, one: _Prepared, basis: Basis) -> tuple[ClassFigures, ...]:
    matrix = confusion(test.target_n, _decided(one, "test", basis), len(basis.classes)).astype(np.float64)
    hits, true, claimed = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    table = np.stack(
        [hits / np.maximum(claimed, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(true + claimed, 1)]
    )
    return tuple(
        ClassFigures(name, int(true[at]), *(rounded(float(value)) or 0.0 for value in table[:, at]))
        for at, name in enumerate(basis.classes)
    )


def _curves(test: SplitPredictions, one: _Prepared, basis: Basis) -> Curves:
    if basis.task == "regression":
        return scatter(test.target_n, one.scores["test"])
    scores = one.scores["test"]
    kinds = [basis.positive] if basis.positive is not None else hardest(test.target_n, scores)
    return class_curves(test.target_n, scores, kinds, basis.classes)


def _calibration(
    predictions: Predictions, one: _Prepared, drawn: Mapping[str, Mapping[str, Draws]], basis: Basis
) -> Calibration:
    before: dict[str, dict[str, float | None]] = {}
    after: dict[str, dict[str, float | None]] = {}
    for split, part in predictions.items():
        raw = Classification(
            part.target_n, part.scores[MODEL], _decided(one, split, basis), basis.positive, basis.classes
        )
        points = {name: float(value[0]) for name, value in raw(_weights(part)[None, :], ranking=False).items()}
        before[split] = {name: rounded(points[name]) for name in ("log_loss", "ece")}
        after[split] = {name: rounded(drawn[split][MODEL].points[name]) for name in ("log_loss", "ece")}
    test = predictions["test"]
    return Calibration(
        temperature=one.temperature,
        before=before,
        after=after,
        bins_before=calibration.reliability(test.target_n, test.scores[MODEL], basis.positive),
        bins=calibration.reliability(test.target_n, one.scores["test"], basis.positive),
    )


def _slices(test: SplitPredictions, one: _Prepared, whole: Draws, primary: str, basis: Basis) -> Slices:
    second = "mae" if basis.task == "regression" else "log_loss" if primary == "accuracy" else "accuracy"
    scores, decided = one.scores["test"], None if basis.task == "regression" else _decided(one, "test", basis)

    def measure_of(rows: NDArray[np.int64]) -> Measure:
        if decided is None:
            return Regression(test.target_n[rows], scores[rows])
        return Classification(test.target_n[rows], scores[rows], decided[rows], basis.positive, basis.classes)

    return slice_split(
        test.slices, measure_of, whole, primary=primary, names=(primary, second), weight_N=test.weight_n,
        resamples=min(_SLICE_RESAMPLES, basis.settings.bootstrap), seed=basis.settings.seed, left_out=basis.left_out,
    )  # fmt: skip
