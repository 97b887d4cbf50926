"""Sample data: drawings that look like chest X-rays, some with an opacity, and a table of what the clinic knows.

Nobody's picture and nobody's data: lungs, ribs, spine and heart are drawn by code. Opacities differ in strength, so that the
picture alone does not settle every case; temperature and cough tell the rest.

Legend: S side in pixels; brightness runs from 0, black, to 1.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats: TypeAlias = NDArray[np.float64]

PATIENTS = 480
SIDE = 64
SITES = ("north", "south", "harbour")
COLUMNS = ("scan", "age", "sex", "temperature", "cough", "site", "finding")


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/patients.csv` and the pictures that it names, `data/scans/*.png`, below `folder`."""
    random = np.random.default_rng(seed)
    scans = folder / "data" / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    with (folder / "data" / "patients.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number in range(PATIENTS):
            ill = bool(random.random() < 0.4)
            name = f"{number:04d}.png"
            _as_png(_chest(random, strength=_strength(random) if ill else 0.0), scans / name)
            table.writerow([f"scans/{name}", *_clinic(random, ill=ill), "pneumonia" if ill else "normal"])


# ---------------------------------------------------------------- the table


def _clinic(random: np.random.Generator, *, ill: bool) -> tuple[int, str, str, str, str]:
    """Age, sex, temperature, cough, site."""
    age = int(random.integers(18, 92))
    sex = "female" if random.random() < 0.5 else "male"
    degrees = 36.8 + (1.1 if ill else 0.0) + random.normal(0, 0.6)
    cough = "yes" if random.random() < (0.75 if ill else 0.3) else "no"
    temperature = "" if random.random() < 0.05 else f"{degrees:.1f}"
    return age, sex, temperature, cough, SITES[int(random.integers(len(SITES)))]


def _strength(random: np.random.Generator) -> float:
    """Brightness that an opacity adds: one in five is faint."""
    return float(random.uniform(0.04, 0.1) if random.random() < 0.2 else random.uniform(0.2, 0.4))


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
    shade += strength * _blob(random, x, y, lungs, size=(0.05, 0.09))
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


if __name__ == "__main__":
    make(Path(__file__).parent)
