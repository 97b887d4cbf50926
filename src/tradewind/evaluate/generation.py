"""The report of a language model: `evaluate_generation` makes it, `write` puts it into a folder, `again` computes it anew.

Not here: scoring tokens and writing samples, which need the weights (`train/scoring.py`); figures of samples, tasks and
pairs (`generation_answers.py`); arithmetic of intervals (`language_figures.py`); the page (`generation_page.py`).

Legend: n scored tokens, U units of resampling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from tradewind.errors import DataError
from tradewind.evaluate.beside import BaselineFigures, verdict_of
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.gates import GateResult, check
from tradewind.evaluate.generation_answers import (
    PREFERENCE,
    TaskFigures,
    attack_figures,
    failed_attacks,
    personal_data,
    preference_figures,
    repetition_summary,
    sample_figures,
    task_figures,
)  # fmt: skip
from tradewind.evaluate.generation_page import render
from tradewind.evaluate.language_figures import (
    BITS,
    LOSS,
    Drawn,
    difference,
    drawn_losses,
    loss_figures,
)
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE, plain
from tradewind.evaluate.witness import (
    ANSWERS,
    ATTACKS,
    LOSSES,
    MODEL,
    PAIRS,
    SAMPLES,
    SPLITS,
    WRITTEN,
    Witness,
    read_witness,
    write_witness,
)
from tradewind.evaluate.writing import examples, writing_figures
from tradewind.files import canonical_json, write_json, write_text
from tradewind.product import Evaluate

FORMAT = 1
Kind: TypeAlias = Literal["text", "chat", "preferences"]


@dataclass(frozen=True)
class HarnessFigure:
    """What lm-evaluation-harness found, by its own names. Its witness is its own."""

    task: str
    figure: str
    value: float


@dataclass(frozen=True)
class GenerationInputs:
    """What a report is made of. `witness` holds what the model and each baseline said of every token of validation and
    test, samples, answers to tasks and pairs; `units` what is resampled by split; `notes` how each baseline was fitted
    or why there is none; `data`, `model`, `sampling` and `harness` are facts to be shown. `beta` is that of preference tuning."""

    product: str
    kind: Kind
    witness: Witness
    units: Mapping[str, str]
    settings: Evaluate
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    harness: tuple[HarnessFigure, ...] = ()
    parents: Mapping[str, str] = field(default_factory=dict)
    beta: float = 0.1


@dataclass(frozen=True)
class GenerationAnalysis:
    """All that is computed. `measure` is what predictors are compared in; `primary` is the report's first figure."""

    primary: str
    measure: str
    figures: Mapping[str, Mapping[str, Figure]]
    baselines: tuple[BaselineFigures, ...]
    lead: Figure | None
    lead_over: str
    gates: tuple[GateResult, ...]
    tasks: tuple[TaskFigures, ...]
    scored: Mapping[str, Mapping[str, int]]
    repetition: Mapping[str, Any] | None
    pii: Mapping[str, Any] | None
    failed_attacks: list[dict[str, str]]
    written: list[dict[str, str]]


@dataclass(frozen=True)
class GenerationReport:
    inputs: GenerationInputs
    analysis: GenerationAnalysis

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Figures that exist, by split and name."""
        figures = self.analysis.figures
        return {
            split: {name: one.value for name, one in figures[split].items() if one.value is not None}
            for split in figures
        }

    def to_json(self) -> dict[str, Any]:
        inputs = self.inputs
        return {
            "format": FORMAT,
            "product": inputs.product,
            "task": "generation",
            "kind": inputs.kind,
            "beta": inputs.beta,
            "settings": inputs.settings.model_dump(mode="json"),
            "units": dict(inputs.units),
            "witness": witness_content(inputs.witness),
            "samples": plain(inputs.witness.samples),
            **plain(self.analysis),
            "baseline_notes": plain(inputs.notes),
            "data": plain(inputs.data),
            "model": plain(inputs.model),
            "sampling": plain(inputs.sampling),
            "timings": plain(inputs.timings),
            "harness": plain(inputs.harness),
            "parents": dict(inputs.parents),
        }


def witness_content(witness: Witness) -> dict[str, Any]:
    files = [
        LOSSES,
        SAMPLES,
        ANSWERS,
        PAIRS,
        *([ATTACKS] if witness.attacked else []),
        *([WRITTEN] if witness.written else []),
    ]
    return {"files": files, "digest": witness.digest()}


# ---------------------------------------------------------------- making it


def evaluate_generation(inputs: GenerationInputs) -> GenerationReport:
    """Every figure with its interval. Raises DataError when nothing of the test split could be scored, or a score is no
    number."""
    for name, split in inputs.witness.losses.items():
        bad = sum(int((~np.isfinite(losses)).sum()) for losses in split.losses.values())
        if bad:
            raise DataError(f"The model gave no finite loss for {bad:,} tokens of {name}.", code="scores_not_finite",
                            hint="Train again with a smaller learning rate.")  # fmt: skip
    said = [one for answer in inputs.witness.answers for one in answer.log_likelihoods]
    said += [one for pair in inputs.witness.pairs for one in astuple(pair)]
    if not np.isfinite(np.array(said, dtype=np.float64)).all():
        raise DataError("The model gave no finite likelihood for an answer.", code="scores_not_finite",
                        hint="Train again with a smaller learning rate.")  # fmt: skip
    test = inputs.witness.losses.get("test")
    if test is None or not len(test.unit_n):
        raise DataError("The test split holds no token that can be scored.", code="test_empty", where="data.split.test",
                        hint="Give it a larger share, or more text.")  # fmt: skip
    found = analyse(inputs.witness, kind=inputs.kind, units=inputs.units, settings=inputs.settings, beta=inputs.beta)
    return GenerationReport(inputs, found)


def analyse(
    witness: Witness, *, kind: Kind, units: Mapping[str, str], settings: Evaluate, beta: float
) -> GenerationAnalysis:
    """From the stored losses, samples, answers and pairs to every figure: the same whoever asks."""
    drawn = {
        split: drawn_losses(witness.losses[split], resamples=settings.bootstrap, seed=settings.seed)
        for split in SPLITS
        if split in witness.losses
    }
    figures: dict[str, dict[str, Figure]] = {
        split: loss_figures(of[MODEL], predictor=MODEL, split=split, tokens=_tokens(witness, split), unit=units[split])
        for split, of in drawn.items()
    }
    test = figures["test"]
    measure = BITS if test[BITS].value is not None else LOSS
    baselines = tuple(
        _baseline(name, drawn["test"], measure, tokens=_tokens(witness, "test"), unit=units["test"])
        for name in drawn["test"]
        if name != MODEL
    )
    lead, lead_over = _lead(baselines, measure)
    primary = measure
    tasks = task_figures(witness, settings)
    test |= {f"accuracy:{one.name}": one.accuracy for one in tasks}
    test |= sample_figures(witness, answers=kind != "text", settings=settings)
    test |= attack_figures(witness, settings)
    test |= writing_figures(witness.written, settings)
    if witness.pairs:
        preferences = preference_figures(witness, settings, beta)
        test |= preferences
        primary, lead_over = PREFERENCE, "base"
        lead = _over_chance(preferences[PREFERENCE])
    return GenerationAnalysis(
        primary=primary,
        measure=measure,
        figures=figures,
        baselines=baselines,
        lead=lead,
        lead_over=lead_over,
        gates=check(settings.gates, test, lead, task="generation", against=lead_over),
        tasks=tasks,
        scored={
            split: {
                "tokens": len(one.unit_n), "bytes": round(float(one.bytes_U.sum())), "units": one.units,
            }
            for split, one in witness.losses.items()
        },
        repetition=repetition_summary(witness),
        pii=personal_data(witness),
        failed_attacks=failed_attacks(witness),
        written=examples(witness.written),
    )  # fmt: skip


def _tokens(witness: Witness, split: str) -> int:
    return len(witness.losses[split].unit_n)


def _baseline(
    name: str, drawn: Mapping[str, Mapping[str, Drawn]], measure: str, *, tokens: int, unit: str
) -> BaselineFigures:
    differences = {
        one: difference(drawn[MODEL][one], drawn[name][one], one, split="test", rows=tokens, unit=unit, over=name)
        for one in drawn[name]
    }
    figures = loss_figures(drawn[name], predictor=name, split="test", tokens=tokens, unit=unit)
    return BaselineFigures(name, figures, differences, verdict_of(differences[measure], smaller_is_better=True))


def _lead(baselines: tuple[BaselineFigures, ...], measure: str) -> tuple[Figure | None, str]:
    """How far the model is ahead of the best baseline, above 0 for better, and which that is."""
    known = [one for one in baselines if one.figures[measure].value is not None]
    if not known:
        return None, ""
    best = min(known, key=lambda one: (one.figures[measure].value or 0.0, one.name))
    gap = best.differences[measure]
    assert gap.value is not None
    low, high = (None if end is None else -end + 0.0 for end in (gap.high, gap.low))
    how = gap.how.replace(f"{measure} of the model minus {measure} of {best.name}",
                          f"{measure} of {best.name} minus {measure} of the model")  # fmt: skip
    return Figure(-gap.value + 0.0, how, gap.split, gap.rows, gap.predictions, low, high), best.name


def _over_chance(accuracy: Figure) -> Figure:
    """The base model prefers neither answer, by definition: the lead is what stands above one half."""
    assert accuracy.value is not None
    low, high = (None if end is None else rounded(end - 0.5) for end in (accuracy.low, accuracy.high))
    how = f"{accuracy.how}; less the half that the model before training has"
    return Figure(rounded(accuracy.value - 0.5), how, "test", accuracy.rows, accuracy.predictions, low, high)


# ---------------------------------------------------------------- writing it, and computing it again


def write(report: GenerationReport, folder: Path, *, language: Literal["en", "zh"]) -> None:
    """Writes report.json, report.html and the witness. Raises EnvironmentFailure when the disk refuses."""
    # Through JSON once: the page is made from exactly what a reader of report.json sees.
    content = json.loads(canonical_json(report.to_json()))
    write_witness(report.inputs.witness, folder)
    write_json(folder / JSON_FILE, content)
    write_text(folder / PAGE_FILE, render(content, language=language))


def again(stored: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the stored witness says, in the words of report.json. Raises ArtifactError when the witness cannot be read."""
    witness = read_witness(folder)
    found = analyse(
        witness, kind=stored["kind"], units=stored["units"], settings=Evaluate.model_validate(stored["settings"]),
        beta=float(stored["beta"]),
    )  # fmt: skip
    return {**plain(found), "samples": plain(witness.samples), "witness": witness_content(witness)}
