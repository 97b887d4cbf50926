"""Images: from the bytes of a picture to pixels of one size, grey or colour, as unsigned bytes.

Not here: normalisation (it lies in the network, `model/image.py`), augmentation (`data/augment_image.py`), reading files
from a store (`data/survey.py`).

Legend: B rows, C channels (1 grey, 3 red green blue), S side in pixels, H height, W width.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tradewind.errors import DataError, nearest
from tradewind.features.column import Block, ColumnSpec, Layout, TensorFeature, Values

ASPECTS = ("stretch", "pad", "crop")
# Named, so that no other decoder of Pillow (PostScript among them) ever sees what a stranger sent.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP")
_LARGEST_PIXELS = 80_000_000  # below Pillow's own limit, and 240 MB once decoded
_FAULTS = (
    OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, SyntaxError, EOFError, struct.error, MemoryError,
    Image.DecompressionBombError, Warning,  # a warning where the process takes warnings for errors
)  # fmt: skip  # what Pillow raises for bytes that are no sound picture
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_GREY_MODES = frozenset({"1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_GREY_SPREAD = 2.0  # mean difference between channels, of 255, up to which a colour file counts as grey
_FIT_IMAGES = 2_000
_SMALLEST_SIDE, _LARGEST_SIDE, _SIDE_STEP = 16, 1024, 16
# (rows up to, side): a network on two cores should see each picture some twenty times in minutes (LAB.md).
_SIDES = ((20_000, 96), (10**12, 64))
# Few large pictures are kept at twice the side of the network's: edges show what its view has lost (LAB.md).
_FEW_ROWS, _FINE_SIDE = 5_000, 192
_THREADED_ROWS = 8


@dataclass(frozen=True)
class ImageColumn:
    """A fitted column of pictures: one tensor `image:NAME`, uint8 [B, C, S, S]; zeros where nothing can be read.

    `mean` and `std` are per channel, in units of 0 … 255, over training pictures; they go to the network. `halved`: the
    network looks at half the side, and only what reads edges at all of it.
    """

    kind: ClassVar[str] = "image"

    name: str
    side: int
    channels: int
    aspect: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    halved: bool = False

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training pictures, bytes or paths, shape [B]; at most 2,000 of them, evenly spread, are looked at.

        Options: `size` (the side S), `aspect` (stretch to the square; pad with black; crop the middle), `channels`
        (1 or 3; found from the pictures by default). `seed` is not needed. Raises DataError when no picture can be read
        or an option is out of range.
        """
        aspect = _aspect(spec)
        places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FIT_IMAGES)).astype(np.int64))
        looked = _each([values[place] for place in places], _look)
        seen = [look for look in looked if look is not None]
        if not seen:
            raise DataError(
                f"None of {len(values)} pictures can be read.", code="images_unreadable", where=f"data.columns.{spec.name}",
                hint="The values must be image files, or paths to them.",
            )  # fmt: skip
        side, halved = _side(spec, [look.longest for look in seen], rows=len(values))
        channels = _channels(spec, grey=all(look.grey for look in seen))
        plain = cls(spec.name, side, channels, aspect, (0.0,) * channels, (1.0,) * channels)
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
        return cls(spec.name, side, channels, aspect, tuple(mean.tolist()), tuple(std.tolist()), halved)

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
        }

    @property
    def layout(self) -> Layout:
        meta = {"mean": list(self.mean), "std": list(self.std), "halved": self.halved}
        shape = (self.channels, self.side, self.side)
        return Layout(tensors=(TensorFeature(f"image:{self.name}", self.name, "image", "uint8", shape, meta),))

    def apply(self, values: Values) -> Block:
        """`image:NAME` uint8 [B, C, S, S] from bytes, paths or base64 text; zeros for what cannot be read."""
        images = np.zeros((len(values), self.channels, self.side, self.side), dtype=np.uint8)
        for row, found in enumerate(_each(list(values), self.pixels)):
            if found is not None:
                images[row] = found
        return Block(tensors={f"image:{self.name}": images})

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        found = self.pixels(value)
        if found is None:
            found = np.zeros((self.channels, self.side, self.side), dtype=np.uint8)
        return {f"image:{self.name}": found[None]}

    def pixels(self, value: object) -> NDArray[np.uint8] | None:
        """One picture, [C, S, S], or None where it cannot be read."""
        try:
            picture = _opened(value, at_least=self.side)
            picture = picture.convert("L" if self.channels == 1 else "RGB")
            return _channels_first(_resized(picture, self.side, self.aspect))
        except DataError:
            return None


def decode(value: object) -> NDArray[np.uint8]:
    """The whole picture, uint8 [C, H, W] with C = 1 (grey) or 3, turned as its EXIF orientation says.

    `value` is bytes, a path, a data: URL or base64 text. Of an animation it is the first frame, of a file of pages the
    first page; transparent parts become white. 16-bit grey is brought to 8: by 256, or by 16 where no pixel passes
    4095, as scanners of 12 bits write. Raises DataError `image_unreadable` with a reason that names no file.
    """
    picture = _opened(value)
    return _channels_first(picture)


def bytes_of(text: str) -> bytes:
    """The bytes in a data: URL or in base64 text: what a service takes for an image, and never a path.

    Raises DataError for text that is neither.
    """
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(
            "The image is text, but not base64.", code="image_unreadable", hint="Send the file's bytes in base64."
        ) from error


# ---------------------------------------------------------------- reading one picture


def _opened(value: object, *, at_least: int | None = None) -> Image.Image:
    """The decoded picture in mode L or RGB. With `at_least` a JPEG may come reduced, to no less than twice that side."""
    content = _content(value)
    if not content:
        raise _unreadable("the file is empty")
    try:
        picture: Image.Image = Image.open(io.BytesIO(content), formats=_FORMATS)
        if picture.width * picture.height > _LARGEST_PIXELS:
            raise _unreadable(f"it has more than {_LARGEST_PIXELS // 1_000_000} million pixels")
        if at_least is not None and picture.mode in ("L", "RGB"):
            picture.draft(picture.mode, (2 * at_least, 2 * at_least))
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        picture = _eight_bits(picture)
    except UnidentifiedImageError as error:
        raise _unreadable("it is no PNG, JPEG, GIF, BMP, TIFF or WebP") from error
    except DataError:
        raise
    except _FAULTS as error:
        raise _unreadable("the file is damaged or cut short") from error
    return picture if turn is None else picture.transpose(turn)


def _unreadable(reason: str) -> DataError:
    return DataError(
        f"The picture cannot be read: {reason}.",
        code="image_unreadable",
        hint="Replace the file, or leave the row out.",
    )


def _content(value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        if (inside := _inside(value)) is not None:
            return inside
        value = Path(value)
    if not isinstance(value, os.PathLike):
        raise _unreadable("there is none" if value is None or value != value else f"it is a {type(value).__name__}")
    try:
        return Path(value).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such file"
        raise _unreadable(f"its file cannot be opened ({reason})") from error


# How base64 of each format begins. A JPEG's begins with a slash, as a path does, so length and alphabet decide too.
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "Qk", "SUkqAA", "TU0AKg", "UklGR")
_LONGEST_PATH = 4096


def _inside(text: str) -> bytes | None:
    """The bytes that the text itself holds, or None where it is a path."""
    if text.startswith("data:"):
        return bytes_of(text)
    if not text.startswith(_BASE64_STARTS) or (len(text) < _LONGEST_PATH and "." in text):
        return None
    with suppress(DataError):
        return bytes_of(text)
    return None


def _orientation(picture: Image.Image) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except _FAULTS:  # broken EXIF in a sound picture
        return 1
    return found if isinstance(found, int) else 1


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Mode L or RGB from any mode of a file."""
    mode = picture.mode
    if mode in ("L", "RGB"):
        if "transparency" not in picture.info:
            return picture
    elif mode == "1":
        return picture.convert("L")
    elif mode in _GREY_MODES:
        return Image.fromarray(_from_wide(np.asarray(picture)))
    if mode in ("LA", "La", "PA", "RGBA", "RGBa", "P") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        grey = mode in ("L", "LA", "La")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("L" if grey else "RGB")
    return picture.convert("RGB")


def _from_wide(wide_HW: NDArray[Any]) -> NDArray[np.uint8]:
    """8 bits from 12, 16 or 32 bits or from floats, by the largest value found."""
    x = np.nan_to_num(wide_HW.astype(np.float64), nan=0.0, posinf=65535.0, neginf=0.0)
    x = np.maximum(x, 0.0)
    largest = float(x.max(initial=0.0))
    if wide_HW.dtype.kind == "f" and largest <= 1.0:
        x = x * 255.0
    elif largest > 65535.0:
        x = x * (255.0 / largest)
    elif largest > 4095.0:
        x = x / 256.0
    elif largest > 255.0:
        x = x / 16.0
    return np.minimum(x, 255.0).astype(np.uint8)


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


def _channels_first(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


# ---------------------------------------------------------------- fitting


@dataclass(frozen=True)
class _Look:
    """What fitting needs to know of one picture before its size is chosen. `longest` is its longer side in pixels."""

    longest: int
    grey: bool


def _look(value: object) -> _Look | None:
    try:
        content = _content(value)
        picture = _opened(content, at_least=_SIDES[0][1])
    except DataError:
        return None
    with Image.open(io.BytesIO(content), formats=_FORMATS) as whole:  # its head alone: the other may be reduced
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


def _each(values: list[Any], work: Any) -> list[Any]:
    """`work` of each value, in order; on several threads where it pays, since Pillow decodes outside Python's lock."""
    threads = min(4, os.cpu_count() or 1)
    if len(values) < _THREADED_ROWS or threads == 1:
        return [work(value) for value in values]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, values))
