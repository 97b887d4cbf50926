"""Augmentation of image batches: flip, rotate, shift, scale, brightness, contrast, erase; on unsigned bytes, seeded.

Not here: which rows are augmented (`augment.py`, training split only), decoding and size (`features/image.py`).

Chance and work are apart: `draw` takes every random number, `transform` uses none, so a batch and its single images give
the same pixels.

Legend: B rows, C channels, H height, W width in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tradewind.product import ImageAugment

Floats = NDArray[np.float32]

_ERASE_CHANCE = 0.5
_ERASE_SMALLEST = 0.02  # shares of the picture and shapes of the rectangle as in Zhong et al. 2020
_ERASE_STRETCH = 3.3


@dataclass(frozen=True)
class Draws:
    """What happens to each image of a batch; every array is [B].

    `angle` in radians, counter-clockwise; `zoom` above 1 enlarges; `right` and `down` are shifts in shares of the side;
    `brightness` in shares of the range of a byte; `contrast` multiplies the distance from the image's mean; `hole_*` are
    the erased rectangle's shares of the side: its height and width, and where in the room left to it it lies.
    """

    mirrored: NDArray[np.bool_]
    upended: NDArray[np.bool_]
    angle: Floats
    zoom: Floats
    right: Floats
    down: Floats
    brightness: Floats
    contrast: Floats
    hole_height: Floats
    hole_width: Floats
    hole_top: Floats
    hole_left: Floats

    def __getitem__(self, rows: Any) -> Self:
        """The draws of some rows of the batch: a slice, a mask or places."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def augment_images(images: NDArray[Any], settings: ImageAugment, random: Generator) -> NDArray[np.uint8]:
    """Augmented copies of uint8 images [B, C, H, W], each drawn on its own. Equal generators give equal pixels.

    The rows drawn do not depend on the pixels. What moves in from outside is the picture's edge, drawn out.
    """
    assert images.ndim == 4
    assert images.dtype == np.uint8
    return transform(images, draw(len(images), settings, random))


def draw(rows: int, settings: ImageAugment, random: Generator) -> Draws:
    """The draws for `rows` images: always as many random numbers, so that one setting does not shift another's."""
    signed = (2 * random.random((6, rows)) - 1).astype(np.float32)
    unsigned = random.random((7, rows)).astype(np.float32)
    hit = unsigned[2] < (_ERASE_CHANCE if settings.erase else 0.0)
    smallest = min(_ERASE_SMALLEST, settings.erase)
    area = np.where(hit, smallest + (settings.erase - smallest) * unsigned[3], 0)
    stretch = _ERASE_STRETCH ** (2 * unsigned[4] - 1)
    one = np.float32(1)
    return Draws(
        mirrored=(unsigned[0] < 0.5) & (settings.flip in ("horizontal", "both")),
        upended=(unsigned[1] < 0.5) & (settings.flip in ("vertical", "both")),
        angle=np.float32(np.deg2rad(settings.rotate)) * signed[0],
        zoom=np.float32(1 + settings.scale) ** signed[1],
        right=np.float32(settings.crop) * signed[2],
        down=np.float32(settings.crop) * signed[3],
        brightness=np.float32(settings.brightness) * signed[4],
        contrast=one + np.float32(settings.contrast) * signed[5],
        hole_height=np.minimum(one, np.sqrt(area * stretch)).astype(np.float32),
        hole_width=np.minimum(one, np.sqrt(area / stretch)).astype(np.float32),
        hole_top=unsigned[5],
        hole_left=unsigned[6],
    )


def transform(images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Carries out the draws on images [B, C, H, W], in the order flip, move, light, erase. No chance is left here."""
    moved = _moved(_flipped(images, draws), draws)
    return _erased(_lit(moved, draws), draws)


def _flipped(images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    images = np.where(draws.mirrored[:, None, None, None], images[..., ::-1], images)
    return np.where(draws.upended[:, None, None, None], images[:, :, ::-1], images)


def _moved(images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Rotation about the centre, zoom and shift at once, bilinear: one loss of sharpness instead of three."""
    still = (draws.angle == 0) & (draws.zoom == 1) & (draws.right == 0) & (draws.down == 0)
    if still.all():
        return images
    height, width = images.shape[2:]
    # Centres are whole or half numbers, so standing still is exact.
    center_y, center_x = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    y_H1 = (np.arange(height, dtype=np.float32) - center_y)[:, None]
    x_W = np.arange(width, dtype=np.float32) - center_x
    cosine, sine = np.cos(draws.angle) / draws.zoom, np.sin(draws.angle) / draws.zoom
    down, right = draws.down * np.float32(height), draws.right * np.float32(width)
    moved = images.copy()
    for row in np.flatnonzero(~still):  # image by image: one fits into the processor's cache, a batch does not
        y, x = y_H1 - down[row], x_W - right[row]
        from_x = np.clip(cosine[row] * x - sine[row] * y + center_x, 0, width - 1)
        from_y = np.clip(sine[row] * x + cosine[row] * y + center_y, 0, height - 1)
        moved[row] = _sampled(images[row], from_x, from_y)
    return moved


def _sampled(image_CHW: NDArray[np.uint8], from_x_HW: Floats, from_y_HW: Floats) -> NDArray[np.uint8]:
    """The image at fractional places inside it, bilinear."""
    channels, height, width = image_CHW.shape
    left, top = from_x_HW.astype(np.int32), from_y_HW.astype(np.int32)
    share_x: Floats = from_x_HW - left.astype(np.float32)
    share_y: Floats = from_y_HW - top.astype(np.float32)
    # One more row and column, which only ever weigh nothing, spare a test at the edge.
    wide = width + 1
    corner = top * np.int32(wide) + left
    result = np.empty((channels, height, width), dtype=np.uint8)
    for channel in range(channels):
        edged = np.zeros((height + 1, wide), dtype=np.float32)
        edged[:height, :width] = image_CHW[channel]
        flat = edged.reshape(-1)
        upper_left, upper_right = flat.take(corner), flat.take(corner + 1)
        upper = upper_left + (upper_right - upper_left) * share_x
        lower_left, lower_right = flat.take(corner + wide), flat.take(corner + (wide + 1))
        lower = lower_left + (lower_right - lower_left) * share_x
        result[channel] = np.rint(upper + (lower - upper) * share_y)
    return result


def _lit(images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    changed = (draws.brightness != 0) | (draws.contrast != 1)
    if not changed.any():
        return images
    x = images.astype(np.float32)
    # A sum of whole numbers, so that one image alone has the same mean as in a batch.
    sums = images.sum(axis=(1, 2, 3), dtype=np.int64)
    mean = (sums / images[0].size).astype(np.float32)[:, None, None, None]
    x = mean + (x - mean) * draws.contrast[:, None, None, None] + 255 * draws.brightness[:, None, None, None]
    return np.where(changed[:, None, None, None], np.rint(x).clip(0, 255), images).astype(np.uint8)


def _erased(images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Random erasing (Zhong et al. 2020), filled with the mean of each channel of the image."""
    hit = np.flatnonzero(draws.hole_height > 0)
    if not hit.size:
        return images
    images = images.copy()
    height, width = images.shape[2:]
    for row in hit:
        high = max(1, round(float(draws.hole_height[row]) * height))
        wide = max(1, round(float(draws.hole_width[row]) * width))
        top = int(draws.hole_top[row] * (height - high + 1))
        left = int(draws.hole_left[row] * (width - wide + 1))
        mean = np.rint(images[row].mean(axis=(1, 2), keepdims=True))
        images[row, :, top : top + high, left : left + wide] = mean.astype(np.uint8)
    return images
