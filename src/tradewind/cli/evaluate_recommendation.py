"""`tradewind evaluate` for a recommender: a run becomes a report, beside the most popular, similar items and factors.

Not here: figures (`evaluate/recommendation.py`), scores (`engines/recommendation.py`, `features/`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.artifacts import Artifact
from tradewind.cli.session import Session
from tradewind.data.interactions import Asked, Interactions, trained
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.evaluate import recommendation as reports
from tradewind.evaluate.ranking import Lists
from tradewind.evaluate.ranking_witness import MODEL, RankingWitness
from tradewind.evaluate.recommendation import RecommendationInputs, Scores
from tradewind.evaluate.report import JSON_FILE
from tradewind.features.factors import Factors
from tradewind.features.neighbours import Neighbours
from tradewind.files import digest_json, read_json
from tradewind.train.recommendation import RecommendationRun

FORMAT = 1
_NEAR, _FACTORS, _ALPHA, _ROUNDS = 100, 64, 10, 10
_CURVE_POINTS = 200


@dataclass(frozen=True)
class RecommendationEvaluation:
    """A report on disk, and its content."""

    artifact: Artifact
    content: dict[str, Any]


def evaluate_recommendation(
    session: Session, dataset: Interactions, run: RecommendationRun
) -> RecommendationEvaluation:
    """The report of a run; the finished one at once when nothing it is made from has changed."""
    product, workspace = session.product, session.workspace
    made_of = {
        "format": FORMAT,
        "run": run.artifact.digest,
        "evaluate": product.evaluate.model_dump(mode="json"),
        "language": product.language,
    }
    digest = digest_json(made_of)
    with session.timed("evaluate", "Evaluate"):
        artifact = workspace.find("report", digest)
        if artifact is None:
            parents = {"dataset": dataset.artifact.digest, "run": run.artifact.digest}
            with workspace.making("report", made_of, parents=parents) as folder:
                _measure(session, dataset, run, folder, parents)
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
    return RecommendationEvaluation(artifact, content)


def _measure(
    session: Session, dataset: Interactions, run: RecommendationRun, folder: Path, parents: dict[str, str]
) -> None:  # fmt: skip
    settings, timings = session.product.evaluate, dict[str, float]()
    asked = dataset.asked("test", most=settings.most_users)
    again = session.product.data.recommendation.again
    said: dict[str, Lists] = {}

    def hear(name: str, scores: Scores, at: float) -> None:
        began = time.perf_counter()
        said[name] = reports.ask(
            asked, scores, items=len(dataset.items), settings=settings, again=again,
            told=lambda share: session.voice.progress(f"asking {name}", at + 0.2 * share),
        )  # fmt: skip
        timings[name] = round(time.perf_counter() - began, 3)

    # 1. The very files that a release holds are asked, without torch.
    engine = RecommendationEngine.open(run.model)
    users = _user_vectors(engine, dataset)
    hear(MODEL, lambda rows: _scores(engine, asked, rows, users), 0.0)

    # 2. Simple predictors learn from the same events and are asked for the same.
    notes: dict[str, dict[str, str]] = {}
    if settings.baselines:
        starts, item, weight = _learnt(dataset, refit=bool(run.product.train.refit))
        for at, (name, (scores, how)) in enumerate(_baselines(dataset, asked, starts, item, weight, timings).items()):
            hear(name, scores(), 0.25 + 0.25 * at)
            notes[name] = {"how": how, "skipped": ""}

    # 3. Figures, intervals, gates, the page.
    session.voice.progress("figures and intervals", 0.95)
    witness = RankingWitness(
        user_Q=asked.user, target_Q=asked.target.astype(np.int64), before_Q=np.diff(asked.starts), counts_I=dataset.counts_I, said=said
    )  # fmt: skip
    report = reports.evaluate_recommendation(RecommendationInputs(
        product=session.product.product, witness=witness, settings=settings, notes=notes, data=_facts_of_data(dataset),
        model=_facts_of_run(run), timings=timings, parents=parents,
    ))  # fmt: skip
    reports.write(report, folder, language=session.product.language)
    session.voice.progress("done", 1.0)


def _user_vectors(engine: RecommendationEngine, dataset: Interactions) -> NDArray[np.float32] | None:
    """What users' columns add, [U, D]; None without any."""
    if engine.user_columns is None:
        return None
    names = [column.name for column in engine.user_columns.columns]
    raw = [dataset.raw("users", name) for name in names]
    return engine.users([dict(zip(names, row, strict=True)) for row in zip(*raw, strict=True)])


def _scores(
    engine: RecommendationEngine, asked: Asked, rows: range, users: NDArray[np.float32] | None
) -> NDArray[np.float32]:  # fmt: skip
    histories = [asked.history(row).astype(np.int64) for row in rows]
    return engine.scores(histories, None if users is None else users[asked.user[rows.start : rows.stop]])


def _learnt(
    dataset: Interactions, *, refit: bool
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """The events that the model learnt from: with validation where it was trained again with it."""
    starts_U, lengths = dataset.starts_U, trained(dataset.starts_U)
    if refit:
        lengths = np.where(np.diff(starts_U) > lengths, lengths + 1, lengths)
    place = np.arange(starts_U[-1]) - np.repeat(starts_U[:-1], np.diff(starts_U))
    chosen = place < np.repeat(lengths, np.diff(starts_U))
    return np.concatenate([[0], np.cumsum(lengths)]), dataset.item_N[chosen], dataset.weight_N[chosen]


def _baselines(
    dataset: Interactions, asked: Asked, starts: NDArray[np.int64], item: NDArray[np.int32], weight: NDArray[np.float32],
    timings: dict[str, float],
) -> dict[str, tuple[Callable[[], Scores], str]]:  # fmt: skip
    """By name: what fits it and gives its scores, and how it is fitted."""
    items = len(dataset.items)

    def timed(name: str, fit: Callable[[], Scores]) -> Callable[[], Scores]:
        def run() -> Scores:
            began = time.perf_counter()
            scores = fit()
            timings[f"{name} fit"] = round(time.perf_counter() - began, 3)
            return scores

        return run

    def popular() -> Scores:
        counts = np.bincount(item, weight, minlength=items).astype(np.float32)
        return lambda rows: np.broadcast_to(counts, (len(rows), items))

    def similar() -> Scores:
        near = Neighbours.fit(starts, item, items=items, most=_NEAR)
        return lambda rows: near.scores(*_before(asked, rows), items=items)

    def factored() -> Scores:
        factors = Factors.fit(starts, item, weight, items=items, factors=_FACTORS, alpha=_ALPHA, rounds=_ROUNDS)
        return lambda rows: factors.fold(*_before(asked, rows)) @ factors.items_IF.T

    return {
        "popularity": (timed("popularity", popular), "how often each item stands in the events"),
        "item_knn": (timed("item_knn", similar), f"cosine of who met what, the {_NEAR} nearest items, each later event weighs more"),
        "implicit_als": (timed("implicit_als", factored), f"implicit ALS, {_FACTORS} factors, alpha {_ALPHA}, {_ROUNDS} rounds"),
    }  # fmt: skip


def _before(asked: Asked, rows: range) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    starts = asked.starts[rows.start : rows.stop + 1]
    return starts - starts[0], asked.before[starts[0] : starts[-1]]


def _facts_of_data(dataset: Interactions) -> dict[str, Any]:
    profile = dataset.profile
    shown = ("events", "users", "items", "items_without_events", "items_unseen_in_training", "history")
    return {name: profile[name] for name in shown} | {"rejected": profile["cleaning"]["rejected"]}


def _facts_of_run(run: RecommendationRun) -> dict[str, Any]:
    summary, model = run.summary, run.product.model
    shown = ("seconds", "steps", "epochs", "best_epoch", "epoch_seconds", "refit")
    return {name: summary[name] for name in shown} | {
        "name": f"SASRec {model.depth} × {model.width}",
        "parameters": summary["parameters"]["total"],
        "weight": summary["linear"]["weight"],
        "curve": _curve(run.artifact.folder / "steps.jsonl"),
    }


def _curve(path: Path) -> list[dict[str, Any]]:
    """Loss by step, and the figures of every epoch, thinned."""
    with path.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    points = [{"step": one["step"], "loss": one.get("epoch_loss"), "ndcg@10": one.get("ndcg@10")} for one in records if "epoch_loss" in one]  # fmt: skip
    return points[:: max(1, len(points) // _CURVE_POINTS)]


def _say(session: Session, content: dict[str, Any]) -> None:
    test, primary = content["figures"]["test"], content["primary"]
    k = primary.partition("@")[2]
    shown = (primary, f"hit@{k}", f"sampled_ndcg@{k}", f"sampled_hit@{k}", f"coverage@{k}")
    session.voice.say(
        "test: " + ", ".join(f"{name} {test[name]['value']:.4f}" for name in shown if test[name]["value"] is not None)
    )
    for one in content["baselines"]:
        session.voice.say(
            f"{one['name']}: {primary} {one['figures'][primary]['value']:.4f}, the model is {one['verdict']}"
        )
    for gate in session.outcome.gates:
        session.voice.say(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['says']}")
