"""De-identified copies of DICOM files, after the Basic Application Level Confidentiality Profile (PS3.15, annex E).

The profile lists what must go; here is a list of what may stay, which is shorter and forgets nothing: how the pixels are to be
read and how they were made. All else goes, private elements and every sequence too; names that a reader wants are left empty,
identifiers become keyed hashes, the same in every file, so that a series stays together. Pixels are not looked at: who has text
in them must say so (`burned_in`). Not here: reading pictures (`features/dicom.py`), walking folders (`cli/deidentify.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import dataclass

from pydicom import Dataset, config, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from tradewind.errors import DataError

config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.IGNORE

# Of the image and how it was made; nothing that is typed by people but terms of the standard.
_KEPT = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "Modality", "PresentationIntentType", "BodyPartExamined", "ViewPosition",
    "PatientOrientation", "Laterality", "ImageLaterality", "InstanceNumber", "SeriesNumber", "KVP", "ExposureTime", "XRayTubeCurrent",
    "SliceThickness", "SpacingBetweenSlices", "SliceLocation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "ImagerPixelSpacing", "PixelAspectRatio", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "SmallestImagePixelValue", "LargestImagePixelValue", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "BurnedInAnnotation", "LossyImageCompression", "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
)  # fmt: skip
_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip  # type 2: a reader expects them, though nothing stands in them
_HASHED = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_OLDEST = 89
_METHOD = "Tradewind: what PS3.15 annex E lets stay"
_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_CHARACTERISTICS = ("113108", "DCM", "Retain Patient Characteristics Option")


@dataclass(frozen=True)
class Copy:
    """The bytes of a de-identified file, and whether its pixels may hold text: True, False, or None where nothing said so."""

    content: bytes
    burned_in: bool | None


def deidentified(content: bytes, *, key: bytes, keep_characteristics: bool = False) -> Copy:
    """A copy of a DICOM file without anybody's identity. `key` makes identifiers: whoever has it can follow a file back.

    `keep_characteristics` leaves the sex and the age in years, from 90 on as 90 (PS3.15 E.3.6). Raises DataError `dicom_broken`.
    """
    try:
        found = dcmread(io.BytesIO(content))
        made = FileDataset("", {}, file_meta=_meta(found.file_meta, key), preamble=b"\0" * 128)
        for name in _KEPT:
            if name in found:
                made.add(found[name])
        for name in _EMPTY:
            setattr(made, name, "")
        for name in _HASHED:
            if found.get(name):
                setattr(made, name, _hashed(found.get(name), key))
        if keep_characteristics:
            _characteristics(found, made)
        made.PatientIdentityRemoved = "YES"
        made.DeidentificationMethod = _METHOD
        codes = [_PROFILE, *([_CHARACTERISTICS] if keep_characteristics else [])]
        made.DeidentificationMethodCodeSequence = [_code(*one) for one in codes]
        out = io.BytesIO()
        made.save_as(out, enforce_file_format=True)
    except (
        InvalidDicomError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        EOFError,
        OSError,
        RecursionError,
    ) as error:
        raise DataError(
            "It is no whole DICOM file.", code="dicom_broken", hint="Export it again, or leave it out."
        ) from error
    said = str(found.get("BurnedInAnnotation", "")).strip().upper()
    return Copy(out.getvalue(), {"YES": True, "NO": False}.get(said))


def _meta(found: FileMetaDataset, key: bytes) -> FileMetaDataset:
    """Only what is needed to read the file: applications and machines name institutions."""
    made = FileMetaDataset()
    made.TransferSyntaxUID = found.TransferSyntaxUID
    made.MediaStorageSOPClassUID = found.MediaStorageSOPClassUID
    made.MediaStorageSOPInstanceUID = _hashed(found.MediaStorageSOPInstanceUID, key)
    return made


def _hashed(identifier: str, key: bytes) -> UID:
    """A UID of 128 keyed bits (PS3.5 B.2): the same for the same identifier and key, and nobody's otherwise."""
    digest = hmac.new(key, str(identifier).encode(), hashlib.sha256).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _characteristics(found: Dataset, made: Dataset) -> None:
    made.PatientSex = found.PatientSex if found.get("PatientSex") in ("F", "M", "O") else ""
    age = str(found.get("PatientAge", ""))
    if age[:-1].isascii() and age[:-1].isdigit() and age[-1:] == "Y":
        made.PatientAge = f"{min(int(age[:-1]), _OLDEST + 1):03d}Y"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
