"""`tradewind evaluate` for a translator: a run becomes a report, beside the source itself and a table of words.

Not here: figures (`evaluate/translation.py`), the search for translations (`engines/translation.py`), what ships
(`release_translation.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.artifacts import Artifact
from tradewind.cli.prices import heard_cost, prices_of, sold
from tradewind.cli.session import Session
from tradewind.cli.translation_cost import translation_time
from tradewind.cli.translator import Translator
from tradewind.data.pair_splits import NAMES
from tradewind.data.parallel import Parallel
from tradewind.engines.translation import Translation, TranslationEngine
from tradewind.evaluate import translation as reports
from tradewind.evaluate.cost import RequestCost
from tradewind.evaluate.report import JSON_FILE
from tradewind.evaluate.translation import TranslationInputs
from tradewind.evaluate.translation_witness import MODEL, TranslationWitness
from tradewind.features.run_table import RunTable
from tradewind.features.word_table import WordTable
from tradewind.features.words import is_spaced, words
from tradewind.files import digest_json, read_json
from tradewind.release.translation import TranslatorFacts
from tradewind.train.translation import TranslationRun

FORMAT = 3
_AT_ONCE = 64  # sentences between two words of progress
_TABLE_PAIRS = 100_000  # pairs that the table of words is learnt from
_CURVE_POINTS = 200


@dataclass(frozen=True)
class TranslationEvaluation:
    """A report on disk, and its content."""

    artifact: Artifact
    content: dict[str, Any]


def evaluate_translation(
    session: Session, parallel: Parallel, run: TranslationRun, translator: Translator
) -> TranslationEvaluation:
    """The report of a run and its engine; the finished one at once when nothing it is made from has changed."""
    product, workspace = session.product, session.workspace
    assert product.translation is not None, "the product file says which languages"
    made_of = {
        "format": FORMAT,
        "unit": product.translation.unit,
        "translator": translator.artifact.digest,
        "evaluate": product.evaluate.model_dump(mode="json"),
        "language": product.language,
        **prices_of(product.serve),
    }
    digest = digest_json(made_of)
    with session.timed("evaluate", "Evaluate"):
        artifact = workspace.find("report", digest)
        if artifact is None:
            parents = {
                "dataset": parallel.artifact.digest, "run": run.artifact.digest, "translator": translator.artifact.digest,
            }  # fmt: skip
            with workspace.making("report", made_of, parents=parents) as folder:
                _measure(session, parallel, run, translator, folder, parents)
            artifact = workspace.find("report", digest)
            assert artifact is not None
    content = read_json(artifact.folder / JSON_FILE)
    outcome = session.outcome
    outcome.artifacts["report"] = str(artifact.folder)
    outcome.gates = content["gates"]
    outcome.metrics = {
        "test": {name: one["value"] for name, one in content["figures"]["test"].items() if one["value"] is not None},
        "validation": dict(run.summary["validation"]),
    }
    _say(session, content)
    heard_cost(session, content["cost"])
    return TranslationEvaluation(artifact, content)


def _measure(
    session: Session, parallel: Parallel, run: TranslationRun, translator: Translator, folder: Path, parents: dict[str, str]
) -> None:  # fmt: skip
    product, settings = session.product, session.product.evaluate
    assert product.translation is not None, "the product file says which languages"
    languages = (product.translation.source, product.translation.target)
    rows, pairs = _chosen(parallel, most=settings.most_pairs)
    sources, references = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    timings: dict[str, float] = {}

    # 1. The very engine that a release holds translates, without torch, with the settings that it is served with.
    engine = TranslationEngine.open(translator.folder, threads=0)
    began = time.perf_counter()
    found = _translated(session, engine, sources)
    timings["seconds"] = round(time.perf_counter() - began, 3)
    timings["sentences_per_s"] = round(len(found) / max(timings["seconds"], 1e-9), 3)
    said = {MODEL: tuple(one.text for one in found)}

    # 2. What anybody could do: nothing, and word by word with a dictionary learnt from the same pairs.
    notes: dict[str, dict[str, str]] = {}
    if settings.baselines:
        session.voice.progress("learning the table of words", 0.7)
        began = time.perf_counter()
        learnt = list(islice(parallel.texts("train"), _TABLE_PAIRS))
        translate, what = _dictionary(learnt, languages)
        timings["word_table"] = round(time.perf_counter() - began, 3)
        said |= {"copy": sources, "word_table": tuple(map(translate, sources))}
        how = f"{what}, learnt from {len(learnt):,} pairs (IBM model 1), in the order of the source"
        notes = {"copy": {"how": "the source as it is", "skipped": ""}, "word_table": {"how": how, "skipped": ""}}

    # 3. What a unit costs: the same network on one thread.
    session.voice.progress("timing translations", 0.85)
    alone = TranslationEngine.open(translator.folder, threads=1)
    unit = product.translation.unit
    measured = translation_time(alone, sources, unit=unit)
    cost = RequestCost(measured, product.serve.machine_hour, sold(product.serve.plans, product.product), unit)

    # 4. Scores, intervals, gates, the page.
    session.voice.progress("scores and intervals", 0.9)
    witness = TranslationWitness(
        row_N=rows, sources=sources, references=references, said=said,
        cut_N=np.array([one.cut for one in found], dtype=bool),
        score_N=np.array([one.score for one in found], dtype=np.float64),
        source_tokens_N=np.array([one.source_tokens for one in found], dtype=np.int64),
        target_tokens_N=np.array([one.target_tokens for one in found], dtype=np.int64),
        terms=tuple(tuple(one.translation for one in engine.glossary.find(source)) for source in sources),
    )  # fmt: skip
    report = reports.evaluate_translation(TranslationInputs(
        product=product.product, languages=languages, witness=witness, settings=settings, notes=notes,
        data=_facts_of_data(parallel), model=_facts_of_model(run, translator, engine.facts), timings=timings, parents=parents,
        cost=cost,
    ))  # fmt: skip
    reports.write(report, folder, language=product.language)
    session.voice.progress("done", 1.0)


def _chosen(parallel: Parallel, *, most: int) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Pairs from all over the test split, at most so many, and their numbers in it."""
    every = list(parallel.texts("test"))
    rows = np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(np.int64))
    return rows, [every[row] for row in rows]


def _translated(session: Session, engine: TranslationEngine, sources: Sequence[str]) -> list[Translation]:
    found: list[Translation] = []
    for begin in range(0, len(sources), _AT_ONCE):
        found += engine.translate(sources[begin : begin + _AT_ONCE])
        session.voice.progress("translating", 0.7 * len(found) / len(sources))
    return found


def _dictionary(pairs: Sequence[tuple[str, str]], languages: tuple[str, str]) -> tuple[Callable[[str], str], str]:
    """What translates word by word, and how: by runs of characters where one of the languages has no blanks."""
    source, target = languages
    if is_spaced(source) != is_spaced(target):
        return RunTable.fit(pairs, source=source, target=target).translate, "each word's commonest run of characters"
    table = WordTable.fit((words(read), words(written)) for read, written in pairs)
    return lambda text: table.translate(text, language=target), "each word's likeliest word"


def _facts_of_data(parallel: Parallel) -> dict[str, Any]:
    profile = parallel.profile
    shown = ("pairs", "term_pairs", "source_tokens", "target_tokens")
    return {
        "splits": [{"name": name, **{key: profile["splits"][name][key] for key in shown}} for name in NAMES],
        "vocabulary": profile["tokenizer"]["vocabulary"],
        "rejected": profile["cleaning"]["rejected"],
    }


def _facts_of_model(run: TranslationRun, translator: Translator, facts: TranslatorFacts) -> dict[str, Any]:
    summary, config = run.summary, read_json(run.hf / "config.json")
    shown = ("seconds", "steps", "epochs", "best_epoch", "tokens_per_s")
    return {name: summary[name] for name in shown} | {
        "name": f"Transformer {config['encoder_layers']} + {config['decoder_layers']} × {config['d_model']}",
        "parameters": summary["parameters"]["total"],
        "beams": facts.beams,
        "length_penalty": facts.length_penalty,
        "precision": facts.precision,
        "bytes": translator.figures[facts.precision].bytes,
        "threads": read_json(run.artifact.folder / "environment.json")["threads"],
        "curve": _curve(run.artifact.folder / "steps.jsonl"),
    }


def _curve(path: Path) -> list[dict[str, Any]]:
    """Loss of every epoch in training and on validation, thinned."""
    with path.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    points = [
        {"step": one["step"], "loss": one["epoch_loss"], "validation_loss": one.get("validation_loss")}
        for one in records
        if "epoch_loss" in one
    ]
    return points[:: max(1, len(points) // _CURVE_POINTS)]


def _say(session: Session, content: dict[str, Any]) -> None:
    test = content["figures"]["test"]
    shown = ("bleu", "chrf", "length_ratio", "terms_kept", "cut", "repeated")
    session.voice.say("test: " + ", ".join(f"{name} {test[name]['value']:.4g}" for name in shown if name in test))
    for one in content["baselines"]:
        session.voice.say(
            f"{one['name']}: bleu {one['figures']['bleu']['value']:.4g}, chrf {one['figures']['chrf']['value']:.4g}, "
            f"the model is {one['verdict']}"
        )
    for gate in session.outcome.gates:
        session.voice.say(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['says']}")
