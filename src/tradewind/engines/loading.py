"""From a release folder to an engine: digests, signature, fingerprint and golden examples are checked on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.engines.embeddings import EncoderEngine
from tradewind.engines.engine import Decision
from tradewind.engines.genai import GenaiEngine
from tradewind.engines.onnx import OnnxPredictor
from tradewind.engines.recommendation import APPROXIMATE_FROM, RecommendationEngine
from tradewind.engines.translation import TranslationEngine
from tradewind.errors import ArtifactError, VerificationFailed
from tradewind.features.actions import Actions
from tradewind.features.column import Values
from tradewind.features.drift import Reference
from tradewind.features.feature_set import FeatureSet
from tradewind.features.language import LanguageTokenizer
from tradewind.features.windows import Windows
from tradewind.files import read_json
from tradewind.release import encoder as encoders
from tradewind.release import language as languages
from tradewind.release import recommender as recommenders
from tradewind.release import translation as translators
from tradewind.release.bundle import TRUST, Bundle, open_bundle, task_of
from tradewind.release.golden import Golden, read_golden
from tradewind.release.language import (
    ADAPTER,
    GENAI,
    GOLDEN,
    HF,
    check_base,
    open_language_bundle,
    read_language_golden,
    template_digest,
)


@dataclass(frozen=True)
class LoadedRelease:
    """A release that passed its checks, with what is needed to answer and to give reasons."""

    bundle: Bundle
    predictor: OnnxPredictor
    golden: Golden
    trust: Mapping[str, Any] = field(default_factory=dict)  # trust.json: what stands beside an answer

    @property
    def windows(self) -> Windows | None:
        """What each row is told of its entities' past, where the product has events."""
        state = self.trust.get("events")
        return Windows.from_state(state) if state else None

    @property
    def actions(self) -> Actions | None:
        """How answers become actions, where the product file says what mistakes cost."""
        state = self.trust.get("actions")
        return Actions.from_state(state) if state else None

    @property
    def score_reference(self) -> Reference | None:
        """How scores were spread over the test split."""
        state = self.trust.get("drift")
        return Reference.from_state(state["score"]) if state else None

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
        shifts=manifest.get("shifts", {}),  # releases from before it have none
    )
    graph = folder / (manifest["graph_int8"] if int8 and manifest.get("graph_int8") else manifest["graph"])
    predictor = OnnxPredictor(graph, features, decision, threads=threads)
    golden = read_golden(folder / "golden.json")
    if not int8:
        check_golden(predictor, golden, where=str(folder))
    trust = folder / TRUST  # releases from before it have none
    return LoadedRelease(bundle, predictor, golden, read_json(trust) if trust.is_file() else {})


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


def load_generator(
    folder: Path,
    *,
    precision: str,
    public_key: Path | None = None,
    adapters: Mapping[str, Path] | None = None,
    slots: int = 16,
    context: int | None = None,
    threads: int = 0,
    waiting: int = 256,
) -> GenaiEngine:
    """Opens the release of a language model in one precision. `adapters` are releases of adapters alone, by name.

    Raises ArtifactError when it is no such release or lacks the precision; VerificationFailed when a byte changed, another
    key signed it, the template is another, an adapter belongs to other weights, or the graph does not give the golden logits.
    """
    manifest = open_language_bundle(folder, public_key=public_key).manifest
    if precision not in manifest["precisions"]:
        held = ", ".join(manifest["precisions"])
        raise ArtifactError(
            f"The release has no precision {precision}.",
            code="precision_missing",
            where=str(folder),
            hint=f"It has {held}." if held else "It is an adapter alone: serve its base with it.",
        )
    tokenizer = LanguageTokenizer.open(folder / HF)
    if template_digest(tokenizer.template) != manifest["template_sha256"]:
        raise VerificationFailed(
            "The chat template is not the one that was trained with.", code="template", where=str(folder)
        )
    parts = {}
    for name, path in (adapters or {}).items():
        check_base(open_language_bundle(path, public_key=public_key).manifest, folder / HF)
        parts[name] = path / ADAPTER
    engine = GenaiEngine(
        folder / GENAI / precision, tokenizer, slots=slots, context=context, threads=threads, adapters=parts, waiting=waiting
    )  # fmt: skip
    try:
        _check_language_golden(engine, folder, manifest["precisions"][precision]["golden_difference"])
    except BaseException:
        engine.close()
        raise
    return engine


def _check_language_golden(engine: GenaiEngine, folder: Path, measured: float) -> None:
    """fp32 gives the trainer's logits; a smaller precision is no further from them than when it was measured, twice over:
    other processors round 8-bit products differently."""
    golden = read_language_golden(folder / GOLDEN)
    found = engine.last_logits(golden.prompts)
    difference = float(np.abs(found - golden.logits).max()) if found.shape == golden.logits.shape else float("inf")
    allowed = max(golden.tolerance, 2 * measured)
    if not difference <= allowed:
        raise VerificationFailed(
            f"The graph is {difference:.2g} away from the trainer's logits; at most {allowed:.2g} is allowed.",
            code="golden",
            where=str(folder),
            hint="Make the release again, or report it with this processor's name.",
        )


def load_embedder(folder: Path, *, public_key: Path | None = None, threads: int = 1) -> EncoderEngine:
    """Opens the release of a text encoder. Raises ArtifactError when it is none, VerificationFailed when a byte changed,
    another key signed it, or the graph does not give the golden vectors on this machine."""
    manifest = encoders.open_encoder_bundle(folder, public_key=public_key).manifest
    engine = EncoderEngine(
        folder / encoders.GRAPH,
        folder / encoders.HF / "tokenizer.json",
        context=manifest["context"],
        vocabulary=manifest["vocabulary"],
        width=manifest["width"],
        pad=manifest["pad"],
        threads=threads,
    )
    golden = encoders.read_encoder_golden(folder / encoders.GOLDEN)
    difference = float(np.abs(engine.embed(golden.texts) - golden.vectors).max())
    if not difference <= golden.tolerance:
        raise VerificationFailed(
            f"The graph is {difference:.2g} away from the trainer's vectors; at most {golden.tolerance:.2g} is allowed.",
            code="golden",
            where=str(folder),
            hint="Make the release again, or report it with this processor's name.",
        )
    return engine


def load_recommender(
    folder: Path, *, public_key: Path | None = None, threads: int = 1, approximate_from: int | None = APPROXIMATE_FROM
) -> RecommendationEngine:  # fmt: skip
    """Opens the release of a recommender. Raises ArtifactError when it is none, VerificationFailed when a byte changed, another
    key signed it, or it does not give the golden scores on this machine."""
    recommenders.open_recommender_bundle(folder, public_key=public_key)
    return RecommendationEngine.open(folder / recommenders.MODEL, threads=threads, approximate_from=approximate_from)


def load_translator(
    folder: Path, *, public_key: Path | None = None, threads: int = 1, precision: str | None = None
) -> TranslationEngine:  # fmt: skip
    """Opens the release of a translator; `precision` is the one that answers, that of the release by default.

    Raises ArtifactError when it is no such release or lacks the precision; VerificationFailed when a byte changed, another key
    signed it, or the network does not give the golden log-probabilities and translations on this machine.
    """
    manifest = translators.open_translation_bundle(folder, public_key=public_key).manifest
    engine = TranslationEngine.open(folder / translators.FOLDER, precision=precision, threads=threads)
    held = precision or engine.facts.precision
    check_translator_golden(engine, folder / translators.FOLDER, manifest["precisions"][held]["golden_difference"])
    return engine


def check_translator_golden(engine: TranslationEngine, folder: Path, measured: float = 0.0) -> float:
    """The largest difference from the trainer's log-probabilities. fp32 gives them, and the trainer's greedy translations; a
    smaller precision is no further from them than when it was `measured`, twice over. Raises VerificationFailed."""
    golden = translators.read_translation_golden(folder / translators.GOLDEN)
    found = engine.translator.log_probs(golden.sources, [one[:-1] for one in golden.targets])
    difference = max(
        float(np.abs(ours - theirs).max(initial=0.0)) for ours, theirs in zip(found, golden.log_probs, strict=True)
    )
    allowed = max(translators.TOLERANCE, 2 * measured)
    if not difference <= allowed:
        raise VerificationFailed(
            f"The network is {difference:.2g} away from the trainer's log-probabilities; at most {allowed:.2g} is allowed.",
            code="golden", where=str(folder), hint="Make the release again, or report it with this processor's name.",
        )  # fmt: skip
    if measured <= translators.TOLERANCE:
        _check_greedy(engine, golden, folder)
    return difference


def _check_greedy(engine: TranslationEngine, golden: translators.TranslationGolden, folder: Path) -> None:
    """Token for token; where two were equally likely to the trainer, sums in another order may prefer the other one."""
    for source, greedy in zip(golden.sources, golden.greedy, strict=True):
        wanted = tuple(greedy.tolist())
        most = min(len(wanted) + 1, translators.GOLDEN_TOKENS)
        (written,) = engine.translator.translate([source.tolist()], beams=1, length_penalty=0.0, most=most)
        if written.ids == wanted:
            continue
        pairs = zip(written.ids, wanted, strict=False)
        at = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(written.ids), len(wanted)))
        ours, theirs = engine.translator.log_probs([source.tolist()] * 2, [written.ids, wanted])
        if not abs(float(ours[at]) - float(theirs[at])) <= 2 * translators.TOLERANCE:
            raise VerificationFailed(
                f"A golden pair is translated otherwise than by the trainer from token {at + 1} on.", code="golden", where=str(folder),
                hint="Make the release again, or report it with this processor's name.",
            )  # fmt: skip


def verify_release(folder: Path, *, public_key: Path | None = None) -> str:
    """Opens a release of any kind as it would be served, every precision of it; says what was checked."""
    return _CHECKS.get(task_of(folder), _check_predictor)(folder, public_key)


def _check_predictor(folder: Path, public_key: Path | None) -> str:
    load(folder, public_key=public_key)
    return "digests, signature, fingerprint and golden examples of the release"


def _check_encoder(folder: Path, public_key: Path | None) -> str:
    load_embedder(folder, public_key=public_key)
    return "digests, signature and golden texts of the release"


def _check_generator(folder: Path, public_key: Path | None) -> str:
    bundle = open_language_bundle(folder, public_key=public_key)
    for precision in bundle.manifest["precisions"]:
        load_generator(folder, precision=precision, public_key=public_key, slots=2).close()
    held = ", ".join(bundle.manifest["precisions"]) or "the adapter"
    return f"digests, signature, template and golden prompts of the release ({held})"


def _check_recommender(folder: Path, public_key: Path | None) -> str:
    load_recommender(folder, public_key=public_key)
    return "digests, signature and golden histories of the release"


def _check_translator(folder: Path, public_key: Path | None) -> str:
    bundle = translators.open_translation_bundle(folder, public_key=public_key)
    for precision in bundle.manifest["precisions"]:
        load_translator(folder, precision=precision, public_key=public_key)
    return f"digests, signature and golden pairs of the release ({', '.join(bundle.manifest['precisions'])})"


_CHECKS: Mapping[str | None, Callable[[Path, Path | None], str]] = {
    languages.TASK: _check_generator,
    encoders.TASK: _check_encoder,
    recommenders.TASK: _check_recommender,
    translators.TASK: _check_translator,
}
