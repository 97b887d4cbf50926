"""The dataset artifact: `prepare` makes it from a product file, `load` opens it.

Not here: the steps themselves (`survey.py`, `clean.py`, `checks.py`, `splits.py`, `encode.py`), batches (`batches.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.artifacts import Artifact, Workspace, open_artifact
from tradewind.data.arrays import Ragged, open_array, tensor_file
from tradewind.data.named_files import digest_named
from tradewind.data.rows import SPLITS
from tradewind.data.steps import FORMAT, Progress, make, open_inputs
from tradewind.data.subjects import Subjects
from tradewind.errors import ArtifactError, DataError
from tradewind.features.column import Values
from tradewind.features.feature_set import FeatureSet
from tradewind.files import digest_file, digest_json, read_json
from tradewind.product import Product

SplitName = Literal["train", "validation", "test"]

__all__ = ["Dataset", "Ragged", "Split", "load", "prepare"]


@dataclass(frozen=True)
class Split:
    """The encoded rows of one split, memory-mapped.

    `arrays` are of fixed shape: numbers float32 [rows, N], categories int32 [rows, C], image:X uint8 [rows, C, H, W],
    audio:X uint8 [rows, T, M].
    `ragged` are tokens:X and ngrams:X (int32, 0 never occurs) and ngram_weights:X (float32). `target` is int64 [rows]
    classes or float32 [rows] normalised values, `weight` float32 [rows].
    """

    name: str
    rows: int
    arrays: Mapping[str, NDArray[Any]]
    ragged: Mapping[str, Ragged]
    target: NDArray[Any]
    weight: NDArray[np.float32] | None
    raw_paths: tuple[Path, ...]

    def raw_column(self, column: str) -> Values:
        """The raw values [rows] of one column, as `Dataset.raw` gives them."""
        parts = [pq.read_table(path, columns=[column], memory_map=True).column(0) for path in self.raw_paths]
        return np.concatenate([_values(part) for part in parts])

    def joined(self, other: Split) -> Split:
        """The rows of both, these first. The encoded rows are held in memory."""
        assert self.arrays.keys() == other.arrays.keys()
        weight = None
        if self.weight is not None and other.weight is not None:
            weight = np.concatenate([self.weight, other.weight])
        return Split(
            f"{self.name} and {other.name}", self.rows + other.rows,
            {name: np.concatenate([array, other.arrays[name]]) for name, array in self.arrays.items()},
            {name: ragged.joined(other.ragged[name]) for name, ragged in self.ragged.items()},
            np.concatenate([self.target, other.target]), weight, (*self.raw_paths, *other.raw_paths),
        )  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """A finished dataset: fitted columns, profile, and three splits."""

    artifact: Artifact

    @cached_property
    def features(self) -> FeatureSet:
        return FeatureSet.from_state(read_json(self.artifact.folder / "columns.json"))

    @cached_property
    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = read_json(self.artifact.folder / "profile.json")
        return profile

    def split(self, name: SplitName) -> Split:
        """Maps the arrays of a split; nothing is read until it is used."""
        place = self.artifact.folder / "splits" / _known(name)
        layout = self.features.layout
        arrays = {
            key: open_array(place / f"{key}.npy")
            for key in ("numbers", "categories")
            if (place / f"{key}.npy").exists()
        }
        ragged = {}
        for index, tensor in enumerate(layout.tensors):
            path = place / tensor_file(index, tensor)
            if None in tensor.shape:
                ragged[tensor.name] = Ragged(open_array(path), open_array(path.with_suffix(".offsets.npy")))
            else:
                arrays[tensor.name] = open_array(path)
        target = open_array(place / "target.npy")
        weight = open_array(place / "weight.npy") if (place / "weight.npy").exists() else None
        raw_path = self.artifact.folder / "raw" / f"{name}.parquet"
        return Split(name, len(target), arrays, ragged, target, weight, (raw_path,))

    def raw(self, name: SplitName) -> dict[str, Values]:
        """Raw values by column (inputs, sensitive, weight, target), shape [rows] each: what a predictor is fed.

        Numbers are float64 with NaN for missing; others are object with None: str, and bytes for images and audio.
        """
        table = pq.read_table(self.artifact.folder / "raw" / f"{_known(name)}.parquet")
        return {column: _values(table.column(column)) for column in table.column_names}


def _known(name: str) -> str:
    assert name in SPLITS, name
    return name


def _values(column: pa.ChunkedArray) -> Values:
    if pa.types.is_floating(column.type):
        return np.ascontiguousarray(column.to_numpy())
    if pa.types.is_dictionary(column.type):
        parts = [_words(chunk) for chunk in column.chunks]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.object_)
    values = np.empty(len(column), dtype=np.object_)
    values[:] = column.to_pylist()
    return values


def _words(chunk: pa.DictionaryArray) -> Values:
    words = np.empty(len(chunk.dictionary) + 1, dtype=np.object_)
    words[0] = None
    words[1:] = chunk.dictionary.to_pylist()
    values: Values = words[chunk.indices.fill_null(-1).to_numpy() + 1]
    return values


def prepare(product: Product, *, base: Path, workspace: Workspace, progress: Progress | None = None) -> Dataset:
    """Makes the dataset of a product, or returns the finished one at once when its inputs are unchanged.

    `base` is the folder that paths in the product file are relative to. `progress` is told a stage (read, fit, encode)
    and the share of it that is done, 0 … 1. Raises DataError for what is wrong with the data, EnvironmentFailure for
    the disk.
    """
    if product.task not in ("classification", "regression"):
        raise DataError(
            f"prepare makes datasets for classification and regression, not for {product.task}.", code="task",
            where="task", hint="Set task: classification or regression.",
        )  # fmt: skip
    tell = progress or (lambda stage, share: None)
    inputs = open_inputs(product, base=base)
    made_of: dict[str, Any] = {
        "format": FORMAT,
        "task": product.task,
        "data": product.data.model_dump(mode="json"),
        "sources": [item.source.fingerprint() for item in inputs],
    }
    subjects = Subjects.open(product.data, workspace.home)
    if subjects is not None:
        made_of["subjects"] = subjects.state()
    named = digest_named(product.data, inputs)
    if named is not None:
        made_of["pictures"] = named  # and recordings; its name is older than they are
    if product.model.pretrained is not None:
        made_of["tokeniser"] = _tokeniser_digest(Path(product.model.pretrained))
    found = workspace.find("dataset", digest_json(made_of))
    if found is None:
        with workspace.making("dataset", made_of) as folder:
            make(product, inputs, folder, progress=tell, subjects=subjects)
        found = workspace.find("dataset", digest_json(made_of))
        assert found is not None
    return Dataset(found)


def _tokeniser_digest(folder: Path) -> str:
    """Of the tokeniser that texts are encoded by. Raises DataError when the folder has none."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise DataError(
            "There is no tokenizer.json, so this is no folder of a pretrained text encoder.", code="tokeniser_missing",
            where=str(folder), hint="Name the folder that save_pretrained wrote under model.pretrained.",
        )  # fmt: skip
    return digest_file(file)


def load(folder: Path) -> Dataset:
    """Opens a finished dataset. Raises ArtifactError when the folder is none."""
    artifact = open_artifact(folder, kind="dataset")
    if artifact.made_of.get("format") != FORMAT:
        raise ArtifactError(
            f"The dataset is in format {artifact.made_of.get('format')}, but this version reads format {FORMAT}.",
            code="dataset_format", where=str(folder), hint="Prepare it again.",
        )  # fmt: skip
    return Dataset(artifact)
