"""Golden examples: raw rows with the outputs the trainer gave, so that a release can be checked wherever it runs.

Not here: making rows that are nobody's (`features/examples.py`, `train/examples.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.features.column import Values
from tradewind.files import read_json, write_json

_BYTES = "$bytes"


@dataclass(frozen=True)
class Golden:
    """Raw columns, each [M], the outputs expected for them ([M, K] probabilities or [M] values) and how near is equal."""

    columns: Mapping[str, Values]
    outputs: NDArray[np.float64]
    tolerance: float


def write_golden(path: Path, golden: Golden) -> None:
    """As JSON; bytes (images) as base 64."""
    write_json(
        path,
        {
            "columns": {name: [_dump(value) for value in column] for name, column in golden.columns.items()},
            "outputs": golden.outputs.tolist(),
            "tolerance": golden.tolerance,
        },
    )


def read_golden(path: Path) -> Golden:
    """Raises ArtifactError when the file is missing or broken."""
    try:
        content = read_json(path)
        columns = {
            name: object_array([_load(value) for value in column]) for name, column in content["columns"].items()
        }
        return Golden(columns, np.asarray(content["outputs"], dtype=np.float64), float(content["tolerance"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"The golden examples cannot be read ({error}).", code="golden", where=str(path)) from error


def object_array(values: list[Any]) -> Values:
    """A one-dimensional object array, also when the values are sequences of equal length."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def recombined(texts: Sequence[Sequence[int]]) -> list[list[int]]:
    """As many token sequences of the same lengths, no two neighbouring tokens of which stood side by side: each place takes
    its token from another text, and of a single text the tokens go backwards. What somebody wrote is in none."""
    if len(texts) == 1:
        return [list(reversed(texts[0]))]
    whole = [text for text in texts if text]
    return [
        [(other := whole[(row + place) % len(whole)])[place % len(other)] for place in range(len(text))]
        for row, text in enumerate(texts)
    ]


def calibrated(probabilities_MK: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """softmax(log p / temperature): what the graph gives once its temperature is set (Guo et al., 2017)."""
    logits = np.log(np.maximum(probabilities_MK, np.finfo(np.float32).tiny)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def magnified(temperature: float) -> float:
    """By how much a temperature below 1 enlarges differences of rounding: they are divided by it, as the logits are."""
    return max(1.0, 1 / temperature)


def _dump(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _load(value: Any) -> Any:
    return base64.b64decode(value[_BYTES]) if isinstance(value, dict) and _BYTES in value else value
