"""`tradewind evaluate` for a language model: a run becomes a report, beside an n-gram model and the weights it began with.

Not here: figures (`evaluate/generation.py`), scores (`train/scoring.py`), facts for the page (`language_facts.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tradewind.artifacts import Artifact
from tradewind.cli.language_facts import facts_of_corpus, facts_of_run
from tradewind.cli.language_scores import (
    asked_by_harness,
    attacked,
    baselines,
    jobs_done,
    samples,
    split_losses,
    task_answers,
    within,
)  # fmt: skip
from tradewind.cli.session import Session
from tradewind.data.corpus import Corpus
from tradewind.data.packed import Packed
from tradewind.errors import ModelError
from tradewind.evaluate import generation, harness
from tradewind.evaluate.attacks import Attack, Attacked, built_in, read_attacks
from tradewind.evaluate.choices import Task, read_task
from tradewind.evaluate.generation import GenerationInputs, Kind
from tradewind.evaluate.report import JSON_FILE
from tradewind.evaluate.witness import Pair, SplitLosses, Witness, Written
from tradewind.files import digest_file, digest_json, read_json
from tradewind.train.language import LanguageRun
from tradewind.train.scoring import Scorer

FORMAT = 2
_NAMES: tuple[Literal["validation", "test"], ...] = ("validation", "test")


@dataclass(frozen=True)
class LanguageEvaluation:
    """A report on disk, and its content."""

    artifact: Artifact
    content: dict[str, Any]


def evaluate_language(session: Session, corpus: Corpus, run: LanguageRun) -> LanguageEvaluation:
    """The report of a run; the finished one at once when nothing it is made from has changed.

    Raises DataError where a task file is none, EnvironmentFailure where a task asks for a package that is not there.
    """
    product, workspace = session.product, session.workspace
    files, asked_of_harness = read_tasks(session)
    made_of = {
        "format": FORMAT,
        "run": run.artifact.digest,
        "evaluate": product.evaluate.model_dump(mode="json"),
        "language": product.language,
        "tasks": [digest_file(path) for path, _ in files],
    }
    if product.evaluate.attacks is not None:
        made_of["attacks"] = digest_file(session.folder / product.evaluate.attacks)
    digest = digest_json(made_of)
    with session.timed("evaluate", "Evaluate"):
        artifact = workspace.find("report", digest)
        if artifact is None:
            parents = {"dataset": corpus.artifact.digest, "run": run.artifact.digest}
            with workspace.making("report", made_of, parents=parents) as folder:
                _measure(session, corpus, run, folder, parents, [task for _, task in files], asked_of_harness)
            artifact = workspace.find("report", digest)
            assert artifact is not None
    content = read_json(artifact.folder / JSON_FILE)
    outcome = session.outcome
    outcome.artifacts["report"] = str(artifact.folder)
    outcome.gates = content["gates"]
    outcome.metrics = {
        split: {name: one["value"] for name, one in figures.items() if one["value"] is not None}
        for split, figures in content["figures"].items()
    }
    _say(session, content)
    return LanguageEvaluation(artifact, content)


def read_tasks(session: Session) -> tuple[list[tuple[Path, Task]], list[str]]:
    """The tasks of files, by path, and the names of those of the harness. A verb asks before it trains: their mistakes
    cost no time then.

    Raises DataError where a file is no task, EnvironmentFailure where a task asks for a package that is not there.
    """
    files, names = [], []
    for written in session.product.evaluate.tasks:
        if written.startswith(harness.PREFIX):
            names.append(written.removeprefix(harness.PREFIX))
        else:
            path = session.folder / written
            files.append((path, read_task(path)))
    if names:
        harness.check_installed()
    attacks_of(session)  # its mistakes, too
    return files, names


def attacks_of(session: Session) -> tuple[Attack, ...]:
    """Ours and those of the user's file; none where `evaluate.examine` leaves robustness out. Raises DataError for the file."""
    settings = session.product.evaluate
    own = () if settings.attacks is None else read_attacks(session.folder / settings.attacks)
    return (*built_in(), *own) if settings.examine == "auto" or "robustness" in settings.examine else ()


def _measure(
    session: Session, corpus: Corpus, run: LanguageRun, folder: Path, parents: dict[str, str], tasks: list[Task],
    asked_of_harness: list[str],
) -> None:  # fmt: skip
    product, settings, tokenizer = session.product, session.product.evaluate, corpus.tokenizer
    objective = run.summary["objective"]
    if objective == "mlm":
        raise ModelError("An encoder of masked words has no next token to be asked for, so it has no such report.",
                         code="objective_unsuited", where="train.objective",
                         hint=f"Name {run.hf} as model.pretrained of a product with a text column, and evaluate that.")  # fmt: skip
    timings: dict[str, float] = {}

    # 1. The model answers for every token of validation and test, and so do the weights that its training began with.
    scorer = Scorer.of(run)
    splits = {name: within(_scored_split(corpus, objective, name), settings.most_tokens) for name in _NAMES}
    with _clock(timings, "scoring"):
        found = {name: {"model": scorer.token_losses(packed, told=_told(session, f"scoring {name}", at * 0.15, 0.15))}
                 for at, (name, packed) in enumerate(splits.items())}  # fmt: skip
    notes: dict[str, dict[str, str]] = {}
    before = _base(run)
    if before is not None:
        session.voice.progress("scoring the model before training", 0.3)
        for name, packed in splits.items():
            found[name]["base"] = before.token_losses(packed)
        notes["base"] = {"how": "the weights that training began with, on the same tokens", "skipped": ""}

    # 2. An n-gram model, fitted on the training tokens, is asked for the same tokens.
    train = _scored_split(corpus, objective, "train")
    if settings.baselines:
        session.voice.progress("counting n-grams", 0.4)
        with _clock(timings, "baselines"):
            fitted, further = baselines(train, vocabulary=tokenizer.vocabulary)
            for name, packed in splits.items():
                for baseline, model in fitted.items():
                    found[name][baseline] = model.losses(packed.tokens).astype(np.float32)
        notes |= further
    losses: dict[str, SplitLosses] = {}
    units: dict[str, str] = {}
    for name, packed in splits.items():
        one, unit = split_losses(packed, found[name], tokenizer)
        if one.units:
            losses[name], units[name] = one, unit

    # 3. It writes: after the beginnings of test documents, and what stands in the training text word for word is marked.
    with _clock(timings, "samples"):
        wrote = samples(
            scorer,
            splits["test"],
            train.tokens,
            tokenizer,
            settings=settings,
            told=_told(session, "writing samples", 0.5, 0.2),
        )

    # 4. Tasks with examples in the prompt.
    with _clock(timings, "tasks"):
        answers = [
            answer
            for task in tasks
            for answer in task_answers(
                task, scorer, tokenizer, settings=settings, conversation=corpus.kind != "text" and objective != "pretrain",
                told=_told(session, f"task {task.name}", 0.7, 0.1),
            )
        ]  # fmt: skip
        of_harness = []
        if asked_of_harness:
            session.voice.progress("lm-evaluation-harness", 0.8)
            asked = asked_by_harness(scorer, tokenizer)
            of_harness = harness.run_harness(asked_of_harness, asked, tokenizer, shots=settings.shots)

    # 5. Attacks in words, of a model that answers.
    suffered: list[Attacked] = []
    if _kind(objective) != "text":
        with _clock(timings, "attacks"):
            suffered = attacked(
                attacks_of(session), scorer, tokenizer, told=_told(session, "attacking in words", 0.8, 0.05)
            )

    jobs: list[Written] = []
    if "writing" in corpus.profile:
        with _clock(timings, "writing"):
            jobs = jobs_done(
                list(corpus.documents("test")),
                splits["test"],
                found["test"],
                scorer,
                tokenizer,
                told=_told(session, "writing", 0.83, 0.05),
            )

    # 6. Of pairs, which answer gained more over the model before training.
    pairs: list[Pair] = []
    if objective == "dpo" and before is not None:
        session.voice.progress("comparing pairs", 0.85)
        held = corpus.pairs("test")
        sides = (*scorer.pair_log_likelihoods(held), *before.pair_log_likelihoods(held))
        pairs = [Pair(*(float(value) for value in row)) for row in zip(*sides, strict=True)]

    # 7. Figures, intervals, gates, the page.
    session.voice.progress("figures and intervals", 0.9)
    report = generation.evaluate_generation(
        GenerationInputs(
            product=product.product,
            kind=_kind(objective),
            witness=Witness(losses, tuple(wrote.samples), tuple(answers), tuple(pairs), tuple(suffered), tuple(jobs)),
            units=units,
            settings=settings,
            notes=notes,
            data=facts_of_corpus(corpus),
            model=facts_of_run(run),
            sampling=wrote.how,
            timings=timings,
            harness=tuple(of_harness),
            parents=parents,
            beta=product.train.dpo_beta,
        )
    )
    generation.write(report, folder, language=product.language)
    session.voice.progress("done", 1.0)


def _kind(objective: str) -> Kind:
    kinds: dict[str, Kind] = {"sft": "chat", "dpo": "preferences"}
    return kinds.get(objective, "text")


def _scored_split(corpus: Corpus, objective: str, name: Literal["train", "validation", "test"]) -> Packed:
    """The tokens that the objective is about: all of them, answers, or better answers."""
    if objective == "dpo":
        return corpus.pairs(name).chosen
    packed = corpus.split(name)
    return replace(packed, mask=None) if objective == "pretrain" else packed


def _base(run: LanguageRun) -> Scorer | None:
    folder = run.product.model.pretrained
    return Scorer.open(Path(folder), run) if folder is not None and Path(folder).is_dir() else None


class _clock:  # noqa: N801 - reads as a word of the story
    """Adds the seconds of a block to `timings`."""

    def __init__(self, timings: dict[str, float], name: str) -> None:
        self.timings, self.name = timings, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.timings[self.name] = round(self.timings.get(self.name, 0.0) + time.perf_counter() - self.started, 3)


def _told(session: Session, what: str, start: float, width: float) -> Callable[[float], None]:
    return lambda share: session.voice.progress(what, start + width * share)


def _say(session: Session, content: dict[str, Any]) -> None:
    test = content["figures"]["test"]
    shown = ", ".join(
        f"{name} {test[name]['value']:.4g}" for name in test if test[name]["value"] is not None
    )  # fmt: skip
    session.voice.say(f"test: {shown}")
    for one in content["baselines"]:
        value = one["figures"][content["measure"]]["value"]
        if value is not None:
            session.voice.say(f"{one['name']}: {content['measure']} {value:.4g}, the model is {one['verdict']}")
    for gate in session.outcome.gates:
        session.voice.say(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['says']}")
