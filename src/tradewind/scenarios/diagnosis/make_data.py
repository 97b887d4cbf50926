"""Sample data: drawings that look like chest X-rays, some with an opacity, and a table of what the clinic knows.

Nobody's picture and nobody's data: lungs, ribs, spine and heart are drawn by code. Opacities differ in strength, so that the
picture alone does not settle every case; temperature and cough tell the rest.

Half of the pictures are DICOM where pydicom is installed, of 12 bits and some of them inverted, as scanners write them.

Legend: S side in pixels; brightness runs from 0, black, to 1.
"""

from __future__ import annotations

import csv
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats: TypeAlias = NDArray[np.float64]

PATIENTS = 400
SIDE = 64
SITES = ("north", "south", "harbour")
_SUFFIX = ".png" if find_spec("pydicom") is None else ".dcm"
COLUMNS = ("scan", "age", "sex", "temperature", "cough", "site", "finding")


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/patients.csv` and the pictures that it names, `data/scans/*.png` and `*.dcm`, below `folder`."""
    random = np.random.default_rng(seed)
    scans = folder / "data" / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    with (folder / "data" / "patients.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number in range(PATIENTS):
            ill = bool(random.random() < 0.4)
            picture = _chest(random, strength=_strength(random) if ill else 0.0)
            name = f"{number:04d}{_SUFFIX if number % 2 else '.png'}"
            if name.endswith(".dcm"):
                _as_dicom(picture, scans / name, inverted=number % 6 == 1)
            else:
                _as_png(picture, scans / name)
            table.writerow([f"scans/{name}", *_clinic(random, ill=ill), "pneumonia" if ill else "normal"])


# ---------------------------------------------------------------- the table


def _clinic(random: np.random.Generator, *, ill: bool) -> tuple[int, str, str, str, str]:
    """Age, sex, temperature, cough, site."""
    age = int(random.integers(18, 92))
    sex = "female" if random.random() < 0.5 else "male"
    degrees = 36.8 + (1.3 if ill else 0.0) + random.normal(0, 0.6)
    cough = "yes" if random.random() < (0.75 if ill else 0.3) else "no"
    temperature = "" if random.random() < 0.05 else f"{degrees:.1f}"
    return age, sex, temperature, cough, SITES[int(random.integers(len(SITES)))]


def _strength(random: np.random.Generator) -> float:
    """Brightness that an opacity adds: about one in seven is faint."""
    return float(random.uniform(0.04, 0.1) if random.random() < 0.15 else random.uniform(0.25, 0.45))


# ---------------------------------------------------------------- the picture


def _chest(random: np.random.Generator, *, strength: float) -> Floats:
    """A chest from the front, [S, S] in 0 to 1; `strength` is how much an opacity in one lung brightens it."""
    place = (np.arange(SIDE) + 0.5) / SIDE
    y, x = np.meshgrid(place, place, indexing="ij")
    x = (x - 0.5 - random.normal(0, 0.015)) / random.uniform(0.92, 1.08) + 0.5
    y = (y - 0.5 - random.normal(0, 0.015)) / random.uniform(0.92, 1.08) + 0.5
    body = 0.6 * _oval(x, y, centre=(0.5, 0.55), radius=(0.46, 0.55), soft=0.06)
    lungs = [_oval(x, y, centre=(side, 0.5), radius=(0.15, 0.3), soft=0.03) for side in (0.3, 0.7)]
    both = np.maximum(*lungs)
    shade = body - 0.42 * both
    ribs = np.sin(2 * np.pi * (7.5 * y - 2.2 * np.abs(x - 0.5))) ** 8
    shade += random.uniform(0.06, 0.12) * ribs * both
    shade += 0.3 * np.exp(-(((x - 0.5) / 0.035) ** 2)) * (y > 0.1)
    shade += 0.2 * _oval(x, y, centre=(0.55, 0.66), radius=(0.13, 0.12), soft=0.03)
    for _ in range(int(random.integers(2, 6))):  # vessels
        shade += 0.06 * _blob(random, x, y, lungs, size=(0.015, 0.03))
    shade += strength * _blob(random, x, y, lungs, size=(0.06, 0.1))
    exposed = 0.5 + (shade - 0.4) * random.uniform(0.8, 1.2) + random.normal(0, 0.04)
    grain: Floats = exposed + random.normal(0, 0.03, size=exposed.shape)
    return np.clip(grain, 0.0, 1.0)


def _oval(x: Floats, y: Floats, *, centre: tuple[float, float], radius: tuple[float, float], soft: float) -> Floats:
    """1 inside, 0 outside, with an edge as wide as `soft`."""
    away = np.sqrt(((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2)
    inside: Floats = np.clip((1.0 - away) * min(radius) / soft + 0.5, 0.0, 1.0)
    return inside


def _blob(
    random: np.random.Generator, x: Floats, y: Floats, lungs: list[Floats], *, size: tuple[float, float]
) -> Floats:
    """A soft spot somewhere in one of the lungs."""
    lung = int(random.integers(2))
    at_x = (0.3, 0.7)[lung] + random.uniform(-0.07, 0.07)
    at_y = random.uniform(0.32, 0.7)
    wide, high = random.uniform(*size), random.uniform(*size)
    spot: Floats = np.exp(-0.5 * (((x - at_x) / wide) ** 2 + ((y - at_y) / high) ** 2)) * lungs[lung]
    return spot


def _as_png(picture_SS: Floats, path: Path) -> None:
    Image.fromarray(np.round(picture_SS * 255).astype(np.uint8)).save(path)


def _as_dicom(picture_SS: Floats, path: Path, *, inverted: bool) -> None:
    """12 bits with a window; `inverted`: MONOCHROME1, whose smallest value is white."""
    dataset, uid = import_module("pydicom.dataset"), import_module("pydicom.uid")
    meta = dataset.FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = uid.UID("1.2.840.10008.5.1.4.1.1.1.1")  # digital X-ray, for presentation
    meta.MediaStorageSOPInstanceUID = uid.generate_uid(entropy_srcs=[path.name])
    stored = np.round((1.0 - picture_SS if inverted else picture_SS) * 4095).astype(np.uint16)
    header: dict[str, Any] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "DX",
        "BodyPartExamined": "CHEST", "ViewPosition": "PA", "Rows": SIDE, "Columns": SIDE, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12,
        "HighBit": 11, "PixelRepresentation": 0, "WindowCenter": 2048, "WindowWidth": 4096, "BurnedInAnnotation": "NO",
        "PixelData": stored.tobytes(),
    }  # fmt: skip
    file = dataset.FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    for name, value in header.items():
        setattr(file, name, value)
    file["PixelData"].VR = "OW"
    file.save_as(path, enforce_file_format=True)


if __name__ == "__main__":
    make(Path(__file__).parent)
