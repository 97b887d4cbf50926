"""Which encoder makes a knowledge base's vectors, and its files for the release: a graph and a tokeniser, without torch from then on.
Not here: the vectors of the passages (`knowledge.py`), the space of the passages' own words (`data/knowledge_index.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tradewind.cli.session import Session
from tradewind.errors import DataError
from tradewind.features.knowledge_files import ENCODER
from tradewind.files import digest_file, digest_json, read_json
from tradewind.model.text_encoder import export_encoder
from tradewind.product import KnowledgeBase
from tradewind.release import encoder as encoders

LSA, NONE = "lsa", "none"
_GOLDEN = ("How do I return an item?", "怎么退货？", "Opening hours")
_MOST_CONTEXT = 512
_BEYOND = 2  # places of positions that some encoders keep for padding


def encoder_of(session: Session, settings: KnowledgeBase) -> Path | str:
    """A folder, `lsa` or `none`. Raises DataError where the folder is none of an encoder."""
    if settings.encoder in (LSA, NONE):
        return settings.encoder
    if settings.encoder == "auto":
        model = session.product.model
        if model.pretrained is None or session.product.task == "generation":
            return LSA
        return Path(model.pretrained)
    folder = session.folder / Path(settings.encoder).expanduser()
    whole = all((folder / name).is_file() for name in ("config.json", "tokenizer.json"))
    if not (folder / "manifest.json").is_file() and not whole:
        raise DataError(
            "It is no text encoder: neither a Hugging Face folder nor the release of one.", code="encoder_unknown",
            where=session.place(["knowledge", "encoder"]),
            hint="Name a folder with config.json, model.safetensors and tokenizer.json, or write lsa or none.",
        )  # fmt: skip
    return folder


def digest_of(encoder: Path | str) -> str:
    """Of the files that its vectors depend on."""
    if isinstance(encoder, str):
        return encoder
    names = ["config.json", "tokenizer.json", "1_Pooling/config.json", encoders.GRAPH, *_weights(encoder)]
    return digest_json({name: digest_file(encoder / name) for name in names if (encoder / name).is_file()})


def bring(encoder: Path, folder: Path, *, digest: str) -> dict[str, Any]:
    """Writes the encoder's graph and tokeniser into `folder`; gives its facts for the manifest.

    Raises ModelError, ArtifactError.
    """
    inner = folder / ENCODER
    inner.mkdir()
    facts: Mapping[str, Any]
    if (encoder / encoders.GRAPH).is_file():
        manifest = read_json(encoder / "manifest.json")
        shutil.copyfile(encoder / encoders.GRAPH, inner / "encoder.onnx")
        shutil.copyfile(encoder / encoders.HF / "tokenizer.json", inner / "tokenizer.json")
        facts = {name: manifest[name] for name in ("context", "vocabulary", "width", "pad")}
    else:
        config = read_json(encoder / "config.json")
        pad = int(config.get("pad_token_id") or 0)
        shutil.copyfile(encoder / "tokenizer.json", inner / "tokenizer.json")
        tokenizer = Tokenizer.from_file(str(inner / "tokenizer.json"))
        tokenizer.no_padding()
        texts = [list(tokenizer.encode(text).ids) for text in _GOLDEN]
        vectors, _ = export_encoder(encoder, inner / "encoder.onnx", texts=texts, pad=pad)
        facts = {
            "context": min(_MOST_CONTEXT, int(config.get("max_position_embeddings", _MOST_CONTEXT + _BEYOND)) - _BEYOND),
            "vocabulary": int(config["vocab_size"]), "width": int(vectors.shape[1]), "pad": pad,
        }  # fmt: skip
    return {"kind": "encoder", "name": f"{encoder.name}:{digest.removeprefix('sha256:')[:16]}", **facts}


def _weights(encoder: Path) -> list[str]:
    return sorted(path.name for path in encoder.glob("*.safetensors"))
