"""Is this row of the kind that the model was made for? The domain of a release, asked with rows as they were sent.

Not here: what a domain is and how it is fitted (`features/domain.py`), the figures of how well it tells (`evaluate/`).

Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.features import domain

STATE = "robustness"  # the room of trust.json that holds it
_FOREIGN = 0.01


class Domain:
    """The domain of one release."""

    def __init__(self, fitted: domain.Domain) -> None:
        self._fitted = fitted

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """From what the release holds under `robustness`. Raises ArtifactError for a state that cannot be read."""
        return cls(domain.Domain.from_state(state["domain"]))

    @classmethod
    def of_release(cls, trust: Mapping[str, Any]) -> Self | None:
        """From `LoadedRelease.trust`; None where the release was not examined for it."""
        state = trust.get(STATE)
        return None if not state or "domain" not in state else cls.from_state(state)

    def score(self, rows: Sequence[Mapping[str, object]]) -> NDArray[np.float64]:
        """0 … 1 [B], 1 is at home: the share of rows of the domain that are at least as surprising as this one. A column
        that a row lacks counts as missing."""
        return self._fitted.score(self._columns(rows))

    def foreign(self, rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
        """For each row that fewer than 1 in 100 of the domain surprise as much: its columns that surprise most, at most
        three; nothing for a row that is at home."""
        values = self._columns(rows)
        parts_BC, score_B = self._fitted.parts(values), self._fitted.score(values)
        names = self._fitted.columns
        return [
            [names[at] for at in np.argsort(-parts)[:3] if parts[at] > -np.log(_FOREIGN)] if score < _FOREIGN else []
            for parts, score in zip(parts_BC, score_B, strict=True)
        ]

    def _columns(self, rows: Sequence[Mapping[str, object]]) -> dict[str, NDArray[Any]]:
        values = {}
        for name in self._fitted.columns:
            column = np.empty(len(rows), dtype=object)
            column[:] = [row.get(name) for row in rows]
            values[name] = column
        return values
