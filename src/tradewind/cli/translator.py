"""A run as a translator that is asked without torch: an artifact that a report measures and a release takes along whole.

    translator/     what the release carries: a network a precision, tokeniser, glossary, golden pairs
    figures.json    bytes of each precision, what it loses on validation pairs, its distance from the trainer
    penalty.json    the length penalty that it is served with, and BLEU on validation pairs by penalty where it was chosen

Not here: the files (`release/translation.py`, `release/translation_export.py`), answering (`engines/translation.py`).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tradewind.artifacts import Artifact
from tradewind.cli.length_penalty import USUAL, ChosenPenalty, choose_penalty
from tradewind.cli.session import Session
from tradewind.data.packed import Packed
from tradewind.data.parallel import Parallel
from tradewind.engines.loading import check_translator_golden
from tradewind.engines.translation import TranslationEngine
from tradewind.features.glossary import Glossary, read_glossary
from tradewind.files import digest_json, read_json, write_json
from tradewind.release import translation as bundles
from tradewind.release.language import PrecisionFigures, folder_bytes, refuse_lossy
from tradewind.release.translation_export import PRECISIONS, export_translator
from tradewind.train.translation import TranslationRun

FORMAT = 3
FIGURES, PENALTY = "figures.json", "penalty.json"
_MEASURED_TOKENS = 20_000  # target tokens of validation pairs, for what a precision loses


@dataclass(frozen=True)
class Translator:
    """`figures` are by precision."""

    artifact: Artifact

    @property
    def folder(self) -> Path:
        """What `TranslationEngine.open` opens."""
        return self.artifact.folder / bundles.FOLDER

    @property
    def figures(self) -> Mapping[str, PrecisionFigures]:
        found = read_json(self.artifact.folder / FIGURES)
        return {name: PrecisionFigures(**one) for name, one in found.items()}


@dataclass(frozen=True)
class Settled:
    """What the product file says of a translator's release: terms, the networks that are made, and the one that answers."""

    glossary: Glossary
    precisions: Sequence[str]
    precision: str


def settled(session: Session) -> Settled:
    """Asked before anything is trained, too. Raises DataError for a glossary that cannot be read, ArtifactError for a precision
    that is to answer and is not made."""
    product = session.product
    assert product.translation is not None
    named = product.translation.glossary
    glossary = Glossary({}) if named is None else read_glossary(session.folder / named)
    made = [one for one in PRECISIONS if one in product.release.precisions] or ["fp32"]
    return Settled(glossary, made, bundles.chosen_precision(product.serve.precision, made))


def build_translator(session: Session, parallel: Parallel, run: TranslationRun) -> Translator:
    """The finished one at once when nothing it is made from has changed.

    Raises VerificationFailed when a network does not give the trainer's figures, GateFailed when a precision loses more than it
    may, DataError for a glossary that cannot be read, ModelError, ArtifactError.
    """
    product, workspace = session.product, session.workspace
    translation, settings = product.translation, settled(session)
    assert translation is not None
    made_of = {
        "format": FORMAT, "run": run.artifact.digest, "glossary": dict(settings.glossary.terms), "beams": translation.beams,
        "length_penalty": translation.length_penalty, "precisions": list(settings.precisions), "precision": settings.precision,
        "loss": product.release.quantization_loss,
    }  # fmt: skip
    artifact = workspace.find("translator", digest_json(made_of))
    if artifact is None:
        parents = {"dataset": parallel.artifact.digest, "run": run.artifact.digest}
        with session.timed("translator", "Translator"):
            with workspace.making("translator", made_of, parents=parents) as folder:
                facts = bundles.TranslatorFacts(
                    source=translation.source, target=translation.target, context=run.summary["context"],
                    longest=_longest(parallel), growth=_growth(parallel),
                    terms_taught=bool(parallel.profile["splits"]["train"]["term_pairs"]),
                    beams=translation.beams,
                    length_penalty=USUAL if translation.length_penalty == "auto" else translation.length_penalty,
                    precision=settings.precision,
                )  # fmt: skip
                _make(session, parallel, run, folder, facts, settings)
            artifact = workspace.find("translator", digest_json(made_of))
            assert artifact is not None
    session.outcome.artifacts["translator"] = str(artifact.folder)
    return Translator(artifact)


def _make(
    session: Session, parallel: Parallel, run: TranslationRun, folder: Path, facts: bundles.TranslatorFacts, settings: Settled
) -> None:  # fmt: skip
    # 1. Networks; fp32 is always made, since the others are held against it, and stays only where asked for.
    place = folder / bundles.FOLDER
    built = ["fp32", *[one for one in settings.precisions if one != "fp32"]]
    session.voice.progress("writing networks", 0.0)
    export_translator(run.hf, place, frame=parallel.tokenizer.frame, precisions=built)

    # 2. What stands beside them.
    parallel.tokenizer.save(place / bundles.TOKENIZER)
    bundles.write_facts(place, facts, settings.glossary)
    shutil.copyfile(run.golden, place / bundles.GOLDEN)

    # 3. Each is held against the trainer, and the small ones against the whole one.
    figures: dict[str, PrecisionFigures] = {}
    for done, precision in enumerate(built):
        session.voice.progress(f"measuring {precision}", (1 + done) / (1 + len(built)))
        engine = TranslationEngine.open(place, precision=precision, threads=0)
        per_byte = _bits_per_byte(engine, parallel)
        difference = check_translator_golden(engine, place, 0.0 if precision == "fp32" else math.inf)
        loss = per_byte / figures["fp32"].bits_per_byte - 1 if figures else 0.0
        figures[precision] = PrecisionFigures(folder_bytes(place / precision), per_byte, loss, difference)
        session.voice.say(
            f"{precision}: {figures[precision].bytes / 1e6:.1f} MB, {per_byte:.4f} bits per byte ({loss:+.2%}), "
            f"{difference:.2g} from the trainer's log-probabilities"
        )
    refuse_lossy(figures, {str(name): share for name, share in session.product.release.quantization_loss.items()})
    if "fp32" not in settings.precisions:
        shutil.rmtree(place / "fp32")
        del figures["fp32"]
    write_json(folder / FIGURES, {name: asdict(one) for name, one in figures.items()})

    # 4. The length penalty, over what the network that answers finds.
    _settle_penalty(session, parallel, folder, facts, settings)


def _settle_penalty(
    session: Session, parallel: Parallel, folder: Path, facts: bundles.TranslatorFacts, settings: Settled
) -> None:
    translation, place = session.product.translation, folder / bundles.FOLDER
    assert translation is not None
    if translation.length_penalty != "auto":
        write_json(folder / PENALTY, asdict(ChosenPenalty(translation.length_penalty, 0, {})))
        return
    session.voice.progress("choosing the length penalty", 0.9)
    engine = TranslationEngine.open(place, threads=0)
    pairs = list(parallel.texts("validation"))
    found = choose_penalty(engine, pairs, beams=facts.beams, seed=session.product.evaluate.seed)
    bundles.write_facts(place, replace(facts, length_penalty=found.value), settings.glossary)
    write_json(folder / PENALTY, {**asdict(found), "bleu": {str(penalty): one for penalty, one in found.bleu.items()}})
    if found.bleu:
        session.voice.say(
            f"length penalty {found.value:g}: BLEU {found.bleu[found.value]:.2f} on {found.pairs:,} pairs of validation, "
            f"{found.bleu[USUAL]:.2f} by {USUAL:g}"
        )


def _bits_per_byte(engine: TranslationEngine, parallel: Parallel) -> float:
    """Of the target text of validation pairs, their ends included."""
    read, written = parallel.split("validation")
    given = len(parallel.tokenizer.frame.start)
    sources, targets, seen = [], [], 0
    for row in range(written.documents):
        source, target = _row(read, row), _row(written, row)[given:-1]
        sources.append(source)
        targets.append(target)
        seen += len(target) + 1
        if seen >= _MEASURED_TOKENS:
            break
    nats = -sum(float(one.astype(np.float64).sum()) for one in engine.translator.log_probs(sources, targets))
    size = sum(len(parallel.tokenizer.decode(target).encode("utf-8", "replace")) for target in targets)
    return nats / math.log(2) / max(1, size)


def _row(packed: Packed, row: int) -> list[int]:
    ids: list[int] = packed.tokens[packed.starts[row] : packed.starts[row + 1]].tolist()
    return ids


def _longest(parallel: Parallel) -> int:
    """Tokens of the longest source of training."""
    source, _ = parallel.split("train")
    return int(np.diff(source.starts).max())


def _growth(parallel: Parallel) -> float:
    """Target tokens that come of one source token in training, where pairs grow more than most do."""
    source, target = (np.diff(side.starts) for side in parallel.split("train"))
    return round(float(np.quantile(target / np.maximum(1, source), 0.9)), 4)
