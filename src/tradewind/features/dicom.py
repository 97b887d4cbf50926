"""DICOM files: from their bytes to a grey or coloured picture of 8 bits, and the few facts of a header that may become columns.

Nothing else of a header is parsed: no name, no number, no date. Not here: de-identified copies (`privacy/dicom.py`), pictures
of any other kind (`image.py`, which loads this file when it meets one: pydicom is an extra, `tradewind[dicom]`).

Legend: H height, W width, N a list of values.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from tradewind.errors import DataError
from tradewind.features.dicom_terms import BODY_PARTS, MODALITIES, SEXES, VIEWS
from tradewind.features.picture import FIRST, MIDDLE

# Values that a header may not have are no reason to leave a picture out, and a warning would repeat them.
config.settings.reading_validation_mode = config.IGNORE

Fact: TypeAlias = str | float | None

_FACT_TAGS = (
    "PatientAge",
    "PatientSex",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "PixelSpacing",
    "ImagerPixelSpacing",
)
_PIXEL_TAGS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "PixelData",
)  # fmt: skip
_OF_A_FRAME = (
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
)  # of an enhanced file (PS3.3 C.7.6.16.2.9, .10)
_GREY = ("MONOCHROME1", "MONOCHROME2")
_META_BYTES = 4096  # the file meta group lies in so many first bytes
_LARGEST_PIXELS = 80_000_000
_BEYOND = 1e15  # outside of every window
_FAULTS = (
    InvalidDicomError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError, OSError,
    RuntimeError, NotImplementedError, RecursionError, MemoryError, struct.error, Image.DecompressionBombError, Warning,
)  # fmt: skip  # what pydicom and its decoders raise for bytes that are no sound file


def picture(content: bytes, *, frame: str = MIDDLE) -> Image.Image:
    """One frame in mode L or RGB, as a viewer would show it: modality and VOI transformation (PS3.3 C.11.1, C.11.2), its first
    window or table, MONOCHROME1 turned over, padding black, scaled to 8 bits.

    `frame` of several is the `middle` or the `first`. Without a window pixels of more than 8 bits are spread from the
    smallest to the largest. Raises DataError `image_unreadable`: no picture in it, a compression for which no decoder is
    installed, damage. No message holds anything of the header but the compression's name.
    """
    try:
        header = _read(content, _PIXEL_TAGS)
        index = _check(header, frame)
        pixels, shown_as = _decoded(header, index)
        if shown_as == "PALETTE COLOR":
            return Image.fromarray(_narrow(apply_color_lut(pixels, header)))
        if shown_as not in _GREY:
            return Image.fromarray(_narrow(pixels))
        return Image.fromarray(_grey(pixels, _of_frame(header, index)))
    except DataError:
        raise
    except _FAULTS as error:
        raise _unreadable("the DICOM file is damaged or cut short") from error


def facts(content: bytes) -> dict[str, Fact]:
    """What may become columns (`product.data.HeaderFact`), each None where it says nothing or nothing from the standard's own terms.

    `age_band` is ten years wide, from 90 on open; `pixel_spacing` in millimetres. Raises DataError as `picture` does.
    """
    try:
        header = _read(content, _FACT_TAGS)
        return {
            "age_band": _age_band(str(header.get("PatientAge", ""))),
            "sex": SEXES.get(_term(header, "PatientSex")),
            "modality": _known(_term(header, "Modality"), MODALITIES),
            "body_part": _known(_term(header, "BodyPartExamined"), BODY_PARTS),
            "view": _known(_term(header, "ViewPosition"), VIEWS),
            "pixel_spacing": _spacing(header),
        }
    except _FAULTS as error:
        raise _unreadable("the DICOM file is damaged or cut short") from error


def burned_in(content: bytes) -> bool | None:
    """Whether the header says that text is burned into the pixels; None where it does not say. Raises DataError."""
    try:
        said = _term(_read(content, ("BurnedInAnnotation",)), "BurnedInAnnotation")
    except _FAULTS as error:
        raise _unreadable("the DICOM file is damaged or cut short") from error
    return {"YES": True, "NO": False}.get(said)


def _read(content: bytes, tags: tuple[str, ...]) -> Dataset:
    """Only `tags` are parsed. A deflated file is refused before it is unpacked: its size would be anybody's guess."""
    if DeflatedExplicitVRLittleEndian.encode() + b"\0" in content[:_META_BYTES]:
        raise _unreadable(
            "it is deflated, which is not read", hint="Write it without deflation, for instance by dcmconv."
        )
    return dcmread(io.BytesIO(content), specific_tags=list(tags))


def _unreadable(reason: str, *, hint: str = "Replace the file, or leave the row out.") -> DataError:
    return DataError(f"The picture cannot be read: {reason}.", code="image_unreadable", hint=hint)


# ---------------------------------------------------------------- pixels


def _check(header: Dataset, frame: str) -> int:
    """The index of the wanted frame. Raises DataError for what cannot be shown."""
    if "PixelData" not in header or "Rows" not in header:
        raise _unreadable("the DICOM file holds no picture")
    if header.Rows * header.Columns > _LARGEST_PIXELS:
        raise _unreadable(f"it has more than {_LARGEST_PIXELS // 1_000_000} million pixels")
    frames = max(1, int(header.get("NumberOfFrames", 1) or 1))
    return 0 if frame == FIRST else frames // 2


def _decoded(header: Dataset, index: int) -> tuple[NDArray[Any], str]:
    """Stored values of one frame, [H, W] or [H, W, 3], and how they are to be shown."""
    syntax = UID(header.file_meta.TransferSyntaxUID)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        name = syntax.name if syntax.is_transfer_syntax else "nothing that is known"
        raise _unreadable(
            f"it is compressed as {name}, for which no decoder is installed",
            hint="Install a decoder that pydicom knows (pylibjpeg, python-gdcm), or write the files uncompressed.",
        )
    pixels, properties = decoder.as_array(header, index=index)
    return pixels, str(properties["photometric_interpretation"])


def _of_frame(header: Dataset, index: int) -> Dataset:
    """The header with what its functional groups say of one frame put at the top, where pydicom looks for it."""
    groups = [header.get("SharedFunctionalGroupsSequence") or [], header.get("PerFrameFunctionalGroupsSequence") or []]
    for items, place in zip(groups, (0, index), strict=True):
        for name in _OF_A_FRAME:
            for item in (items[place].get(name) or [])[:1] if place < len(items) else []:
                header.update(item)
    return header


def _grey(stored_HW: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    values_HW = np.asarray(apply_modality_lut(stored_HW, header))
    padding_HW = _padding(stored_HW, header)
    shown_HW, low, high = _windowed(values_HW, header, ~padding_HW)
    share_HW = (shown_HW.astype(np.float64) - low) / ((high - low) or 1.0)
    grey_HW = np.rint(np.clip(share_HW, 0.0, 1.0) * 255.0).astype(np.uint8)
    if header.PhotometricInterpretation == "MONOCHROME1":  # its smallest value is white
        grey_HW = 255 - grey_HW
    grey_HW[padding_HW] = 0
    return grey_HW


def _windowed(
    values_HW: NDArray[Any], header: Dataset, inside_HW: NDArray[np.bool_]
) -> tuple[NDArray[Any], float, float]:
    """Values after the VOI transformation, with the values that are black and white (of MONOCHROME1: white and black)."""
    if header.get("VOILUTSequence"):
        bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
        return apply_voi(np.rint(values_HW).astype(np.int64), header), 0.0, float(2**bits - 1)
    if "WindowCenter" in header and "WindowWidth" in header:
        with np.errstate(over="ignore"):  # of a sigmoid, far outside of its window
            low, high = apply_windowing(np.array([-_BEYOND, _BEYOND]), header)
            return apply_windowing(values_HW, header), float(low), float(high)
    if header.BitsStored <= 8 and not header.PixelRepresentation and not header.get("ModalityLUTSequence"):
        slope, black = float(header.get("RescaleSlope", 1.0)), float(header.get("RescaleIntercept", 0.0))
        return values_HW, black, black + slope * (2**header.BitsStored - 1)
    known_N = values_HW[inside_HW] if inside_HW.any() else values_HW
    return values_HW, float(known_N.min()), float(known_N.max())


def _padding(stored_HW: NDArray[Any], header: Dataset) -> NDArray[np.bool_]:
    """Pixels around the picture that were never measured (PS3.3 C.7.5.1.1.2)."""
    first = header.get("PixelPaddingValue")
    if first is None:
        return np.zeros(stored_HW.shape, dtype=np.bool_)
    ends = sorted([int(first), int(header.get("PixelPaddingRangeLimit", first))])
    return np.asarray((stored_HW >= ends[0]) & (stored_HW <= ends[1]))


def _narrow(colour_HWC: NDArray[Any]) -> NDArray[np.uint8]:
    return colour_HWC.astype(np.uint8) if colour_HWC.dtype.itemsize == 1 else (colour_HWC >> 8).astype(np.uint8)


# ---------------------------------------------------------------- facts


def _term(header: Dataset, name: str) -> str:
    return str(header.get(name) or "").strip().upper()


def _known(term: str, terms: frozenset[str]) -> str | None:
    """A free word in the place of a term may be a name: only the standard's own terms pass."""
    return term if term in terms else None


def _age_band(age: str) -> str | None:
    """`045Y` to `40 to 49`; months, weeks and days are years below ten. From 90 on ages are rare enough to name people."""
    digits, unit = age.strip()[:-1], age.strip()[-1:].upper()
    years_per_unit: Mapping[str, float] = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}
    if not (digits.isascii() and digits.isdigit()) or unit not in years_per_unit:
        return None
    decade = int(int(digits) * years_per_unit[unit]) // 10 * 10
    return "90 and over" if decade >= 90 else f"{decade} to {decade + 9}"


def _spacing(header: Dataset) -> float | None:
    found = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    return float(found[0]) if found else None
