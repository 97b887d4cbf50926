"""What a domain hears in a recording: length, level, how far it stands out of its background, pitch of its spectrum, and
how well recordings of training explain it.

Not here: other columns (`domain_views.py`), reading a recording (`recording.py`).

Legend: B rows, L looks, T frames, M mel bands, P 2 M values of a summary, E directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.features.column import Values
from tradewind.features.domain_views import Codes, Scale, scaled
from tradewind.features.logmel import LogMel
from tradewind.features.recording import Recording, decode

_RATE, _MELS = 8_000, 24
_SPECTRUM = LogMel(_RATE, _MELS, window=200, hop=160)
_LONGEST_S = 30.0  # of which a longer recording is looked at
_DIRECTIONS = 8
_PLAIN = 6
_DIGITS = 5


@dataclass(frozen=True)
class AudioView:
    """`mean` [P] and `directions` [E, P] span the summaries of training (principal components of the mean and deviation of
    each band); what they leave over is the residual."""

    kind: ClassVar[str] = "audio"

    column: str
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    scales: tuple[Scale, ...]

    @classmethod
    def fit(cls, column: str, values: Values) -> Self:
        """Directions are found in every second recording and the scales fitted on the others, which they have not heard."""
        heard = [found[1] for value in values[::2] if (found := _heard(value)) is not None]
        summaries = np.stack(heard) if heard else np.zeros((1, 2 * _MELS))
        mean = summaries.mean(axis=0)
        _, _, directions = np.linalg.svd(summaries - mean, full_matrices=False)
        kept = np.round(directions[: min(_DIRECTIONS, len(heard) // 4)], _DIGITS)
        bare = cls(column, np.round(mean, _DIGITS), kept, ())
        measures = bare._measures(values[1::2] if len(values) > 1 else values)
        return cls(column, bare.mean, kept, tuple(Scale.fit(x) for x in measures.T))

    @property
    def priors(self) -> tuple[NDArray[np.float64], ...]:
        return tuple(scale.prior for scale in self.scales)

    def codes(self, values: Values) -> Codes:
        return scaled(self.scales, self._measures(values))

    def _measures(self, values: Values) -> NDArray[np.float64]:
        """[B, L]; NaN for what cannot be read."""
        measures = np.full((len(values), _PLAIN + len(self.directions)), np.nan)
        for row, value in enumerate(values):
            found = _heard(value)
            if found is not None:
                plain, summary = found
                along = self.directions @ (summary - self.mean)
                left = float(np.linalg.norm(summary - self.mean - along @ self.directions))
                measures[row] = [*plain, np.log(left + 1e-3), *along]
        return measures

    def state(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "kind": self.kind,
            "mean": self.mean.tolist(),
            "directions": self.directions.tolist(),
            "scales": [scale.state() for scale in self.scales],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        directions = np.array(state["directions"], np.float64).reshape(-1, 2 * _MELS)
        scales = tuple(Scale.from_state(scale) for scale in state["scales"])
        return cls(state["column"], np.array(state["mean"]), directions, scales)


def _heard(value: object) -> tuple[list[float], NDArray[np.float64]] | None:
    """The plain measures and the summary [P]; None for what cannot be read or is silent."""
    try:
        recording = decode(value)
    except DataError:
        return None
    levels_TM = _levels(recording)
    by_frame_T = levels_TM.mean(axis=1)
    loud, quiet = np.quantile(by_frame_T, (0.9, 0.1))
    # How a spectrum rises and falls within a frame: noise is even, a voice is not.
    uneven = float(levels_TM[by_frame_T >= loud].std(axis=1).mean())
    # How levels change from frame to frame: a hum stands still.
    restless = float(np.abs(np.diff(levels_TM, axis=0)).mean()) if len(levels_TM) > 1 else 0.0
    level = float(10 * np.log10(np.mean(recording.samples**2) + 1e-12))
    summary = np.r_[levels_TM.mean(axis=0), levels_TM.std(axis=0)] - np.r_[[levels_TM.max()] * _MELS, [0.0] * _MELS]
    return [np.log(recording.seconds), level, float(loud - quiet), uneven, restless], summary


def _levels(recording: Recording) -> NDArray[np.float64]:
    """Decibels [T, M] of its first half minute, at least one frame, at most 80 below the loudest."""
    most = round(_LONGEST_S * recording.rate)
    samples = Recording(recording.samples[:most], recording.rate).at(_RATE).samples
    short = _SPECTRUM.window - len(samples)
    levels_TM = _SPECTRUM.decibels(np.pad(samples, (0, short)) if short > 0 else samples)
    floored: NDArray[np.float64] = np.maximum(levels_TM, levels_TM.max() - 80.0)
    return floored
