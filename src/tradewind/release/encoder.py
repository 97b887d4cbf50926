"""The release of a text encoder: texts in, vectors out. It is opened and verified like the other kinds (`bundle.py`).

manifest.json   what it is: product, task "embedding", width, context, vocabulary, parents
hf/             the weights and the tokeniser, as a text column's `pretrained:` takes them
encoder.onnx    tokens [B, T] and which are there, to vectors [B, D] of length 1
golden.json     texts as tokens and the trainer's vectors
report/         card.md and the rest of the transparency report
model.sig       signature over all of these

Legend: B texts, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.files import read_json, write_json
from tradewind.release.bundle import Bundle, open_signed

TASK = "embedding"
GRAPH, GOLDEN, HF = "encoder.onnx", "golden.json", "hf"


@dataclass(frozen=True)
class EncoderGolden:
    texts: tuple[tuple[int, ...], ...]
    vectors: NDArray[np.float32]
    tolerance: float


def write_encoder_golden(path: Path, golden: EncoderGolden) -> None:
    write_json(
        path,
        {
            "texts": [list(text) for text in golden.texts],
            "vectors": golden.vectors.astype(float).tolist(),
            "tolerance": golden.tolerance,
        },
    )


def read_encoder_golden(path: Path) -> EncoderGolden:
    """Raises ArtifactError when the file is missing or broken."""
    try:
        content = read_json(path)
        texts = tuple(tuple(int(one) for one in text) for text in content["texts"])
        return EncoderGolden(texts, np.array(content["vectors"], np.float32), float(content["tolerance"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"The golden texts cannot be read ({error}).", code="golden", where=str(path)) from error


def open_encoder_bundle(folder: Path, *, public_key: Path | None = None) -> Bundle:
    """Opens and verifies. Raises ArtifactError when a part is missing, VerificationFailed when bytes or signer differ."""
    bundle = open_signed(folder, required=("manifest.json", GRAPH, GOLDEN), public_key=public_key)
    if bundle.manifest.get("task") != TASK:
        raise ArtifactError(
            f"It is a release for {bundle.manifest.get('task')}, not for {TASK}.", code="wrong_task", where=str(folder)
        )
    return bundle
