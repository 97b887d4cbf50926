"""Occlusion: which stretches of a text or a recording, or parts of a picture, an answer rests on, by leaving them out.

The prediction difference of Robnik-Šikonja and Kononenko (2008); of pictures, windows that slide (Zeiler, Fergus 2014).
Not here: columns against each other (`shapley.py`), drawing over a picture (`features/overlay.py`).

Legend: B rows, C channels, S side in pixels, G cells along a side, U units of a text, T frames, M mel bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.shapley import Attribution, Score
from tradewind.features.coalitions import Arrays, Floats
from tradewind.features.segments import silenced, stretches
from tradewind.features.spans import Span, touching, units, without
from tradewind.features.text import as_text

_GRID = 12
_LONGEST_PHRASE = 4  # characters without spaces that may belong together
_MOST_SPANS = 24


@dataclass(frozen=True)
class Stretch:
    """Characters `start` to `end` of a text and what they add to the answer: to the log-odds of its label, or in units of
    the target."""

    start: int
    end: int
    text: str
    effect: float

    def to_json(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "text": self.text, "effect": float(f"{self.effect:.6g}")}


def text_stretches(
    attribution: Attribution, row: Mapping[str, object], column: str, score: Score, *, most: int = _MOST_SPANS
) -> list[Stretch]:
    """The `most` strongest stretches of a text column of one row, in the order of the text.

    Each word, or character of a script without spaces, is cut out. Neighbouring characters become one stretch where
    cutting both moves the answer the same way and further than either; each stretch is then cut out whole, so that its effect is
    measured and not added up.
    """
    text = as_text(row.get(column))
    found = units(text)
    if not found:
        return []
    pairs = [(one, other) for one, other in pairwise(found) if touching(one, other)]
    cut: list[list[Span]] = [[one] for one in found] + [list(pair) for pair in pairs]
    effects = _effects(attribution, row, column, text, cut, score)
    alone, together = dict(zip(found, effects, strict=False)), dict(zip(pairs, effects[len(found) :], strict=True))
    spans = _phrases(found, alone, together)
    if len(spans) < len(found):
        effects = _effects(attribution, row, column, text, [[span] for span in spans], score)
    strongest = np.sort(np.argsort(-np.abs(effects[: len(spans)]), kind="stable")[:most])
    return [Stretch(start, end, text[start:end], float(effects[at])) for at in strongest for start, end in [spans[at]]]


def _effects(
    attribution: Attribution, row: Mapping[str, object], column: str, text: str, cut: list[list[Span]], score: Score
) -> Floats:
    """What each set of spans adds to the score, [U]."""
    rows = [{**row, column: text}, *({**row, column: without(text, spans)} for spans in cut)]
    scores = score(attribution.ask(attribution.predictor.features.encode_rows(rows)))
    found: Floats = scores[0] - scores[1:]
    return found


def _phrases(found: list[Span], alone: Mapping[Span, float], together: Mapping[tuple[Span, Span], float]) -> list[Span]:
    """Units joined from the left while each pair is stronger than its members and pulls the same way."""
    spans, length = [found[0]], 1
    for before, unit in pairwise(found):
        pair = together.get((before, unit))
        joined = (
            pair is not None
            and length < _LONGEST_PHRASE
            and min(alone[before] * pair, alone[unit] * pair) > 0
            and abs(pair) > max(abs(alone[before]), abs(alone[unit]))
        )
        if joined:
            spans[-1], length = (spans[-1][0], unit[1]), length + 1
        else:
            spans.append(unit)
            length = 1
    return spans


def image_grid(attribution: Attribution, arrays: Arrays, tensor: str, score: Score) -> Floats:
    """What each cell of a picture adds to the answer, [G, G], of one encoded row.

    Windows of two by two cells are filled with the picture's own mean, channel by channel; a cell has the mean effect of
    the windows that cover it.
    """
    picture = arrays[tensor][0]
    edges = np.linspace(0, picture.shape[-1], _GRID + 1).round().astype(np.int64)
    places = [(y, x) for y in range(_GRID - 1) for x in range(_GRID - 1)]
    mean = picture.mean(axis=(1, 2), keepdims=True).round().astype(picture.dtype)
    hidden = np.repeat(picture[None], len(places), axis=0)
    for window, (y, x) in zip(hidden, places, strict=True):
        window[:, edges[y] : edges[y + 2], edges[x] : edges[x + 2]] = mean
    many = {name: np.repeat(one, len(places), axis=0) for name, one in arrays.items() if name != tensor}
    effects = score(attribution.ask(arrays))[0] - score(attribution.ask({**many, tensor: hidden}))
    total, covered = np.zeros((_GRID, _GRID)), np.zeros((_GRID, _GRID))
    for effect, (y, x) in zip(effects, places, strict=True):
        total[y : y + 2, x : x + 2] += effect
        covered[y : y + 2, x : x + 2] += 1
    grid: NDArray[np.float64] = total / covered
    return grid


def audio_stretches(
    attribution: Attribution, arrays: Arrays, tensor: str, score: Score
) -> list[tuple[tuple[int, int], float]]:
    """Stretches of frames of one encoded recording, in order, and what each adds to the answer.

    A stretch and its neighbour are silenced together, as windows slide; a stretch has the mean effect of the windows that
    cover it, so that a sound that lies across an edge is not missed.
    """
    levels_TM = arrays[tensor][0]
    found = stretches(levels_TM)
    if not found:
        return []
    windows = [found[at : at + 2] for at in range(len(found) - 1)] or [found]
    many = {name: np.repeat(one, len(windows), axis=0) for name, one in arrays.items() if name != tensor}
    hidden = silenced(levels_TM, windows)
    effects = score(attribution.ask(arrays))[0] - score(attribution.ask({**many, tensor: hidden}))
    total, covered = np.zeros(len(found)), np.zeros(len(found))
    for at, effect in enumerate(effects):
        total[at : at + 2] += effect
        covered[at : at + 2] += 1
    return list(zip(found, (total / covered).tolist(), strict=True))
