"""What a domain looks at in a picture: light, contrast, sharpness, colour, and how well pictures of training explain it.

Not here: other columns (`domain_views.py`), reading a picture (`image.py`).

Legend: B rows, L looks, C channels, S side, P pixels of the small grey picture, E directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.features.attachments import each
from tradewind.features.column import Values
from tradewind.features.domain_views import Codes, Scale, scaled
from tradewind.features.image import ImageColumn

_SIDE, _SMALL = 64, 16
_DIRECTIONS = 8
_PLAIN = ("light", "contrast", "sharpness", "colour", "residual")
_DIGITS = 5


@dataclass(frozen=True)
class ImageView:
    """Pictures of 64 by 64. `mean` [P] and `directions` [E, P] span the small grey pictures of training (their principal
    components); what they leave over is the residual."""

    kind: ClassVar[str] = "image"

    column: str
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    scales: tuple[Scale, ...]

    @classmethod
    def fit(cls, column: str, values: Values) -> Self:
        """Directions are found in every second picture and the scales fitted on the others, which they have not seen."""
        seen = [found for found in each(list(values[::2]), _pixels) if found is not None]
        small = np.stack([_small(pixels) for pixels in seen]) if seen else np.zeros((1, _SMALL * _SMALL))
        mean = small.mean(axis=0)
        _, _, directions = np.linalg.svd(small - mean, full_matrices=False)
        kept = np.round(directions[: min(_DIRECTIONS, len(seen) // 4)], _DIGITS)
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
        measures = each(list(values), self._of_picture)
        return np.array(measures).reshape(len(measures), len(_PLAIN) + len(self.directions))

    def _of_picture(self, value: object) -> NDArray[np.float64]:
        pixels_CSS = _pixels(value)
        if pixels_CSS is None:
            return np.full(len(_PLAIN) + len(self.directions), np.nan)
        grey = pixels_CSS.mean(axis=0)
        contrast = float(grey.std())
        # Second differences: noise raises them, blur lowers them, whatever the contrast is.
        curved = np.abs(grey[1:-1, 1:-1] * 4 - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:])
        small = _small(pixels_CSS) - self.mean
        along = self.directions @ small
        left = float(np.linalg.norm(small - along @ self.directions))
        colour = float(np.ptp(pixels_CSS, axis=0).mean())
        plain = [grey.mean(), contrast, np.log((curved.mean() + 1e-3) / (contrast + 1e-3)), colour, np.log(left + 1e-3)]
        return np.array([*plain, *along])

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
        directions = np.array(state["directions"], np.float64).reshape(-1, _SMALL * _SMALL)
        scales = tuple(Scale.from_state(scale) for scale in state["scales"])
        return cls(state["column"], np.array(state["mean"]), directions, scales)


_READER = ImageColumn("", _SIDE, 3, "stretch", (0.0,) * 3, (1.0,) * 3)


def _pixels(value: object) -> NDArray[np.float64] | None:
    """[C, S, S] in 0 … 1; None where it cannot be read."""
    found = _READER.pixels(value)
    return None if found is None else found / 255.0


def _small(pixels_CSS: NDArray[np.float64]) -> NDArray[np.float64]:
    step = _SIDE // _SMALL
    grey = pixels_CSS.mean(axis=0).reshape(_SMALL, step, _SMALL, step)
    small: NDArray[np.float64] = grey.mean(axis=(1, 3)).reshape(-1)
    return small
