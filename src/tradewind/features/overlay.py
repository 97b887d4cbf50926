"""A heat map drawn over a picture, as PNG: red speaks for the answer, blue against it, and grey is the picture itself.

Beside `image.py`, because whoever has no pictures need not load Pillow. Not here: how the heat is found
(`engines/occlusion.py`).

Legend: C channels, S side in pixels, G cells along a side.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_FOR, _AGAINST = np.array([214, 39, 40]), np.array([31, 119, 180])
_STRONGEST = 0.65  # of the colour where the effect is largest
_SMALLEST_SIDE = 256


def heat_png(picture_CSS: NDArray[np.uint8], heat_GG: NDArray[np.float64]) -> bytes:
    """PNG bytes of the picture, enlarged to 256 pixels where it is smaller, under its heat."""
    side = max(_SMALLEST_SIDE, picture_CSS.shape[-1])
    channels = picture_CSS if len(picture_CSS) == 3 else np.repeat(picture_CSS[:1], 3, axis=0)
    base = np.asarray(Image.fromarray(channels.transpose(1, 2, 0)).resize((side, side), Image.Resampling.BILINEAR))
    largest = float(np.abs(heat_GG).max())
    scaled = (heat_GG / largest if largest > 0 else heat_GG).astype(np.float32)
    heat = np.asarray(Image.fromarray(scaled, mode="F").resize((side, side), Image.Resampling.BICUBIC)).clip(-1, 1)
    share = (_STRONGEST * np.abs(heat))[..., None]
    colour = np.where(heat[..., None] > 0, _FOR, _AGAINST)
    drawn = (base * (1 - share) + colour * share).round().astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(drawn).save(out, "PNG", optimize=True)
    return out.getvalue()
