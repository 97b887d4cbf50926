"""`tradewind evaluate`: a run becomes a report. The exported graph itself is measured, beside baselines. The story of a
language model is in `evaluate_language.py`.

The graph leaves training with temperature 1. Here the temperature is fitted on validation, written into the graph, and
that graph is kept in the report: the release takes it from there, byte for byte.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.artifacts import Artifact
from tradewind.cli.examine import examine_release, lexicon_of
from tradewind.cli.figures import SplitName, evaluation_split, facts_of_data, facts_of_model, raw_target
from tradewind.cli.knowledge import build_knowledge, seen
from tradewind.cli.prepare import prepare
from tradewind.cli.prices import heard_cost, prices_of, refuse_below_cost, sold
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.cli.stories import story_of
from tradewind.cli.timing import request_time
from tradewind.cli.train import train
from tradewind.data.dataset import Dataset
from tradewind.engines.engine import Decision
from tradewind.engines.onnx import OnnxPredictor
from tradewind.errors import DataError, GateFailed, VerificationFailed, nearest
from tradewind.evaluate import report as reports
from tradewind.evaluate.cost import RequestCost
from tradewind.evaluate.inputs import EvaluationInputs, Scores
from tradewind.evaluate.trust import Witness
from tradewind.features.target import ClassTarget
from tradewind.files import digest_json, read_json
from tradewind.release.golden import calibrated, magnified, read_golden
from tradewind.release.graph import calibrated_graph
from tradewind.train.run import Run

FORMAT = 5
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Evaluation:
    """A report on disk: its content, and the calibrated graph that was measured."""

    artifact: Artifact
    content: dict[str, Any]
    calibration: dict[str, Any]

    @property
    def graph(self) -> Path:
        return self.artifact.folder / "model.onnx"


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Measure the model beside baselines; write the report."""
    session = Session.open(directory, changes)
    story = story_of(session.product.task)
    if story is not None:
        story.evaluate(session)
    else:
        lexicon_of(session)
        dataset = prepare(session)
        evaluate(session, dataset, train(session, dataset))
    refuse(session)
    if as_json:
        emit(session.outcome.to_json())


def evaluate(session: Session, dataset: Dataset, run: Run) -> Evaluation:
    """The report of a run; the finished one at once when nothing it is made from has changed."""
    product, workspace = session.product, session.workspace
    made_of = {
        "format": FORMAT,
        "run": run.artifact.digest,
        "evaluate": product.evaluate.model_dump(mode="json"),
        "explain": product.explain.model_dump(mode="json"),
        "language": product.language,
    }
    knowledge = build_knowledge(session, dataset)
    if knowledge is not None:
        made_of["knowledge"] = knowledge.digest
    lexicon = lexicon_of(session)
    if lexicon is not None:
        made_of["synonyms"] = digest_json(lexicon)
    made_of |= prices_of(product.serve)
    digest = digest_json(made_of)
    with session.timed("evaluate", "Evaluate"):
        artifact = workspace.find("report", digest)
        if artifact is None:
            parents = {"dataset": dataset.artifact.digest, "run": run.artifact.digest}
            with workspace.making("report", made_of, parents=parents) as folder:
                _measure(session, dataset, run, folder, parents, retrieval=seen(knowledge))
            artifact = workspace.find("report", digest)
            assert artifact is not None
    content = read_json(artifact.folder / reports.JSON_FILE)
    outcome = session.outcome
    outcome.artifacts["report"] = str(artifact.folder)
    outcome.gates = content["gates"]
    outcome.metrics = {
        split: {name: one["value"] for name, one in figures.items() if one["value"] is not None}
        for split, figures in content["figures"].items()
    }
    further = {name: one["value"] for name, one in content["further"].items() if one["value"] is not None}
    outcome.metrics["test"] = {**outcome.metrics["test"], **further}
    heard_cost(session, content["cost"])
    for gate in outcome.gates:
        session.voice.say(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['says']}")
    return Evaluation(artifact, content, read_json(artifact.folder / reports.CALIBRATION_FILE))


def refuse(session: Session) -> None:
    """Raises GateFailed, with what was measured, where a figure missed its gate or a plan sells below cost."""
    try:
        refuse_failed_gates(session)
        refuse_below_cost(session.outcome.below_cost)
    except GateFailed as error:
        error.outcome = session.outcome.to_json()
        raise


def refuse_failed_gates(session: Session) -> None:
    """Raises GateFailed that names each figure that missed its gate."""
    failed = [gate["says"] for gate in session.outcome.gates if not gate["passed"]]
    if failed:
        raise GateFailed(
            " ".join(failed),
            code="missed",
            where="evaluate.gates",
            hint="Improve the model or the data, or change the gate if it asks too much.",
        )


def _measure(
    session: Session, dataset: Dataset, run: Run, folder: Path, parents: dict[str, str], *, retrieval: Witness | None
) -> None:
    product, target = session.product, dataset.features.target
    classes = target.classes if isinstance(target, ClassTarget) else ()
    positive = product.evaluate.positive
    if positive is not None and positive not in classes:
        raise DataError(
            f"There is no class {positive}. Classes: {', '.join(classes) or 'none, the target is a number'}.",
            code="positive",
            where="evaluate.positive",
            hint=nearest(positive, classes) or None,
        )
    # 1. The exported graph answers every row of validation and test, from raw values on.
    decision = Decision("classification" if classes else "regression", classes)
    predictor = OnnxPredictor(run.graph, dataset.features, decision, threads=0)
    scores: dict[str, Scores] = {}
    names: tuple[SplitName, ...] = ("validation", "test")
    for done, name in enumerate(names):
        session.voice.progress(f"predicting {name}", done * 0.2)
        started = time.perf_counter()
        found = predictor.predict(dataset.raw(name))
        seconds = time.perf_counter() - started
        if name == "validation" and run.held_out is not None:
            # The final model has learnt from these rows: they are judged as they were before.
            scores[name] = (
                Scores(probabilities=run.held_out, seconds=seconds)
                if classes
                else Scores(values=run.held_out, seconds=seconds)
            )
        else:
            scores[name] = Scores(found.probabilities, found.values, seconds)

    # 2. What one request costs: the same net as in the release, whose temperature changes no time, on one thread.
    session.voice.progress("timing requests", 0.3)
    alone = OnnxPredictor(run.graph, dataset.features, decision, threads=1)
    golden = read_golden(run.artifact.folder / "golden.json")
    cost = RequestCost(
        request_time(alone, golden.columns, dataset.raw("test")),
        product.serve.machine_hour,
        sold(product.serve.plans, product.product),
    )

    # 3. Calibration, threshold, figures, intervals, baselines.
    session.voice.progress("figures, intervals and baselines", 0.4)
    report = reports.evaluate(
        EvaluationInputs(
            product=product.product,
            task="classification" if classes else "regression",
            target=product.data.target,
            classes=classes,
            train=evaluation_split(dataset, "train", raw=False),
            validation=evaluation_split(dataset, "validation"),
            test=evaluation_split(dataset, "test"),
            scores=scores,
            settings=product.evaluate,
            explain=product.explain,
            shifts=run.summary.get("fairness", {}).get("shifts", {}),
            sensitive=tuple(product.data.sensitive),
            data=facts_of_data(dataset),
            model=facts_of_model(run),
            parents=parents,
            cost=cost,
        )
    )

    # 4. The temperature goes into the graph, and that graph must say on test what the figures were computed from.
    graph = run.graph.read_bytes()
    if classes:
        graph = calibrated_graph(graph, report.temperature)
        _check_calibrated(
            OnnxPredictor(graph, dataset.features, decision, threads=0), dataset, scores["test"], report.temperature
        )
    (folder / "model.onnx").write_bytes(graph)

    # 5. The rooms of trust look at that graph: groups, attacks, reasons, coverage.
    report = report.examined(
        examine_release(
            report, dataset, run, graph=graph, scores=scores, lexicon=lexicon_of(session),
            retrieval=retrieval, say=lambda what, done: session.voice.progress(what, 0.5 + 0.4 * done),
        )
    )  # fmt: skip
    session.voice.progress("writing the report", 0.9)
    reports.write(report, folder, language=product.language)
    session.voice.progress("done", 1.0)


def _check_calibrated(predictor: OnnxPredictor, dataset: Dataset, scores: Scores, temperature: float) -> None:
    rows = min(len(raw_target(dataset, "test")), 512)
    found = predictor.predict({name: values[:rows] for name, values in dataset.raw("test").items()}).probabilities
    assert found is not None
    assert scores.probabilities is not None
    difference = float(
        np.abs(found - calibrated(scores.probabilities[:rows].astype(np.float64), temperature)).max(initial=0)
    )
    allowed = _TOLERANCE * magnified(temperature)
    if difference > allowed:
        raise VerificationFailed(
            f"The calibrated graph is {difference:.2g} away from the calibrated probabilities; at most {allowed:.2g} is allowed.",
            code="calibration",
        )
