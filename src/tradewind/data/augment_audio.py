"""Augmentation of batches of log-mel levels: shift, speed, level, noise, masks; on unsigned bytes, seeded.

Not here: which rows are augmented (`augment.py`, training split only), decoding and levels (`features/audio.py`).

Chance and work are apart as in `augment_image.py`: `draw` takes every random number, `transform` uses none.

Legend: B rows, T frames, M mel bands, V 2 masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tradewind.features.audio import RANGE_DB
from tradewind.product import AudioAugment

Floats = NDArray[np.float32]

_FULL = 255.0
_STEPS_A_DB = _FULL / RANGE_DB
_NOISE_SPAN_DB = 20.0  # above the least distance of the noise
_TILT_DB = 10.0  # of the noise, from the lowest band to the highest, either way
_FREEDOM = 2.0  # of a band's power in one frame: about two frequencies fall into it
_MASKS = 2


@dataclass(frozen=True)
class Draws:
    """What happens to each recording; arrays are [B] but where they say otherwise.

    `later` in frames; `speed` above 1 is faster; `louder` in decibels; `noise_BTM` in decibels below the recording's mean
    power, -inf for none; the masks [B, V] begin at a share of the room that their `width`, a share of the side, leaves.
    """

    later: Floats
    speed: Floats
    louder: Floats
    noise_BTM: Floats | None
    time_width: Floats
    time_begin: Floats
    band_width: Floats
    band_begin: Floats


def augment_audio(levels_BTM: NDArray[Any], settings: AudioAugment, random: Generator) -> NDArray[np.uint8]:
    """Augmented copies of levels uint8 [B, T, M], each drawn on its own. Equal generators give equal levels."""
    assert levels_BTM.ndim == 3
    assert levels_BTM.dtype == np.uint8
    return transform(levels_BTM, draw(levels_BTM.shape, settings, random))


def draw(shape: tuple[int, ...], settings: AudioAugment, random: Generator) -> Draws:
    """The draws for a batch of this shape: always as many single numbers, so that one setting does not shift another's."""
    rows, frames, _ = shape
    signed = (2 * random.random((4, rows)) - 1).astype(np.float32)
    unsigned = random.random((2, rows)).astype(np.float32)
    masks = random.random((4, rows, _MASKS)).astype(np.float32)
    return Draws(
        later=np.rint(signed[0] * settings.shift * frames).astype(np.float32),
        speed=np.float32(1 + settings.speed) ** signed[1],
        louder=np.float32(settings.level) * signed[2],
        noise_BTM=_noise(shape, settings, unsigned, signed[3], random) if settings.noise else None,
        time_width=masks[0] * np.float32(settings.mask_time),
        time_begin=masks[1],
        band_width=masks[2] * np.float32(settings.mask_mels),
        band_begin=masks[3],
    )


def transform(levels_BTM: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Carries out the draws: move and stretch, make louder, add noise, mask. No chance is left here."""
    x_BTM = _moved(levels_BTM.astype(np.float32), draws)
    heard_BTM = x_BTM > 0
    x_BTM = np.where(heard_BTM, x_BTM + (draws.louder * np.float32(_STEPS_A_DB))[:, None, None], x_BTM)
    if draws.noise_BTM is not None:
        x_BTM = _noisy(x_BTM, draws.noise_BTM)
    found: NDArray[np.uint8] = np.rint(np.clip(x_BTM, 0, _FULL)).astype(np.uint8)
    return _masked(found, draws)


def _noise(
    shape: tuple[int, ...], settings: AudioAugment, unsigned: Floats, tilt_B: Floats, random: Generator
) -> Floats:
    """Decibels of noise under the mean power of a recording. The bands have equal areas, so white noise is level."""
    bands = shape[-1]
    grain = 10 * np.log10(random.gamma(_FREEDOM, 1 / _FREEDOM, shape).clip(1e-6))
    under_B = settings.noise_db + _NOISE_SPAN_DB * unsigned[0]
    slope_M = np.linspace(-0.5, 0.5, bands)
    level_BM = -under_B[:, None] + _TILT_DB * tilt_B[:, None] * slope_M
    found = level_BM[:, None, :] + grain
    found[unsigned[1] >= settings.noise] = -np.inf
    return np.asarray(found, dtype=np.float32)


def _moved(x_BTM: Floats, draws: Draws) -> Floats:
    """Later and faster about the middle, linear between frames; silence comes in from outside. Pitch stays."""
    frames = x_BTM.shape[1]
    middle = np.float32((frames - 1) / 2)
    moved = x_BTM.copy()
    for row in np.flatnonzero((draws.later != 0) | (draws.speed != 1)):
        source_T = (np.arange(frames, dtype=np.float32) - middle - draws.later[row]) * draws.speed[row] + middle
        inside_T = (source_T >= 0) & (source_T <= frames - 1)
        below_T = np.clip(np.floor(source_T), 0, frames - 1).astype(np.int64)
        above_T = np.minimum(below_T + 1, frames - 1)
        share_T = (source_T - below_T).astype(np.float32)[:, None]
        between = x_BTM[row, below_T] * (1 - share_T) + x_BTM[row, above_T] * share_T
        moved[row] = np.where(inside_T[:, None], between, 0)
    return moved


def _noisy(x_BTM: Floats, noise_BTM: Floats) -> Floats:
    """Powers added: between a recording and noise that knows nothing of it the cross term is zero on average."""
    power_BTM = np.where(x_BTM > 0, 10 ** ((x_BTM - _FULL) / (10 * _STEPS_A_DB)), 0)
    mean_B = power_BTM.mean(axis=(1, 2))
    added_BTM = power_BTM + mean_B[:, None, None] * 10 ** (noise_BTM / 10)
    levels = _FULL + 10 * _STEPS_A_DB * np.log10(np.maximum(added_BTM, 1e-12))
    return np.asarray(np.where(np.isfinite(noise_BTM), levels, x_BTM), dtype=np.float32)


def _masked(levels_BTM: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Two stretches of time and two of bands at the recording's own mean level (SpecAugment; Park et al. 2019)."""
    if not draws.time_width.any() and not draws.band_width.any():
        return levels_BTM
    frames, bands = levels_BTM.shape[1:]
    hidden_BT = _covered(draws.time_width, draws.time_begin, frames)
    hidden_BM = _covered(draws.band_width, draws.band_begin, bands)
    mean_B = np.rint(levels_BTM.mean(axis=(1, 2), dtype=np.float64)).astype(np.uint8)
    return np.where(hidden_BT[:, :, None] | hidden_BM[:, None, :], mean_B[:, None, None], levels_BTM)


def _covered(width_BV: Floats, begin_BV: Floats, side: int) -> NDArray[np.bool_]:
    """[B, side]: what at least one mask of a row covers."""
    wide_BV = np.floor(width_BV * side)
    first_BV = np.floor(begin_BV * (side - wide_BV))
    places = np.arange(side)
    inside = (places >= first_BV[..., None]) & (places < (first_BV + wide_BV)[..., None])
    covered: NDArray[np.bool_] = inside.any(axis=1)
    return covered
