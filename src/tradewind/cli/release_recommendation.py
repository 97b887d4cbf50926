"""`tradewind release` for a recommender: a report becomes a signed bundle that answers without torch.

Not here: what the bundle holds (`release/recommender.py`), answering (`engines/recommendation.py`).
"""

from __future__ import annotations

import shutil
from typing import Any

from tradewind import __version__
from tradewind.artifacts import Artifact, open_artifact
from tradewind.cli.evaluate_recommendation import RecommendationEvaluation
from tradewind.cli.paper import paper, stated
from tradewind.cli.session import Session
from tradewind.data.interactions import Interactions
from tradewind.engines.loading import load_recommender
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE
from tradewind.files import digest_json
from tradewind.privacy.retraining import fulfil
from tradewind.release import recommender as recommenders
from tradewind.release.bundle import FORMAT, seal, write_paper
from tradewind.release.registry import register
from tradewind.release.signing import key_pair, make_key_pair
from tradewind.train.recommendation import RecommendationRun


def release_recommendation(
    session: Session, dataset: Interactions, run: RecommendationRun, evaluation: RecommendationEvaluation
) -> Artifact:
    """The signed release of a report; the finished one at once when nothing it is made from has changed.

    Raises VerificationFailed when what is released does not give the trainer's scores.
    """
    with session.timed("release", "Release"):
        workspace, product = session.workspace, session.product
        pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
        parents = {
            "dataset": dataset.artifact.digest,
            "run": run.artifact.digest,
            "report": evaluation.artifact.digest,
        }
        manifest: dict[str, Any] = {
            "product": product.product,
            "made_with": __version__,
            "task": recommenders.TASK,
            "parents": parents,
            "plans": {name: plan.model_dump(mode="json") for name, plan in product.serve.plans.items()},
            "parameters": run.summary["parameters"]["total"],
            "items": len(dataset.items),
            "context": run.product.model.context,
            "again": product.data.recommendation.again,
            "item_columns": _columns(dataset, "item"),
            "user_columns": _columns(dataset, "user"),
            "parity": {"largest_difference": run.summary["parity"], "tolerance": recommenders.TOLERANCE},
            "meters": list(recommenders.METERS),
        }
        made_of = {
            "format": FORMAT,
            **manifest,
            "stated": stated(session),
            "release": product.release.model_dump(mode="json"),
        }
        artifact = workspace.find("release", digest_json(made_of))
        if artifact is None:
            with workspace.making("release", made_of, parents=parents) as folder:
                shutil.copytree(run.model, folder / recommenders.MODEL)
                (folder / "report").mkdir()
                for name in (JSON_FILE, PAGE_FILE):
                    shutil.copyfile(evaluation.artifact.folder / name, folder / "report" / name)
                write_paper(folder, paper(
                    session, "predictor", manifest, dataset=dataset.artifact, run=run.artifact, report=evaluation.artifact
                ))  # fmt: skip
                seal(folder, manifest, pair)
            artifact = open_artifact(workspace.folder("release", digest_json(made_of)), kind="release")
        # Opened as a customer would open it: digests, signature, golden histories.
        engine = load_recommender(artifact.folder, public_key=pair.public)
        version = register(workspace, artifact.digest, artifact.folder)
        fulfil(workspace.home, artifact.digest, at=version.created)
    session.outcome.artifacts["release"] = str(artifact.folder)
    session.voice.say(f"v{version.version} is signed and is the candidate; {len(engine.names):,} items")
    return artifact


def _columns(dataset: Interactions, what: str) -> dict[str, str]:
    """Kind by column of users or items."""
    described = dataset.profile["described"].get(what)
    return {} if described is None else dict(described["columns"])
