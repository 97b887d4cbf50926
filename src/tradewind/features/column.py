"""The contract of a column: spec, fit, state, apply. Not any one kind of column (`number.py`, `category.py` …).

Legend: B rows, N numbers of all columns together, C categories of all columns together, T tokens, G n-grams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# Raw values of one column, shape [B]: float64 with NaN for missing, or object (str, bytes, int, None for missing).
Values = NDArray[Any]


@dataclass(frozen=True)
class ColumnSpec:
    """What the product file and inference say about a column before it is fitted."""

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NumberFeature:
    """One of the N floats. `bins` are increasing edges in normalised units, for piecewise-linear embeddings."""

    name: str
    column: str
    bins: tuple[float, ...] = ()


@dataclass(frozen=True)
class CategoryFeature:
    """One of the C integers, in 0 … cardinality - 1; 0 is missing or never seen."""

    name: str
    column: str
    cardinality: int


@dataclass(frozen=True)
class TensorFeature:
    """A tensor of its own. `role` is tokens, ngrams, ngram_weights or image; `shape` leaves out B, None may vary.

    `meta` is what the encoder needs: vocabulary size, channel means, inverse document frequencies and so on.
    """

    name: str
    column: str
    role: str
    dtype: str
    shape: tuple[int | None, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """What a fitted column, or a whole feature set, gives to a model."""

    numbers: tuple[NumberFeature, ...] = ()
    categories: tuple[CategoryFeature, ...] = ()
    tensors: tuple[TensorFeature, ...] = ()


@dataclass(frozen=True)
class Block:
    """Encoded values of one column: numbers_BN float32, categories_BC int64, tensors by feature name."""

    numbers_BN: NDArray[np.float32] | None = None
    categories_BC: NDArray[np.int64] | None = None
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@runtime_checkable
class Column(Protocol):
    """A fitted column. Its class also has `fit(spec, values, *, seed)` and `from_state(state)`."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def layout(self) -> Layout: ...

    def state(self) -> dict[str, Any]:
        """JSON from which `from_state` makes an equal column; numbers survive exactly."""
        ...

    def apply(self, values: Values) -> Block:
        """Encodes raw values, shape [B]. A missing value is None or NaN. Never raises for a value: unknown is encoded."""
        ...

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        """Encodes one raw value quickly: appends its numbers and categories, returns tensors of shape [1, …].

        Gives exactly what `apply` gives for an array of that one value.
        """
        ...


@runtime_checkable
class FileColumn(Column, Protocol):
    """A column whose values are files: pictures, recordings."""

    def received(self, value: object) -> bytes:
        """The bytes of a value as a request brings it. Raises DataError for what is no such file."""
        ...


def stack(blocks: Sequence[Block], rows: int) -> dict[str, NDArray[Any]]:
    """Joins the blocks of all columns in order: `numbers` [B, N], `categories` [B, C] and each tensor by name."""
    arrays: dict[str, NDArray[Any]] = {}
    numbers = [block.numbers_BN for block in blocks if block.numbers_BN is not None]
    categories = [block.categories_BC for block in blocks if block.categories_BC is not None]
    if numbers:
        arrays["numbers"] = np.concatenate(numbers, axis=1)
    if categories:
        arrays["categories"] = np.concatenate(categories, axis=1)
    for block in blocks:
        arrays.update(block.tensors)
    assert all(len(array) == rows for array in arrays.values())
    return arrays
