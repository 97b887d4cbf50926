"""Images: from the bytes of a picture to pixels of one size, grey or colour, as unsigned bytes.

Not here: normalisation (it lies in the network, `model/image.py`), augmentation (`data/augment_image.py`), reading one
picture (`picture.py`) or files from a store (`data/survey.py`).

Legend: B rows, C channels (1 grey, 3 red green blue), S side in pixels, H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tradewind.errors import DataError, nearest
from tradewind.features.attachments import each
from tradewind.features.column import Block, ColumnSpec, Layout, TensorFeature, Values
from tradewind.features.dicom_terms import is_dicom
from tradewind.features.picture import FORMATS, MIDDLE, bytes_of, channels_first, checked, content_of, opened

ASPECTS = ("stretch", "pad", "crop")
_GREY_SPREAD = 2.0  # mean difference between channels, of 255, up to which a colour file counts as grey
_FIT_IMAGES = 2_000
_SMALLEST_SIDE, _LARGEST_SIDE, _SIDE_STEP = 16, 1024, 16
# (rows up to, side): a network on two cores should see each picture some twenty times in minutes (LAB.md).
_SIDES = ((20_000, 96), (10**12, 64))
# Few large pictures are kept at twice the side of the network's: edges show what its view has lost (LAB.md).
_FEW_ROWS, _FINE_SIDE = 5_000, 192


@dataclass(frozen=True)
class ImageColumn:
    """A fitted column of pictures: one tensor `image:NAME`, uint8 [B, C, S, S]; zeros where nothing can be read.

    `mean` and `std` are per channel, in units of 0 … 255, over training pictures; they go to the network. `halved`: the
    network looks at half the side, and only what reads edges at all of it. `frame`: which one of a DICOM file is shown.
    """

    kind: ClassVar[str] = "image"

    name: str
    side: int
    channels: int
    aspect: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    halved: bool = False
    frame: str = MIDDLE

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training pictures, bytes or paths, shape [B]; at most 2,000 of them, evenly spread, are looked at.

        Options: `size` (the side S), `aspect` (stretch to the square; pad with black; crop the middle), `channels`
        (1 or 3; found from the pictures by default), `frame` (first, middle) of DICOM files. `seed` is not needed. Raises DataError when no picture can be read
        or an option is out of range.
        """
        aspect = _aspect(spec)
        places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FIT_IMAGES)).astype(np.int64))
        frame = str(spec.options.get("frame") or MIDDLE)
        looked = each([values[place] for place in places], partial(_look, frame=frame))
        seen = [look for look in looked if look is not None]
        if not seen:
            raise DataError(
                f"None of {len(values)} pictures can be read.", code="images_unreadable", where=f"data.columns.{spec.name}",
                hint="The values must be image files, or paths to them.",
            )  # fmt: skip
        side, halved = _side(spec, [look.longest for look in seen], rows=len(values))
        channels = _channels(spec, grey=all(look.grey for look in seen))
        plain = cls(spec.name, side, channels, aspect, (0.0,) * channels, (1.0,) * channels, frame=frame)
        # Sums of whole numbers: exact, so the order of the rows does not matter.
        sums, squares, pixels = np.zeros(channels, np.int64), np.zeros(channels, np.int64), 0
        for at in range(0, len(places), 256):
            shown = [plain.pixels(values[place]) for place in places[at : at + 256]]
            block = [found.astype(np.int64) for found in shown if found is not None]
            for found in block:
                sums += found.sum(axis=(1, 2))
                squares += (found * found).sum(axis=(1, 2))
                pixels += side * side
        mean = sums / max(pixels, 1)
        std = np.sqrt(np.maximum(squares / max(pixels, 1) - mean * mean, 0.0))
        std = np.where(std < 1.0, 1.0, std)
        return cls(spec.name, side, channels, aspect, tuple(mean.tolist()), tuple(std.tolist()), halved, frame)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(**{**state, "mean": tuple(state["mean"]), "std": tuple(state["std"])})

    def state(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "side": self.side,
            "channels": self.channels,
            "aspect": self.aspect,
            "mean": list(self.mean),
            "std": list(self.std),
            "halved": self.halved,
            **({} if self.frame == MIDDLE else {"frame": self.frame}),
        }

    @property
    def layout(self) -> Layout:
        meta = {"mean": list(self.mean), "std": list(self.std), "halved": self.halved}
        shape = (self.channels, self.side, self.side)
        return Layout(tensors=(TensorFeature(f"image:{self.name}", self.name, "image", "uint8", shape, meta),))

    def apply(self, values: Values) -> Block:
        """`image:NAME` uint8 [B, C, S, S] from bytes, paths or base64 text; zeros for what cannot be read."""
        images = np.zeros((len(values), self.channels, self.side, self.side), dtype=np.uint8)
        for row, found in enumerate(each(list(values), self.pixels)):
            if found is not None:
                images[row] = found
        return Block(tensors={f"image:{self.name}": images})

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        found = self.pixels(value)
        if found is None:
            found = np.zeros((self.channels, self.side, self.side), dtype=np.uint8)
        return {f"image:{self.name}": found[None]}

    def received(self, value: object) -> bytes:
        """The bytes of what a caller sent, bytes or base64 text, once they were found to hold a picture; of DICOM its pixels.

        Raises DataError (image_unreadable).
        """
        content = bytes_of(value) if isinstance(value, str) else value
        assert isinstance(content, bytes)
        return checked(content, frame=self.frame)

    def pixels(self, value: object) -> NDArray[np.uint8] | None:
        """One picture, [C, S, S], or None where it cannot be read."""
        try:
            picture = opened(value, at_least=self.side, frame=self.frame)
            picture = picture.convert("L" if self.channels == 1 else "RGB")
            return channels_first(_resized(picture, self.side, self.aspect))
        except DataError:
            return None


# ---------------------------------------------------------------- size


def _resized(picture: Image.Image, side: int, aspect: str) -> Image.Image:
    """A square of `side`. Bilinear with a support that grows with the reduction, so that fine patterns do not alias."""
    width, height = picture.size
    if aspect == "stretch" or width == height:
        return _resize(picture, (side, side))
    if aspect == "crop":
        edge = min(width, height)
        left, top = (width - edge) // 2, (height - edge) // 2
        return _resize(picture.crop((left, top, left + edge, top + edge)), (side, side))
    share = side / max(width, height)
    inner = _resize(picture, (max(1, round(width * share)), max(1, round(height * share))))
    square = Image.new(picture.mode, (side, side))
    square.paste(inner, ((side - inner.width) // 2, (side - inner.height) // 2))
    return square


def _resize(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)


# ---------------------------------------------------------------- fitting


@dataclass(frozen=True)
class _Look:
    """What fitting needs to know of one picture before its size is chosen. `longest` is its longer side in pixels."""

    longest: int
    grey: bool


def _look(value: object, *, frame: str) -> _Look | None:
    try:
        content = content_of(value)
        picture = opened(content, at_least=_SIDES[0][1], frame=frame)
    except DataError:
        return None
    if is_dicom(content):
        return _Look(max(picture.size), _is_grey(picture))
    with Image.open(io.BytesIO(content), formats=FORMATS) as whole:  # its head alone: the other may be reduced
        return _Look(max(whole.size), _is_grey(picture))


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "L":
        return True
    small = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR), dtype=np.int16)
    return bool(np.ptp(small, axis=2).mean() <= _GREY_SPREAD)


def _side(spec: ColumnSpec, longest: Sequence[int], *, rows: int) -> tuple[int, bool]:
    """The asked size, else what suits the number of rows, but not above the median picture's longer side; and whether
    the network looks at half of it."""
    asked = spec.options.get("size")
    if asked is not None:
        if not isinstance(asked, int) or not _SMALLEST_SIDE <= asked <= _LARGEST_SIDE:
            raise DataError(
                f"size is {asked!r}, but lies between {_SMALLEST_SIDE} and {_LARGEST_SIDE} pixels.",
                code="option_range",
                where=f"data.columns.{spec.name}",
            )
        return asked, False
    native = int(sorted(longest)[len(longest) // 2])
    if rows <= _FEW_ROWS and native >= _FINE_SIDE:
        return _FINE_SIDE, True
    suited = next(side for limit, side in _SIDES if rows <= limit)
    return max(_SMALLEST_SIDE, min(suited, -(-native // _SIDE_STEP) * _SIDE_STEP)), False


def _channels(spec: ColumnSpec, *, grey: bool) -> int:
    asked = spec.options.get("channels")
    if asked is None:
        return 1 if grey else 3
    if asked not in (1, 3):
        raise DataError(
            f"channels is {asked!r}, but is 1 (grey) or 3 (colour).",
            code="option_range",
            where=f"data.columns.{spec.name}",
        )
    return int(asked)


def _aspect(spec: ColumnSpec) -> str:
    asked = spec.options.get("aspect") or "stretch"
    if asked not in ASPECTS:
        raise DataError(
            f"aspect is {asked!r}. Known: {', '.join(ASPECTS)}.", code="option_unknown",
            where=f"data.columns.{spec.name}", hint=nearest(str(asked), ASPECTS) or None,
        )  # fmt: skip
    return str(asked)
