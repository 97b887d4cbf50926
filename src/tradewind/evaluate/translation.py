"""The report of a translator: `evaluate_translation` makes it, `write` puts it into a folder, `again` computes it anew.

Figures are those of the translations that the exported engine wrote, beside the source itself and a table of words learnt from
the same pairs; differences are over the same resamples of sentences. Not here: asking the engine (`cli/evaluate_translation.py`),
the scores themselves (`translation_scores.py`), the page (`translation_page.py`).

Legend: N sentences, S counts of a sentence, R resamples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric

from tradewind.evaluate import translation_scores as scores
from tradewind.evaluate.beside import BaselineFigures, verdict_of
from tradewind.evaluate.cost import RequestCost
from tradewind.evaluate.cost import again as cost_again
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.gates import GateResult, check
from tradewind.evaluate.intervals import bounds, exact_share
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE, plain
from tradewind.evaluate.translation_page import render
from tradewind.evaluate.translation_scores import BLEU_NAME, CHRF_NAME
from tradewind.evaluate.translation_witness import (
    FILE,
    MODEL,
    TranslationWitness,
    read_translations,
    write_translations,
)
from tradewind.features.words import words
from tradewind.files import canonical_json, write_json, write_text
from tradewind.product import Evaluate

FORMAT = 1
_LENGTHS = (("1–9", 1, 10), ("10–19", 10, 20), ("20–39", 20, 40), ("40+", 40, 1 << 60))
_FEWEST = 20  # sentences of a slice
_SHOWN = 8  # translations in each list of the page

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TranslationInputs:
    """What a report is made of; `notes` say how each baseline was learnt, `measures` how scores are computed, `data` and `model`
    are facts to be shown."""

    product: str
    languages: tuple[str, str]
    witness: TranslationWitness
    settings: Evaluate
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    cost: RequestCost | None = None


@dataclass(frozen=True)
class Slice:
    """Sentences whose sources are alike long, in words: both scores of the model and of the best baseline."""

    name: str
    sentences: int
    model: Mapping[str, float]
    baseline: Mapping[str, float]


@dataclass(frozen=True)
class Example:
    """One sentence; `beside` is what the best baseline said."""

    row: int
    source: str
    reference: str
    said: str
    beside: str
    chrf: float


@dataclass(frozen=True)
class TranslationAnalysis:
    """All that is computed. `primary` is the report's first figure, in which predictors are compared."""

    primary: str
    figures: Mapping[str, Mapping[str, Figure]]
    baselines: tuple[BaselineFigures, ...]
    lead: Figure | None
    lead_over: str
    gates: tuple[GateResult, ...]
    slices: tuple[Slice, ...]
    worst: tuple[Example, ...]
    samples: tuple[Example, ...]


@dataclass(frozen=True)
class TranslationReport:
    inputs: TranslationInputs
    analysis: TranslationAnalysis

    def to_json(self) -> dict[str, Any]:
        inputs = self.inputs
        return {
            "format": FORMAT,
            "product": inputs.product,
            "task": "translation",
            "languages": {"from": inputs.languages[0], "to": inputs.languages[1]},
            "settings": inputs.settings.model_dump(mode="json"),
            "witness": _content(inputs.witness),
            "measures": scores.signatures(scores.measures(inputs.languages[1])),
            **plain(self.analysis),
            "baseline_notes": plain(inputs.notes),
            "data": plain(inputs.data),
            "model": plain(inputs.model),
            "timings": plain(inputs.timings),
            "parents": dict(inputs.parents),
            "cost": None if inputs.cost is None else inputs.cost.to_json(),
        }


def _content(witness: TranslationWitness) -> dict[str, Any]:
    return {"files": [FILE], "digest": witness.digest()}


def evaluate_translation(inputs: TranslationInputs) -> TranslationReport:
    """Every figure with its interval."""
    return TranslationReport(inputs, analyse(inputs.witness, inputs.settings, written=inputs.languages[1]))


def analyse(witness: TranslationWitness, settings: Evaluate, *, written: str) -> TranslationAnalysis:
    """From the stored translations to every figure: the same whoever asks. `written` is the language of the translations."""
    metrics = scores.measures(written)
    heard = {name: _Heard.of(texts, witness, metrics, settings) for name, texts in witness.said.items()}
    ours = heard[MODEL]
    found = {name: one.figures(witness, metrics, predictor=name) for name, one in heard.items()}
    baselines = tuple(_baseline(name, ours, heard[name], found[name]) for name in heard if name != MODEL)
    best = max(baselines, key=lambda one: (one.figures[BLEU_NAME].value or 0.0, one.name), default=None)
    lead = None if best is None else best.differences[BLEU_NAME]
    over = "" if best is None else best.name
    worst, samples = _examples(witness, metrics[CHRF_NAME], ours, over)
    test = found[MODEL] | _of_model(witness)
    return TranslationAnalysis(
        primary=BLEU_NAME, figures={"test": test}, baselines=baselines, lead=lead,
        lead_over=over, gates=check(settings.gates, test, lead, task="translation", against=over),
        slices=_slices(witness, metrics, heard, over), worst=worst, samples=samples,
    )  # fmt: skip


# ---------------------------------------------------------------- one predictor


@dataclass(frozen=True)
class _Heard:
    """Counts of one predictor's translations by score, and scores and lengths on every resample."""

    said: tuple[str, ...]
    counts: Mapping[str, scores.Counts]
    drawn: Mapping[str, Floats]
    points: Mapping[str, float]

    @classmethod
    def of(
        cls, said: tuple[str, ...], witness: TranslationWitness, metrics: Mapping[str, Metric], settings: Evaluate
    ) -> _Heard:
        counts = {name: scores.counts(metric, said, witness.references) for name, metric in metrics.items()}
        sums = {
            name: scores.drawn_sums(one, resamples=settings.bootstrap, seed=settings.seed)
            for name, one in counts.items()
        }
        drawn = {name: np.array([scores.score(metrics[name], one) for one in sums[name]]) for name in metrics}
        points = {name: scores.score(metrics[name], one.sum(0)) for name, one in counts.items()}
        drawn["length_ratio"] = scores.lengths(sums[BLEU_NAME])
        points["length_ratio"] = float(scores.lengths(counts[BLEU_NAME].sum(0)))
        return cls(said, counts, drawn, points)

    def figures(
        self, witness: TranslationWitness, metrics: Mapping[str, Metric], *, predictor: str
    ) -> dict[str, Figure]:
        how = {name: f"corpus score by sacrebleu, {_settings(metric)}" for name, metric in metrics.items()}
        how["length_ratio"] = "words of all translations over words of all references, as BLEU cuts them"
        found = {}
        for name, point in self.points.items():
            low, high, behind = bounds(self.drawn[name], point)
            says = how[name] + (
                f"; 95 % percentile bootstrap over {behind} resamples of sentences" if low is not None else ""
            )
            found[name] = Figure(
                rounded(point), says, "test", len(self.said), f"{FILE}#said:{predictor}", rounded(low), rounded(high)
            )
        return found | _faults(self.said, witness, predictor)


def _settings(metric: Metric) -> str:
    """The signature but for the version: a later sacrebleu computes the same score."""
    return "|".join(one for one in metric.get_signature().format().split("|") if not one.startswith("version:"))


def _faults(said: Sequence[str], witness: TranslationWitness, predictor: str) -> dict[str, Figure]:
    """Shares of sentences in which something went wrong, and of terms that were kept."""
    triples = list(zip(witness.sources, said, witness.references, strict=True))
    source = f"{FILE}#said:{predictor}"
    found = {
        "empty": _share([not one.strip() for one in said], "sentences without a translation", source),
        "copied": _share([scores.copied(*one) for one in triples], "sentences whose source came back", source),
        "repeated": _share(
            [scores.repeats(one, reference) for _, one, reference in triples],
            "sentences in which a run of words comes again and again", source,
        ),
        "shared": _share(
            scores.shared(said, witness.references).tolist(),
            "sentences with the translation of another one whose reference differs", source,
        ),
    }  # fmt: skip
    kept = [term in one for one, terms in zip(said, witness.terms, strict=True) for term in terms]
    if kept:
        found["terms_kept"] = _share(
            kept, "terms of the glossary in a source whose wanted words stand in the translation", source
        )
    return found


def _of_model(witness: TranslationWitness) -> dict[str, Figure]:
    how = "sentences whose translation came to the most tokens that there may be, before its end"
    return {"cut": _share(witness.cut_N.tolist(), how, f"{FILE}#cut")}


def _share(yes: Sequence[bool], what: str, source: str) -> Figure:
    low, high = exact_share(sum(yes), len(yes))
    how = f"share of {len(yes)} {what}; exact 95 % interval"
    return Figure(rounded(sum(yes) / len(yes)), how, "test", len(yes), source, rounded(low), rounded(high))


def _baseline(name: str, ours: _Heard, theirs: _Heard, figures: Mapping[str, Figure]) -> BaselineFigures:
    differences = {}
    for one in (BLEU_NAME, CHRF_NAME):
        point = ours.points[one] - theirs.points[one]
        low, high, behind = bounds(ours.drawn[one] - theirs.drawn[one], point)
        how = f"{one} of the model minus {one} of {name}, on the same sentences"
        how += f"; 95 % paired percentile bootstrap over {behind} resamples of sentences" if low is not None else ""
        source = f"{FILE}#said:model, {FILE}#said:{name}"
        differences[one] = Figure(rounded(point), how, "test", len(ours.said), source, rounded(low), rounded(high))
    return BaselineFigures(name, figures, differences, verdict_of(differences[BLEU_NAME]))


# ---------------------------------------------------------------- for which sentences, and how it reads


def _slices(
    witness: TranslationWitness, metrics: Mapping[str, Metric], heard: Mapping[str, _Heard], over: str
) -> tuple[Slice, ...]:
    long_N = np.array([len(words(one)) for one in witness.sources])
    found = []
    for name, low, high in _LENGTHS:
        chosen = (long_N >= low) & (long_N < high)
        if chosen.sum() < _FEWEST:
            continue
        of = {
            predictor: {one: rounded(scores.score(metrics[one], heard[predictor].counts[one][chosen].sum(0))) or 0.0 for one in metrics}
            for predictor in (MODEL, over) if predictor
        }  # fmt: skip
        found.append(Slice(name, int(chosen.sum()), of[MODEL], of.get(over, {})))
    return tuple(found)


def _examples(
    witness: TranslationWitness, metric: Metric, ours: _Heard, over: str
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The worst sentences by their own chrF, and some from all over the split."""
    chrf_N = np.array([scores.score(metric, one) for one in ours.counts[CHRF_NAME]])
    beside = witness.said[over] if over else ("",) * len(chrf_N)

    def example(at: int) -> Example:
        return Example(
            int(witness.row_N[at]), witness.sources[at], witness.references[at], ours.said[at], beside[at],
            rounded(float(chrf_N[at])) or 0.0,
        )  # fmt: skip

    worst = np.argsort(chrf_N, kind="stable")[:_SHOWN]
    spread = np.unique(np.linspace(0, len(chrf_N) - 1, _SHOWN).round().astype(int))
    return tuple(map(example, worst.tolist())), tuple(map(example, spread.tolist()))


# ---------------------------------------------------------------- writing it, and computing it again


def write(report: TranslationReport, folder: Path, *, language: Literal["en", "zh"]) -> None:
    """Writes report.json, report.html and the witness. Raises EnvironmentFailure when the disk refuses."""
    # Through JSON once: the page is made from exactly what a reader of report.json sees.
    content = json.loads(canonical_json(report.to_json()))
    write_translations(report.inputs.witness, folder)
    write_json(folder / JSON_FILE, content)
    write_text(folder / PAGE_FILE, render(content, language=language))


def again(stored: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the stored witness says, in the words of report.json. Raises ArtifactError when the witness cannot be read."""
    witness = read_translations(folder)
    found = analyse(witness, Evaluate.model_validate(stored["settings"]), written=stored["languages"]["to"])
    cost = stored.get("cost")
    return {**plain(found), "witness": _content(witness), "cost": None if cost is None else cost_again(cost)}
