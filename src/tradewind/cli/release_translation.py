"""`tradewind release` for a translator: a report becomes a signed bundle that translates without torch.

Not here: what the bundle holds (`release/translation.py`), how it was made of a run (`translator.py`), answering
(`engines/translation.py`).
"""

from __future__ import annotations

import shutil
from typing import Any

from tradewind import __version__
from tradewind.artifacts import Artifact, open_artifact
from tradewind.cli.paper import paper, stated
from tradewind.cli.session import Session
from tradewind.cli.translator import Translator
from tradewind.data.parallel import Parallel
from tradewind.engines.loading import verify_release
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE
from tradewind.files import digest_json, read_json
from tradewind.privacy.retraining import fulfil
from tradewind.release import translation as bundles
from tradewind.release.bundle import FORMAT, seal, write_paper
from tradewind.release.language import described
from tradewind.release.registry import register
from tradewind.release.signing import key_pair, make_key_pair
from tradewind.train.translation import TranslationRun


def release_translation(
    session: Session, parallel: Parallel, run: TranslationRun, translator: Translator, report: Artifact
) -> Artifact:
    """The signed release of a report; the finished one at once when nothing it is made from has changed.

    Raises VerificationFailed when what is released does not give the trainer's translations.
    """
    with session.timed("release", "Release"):
        workspace, product = session.workspace, session.product
        translation = product.translation
        assert translation is not None
        pair = key_pair(workspace.keys)
        if pair is None:
            pair = make_key_pair(workspace.keys)
            session.voice.say(f"made a signing key: {pair.private}")
        parents = {"dataset": parallel.artifact.digest, "run": run.artifact.digest, "report": report.digest}
        figures, pretrained = translator.figures, run.product.model.pretrained
        manifest: dict[str, Any] = {
            "product": product.product,
            "made_with": __version__,
            "task": bundles.TASK,
            "family": read_json(run.hf / "config.json")["model_type"],
            "languages": {"from": translation.source, "to": translation.target},
            "parents": parents,
            "translator": translator.artifact.digest,
            "plans": {name: plan.model_dump(mode="json") for name, plan in product.serve.plans.items()},
            "parameters": run.summary["parameters"]["total"],
            "context": run.summary["context"],
            "vocabulary": parallel.tokenizer.vocabulary,
            "precisions": described(figures),
            "parity": {
                "largest_difference": min(one.golden_difference for one in figures.values()),
                "tolerance": bundles.TOLERANCE,
            },
            "unit": translation.unit,
            "meters": list(bundles.METERS[translation.unit]),
            "trained_from": None if pretrained is None else pretrained.rstrip("/").rpartition("/")[2],
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
                shutil.copytree(translator.folder, folder / bundles.FOLDER)
                (folder / "report").mkdir()
                for name in (JSON_FILE, PAGE_FILE):
                    shutil.copyfile(report.folder / name, folder / "report" / name)
                write_paper(folder, paper(
                    session, "predictor", manifest, dataset=parallel.artifact, run=run.artifact, report=report
                ))  # fmt: skip
                seal(folder, manifest, pair)
            artifact = open_artifact(workspace.folder("release", digest_json(made_of)), kind="release")
        # Opened as a customer would open it, every precision of it: digests, signature, golden pairs.
        verify_release(artifact.folder, public_key=pair.public)
        version = register(workspace, artifact.digest, artifact.folder)
        fulfil(workspace.home, artifact.digest, at=version.created)
    session.outcome.artifacts["release"] = str(artifact.folder)
    held = ", ".join(f"{name} {one.bytes / 1e6:.1f} MB" for name, one in figures.items())
    session.voice.say(f"v{version.version} is signed and is the candidate; {held}")
    return artifact
