"""`tradewind release`: a report becomes a signed bundle, with the golden examples that prove it wherever it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tradewind import __version__
from tradewind.artifacts import Artifact
from tradewind.cli.evaluate import Evaluation, evaluate, refuse
from tradewind.cli.explained import spelled_out
from tradewind.cli.knowledge import INDEX, build_knowledge
from tradewind.cli.learnt import remember
from tradewind.cli.paper import paper, stated
from tradewind.cli.prepare import prepare
from tradewind.cli.purpose import refuse_unstated
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit
from tradewind.cli.stories import story_of
from tradewind.cli.train import train
from tradewind.data.dataset import Dataset
from tradewind.engines.engine import Decision
from tradewind.engines.loading import check_golden, load
from tradewind.engines.onnx import OnnxPredictor
from tradewind.evaluate import report as reports
from tradewind.evaluate.examination import STATE_FILE
from tradewind.features.target import ClassTarget
from tradewind.files import read_json
from tradewind.privacy.retraining import fulfil
from tradewind.release.bundle import Content, build
from tradewind.release.golden import Golden, calibrated, magnified, read_golden
from tradewind.release.graph import int8_graph
from tradewind.release.registry import register
from tradewind.release.signing import key_pair, make_key_pair
from tradewind.train.run import Run

_INT8_ROWS = 2000


def command(directory: FolderOption = HERE, changes: SetOption = None, as_json: JsonOption = False) -> None:
    """Make a signed bundle that predicts without PyTorch."""
    session = Session.open(directory, changes)
    refuse_unstated(session.product)
    story = story_of(session.product.task)
    if story is not None:
        story.release(session)
        refuse(session)
    else:
        dataset = prepare(session)
        run = train(session, dataset)
        evaluation = evaluate(session, dataset, run)
        refuse(session)
        release(session, dataset, run, evaluation)
    if as_json:
        emit(session.outcome.to_json())


def release(session: Session, dataset: Dataset, run: Run, evaluation: Evaluation) -> Artifact:
    """The signed release of a report. Raises VerificationFailed when the graph does not give the trainer's outputs."""
    with session.timed("release", "Release"):
        product, features = session.product, dataset.features
        pair = key_pair(session.workspace.keys)
        if pair is None:
            pair = make_key_pair(session.workspace.keys)
            session.voice.say(f"made a signing key: {pair.private}")
        knowledge = build_knowledge(session, dataset)
        classes = features.target.classes if isinstance(features.target, ClassTarget) else ()
        calibration = evaluation.calibration
        decision = Decision(
            task="classification" if classes else "regression",
            classes=classes,
            positive=calibration["positive"],
            threshold=0.5 if calibration["threshold"] is None else calibration["threshold"],
            shifts=calibration["shifts"],
        )

        # 1. The measured graph gives the trainer's outputs on the golden rows, or there is no release.
        golden = _golden(run, calibration["temperature"] if classes else None)
        predictor = OnnxPredictor(evaluation.graph, features, decision)
        parity = check_golden(predictor, golden, where=str(evaluation.graph))

        # 2. The 8-bit graph, where asked for, with what it costs in quality.
        graph_int8, loss = _int8(dataset, evaluation, decision) if product.release.int8 else (None, None)

        events = product.data.events
        manifest: dict[str, Any] = {
            "product": product.product,
            "made_with": __version__,
            "task": decision.task,
            "target": product.data.target,
            "classes": list(classes),
            "positive": decision.positive,
            "threshold": decision.threshold,
            "shifts": decision.shifts,
            "temperature": calibration["temperature"],
            "features_fingerprint": features.fingerprint,
            "parity": {"largest_difference": parity, "tolerance": golden.tolerance},
            "int8": loss,
            "clean": product.data.clean.model_dump(mode="json"),
            "missing_words": list(product.data.source.missing),
            "parents": {
                "dataset": dataset.artifact.digest,
                "run": run.artifact.digest,
                "report": evaluation.artifact.digest,
            },
            "plans": {name: plan.model_dump(mode="json") for name, plan in product.serve.plans.items()},
            "stated": stated(session),
        }
        content = Content(
            manifest=manifest,
            graph=evaluation.graph,
            columns=features.state(),
            schema={"input": predictor.row_schema(), "output": _output_schema(decision)},
            golden=golden,
            report_files={name: evaluation.artifact.folder / name for name in (reports.JSON_FILE, reports.PAGE_FILE)},
            trust={
                **read_json(evaluation.artifact.folder / STATE_FILE),
                "explain": spelled_out(product, features),
                **({} if events is None else {"events": events.spec(missing=product.data.source.missing).state()}),
            },
            paper=lambda whole: paper(
                session, "predictor", whole, dataset=dataset.artifact, run=run.artifact, report=evaluation.artifact
            ),
            graph_int8=graph_int8,
            knowledge=None if knowledge is None else knowledge.folder / INDEX,
        )
        artifact = build(session.workspace, content, pair, parents=manifest["parents"])

        # 3. Opened as a customer would open it: digests, signature, fingerprint, golden examples.
        load(artifact.folder, public_key=pair.public)
        version = register(session.workspace, artifact.digest, artifact.folder)
        remember(session.workspace, dataset.artifact, artifact)
        fulfil(session.workspace.home, artifact.digest, at=version.created)
    session.outcome.artifacts["release"] = str(artifact.folder)
    session.voice.say(f"v{version.version} is signed and is the candidate; parity {parity:.1g}")
    return artifact


def _golden(run: Run, temperature: float | None) -> Golden:
    """The trainer's golden rows with the outputs that follow from its own at this temperature."""
    golden = read_golden(run.artifact.folder / "golden.json")
    if temperature is None:
        return golden
    outputs = calibrated(golden.outputs, temperature)
    return replace(golden, outputs=outputs, tolerance=golden.tolerance * magnified(temperature))


def _int8(dataset: Dataset, evaluation: Evaluation, decision: Decision) -> tuple[bytes, dict[str, Any]]:
    graph = int8_graph(evaluation.graph.read_bytes())
    raw = {name: values[:_INT8_ROWS] for name, values in dataset.raw("test").items()}
    full = OnnxPredictor(evaluation.graph, dataset.features, decision, threads=0).predict(raw)
    small = OnnxPredictor(graph, dataset.features, decision, threads=0).predict(raw)
    loss: dict[str, Any] = {"rows": full.rows, "bytes": len(graph), "bytes_full": evaluation.graph.stat().st_size}
    if full.probabilities is not None and small.probabilities is not None:
        truth = np.asarray(dataset.split("test").target[:_INT8_ROWS])
        names = np.asarray(decision.classes, dtype=object)[truth]
        loss["accuracy"] = float((small.labels == names).mean())
        loss["accuracy_full"] = float((full.labels == names).mean())
        loss["largest_difference"] = float(np.abs(full.probabilities - small.probabilities).max(initial=0))
    elif full.values is not None and small.values is not None:
        loss["largest_difference"] = float(np.abs(full.values - small.values).max(initial=0))
    return graph, loss


def _output_schema(decision: Decision) -> dict[str, Any]:
    if decision.task == "regression":
        return {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": list(decision.classes)},
            "probabilities": {
                "type": "object",
                "properties": dict.fromkeys(decision.classes, probability),
                "required": list(decision.classes),
            },
        },
        "required": ["label", "probabilities"],
    }
