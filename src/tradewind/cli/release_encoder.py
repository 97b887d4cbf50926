"""`tradewind release` for a text encoder (`train.objective: mlm`): a run becomes a signed bundle that gives vectors.

Not here: the graph (`model/text_encoder.py`), what the bundle holds (`release/encoder.py`), serving (`engines/embeddings.py`).
"""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import Any

from tradewind import __version__
from tradewind.artifacts import Artifact, open_artifact
from tradewind.cli.paper import paper, stated
from tradewind.cli.session import Session
from tradewind.data.corpus import Corpus
from tradewind.engines.loading import verify_release
from tradewind.files import digest_json, read_json
from tradewind.model.text_encoder import TOLERANCE, export_encoder
from tradewind.privacy.retraining import fulfil
from tradewind.release import encoder as encoders
from tradewind.release.bundle import FORMAT, seal, write_paper
from tradewind.release.encoder import EncoderGolden
from tradewind.release.golden import recombined
from tradewind.release.registry import register
from tradewind.release.signing import key_pair, make_key_pair
from tradewind.train.language import LanguageRun

_GOLDEN_TEXTS, _GOLDEN_TOKENS = 8, 64


def release_encoder(session: Session, corpus: Corpus, run: LanguageRun) -> Artifact:
    """The signed release of an encoder; the finished one at once when nothing it is made from has changed.

    Raises ModelError when the graph does not give the encoder's vectors.
    """
    with session.timed("release", "Release"):
        workspace = session.workspace
        pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
        parents = {"dataset": corpus.artifact.digest, "run": run.artifact.digest}
        plans = {name: plan.model_dump(mode="json") for name, plan in session.product.serve.plans.items()}
        about = session.product.release.model_dump(mode="json")
        made_of = {"format": FORMAT, "made_with": __version__, "parents": parents, "release": about, "plans": plans,
                   "stated": stated(session)}  # fmt: skip
        artifact = workspace.find("release", digest_json(made_of))
        if artifact is None:
            with workspace.making("release", made_of, parents=parents) as folder:
                manifest = {"made_with": __version__, "parents": parents, "plans": plans}
                manifest |= _fill(session, corpus, run, folder)
                write_paper(
                    folder, paper(session, "encoder", manifest, dataset=corpus.artifact, run=run.artifact, report=None)
                )
                seal(folder, manifest, pair)
            artifact = open_artifact(workspace.folder("release", digest_json(made_of)), kind="release")
        verify_release(artifact.folder, public_key=pair.public)
        version = register(workspace, artifact.digest, artifact.folder)
        fulfil(workspace.home, artifact.digest, at=version.created)
    session.outcome.artifacts["release"] = str(artifact.folder)
    session.voice.say(f"v{version.version} is signed and is the candidate")
    return artifact


def _fill(session: Session, corpus: Corpus, run: LanguageRun, folder: Path) -> dict[str, Any]:
    """The parts of the bundle; gives the rest of the manifest."""
    shutil.copytree(run.hf, folder / encoders.HF)
    config = read_json(run.hf / "config.json")
    pad = corpus.tokenizer.specials.pad
    engine_facts = {
        "context": int(config["max_position_embeddings"]),
        "vocabulary": corpus.tokenizer.vocabulary,
        "width": int(config["hidden_size"]),
        "pad": pad,
    }
    documents = islice(corpus.documents("validation"), _GOLDEN_TEXTS)
    texts = [corpus.tokenizer.encode(_text(one))[: min(_GOLDEN_TOKENS, engine_facts["context"])] for one in documents]
    texts = recombined([text for text in texts if text] or [[corpus.tokenizer.specials.eos]])
    vectors, difference = export_encoder(run.hf, folder / encoders.GRAPH, texts=texts, pad=pad)
    golden = EncoderGolden(tuple(map(tuple, texts)), vectors, TOLERANCE)
    encoders.write_encoder_golden(folder / encoders.GOLDEN, golden)
    session.voice.say(f"vectors of {engine_facts['width']} numbers, {difference:.1g} from the encoder's")
    return {
        "product": session.product.product,
        "task": encoders.TASK,
        **engine_facts,
        "parity": {"largest_difference": difference, "tolerance": TOLERANCE},
        "tokenizer_fingerprint": corpus.tokenizer.fingerprint,
        "meters": ["prompt_tokens"],
    }


def _text(document: dict[str, Any]) -> str:
    return str(document["text"]) if "text" in document else str(document["messages"][-1].get("content") or "")
