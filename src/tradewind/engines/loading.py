"""From a release folder to an engine: digests, signature, fingerprint and golden examples are checked on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tradewind.engines.engine import Decision
from tradewind.engines.onnx import OnnxPredictor
from tradewind.errors import VerificationFailed
from tradewind.features.column import Values
from tradewind.features.feature_set import FeatureSet
from tradewind.files import read_json
from tradewind.release.bundle import Bundle, open_bundle
from tradewind.release.golden import Golden, read_golden


@dataclass(frozen=True)
class LoadedRelease:
    """A release that passed its checks, with what is needed to answer and to give reasons."""

    bundle: Bundle
    predictor: OnnxPredictor
    golden: Golden

    @property
    def background(self) -> dict[str, Values]:
        return dict(self.golden.columns)


def load(folder: Path, *, public_key: Path | None = None, threads: int = 1, int8: bool = False) -> LoadedRelease:
    """Opens a release. `public_key` is a PEM file; by default the key beside the workspace that the folder lies in.

    Raises ArtifactError when it is no release, VerificationFailed when a byte changed, another key signed it, or the
    graph does not give the golden outputs on this machine.
    """
    bundle = open_bundle(folder, public_key=public_key)
    features = FeatureSet.from_state(read_json(folder / "columns.json"))
    manifest = bundle.manifest
    if features.fingerprint != manifest["features_fingerprint"]:
        raise VerificationFailed(
            "The columns are not those that the model was trained with.", code="fingerprint", where=str(folder)
        )
    decision = Decision(
        task=manifest["task"],
        classes=tuple(manifest["classes"]),
        positive=manifest["positive"],
        threshold=manifest["threshold"],
    )
    graph = folder / (manifest["graph_int8"] if int8 and manifest.get("graph_int8") else manifest["graph"])
    predictor = OnnxPredictor(graph, features, decision, threads=threads)
    golden = read_golden(folder / "golden.json")
    if not int8:
        check_golden(predictor, golden, where=str(folder))
    return LoadedRelease(bundle, predictor, golden)


def check_golden(predictor: OnnxPredictor, golden: Golden, *, where: str) -> float:
    """The largest difference between the predictor and the golden outputs. Raises VerificationFailed beyond tolerance."""
    predictions = predictor.predict(golden.columns)
    found = predictions.probabilities if predictions.probabilities is not None else predictions.values
    assert found is not None
    if found.shape != golden.outputs.shape:
        raise VerificationFailed(
            f"The graph gives outputs of shape {found.shape}, the golden examples {golden.outputs.shape}.",
            code="golden",
            where=where,
        )
    difference = float(np.max(np.abs(found.astype(np.float64) - golden.outputs), initial=0.0))
    if not difference <= golden.tolerance:
        raise VerificationFailed(
            f"The graph is {difference:.2g} away from the trainer on the golden examples; at most {golden.tolerance:.2g} is allowed.",
            code="golden",
            where=where,
            hint="Train again, or report it with this processor's name.",
        )
    return difference
