"""What every figure of a translator is computed from, as it lies beside report.json: the witness.

    translations.parquet   for each pair of the test split that was translated: its number in the split, source, reference, what the
                           model and each baseline said, whether the model was cut off, its score (log-probability, by length),
                           source and target tokens, and the terms of the glossary that its translation must hold

Not here: any figure (`translation_scores.py`). Legend: N pairs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.errors import ArtifactError, writing

FILE = "translations.parquet"
MODEL = "model"
_SAID = "said:"


@dataclass(frozen=True)
class TranslationWitness:
    """`said` are the translations of the model and of each baseline by name; `terms` what must stand in each."""

    row_N: NDArray[np.int64]
    sources: tuple[str, ...]
    references: tuple[str, ...]
    said: Mapping[str, tuple[str, ...]]
    cut_N: NDArray[np.bool_]
    score_N: NDArray[np.float64]
    source_tokens_N: NDArray[np.int64]
    target_tokens_N: NDArray[np.int64]
    terms: tuple[tuple[str, ...], ...]

    def digest(self) -> str:
        """Of the content itself, whatever the version of the file format."""
        sha = hashlib.sha256()
        for array in (self.row_N, self.source_tokens_N, self.target_tokens_N):
            sha.update(np.ascontiguousarray(array, "<i8").tobytes())
        sha.update(np.ascontiguousarray(self.cut_N, np.uint8).tobytes())
        sha.update(np.ascontiguousarray(self.score_N, "<f8").tobytes())
        texts = {"source": self.sources, "reference": self.references, "terms": self.terms, "said": dict(self.said)}
        sha.update(json.dumps(texts, ensure_ascii=True, sort_keys=True).encode())
        return "sha256:" + sha.hexdigest()


def write_translations(witness: TranslationWitness, folder: Path) -> None:
    """Raises EnvironmentFailure when the disk refuses."""
    columns = {
        "row": pa.array(witness.row_N), "source": pa.array(witness.sources, pa.string()),
        "reference": pa.array(witness.references, pa.string()), "cut": pa.array(witness.cut_N),
        "score": pa.array(witness.score_N), "source_tokens": pa.array(witness.source_tokens_N),
        "target_tokens": pa.array(witness.target_tokens_N),
        "terms": pa.array([list(one) for one in witness.terms], pa.list_(pa.string())),
        **{f"{_SAID}{name}": pa.array(texts, pa.string()) for name, texts in witness.said.items()},
    }  # fmt: skip
    with writing(str(folder)):
        pq.write_table(pa.table(columns), folder / FILE, compression="zstd")


def read_translations(folder: Path) -> TranslationWitness:
    """Raises ArtifactError when the file is missing or broken."""
    try:
        table = pq.read_table(folder / FILE)
        numbers = {name: table[name].to_numpy() for name in ("row", "cut", "score", "source_tokens", "target_tokens")}
        texts = {
            name: tuple(table[name].to_pylist())
            for name in table.column_names
            if name in ("source", "reference") or name.startswith(_SAID)
        }
        said = {name.removeprefix(_SAID): found for name, found in texts.items() if name.startswith(_SAID)}
        return TranslationWitness(
            numbers["row"], texts["source"], texts["reference"], said, numbers["cut"], numbers["score"],
            numbers["source_tokens"], numbers["target_tokens"], tuple(tuple(one) for one in table["terms"].to_pylist()),
        )  # fmt: skip
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise ArtifactError(
            f"The translations cannot be read ({error!r}).", code="witness_broken", where=str(folder / FILE),
            hint="Run `tradewind evaluate` again.",
        ) from error  # fmt: skip
