"""`tradewind release` for a language model: a run becomes a signed bundle with a graph for each precision.

Not here: building graphs (`model/genai.py`), what a bundle holds (`release/language.py`), running it (`engines/`).
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind import __version__
from tradewind.artifacts import Artifact, open_artifact
from tradewind.cli.evaluate_language import LanguageEvaluation
from tradewind.cli.knowledge import build_knowledge, carry
from tradewind.cli.paper import paper, stated
from tradewind.cli.prices import refuse_below_cost
from tradewind.cli.session import Session
from tradewind.cli.token_cost import below_cost_of_tokens, token_cost
from tradewind.data.corpus import Corpus
from tradewind.data.packed import Packed
from tradewind.data.sequences import NO_TARGET, Conversations
from tradewind.engines.genai import GenaiEngine
from tradewind.engines.loading import verify_release
from tradewind.engines.scoring import token_losses
from tradewind.errors import ModelError, VerificationFailed
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE
from tradewind.features.language import LanguageTokenizer
from tradewind.files import digest_json, read_json
from tradewind.model.decoder_config import DecoderConfig
from tradewind.model.genai import Precision, build_genai
from tradewind.model.hf_folder import read_config
from tradewind.privacy.retraining import fulfil
from tradewind.release import language as bundles
from tradewind.release.bundle import FORMAT, seal, write_paper
from tradewind.release.language import LanguageGolden, PrecisionFigures
from tradewind.release.registry import register
from tradewind.release.signing import KeyPair, key_pair, make_key_pair
from tradewind.train.language import LanguageRun

_MEASURED_TOKENS = 20_000  # of validation documents, for what a precision loses
_ADAPTER = "adapter"

Scored: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_]]  # tokens [N], and which of them count [N]


def release_language(session: Session, corpus: Corpus, run: LanguageRun, evaluation: LanguageEvaluation) -> Artifact:
    """The signed release of a report; the finished one at once when nothing it is made from has changed.

    Raises VerificationFailed when a graph does not give the trainer's logits, GateFailed when a precision loses more than
    it may, ModelError for a model that cannot be built.
    """
    assert run.summary["objective"] != "mlm", "an encoder has a release of another kind"
    knowledge = build_knowledge(session)
    with session.timed("release", "Release"):
        settings, workspace = session.product.release, session.workspace
        pair = key_pair(workspace.keys)
        if pair is None:
            pair = make_key_pair(workspace.keys)
            session.voice.say(f"made a signing key: {pair.private}")
        parents = {
            "dataset": corpus.artifact.digest,
            "run": run.artifact.digest,
            "report": evaluation.artifact.digest,
        }
        plans = {name: plan.model_dump(mode="json") for name, plan in session.product.serve.plans.items()}
        made_of = {
            "format": FORMAT,
            "made_with": __version__,
            "parents": parents,
            "release": settings.model_dump(mode="json"),
            "plans": plans,
            "stated": stated(session),
        }
        if knowledge is not None:
            made_of["knowledge"] = knowledge.digest
        serve = session.product.serve
        if serve.machine_hour is not None:  # what a token costs stands in the manifest
            made_of["machine_hour"] = str(serve.machine_hour)
        artifact = workspace.find("release", digest_json(made_of))
        if artifact is None:
            with workspace.making("release", made_of, parents=parents) as folder:
                manifest = {"made_with": __version__, "parents": parents, "plans": plans}
                carry(knowledge, folder)
                _fill(session, corpus, run, evaluation, folder, manifest, pair)
            artifact = open_artifact(workspace.folder("release", digest_json(made_of)), kind="release")
        # 5. Opened as it will be served, in every precision: signature, template, golden prompts. No plan may sell a token
        # below what it was measured to cost: such a release stays unknown to the registry.
        verify_release(artifact.folder, public_key=pair.public)
        cost = read_json(artifact.folder / "manifest.json").get("cost")
        if cost is not None:
            refuse_below_cost(below_cost_of_tokens(cost, serve, product=session.product.product))
        version = register(workspace, artifact.digest, artifact.folder)
        fulfil(workspace.home, artifact.digest, at=version.created)
    session.outcome.artifacts["release"] = str(artifact.folder)
    session.voice.say(f"v{version.version} is signed and is the candidate")
    return artifact


def _fill(
    session: Session,
    corpus: Corpus,
    run: LanguageRun,
    evaluation: LanguageEvaluation,
    folder: Path,
    manifest: dict[str, Any],
    pair: KeyPair,
) -> None:
    product = session.product
    config = DecoderConfig.from_hf(read_config(run.hf))
    tokenizer = corpus.tokenizer
    golden = bundles.read_trained_golden(run.golden)
    alone = product.release.adapter == "alone"

    # 1. The weights, or the adapter alone, and the golden prompts.
    if alone:
        _adapter_alone(run, golden, folder)
        tokenizer.save(folder / bundles.TOKENIZER)
    else:
        shutil.copytree(run.hf, folder / bundles.HF)
        if run.adapter is not None:
            shutil.copytree(run.adapter, folder / bundles.ADAPTER)
    bundles.write_language_golden(folder / bundles.GOLDEN, golden)

    # 2. A graph for each precision, measured and held against its limit.
    figures: dict[str, PrecisionFigures] = {}
    if not alone:
        figures = _precisions(session, corpus, run, golden, folder)
        bundles.refuse_lossy(figures, {str(name): share for name, share in product.release.quantization_loss.items()})

    # 3. What it is, and what a token of it costs here.
    cost = None
    if figures:
        served = product.serve.precision if product.serve.precision in figures else bundles.preferred(figures)
        session.voice.progress("timing tokens", 0.95)
        genai = folder / bundles.GENAI / served
        cost = token_cost(genai, tokenizer, precision=served, serve=product.serve, product=product.product)
        times = cost["request"]
        session.voice.say(
            f"a token takes {1e3 * times['alone_seconds']:.3g} ms of one processor written alone, "
            f"{1e3 * times['bulk_seconds']:.3g} ms beside others, {1e3 * times['prompt_seconds']:.3g} ms read"
            + (f": {cost['alone']}" if cost["alone"] else "")
        )
    pretrained = run.product.model.pretrained
    manifest |= {
        "product": product.product,
        "task": bundles.TASK,
        "family": config.family,
        "parameters": config.parameters(),
        "context": config.context,
        "vocabulary": config.vocabulary,
        "specials": {
            "bos": tokenizer.specials.bos,
            "eos": tokenizer.specials.eos,
            "pad": tokenizer.specials.pad,
            "stops": list(tokenizer.specials.stops),
        },
        "template_sha256": bundles.template_digest(tokenizer.template),
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "precisions": bundles.described(figures),
        "parity": {"tolerance": golden.tolerance, "prompts": len(golden.prompts)},
        "meters": list(bundles.METERS),
        "writing": corpus.profile.get("writing", {}).get("jobs", []),
        "cost": cost,
        "trained_from": Path(pretrained).name if pretrained else None,
        "base": bundles.weight_digests(Path(pretrained)) if alone and pretrained else None,
    }

    # 4. The report and the transparency report; then all is signed.
    report = folder / "report"
    report.mkdir()
    for name in (JSON_FILE, PAGE_FILE):
        shutil.copyfile(evaluation.artifact.folder / name, report / name)
    write_paper(
        folder,
        paper(session, "language", manifest, dataset=corpus.artifact, run=run.artifact, report=evaluation.artifact),
    )
    seal(folder, manifest, pair)


def _precisions(
    session: Session, corpus: Corpus, run: LanguageRun, golden: LanguageGolden, folder: Path
) -> dict[str, PrecisionFigures]:
    """Builds and measures. fp32 is always built, since the others are held against it; it stays only where asked for."""
    wanted: list[Precision] = list(dict.fromkeys(session.product.release.precisions))
    built: list[Precision] = ["fp32", *[one for one in wanted if one != "fp32"]]
    genai = folder / bundles.GENAI
    session.voice.progress("building graphs", 0.0)
    build_genai(run.hf, genai, precisions=built)
    documents, size = held_out(corpus, context=int(run.summary["context"]))
    figures: dict[str, PrecisionFigures] = {}
    full = 0.0
    for done, precision in enumerate(built, 1):
        session.voice.progress(f"measuring {precision}", done / (len(built) + 1))
        bits = sum(_bits(losses, tokens) for losses, tokens in zip(
            token_losses(genai / precision, [tokens for tokens, _ in documents]), documents, strict=True))  # fmt: skip
        per_byte = bits / max(1, size)
        full = full or per_byte
        difference = _golden_difference(genai / precision, corpus.tokenizer, golden)
        if precision == "fp32" and not difference <= golden.tolerance:
            raise VerificationFailed(
                f"The fp32 graph is {difference:.2g} away from the trainer's logits; at most {golden.tolerance:.2g} is "
                "allowed.",
                code="golden",
                where=str(run.hf),
                hint="Report it with the model's config.json; hf/ can be served with vLLM.",
            )
        loss = per_byte / full - 1 if full else 0.0
        figures[precision] = PrecisionFigures(bundles.folder_bytes(genai / precision), per_byte, loss, difference)
        session.voice.say(
            f"{precision}: {figures[precision].bytes / 1e6:.1f} MB, {per_byte:.4f} bits per byte ({loss:+.2%}), "
            f"{difference:.2g} from the trainer's logits"
        )
    if "fp32" not in wanted:
        shutil.rmtree(genai / "fp32")
        del figures["fp32"]
    return figures


def _bits(losses: NDArray[np.float64], document: Scored) -> float:
    """Of the targets that count: all, or answers."""
    _, learnt = document
    return float((losses * learnt[1:]).sum() / math.log(2))


def held_out(corpus: Corpus, *, context: int) -> tuple[list[Scored], int]:
    """Validation documents with what of them counts, and the bytes of text that the counted targets cover."""
    documents, seen, size = [], 0, 0
    for tokens, learnt in _read(corpus.split("validation"), context):
        tokens, learnt = tokens[: _MEASURED_TOKENS - seen], learnt[: _MEASURED_TOKENS - seen]
        if len(tokens) < 2:
            break
        documents.append((tokens, learnt))
        size += len(corpus.tokenizer.decode(tokens[1:][learnt[1:]].tolist()).encode())
        seen += len(tokens)
    return documents, size


def _read(packed: Packed, context: int) -> Iterator[Scored]:
    """Texts from their beginning; conversations as training reads them, so that no answer is judged without its question."""
    if packed.mask is not None:
        for batch in Conversations(packed, length=context, size=1, shuffle=False).epoch(0):
            targets = batch.targets[0]  # the last one is learnt
            yield np.append(batch.tokens[0], targets[-1]), np.append(False, targets != NO_TARGET)
        return
    for begin, end in pairwise(packed.starts.tolist()):
        tokens = np.asarray(packed.tokens[begin : min(end, begin + _MEASURED_TOKENS)], dtype=np.int64)
        yield tokens, np.ones(len(tokens), dtype=np.bool_)


def _golden_difference(
    folder: Path, tokenizer: LanguageTokenizer, golden: LanguageGolden, adapter: Path | None = None
) -> float:
    engine = GenaiEngine(folder, tokenizer, slots=1, adapters={_ADAPTER: adapter} if adapter else None)
    try:
        found = engine.last_logits(golden.prompts, adapter=_ADAPTER if adapter else None)
    finally:
        engine.close()
    return float(np.abs(found - golden.logits).max())


def _adapter_alone(run: LanguageRun, golden: LanguageGolden, folder: Path) -> None:
    """The adapter, after it gave the trainer's logits on the base that it was trained on, by the graph that will serve it."""
    base = run.product.model.pretrained
    if run.adapter is None or base is None:
        raise ModelError(
            "There is no adapter to ship alone.",
            code="adapter_missing",
            where="release.adapter",
            hint="Train with model.pretrained and model.adapt: lora, or leave out release.adapter.",
        )
    shutil.copytree(run.adapter, folder / bundles.ADAPTER)
    with tempfile.TemporaryDirectory() as temporary:
        build_genai(Path(base), Path(temporary), precisions=["fp32"])
        tokenizer = LanguageTokenizer.open(run.hf)
        difference = _golden_difference(Path(temporary) / "fp32", tokenizer, golden, folder / bundles.ADAPTER)
    if not difference <= golden.tolerance:
        raise VerificationFailed(
            f"The adapter on its base is {difference:.2g} away from the trainer's logits; at most {golden.tolerance:.2g} is "
            "allowed.",
            code="golden",
            where=str(run.adapter),
            hint="Ship merged weights with release.adapter: merged.",
        )
