"""Categories: one integer per value, from a vocabulary by frequency.

Not here: the classes of a target (`target.py`), columns of numbers (`number.py`), embeddings (`model/`).

Legend: B rows, C one category.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.features.column import Block, CategoryFeature, ColumnSpec, Layout, Values

_MOST = 100_000
_NO_TENSORS: Mapping[str, NDArray[Any]] = {}
# A CSV writes what JSON sends as 2 or 2.0 or true in several ways; all of them are one category.
_WHOLE = re.compile(r"([+-]?\d+)\.0*")
_BOOLEANS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "-0": "0"}


@dataclass(frozen=True)
class CategoryColumn:
    """A fitted column of categories: C is 1. Code 0 is missing, rare or never seen; the others follow `vocabulary`."""

    kind: ClassVar[str] = "category"

    name: str
    vocabulary: tuple[str, ...]
    codes: Mapping[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", {key: code for code, key in enumerate(self.vocabulary, start=1)})

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training values, shape [B]; their order does not matter. `seed` is not needed.

        Options: `minimum_count` (rarer values get code 0; 1 by default) and `most` (size of the vocabulary).
        """
        counts = count_keys(values)
        least, most = int(spec.options.get("minimum_count") or 1), int(spec.options.get("most") or _MOST)
        ranked = sorted(counts, key=lambda key: (-counts[key], key))
        return cls(name=spec.name, vocabulary=tuple(key for key in ranked[:most] if counts[key] >= least))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(name=state["name"], vocabulary=tuple(state["vocabulary"]))

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "vocabulary": list(self.vocabulary)}

    @property
    def layout(self) -> Layout:
        return Layout(categories=(CategoryFeature(self.name, self.name, len(self.vocabulary) + 1),))

    def apply(self, values: Values) -> Block:
        """categories_BC int64 [B, 1]."""
        codes = self.codes
        found = [codes.get(key, 0) for key in keys_of(values)]
        return Block(categories_BC=np.array(found, dtype=np.int64).reshape(-1, 1))

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        # A string that is in the vocabulary is its own key; only the others need normalising.
        code = self.codes.get(value) if type(value) is str else None
        categories.append(self.codes.get(category_key(value), 0) if code is None else code)
        return _NO_TENSORS


def category_key(value: object) -> str | None:
    """The word under which a raw value is counted, None for a missing one.

    Surrounding spaces do not count; whole numbers are written without a fraction ("2.0", 2.0 and 2 are "2"), booleans as
    "true" and "false". Two keys are equal only if a reader would call the values the same.
    """
    if isinstance(value, str):
        key = value.strip()
        match = _WHOLE.fullmatch(key)
        key = match[1] if match else key
        return _BOOLEANS.get(key, key) or None
    if value is None:
        return None
    if isinstance(value, float | np.floating):
        if value != value:
            return None
        # int() writes 1e16 out; str() of a float32 is as short as its author meant it.
        return str(int(value)) if float(value).is_integer() else str(value)
    return category_key(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def keys_of(values: Values) -> list[str | None]:
    """The key of each value, shape [B]."""
    if values.dtype.kind in "fiub":
        # Few distinct numbers, many rows: each distinct one is written out once. Equal floats have equal keys.
        distinct, inverse = np.unique(values, return_inverse=True)
        keys = np.array([category_key(value) for value in distinct], dtype=object)
        return list(keys[inverse])
    given = values.tolist()
    known = {text: category_key(text) for text in {one for one in given if type(one) is str}}
    return [known[one] if type(one) is str else category_key(one) for one in given]


def count_keys(values: Values) -> dict[str, int]:
    """How often each key occurs; missing values are left out."""
    counts = Counter(keys_of(values))
    return {key: count for key, count in counts.items() if key is not None}
