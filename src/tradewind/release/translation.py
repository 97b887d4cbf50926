"""The release of a translator: which files it holds and how they are read. Torch-free.

manifest.json                what it is: product, task, languages, precisions with their figures, parents
translator/translator.json   what it is asked with: languages, lengths, beams, length penalty, the precision that answers
translator/PRECISION/        the network as CTranslate2 reads it
translator/tokenizer/        the joint tokeniser and what stands around a text
translator/glossary.json     terms and their translations
translator/golden.npz        pairs with the trainer's log-probabilities and greedy translations
report/                      report.json, report.html; card.md and the rest of the transparency report
model.sig                    signature over all of these

Not here: signing and digests (`bundle.py`), writing the networks (`translation_export.py`), answering (`engines/translation.py`).

Legend: P pairs.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.features.glossary import Glossary
from tradewind.files import read_json, write_bytes, write_json
from tradewind.release.bundle import Bundle, open_signed

TASK = "translation"
FOLDER = "translator"
FACTS, TOKENIZER, GLOSSARY, GOLDEN = "translator.json", "tokenizer", "glossary.json", "golden.npz"
PREFERRED = ("int8", "fp32")  # every precision in a release has passed its gate: the smaller one loses next to nothing
# In single precision sums in another order differ in the sixth digit; a wrong position or norm differs in the first.
TOLERANCE = 1e-3
GOLDEN_TOKENS = 64  # of one side of a golden pair, and where its greedy translation is broken off
# What a unit of a plan is, and the meters that it is written under.
METERS: Mapping[str, tuple[str, ...]] = {
    "text": ("rows",), "character": ("characters",), "token": ("prompt_tokens", "completion_tokens"),
}  # fmt: skip
_REQUIRED = ("manifest.json", *(f"{FOLDER}/{name}" for name in (FACTS, GLOSSARY, GOLDEN)))


@dataclass(frozen=True)
class TranslatorFacts:
    """`context` tokens have a position, `longest` were in a source that training saw, `growth` target tokens came of each source
    token there. `terms_taught` says whether it learnt terms as tokens. `beams` and `length_penalty` are used where a request does not say."""

    source: str
    target: str
    context: int
    longest: int
    growth: float
    terms_taught: bool
    beams: int
    length_penalty: float
    precision: str


@dataclass(frozen=True)
class TranslationGolden:
    """P pairs of tokens as `train/translation_golden.py` writes them: `targets` end with the end, `greedy` do not."""

    sources: tuple[NDArray[np.int64], ...]
    targets: tuple[NDArray[np.int64], ...]
    log_probs: tuple[NDArray[np.float32], ...]
    greedy: tuple[NDArray[np.int64], ...]

    def of(self, rows: Sequence[int]) -> TranslationGolden:
        """These pairs alone."""
        return TranslationGolden(*(tuple(getattr(self, one.name)[row] for row in rows) for one in fields(self)))


def write_facts(folder: Path, facts: TranslatorFacts, glossary: Glossary) -> None:
    write_json(folder / FACTS, asdict(facts))
    write_json(folder / GLOSSARY, dict(glossary.terms))


def read_facts(folder: Path) -> tuple[TranslatorFacts, Glossary]:
    """Of a `translator/` folder. Raises ArtifactError when a file is missing or broken."""
    try:
        content, terms = read_json(folder / FACTS), read_json(folder / GLOSSARY)
        facts = TranslatorFacts(**{one.name: content[one.name] for one in fields(TranslatorFacts)})
        return facts, Glossary({str(term): str(translation) for term, translation in terms.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"The translator cannot be read ({error}).", code="translator_broken", where=str(folder)
        ) from error


def read_translation_golden(path: Path) -> TranslationGolden:
    """Raises ArtifactError when the file is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return TranslationGolden(
                *(_cut(file[one.name], file[f"{one.name}_starts"]) for one in fields(TranslationGolden))
            )
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"The golden pairs cannot be read ({error}).", code="golden", where=str(path)) from error


def write_translation_golden(path: Path, golden: TranslationGolden) -> None:
    """As flat arrays with starts [P + 1], the same bytes for the same pairs. Raises EnvironmentFailure."""
    arrays: dict[str, NDArray[Any]] = {}
    for one in fields(golden):
        parts = getattr(golden, one.name)
        arrays[one.name] = np.concatenate(parts)
        arrays[f"{one.name}_starts"] = np.cumsum([0, *map(len, parts)])
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def _cut(flat: NDArray[Any], starts: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    return tuple(np.split(flat, starts[1:-1]))


def chosen_precision(wanted: str, held: Sequence[str]) -> str:
    """The one that answers: as wanted, or for `auto` the first of `PREFERRED` that is held. Raises ArtifactError."""
    if wanted == "auto":
        return next(one for one in PREFERRED if one in held)
    if wanted not in held:
        raise ArtifactError(
            f"{wanted} is to answer, but is not made: {', '.join(held)}.", code="precision_missing", where="serve.precision",
            hint="Add it to release.precisions, or leave serve.precision out; of a translator there are fp32 and int8.",
        )  # fmt: skip
    return wanted


def open_translation_bundle(folder: Path, *, public_key: Path | None = None) -> Bundle:
    """Opens and verifies. Raises ArtifactError when a part is missing, VerificationFailed when bytes or signer differ."""
    bundle = open_signed(folder, required=_REQUIRED, public_key=public_key)
    if bundle.manifest.get("task") != TASK:
        raise ArtifactError(
            f"It is a release for {bundle.manifest.get('task')}, not for {TASK}.", code="wrong_task", where=str(folder)
        )
    return bundle
