"""Rows that are nobody's: every column by itself, its values about as often as they occur, put together by chance.

A release carries a few rows so that it can be checked wherever it runs, and answers are compared with them. No person's row,
text or picture is among them. Not here: which of them a release takes (`train/examples.py`), how they are written (`release/golden.py`).

Legend: B rows of a split, M rows made, H height, W width.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from tradewind.features.category import category_key
from tradewind.features.column import Column, Values
from tradewind.features.date import DateColumn, to_moments
from tradewind.features.feature_set import FeatureSet
from tradewind.features.image import ImageColumn
from tradewind.features.number import to_numbers
from tradewind.features.text import WORD, TextColumn, as_text

_SHARED = 3  # rows that have a word of a category before it is used
_COMMON = 500  # words of the texts that are used: those in the most texts
_DECIMALS = 6
_LONGEST = 60  # words of a made text
_PLAIN_WORDS = ("this", "is", "an", "example", "of", "a", "text")
_WAVES = 6
_DAY_S = 86_400

Made: TypeAlias = Callable[[Any, Values, int, Generator], Values]


def examples(features: FeatureSet, raw: Mapping[str, Values], *, rows: int, seed: int) -> dict[str, Values]:
    """M = `rows` raw rows by column, from the raw columns of some B rows.

    Numbers and dates lie between neighbouring values; words of categories are those that several rows share; texts are strung
    together from the words most texts have; pictures are waves of light. Columns are drawn apart from one another, so what
    goes together in life does not here. A column of another kind is missing in all rows, unless its class has
    `examples(values, rows, generator)`. The same for the same seed.
    """
    found = {}
    for place, column in enumerate(features.columns):
        random = np.random.default_rng([seed, place])
        found[column.name] = _of_kind(column)(column, raw[column.name], rows, random)
    return found


def _of_kind(column: Column) -> Made:
    own = getattr(type(column), "examples", None)
    return own if own is not None else _KINDS.get(column.kind, _missing)


# ---------------------------------------------------------------- one kind each


def _numbers(column: Column, values: Values, rows: int, random: Generator) -> Values:
    known_B = to_numbers(values)
    found = _between(known_B, rows, random)
    told = known_B[np.isfinite(known_B)]
    decimals = next((n for n in range(_DECIMALS) if np.array_equal(np.round(told, n), told)), None)
    return found if decimals is None else np.round(found, decimals)


def _dates(column: DateColumn, values: Values, rows: int, random: Generator) -> Values:
    moments_B = to_moments(values, day_first=column.day_first)
    told = moments_B[np.isfinite(moments_B)]
    unit = _DAY_S if len(told) and not (told % _DAY_S).any() else 1
    found = np.empty(rows, dtype=object)
    for at, moment in enumerate(_between(moments_B, rows, random)):
        if np.isfinite(moment):
            written = datetime.fromtimestamp(float(moment // unit * unit), UTC)
            found[at] = written.date().isoformat() if unit == _DAY_S else written.isoformat()
    return found


def _between(known_B: NDArray[np.float64], rows: int, random: Generator) -> NDArray[np.float64]:
    """M values on the line between the neighbours of the known ones, evenly from all over; NaN as often as among them."""
    finite_B = np.isfinite(known_B)
    found = np.full(rows, np.nan)
    told = round(rows * finite_B.mean()) if len(known_B) else 0
    if told:
        at = (np.arange(told) + random.random(told)) / told
        found[:told] = np.quantile(known_B[finite_B], at)
    return random.permutation(found)


def _words(column: Column, values: Values, rows: int, random: Generator) -> Values:
    """Words of a category as often as they occur, but none that fewer than _SHARED rows have."""
    counts: Counter[str | None] = Counter(category_key(value) for value in values.tolist())
    shared = {word: count for word, count in counts.items() if count >= _SHARED}
    shared = shared or dict.fromkeys(_PLAIN_WORDS, 1)
    names = np.array(list(shared), dtype=object)
    ends = np.cumsum(list(shared.values())) / sum(shared.values())
    at = (np.arange(rows) + random.random(rows)) / rows
    return np.asarray(random.permutation(names[np.searchsorted(ends, at, side="right").clip(0, len(names) - 1)]))


def _texts(column: TextColumn, values: Values, rows: int, random: Generator) -> Values:
    """Words that the most texts have, as many as texts have; ideographs without spaces between."""
    grams = zip(column.ngrams.words, column.ngrams.word_rows, strict=True)
    known = [(word, count) for word, count in grams if " " not in word and count >= _SHARED][:_COMMON]
    known = known or [(word, 1) for word in _PLAIN_WORDS]
    names, weights = [word for word, _ in known], np.array([count for _, count in known], dtype=np.float64)
    few = values[np.linspace(0, len(values) - 1, min(len(values), 4 * rows)).astype(np.int64)]
    lengths = [len(WORD.findall(as_text(value)[: 20 * _LONGEST])) for value in few.tolist()]
    found = np.empty(rows, dtype=object)
    for at, length in enumerate(_between(np.array(lengths, dtype=np.float64), rows, random)):
        size = min(max(int(np.nan_to_num(length, nan=1.0)), 1), _LONGEST)
        drawn = random.choice(len(names), size=size, p=weights / weights.sum())
        found[at] = _strung([names[one] for one in drawn])
    return found


def _strung(words: list[str]) -> str:
    text = ""
    for word in words:
        apart = text and (text[-1].isascii() or word[0].isascii())
        text += f" {word}" if apart else word
    return text


def _pictures(column: ImageColumn, values: Values, rows: int, random: Generator) -> Values:
    """PNG files of a few waves and noise, about as light as the pictures that were learnt from, and not square."""
    height, width = column.side, max(8, column.side * 4 // 5)
    down_H1, across_1W = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
    found = np.empty(rows, dtype=object)
    for at in range(rows):
        light_HW = np.zeros((height, width))
        for turns_down, turns_across, phase in random.uniform(-1, 1, size=(_WAVES, 3)) * (4, 4, np.pi):
            light_HW += np.cos(2 * np.pi * (turns_down * down_H1 + turns_across * across_1W) + phase)
        light_HW /= max(float(light_HW.std()), 1e-9)
        light_HW += 0.2 * random.standard_normal(light_HW.shape)
        channels = [mean + std * light_HW for mean, std in zip(column.mean, column.std, strict=True)]
        pixels = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
        picture = Image.fromarray(pixels[:, :, 0] if column.channels == 1 else pixels)
        content = io.BytesIO()
        picture.save(content, format="PNG")
        found[at] = content.getvalue()
    return found


def _missing(column: Column, values: Values, rows: int, random: Generator) -> Values:
    return np.full(rows, None, dtype=object)


_KINDS: Mapping[str, Made] = {
    "number": _numbers, "date": _dates, "category": _words, "text": _texts, "image": _pictures,
}  # fmt: skip
