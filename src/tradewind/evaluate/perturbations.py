"""What happens to rows before they reach a model: noise, typing errors, blur, missing fields … each in growing severity.

Numbers, words, recordings (`sound_trials.py`) and rows are changed raw, as a customer would send them; pictures as the engine has read them, for a picture is
read once and changed often. Not here: how a model fares then (`robustness.py`).

Legend: B rows, C channels, H height, W width. A severity is a number in the unit of its trial.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tradewind.evaluate import misspelling, sound_trials, synonyms
from tradewind.features.column import Values
from tradewind.features.number import to_numbers

Columns: TypeAlias = Mapping[str, Values]
Pixels: TypeAlias = NDArray[np.uint8]
Family: TypeAlias = Literal["number", "text", "image", "audio", "row"]

_FULL = 255.0
_LOOKED_AT = 100  # texts that show whether a trial has anything to change
_FEWEST_CHANGED = 0.2  # of these texts


@dataclass(frozen=True)
class Trial:
    """One way of changing rows. `severities` grow; the figure that gates may name is that of number `standard`."""

    name: str
    family: Family
    severities: tuple[float, ...]
    standard: int


TRIALS = (
    Trial("number_noise", "number", (0.05, 0.1, 0.2, 0.5), 1),  # standard deviations of the column in training
    Trial("out_of_range", "number", (0.1, 1.0, 10.0), 1),  # times the range of training, beyond either end
    Trial("missing", "row", (0.1, 0.25, 0.5), 0),  # share of fields
    Trial("typing", "text", (0.02, 0.05, 0.1, 0.2), 1),  # share of letters
    Trial("homophones", "text", (0.02, 0.05, 0.1, 0.2), 1),  # share of characters
    Trial("lookalikes", "text", (0.05, 0.1, 0.25, 0.5), 1),  # share of characters that have one
    Trial("synonyms", "text", (0.25, 0.5, 1.0), 1),  # share of words that have one
    Trial("image_noise", "image", (0.02, 0.05, 0.1), 1),  # standard deviation, of full brightness
    Trial("blur", "image", (0.01, 0.02, 0.04), 0),  # standard deviation, of the side
    Trial("contrast", "image", (0.2, 0.4, 0.7), 1),  # share lost
    Trial("rotation", "image", (5.0, 10.0, 20.0), 1),  # degrees, either way
    Trial("audio_noise", "audio", (0.1, 0.32, 1.0), 1),  # times the level of the recording: 20, 10 and 0 dB below it
    Trial("gain", "audio", (6.0, 12.0, 20.0), 1),  # decibels, either way; too loud clips
    Trial("time_shift", "audio", (0.05, 0.1, 0.2), 1),  # seconds, either way; what leaves is lost
    Trial("pace", "audio", (0.05, 0.1, 0.2), 1),  # share by which it is faster or slower
)
BY_NAME = {trial.name: trial for trial in TRIALS}


@dataclass(frozen=True)
class Facts:
    """What changes depend on: the columns by kind, the range and deviation of numbers in training, words of like meaning."""

    kinds: Mapping[str, str]
    ranges: Mapping[str, tuple[float, float]]
    deviations: Mapping[str, float]
    lexicon: synonyms.Lexicon

    @classmethod
    def of(cls, kinds: Mapping[str, str], train: Columns, lexicon: synonyms.Lexicon) -> Facts:
        ranges, deviations = {}, {}
        for name, kind in kinds.items():
            known = to_numbers(train[name]) if kind == "number" else np.zeros(0)
            known = known[np.isfinite(known)]
            if len(known):
                low, high = np.quantile(known, (0.005, 0.995))  # an outlier or two must not be all of the deviation
                ranges[name] = (float(known.min()), float(known.max()))
                deviations[name] = float(np.clip(known, low, high).std())
        return cls(kinds, ranges, deviations, lexicon)

    def of_kind(self, kind: str) -> list[str]:
        return [name for name, found in self.kinds.items() if found == kind]


def applies(trial: Trial, rows: Columns, facts: Facts) -> bool:
    """Whether these rows hold anything that the trial changes."""
    if trial.family in ("image", "audio"):
        return bool(facts.of_kind(trial.family))
    if trial.family == "row":
        return len(facts.kinds) > 1
    if trial.family == "number":
        return bool(facts.ranges)
    texts = [text for name in facts.of_kind("text") for text in rows[name][:_LOOKED_AT] if isinstance(text, str)]
    if trial.name == "synonyms":
        some = sum(synonyms.known(text, facts.lexicon) > 0 for text in texts)
    else:
        some = sum(misspelling.touched(text, trial.name) * 4 > len(text) for text in texts)
    return some > _FEWEST_CHANGED * len(texts)


def changed(
    trial: Trial, severity: float, rows: Columns, facts: Facts, random: np.random.Generator
) -> dict[str, Values]:
    """Raw rows after a trial of numbers, text, recordings or rows; columns that it does not touch are the same arrays."""
    if trial.family == "audio":
        heard = facts.of_kind("audio")
        return {
            **rows,
            **{name: sound_trials.changed_recordings(trial.name, severity, rows[name], random) for name in heard},
        }
    return {**rows, **_CHANGES[trial.name](severity, rows, facts, random)}


def changed_pixels(trial: Trial, severity: float, pixels_BCHW: Pixels, random: np.random.Generator) -> Pixels:
    """Pictures after a trial of images, uint8 as they were."""
    found: Pixels = np.clip(np.rint(_PIXELS[trial.name](severity, pixels_BCHW, random)), 0, _FULL).astype(np.uint8)
    return found


# ---------------------------------------------------------------- numbers and rows


def _number_noise(severity: float, rows: Columns, facts: Facts, random: np.random.Generator) -> dict[str, Values]:
    found = {}
    for name, deviation in facts.deviations.items():
        x_B = to_numbers(rows[name])
        found[name] = x_B + severity * deviation * random.normal(size=len(x_B))
    return found


def _out_of_range(severity: float, rows: Columns, facts: Facts, random: np.random.Generator) -> dict[str, Values]:
    """In each row one number, drawn by chance, lies beyond what training knew."""
    names = list(facts.ranges)
    found = {name: to_numbers(rows[name]).copy() for name in names}
    count = len(found[names[0]])
    drawn_B, above_B = random.integers(0, len(names), count), random.random(count) < 0.5
    for at, name in enumerate(names):
        low, high = facts.ranges[name]
        beyond = severity * (high - low if high > low else max(abs(high), 1.0))
        here_B = drawn_B == at
        found[name][here_B] = np.where(above_B, high + beyond, low - beyond)[here_B]
    return dict(found)


def _missing(severity: float, rows: Columns, facts: Facts, random: np.random.Generator) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for name in facts.kinds:
        values = rows[name]
        lost_B = random.random(len(values)) < severity
        if values.dtype.kind == "f":
            found[name] = np.where(lost_B, np.nan, values)
        else:
            found[name] = values.astype(object)
            found[name][lost_B] = None
    return found


# ---------------------------------------------------------------- text


def _text(change: Callable[[str, float, np.random.Generator], str]) -> Callable[..., dict[str, Values]]:
    def changed_texts(severity: float, rows: Columns, facts: Facts, random: np.random.Generator) -> dict[str, Values]:
        found: dict[str, Values] = {}
        for name in facts.of_kind("text"):
            found[name] = rows[name].astype(object)
            for row, text in enumerate(rows[name]):
                if isinstance(text, str):
                    found[name][row] = change(text, severity, random)
        return found

    return changed_texts


def _synonyms(severity: float, rows: Columns, facts: Facts, random: np.random.Generator) -> dict[str, Values]:
    def change(text: str, share: float, random: np.random.Generator) -> str:
        return synonyms.rephrased(text, share, random, facts.lexicon)

    return _text(change)(severity, rows, facts, random)


_CHANGES: Mapping[str, Callable[..., dict[str, Values]]] = {
    "number_noise": _number_noise,
    "out_of_range": _out_of_range,
    "missing": _missing,
    "typing": _text(misspelling.mistyped),
    "homophones": _text(misspelling.by_sound),
    "lookalikes": _text(misspelling.by_look),
    "synonyms": _synonyms,
}


# ---------------------------------------------------------------- pictures


def _image_noise(severity: float, pixels: Pixels, random: np.random.Generator) -> NDArray[Any]:
    noisy: NDArray[Any] = pixels + random.normal(0, severity * _FULL, pixels.shape)
    return noisy


def _blur(severity: float, pixels: Pixels, random: np.random.Generator) -> NDArray[Any]:
    sigma = severity * max(pixels.shape[2:])
    blurred: NDArray[Any] = ndimage.gaussian_filter(pixels.astype(np.float32), (0, 0, sigma, sigma), mode="nearest")
    return blurred


def _contrast(severity: float, pixels: Pixels, random: np.random.Generator) -> NDArray[Any]:
    middle = pixels.mean(axis=(1, 2, 3), keepdims=True)
    faded: NDArray[Any] = middle + (1 - severity) * (pixels - middle)
    return faded


def _rotation(severity: float, pixels: Pixels, random: np.random.Generator) -> NDArray[Any]:
    turned = np.empty(pixels.shape, np.float32)
    for row, way in enumerate(random.choice((-1, 1), len(pixels))):
        whole = pixels[row].astype(np.float32)
        ndimage.rotate(whole, way * severity, axes=(1, 2), reshape=False, order=1, mode="nearest", output=turned[row])
    return turned


_PIXELS: Mapping[str, Callable[[float, Pixels, np.random.Generator], NDArray[Any]]] = {
    "image_noise": _image_noise,
    "blur": _blur,
    "contrast": _contrast,
    "rotation": _rotation,
}


# ---------------------------------------------------------------- rows from elsewhere


def shuffled(rows: Columns, names: list[str], random: np.random.Generator) -> dict[str, Values]:
    """Each column in an order of its own: every value is real, no row is."""
    return {**rows, **{name: rows[name][random.permutation(len(rows[name]))] for name in names}}


def foreign(rows: Columns, facts: Facts, random: np.random.Generator) -> dict[str, Values]:
    """Rows of something else: numbers anywhere within twice the range, words that nobody used, letters in no order, pictures
    and recordings of nothing."""
    found = dict(rows)
    for name, kind in facts.kinds.items():
        count = len(rows[name])
        if name in facts.ranges:
            low, high = facts.ranges[name]
            found[name] = random.uniform(low - (high - low) / 2, high + (high - low) / 2, count)
        elif kind == "text":
            found[name] = _text(_in_no_order)(0.0, {name: rows[name]}, Facts({name: kind}, {}, {}, {}), random)[name]
        elif kind == "image":
            found[name] = _pictures_of_nothing(count, random)
        elif kind == "audio":
            found[name] = sound_trials.hums(count, random)
        else:
            found[name] = np.array([f"\u2205{random.integers(10**6)}" for _ in range(count)], dtype=object)
    return found


def _pictures_of_nothing(count: int, random: np.random.Generator) -> Values:
    """Clouds of grey, as PNG."""
    found = np.empty(count, dtype=object)
    for row in range(count):
        rough = random.integers(0, 256, (6, 6)).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(rough).resize((96, 96), Image.Resampling.BICUBIC).save(content, "PNG")
        found[row] = content.getvalue()
    return found


def _in_no_order(text: str, share: float, random: np.random.Generator) -> str:
    return "".join(text[at] for at in random.permutation(len(text)))
