"""The release of a language model: which files it holds, how it is opened, and what a smaller precision may lose.

manifest.json          what it is: product, task, context, vocabulary, template, precisions with their figures, parents
hf/                    the weights and the tokeniser, as `from_pretrained` opens them
genai/PRECISION/       a graph with weights, as ONNX Runtime GenAI opens it
adapter/               of LoRA: the adapter in PEFT's layout
golden.json            prompts and the logits that the trainer gave for their last tokens
report/                report.json, report.html; card.md and the rest of the transparency report
model.sig              signature over all of these

An adapter that ships alone has `tokenizer/` and `adapter/` in place of the first two; the manifest's `base` holds digests of
the weights that it belongs to. Not here: signing and digests (`bundle.py`), measuring (`cli/release_language.py`).

Legend: P prompts, V vocabulary.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError, GateFailed, VerificationFailed
from tradewind.files import digest_bytes, digest_file, read_json, write_json
from tradewind.release.bundle import Bundle, open_signed

TASK = "generation"
METERS = ("prompt_tokens", "completion_tokens")
# The fastest one that loses next to nothing comes first: every precision in a release has passed its gate.
PREFERRED = ("int8", "int4", "fp32")
HF, GENAI, ADAPTER, TOKENIZER, GOLDEN = "hf", "genai", "adapter", "tokenizer", "golden.json"
# In single precision sums in another order differ in the sixth digit; a wrong position or norm differs in the first.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class PrecisionFigures:
    """What was measured of one precision: bytes on disk, bits per byte on validation documents, the share of them that it
    loses against fp32, and its largest difference from the trainer's golden logits."""

    bytes: int
    bits_per_byte: float
    loss: float
    golden_difference: float


@dataclass(frozen=True)
class LanguageGolden:
    """`logits` [P, V] of the last token of each prompt, and how near is equal."""

    prompts: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float32]
    tolerance: float


def preferred(held: Collection[str]) -> str:
    """The precision that answers where nobody chose one."""
    return next((one for one in PREFERRED if one in held), PREFERRED[-1])


def read_trained_golden(path: Path) -> LanguageGolden:
    """From the trainer's golden.npz. The tolerance is a share of the largest logit."""
    with np.load(path, allow_pickle=False) as file:
        lengths = file["lengths"].tolist()
        prompts = tuple(
            tuple(int(one) for one in row[:length]) for row, length in zip(file["prompts"], lengths, strict=True)
        )
        logits = file["logits"].astype(np.float32)
    return LanguageGolden(prompts, logits, TOLERANCE * max(1.0, float(np.abs(logits).max())))


def write_language_golden(path: Path, golden: LanguageGolden) -> None:
    write_json(
        path,
        {
            "prompts": [list(prompt) for prompt in golden.prompts],
            "logits": {
                "shape": list(golden.logits.shape),
                "float32": base64.b64encode(golden.logits.astype("<f4").tobytes()).decode(),
            },
            "tolerance": golden.tolerance,
        },
    )


def read_language_golden(path: Path) -> LanguageGolden:
    """Raises ArtifactError when the file is missing or broken."""
    try:
        content = read_json(path)
        logits = np.frombuffer(base64.b64decode(content["logits"]["float32"]), "<f4")
        prompts = tuple(tuple(int(one) for one in prompt) for prompt in content["prompts"])
        shaped = logits.reshape(content["logits"]["shape"]).astype(np.float32)
        return LanguageGolden(prompts, shaped, float(content["tolerance"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"The golden prompts cannot be read ({error}).", code="golden", where=str(path)) from error


def refuse_lossy(figures: Mapping[str, PrecisionFigures], limits: Mapping[str, float]) -> None:
    """Raises GateFailed for a precision that loses more than it may."""
    for name, one in figures.items():
        if name in limits and not one.loss <= limits[name]:
            raise GateFailed(
                f"{name} loses {one.loss:.1%} of bits per byte on validation documents ({one.bits_per_byte:.4f}); at most "
                f"{limits[name]:.1%} is allowed.",
                code="quantization_loss",
                where="release.quantization_loss",
                hint=f"Leave {name} out of release.precisions, or allow more under release.quantization_loss.{name}.",
            )


def described(figures: Mapping[str, PrecisionFigures]) -> dict[str, dict[str, Any]]:
    """As the manifest holds them."""
    return {name: asdict(one) for name, one in figures.items()}


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def template_digest(template: str | None) -> str | None:
    return None if template is None else digest_bytes(template.encode())


def weight_digests(folder: Path) -> dict[str, str]:
    """Of a folder's configuration and weights: what an adapter is bound to."""
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix == ".safetensors" or path.name in ("config.json", "tokenizer.json")
    )
    return {path.name: digest_file(path) for path in files}


def open_language_bundle(folder: Path, *, public_key: Path | None = None) -> Bundle:
    """Opens and verifies. Raises ArtifactError when a part is missing, VerificationFailed when bytes or signer differ."""
    bundle = open_signed(folder, required=("manifest.json", GOLDEN), public_key=public_key)
    if bundle.manifest.get("task") != TASK:
        raise ArtifactError(
            f"It is a release for {bundle.manifest.get('task')}, not for {TASK}.", code="wrong_task", where=str(folder)
        )
    return bundle


def check_base(manifest: Mapping[str, Any], base: Path) -> None:
    """Raises VerificationFailed unless the weights in `base` are those that an adapter was trained on."""
    expected: Mapping[str, str] = manifest["base"]
    found = weight_digests(base)
    wrong: Sequence[str] = [name for name in expected if found.get(name) != expected[name]]
    if wrong:
        raise VerificationFailed(
            f"The adapter was trained on other weights: {', '.join(wrong)} differs.",
            code="base_differs",
            where=str(base),
            hint="Give the base model that the adapter's manifest names.",
        )
