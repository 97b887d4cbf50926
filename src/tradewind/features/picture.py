"""One picture: from the bytes of a file to pixels of 8 bits, grey or colour, turned the right way up.

Not here: the size that a network wants (`image.py`), what DICOM asks for (`dicom.py`, loaded when such a file comes).

Legend: C channels (1 grey, 3 red green blue), H height, W width.
"""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tradewind.errors import DataError, EnvironmentFailure
from tradewind.features import attachments
from tradewind.features.dicom_terms import is_dicom, is_dicom_text

_DICOM = "tradewind.features.dicom"
FIRST, MIDDLE = "first", "middle"  # of the frames of a DICOM file
# Named, so that no other decoder of Pillow (PostScript among them) ever sees what a stranger sent.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP")
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


def decode(value: object, *, frame: str = MIDDLE) -> NDArray[np.uint8]:
    """The whole picture, uint8 [C, H, W] with C = 1 (grey) or 3, turned as its EXIF orientation says.

    `value` is bytes, a path, a data: URL or base64 text. Of an animation it is the first frame, of a file of pages the
    first page, of DICOM the `frame` that is named (first, middle); transparent parts become white. 16-bit grey is brought
    to 8: by 256, or by 16 where no pixel passes 4095, as scanners of 12 bits write, of DICOM as its header says (`dicom.py`).
    Raises DataError `image_unreadable` with a reason that names no file, EnvironmentFailure for DICOM without pydicom.
    """
    return channels_first(opened(value, frame=frame))


def checked(content: bytes, *, frame: str = MIDDLE) -> bytes:
    """The bytes of a readable picture, for keeping: of DICOM its pixels alone, as PNG, for its header names people.

    Raises as `decode` does.
    """
    picture = opened(content, frame=frame)
    if not is_dicom(content):
        return content
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=1)
    return png.getvalue()


def bytes_of(text: str) -> bytes:
    """The bytes in a data: URL or in base64 text: what a service takes for an image, and never a path.

    Raises DataError for text that is neither.
    """
    try:
        return attachments.unwrapped(text)
    except ValueError as error:
        raise DataError(
            "The image is text, but not base64.", code="image_unreadable", hint="Send the file's bytes in base64."
        ) from error


# ---------------------------------------------------------------- reading one picture


def opened(value: object, *, at_least: int | None = None, frame: str = MIDDLE) -> Image.Image:
    """The decoded picture in mode L or RGB. With `at_least` a JPEG may come reduced, to no less than twice that side.

    Raises as `decode` does.
    """
    content = content_of(value)
    if not content:
        raise _unreadable("the file is empty")
    if is_dicom(content):
        shown: Image.Image = dicom_reader().picture(content, frame=frame)
        return shown
    try:
        picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > _LARGEST_PIXELS:
            raise _unreadable(f"it has more than {_LARGEST_PIXELS // 1_000_000} million pixels")
        if at_least is not None and picture.mode in ("L", "RGB"):
            picture.draft(picture.mode, (2 * at_least, 2 * at_least))
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        picture = _eight_bits(picture)
    except UnidentifiedImageError as error:
        raise _unreadable("it is no PNG, JPEG, GIF, BMP, TIFF, WebP or DICOM") from error
    except DataError:
        raise
    except _FAULTS as error:
        raise _unreadable("the file is damaged or cut short") from error
    return picture if turn is None else picture.transpose(turn)


def dicom_reader() -> Any:
    """The module `dicom.py`. Raises EnvironmentFailure where pydicom is not installed."""
    try:
        return import_module(_DICOM)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tradewind"):
            raise
        raise EnvironmentFailure(
            "There is a DICOM file, but pydicom is not installed.", code="package_missing",
            hint="Install it with: pip install 'tradewind[dicom]'.",
        ) from error  # fmt: skip


def _unreadable(reason: str) -> DataError:
    return DataError(
        f"The picture cannot be read: {reason}.",
        code="image_unreadable",
        hint="Replace the file, or leave the row out.",
    )


def content_of(value: object) -> bytes:
    """The file itself: of bytes, a data: URL, base64 text or a path. Raises DataError."""
    try:
        return attachments.content_of(value, _inside)
    except ValueError as error:
        raise _unreadable(str(error)) from error


# How base64 of each format begins. A JPEG's begins with a slash, as a path does, so length and alphabet decide too.
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "Qk", "SUkqAA", "TU0AKg", "UklGR")
_LONGEST_PATH = 4096


def _inside(text: str) -> bytes | None:
    """The bytes that the text itself holds, or None where it is a path."""
    if text.startswith("data:") or is_dicom_text(text):
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


def channels_first(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
