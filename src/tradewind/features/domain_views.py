"""What a domain looks at: a column as a few codes, from raw values. A code says where a value lies among those of training.

Not here: how codes go together (`domain.py`), what a picture shows (`domain_image.py`), what a recording holds (`domain_audio.py`), what a model is fed (`number.py` …).

Legend: B rows, K codes of one look at a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.features.category import keys_of
from tradewind.features.column import Values
from tradewind.features.date import to_moments
from tradewind.features.number import to_numbers

Codes = NDArray[np.int64]
MISSING = 0

_LEVELS = (0.002, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.998)
_FAR = 1e-4  # what values count that are nowhere near those of training
_OWN_CODES = 30  # categories with a code of their own; the others share one
_KNOWN = 2_000  # categories that are remembered as seen
_SINGLE, _PAIRS, _LEAN = 4_096, 8_192, 5.0
_CHARACTERS = 2_000
_FIRST_IDEOGRAPH = "\u2e80"


class View(Protocol):
    """A fitted look at one column: `looks` columns of codes."""

    @property
    def column(self) -> str: ...

    @property
    def priors(self) -> tuple[NDArray[np.float64], ...]:
        """For each look, what each of its K codes weighs before anything is counted, [K]."""
        ...

    def codes(self, values: Values) -> Codes:
        """int64 [B, looks]; never raises for a value."""
        ...

    def state(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Scale:
    """Numbers as codes: 0 missing, 1 far below all of training, 2 below, then one for each bin, above, far above.

    Far is more than half of the whole range away.
    """

    low: float
    high: float
    inner: tuple[float, ...]

    @classmethod
    def fit(cls, x: NDArray[np.float64]) -> Self:
        """Of values with NaN for missing. Few distinct ones get a bin each, many share bins that are narrow in the tails."""
        x = np.sort(x[np.isfinite(x)])
        if not x.size:
            return cls(0.0, 0.0, ())
        distinct = np.unique(x)
        inner = distinct[1:] / 2 + distinct[:-1] / 2
        if len(distinct) > len(_LEVELS):
            inner = np.unique(np.quantile(x, _LEVELS))
        return cls(float(x[0]), float(x[-1]), tuple(inner.tolist()))

    @property
    def prior(self) -> NDArray[np.float64]:
        prior = np.full(len(self.inner) + 6, 0.5)
        prior[[1, -1]] = _FAR
        return prior

    def codes(self, x_B: NDArray[np.float64]) -> Codes:
        found_B = 3 + np.searchsorted(np.array(self.inner), np.nan_to_num(x_B), side="right")
        half, last = self.high / 2 - self.low / 2, len(self.inner) + 5
        found_B = np.where(x_B < self.low, np.where(x_B < self.low - half, 1, 2), found_B)
        found_B = np.where(x_B > self.high, np.where(x_B > self.high + half, last, last - 1), found_B)
        return np.where(np.isnan(x_B), MISSING, found_B).astype(np.int64)

    def state(self) -> list[Any]:
        return [self.low, self.high, list(self.inner)]

    @classmethod
    def from_state(cls, state: list[Any]) -> Self:
        return cls(state[0], state[1], tuple(state[2]))


def scaled(scales: Sequence[Scale], measures_BL: NDArray[np.float64]) -> Codes:
    """Codes of several measures of a column, [B, L]."""
    return np.stack([scale.codes(x_B) for scale, x_B in zip(scales, measures_BL.T, strict=True)], axis=1)


@dataclass(frozen=True)
class NumberView:
    """Numbers, and dates as seconds."""

    column: str
    kind: str
    scale: Scale

    @classmethod
    def fit(cls, column: str, kind: str, values: Values) -> Self:
        return cls(column, kind, Scale.fit(_numbers(kind, values)))

    @property
    def priors(self) -> tuple[NDArray[np.float64], ...]:
        return (self.scale.prior,)

    def codes(self, values: Values) -> Codes:
        return self.scale.codes(_numbers(self.kind, values))[:, None]

    def state(self) -> dict[str, Any]:
        return {"column": self.column, "kind": self.kind, "scale": self.scale.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(state["column"], state["kind"], Scale.from_state(state["scale"]))


def _numbers(kind: str, values: Values) -> NDArray[np.float64]:
    return to_numbers(values) if kind == "number" else to_moments(values)


@dataclass(frozen=True)
class CategoryView:
    """Categories: 0 missing, 1 never seen, 2 rare, then the most frequent ones. `once` is how many occurred once.

    A category that nobody has seen is as likely as those that were seen once, all together (Good 1953).
    """

    column: str
    known: tuple[str, ...]
    once: int
    cut: bool

    @classmethod
    def fit(cls, column: str, values: Values) -> Self:
        counts = Counter(key for key in keys_of(values) if key is not None)
        ranked = sorted(counts, key=lambda key: (-counts[key], key))
        once = sum(1 for count in counts.values() if count == 1)
        return cls(column, tuple(ranked[:_KNOWN]), once, len(ranked) > _KNOWN)

    @property
    def priors(self) -> tuple[NDArray[np.float64], ...]:
        prior = np.full(3 + min(len(self.known), _OWN_CODES), 0.5)
        prior[1] = max(0.5, float(self.once))
        return (prior,)

    def codes(self, values: Values) -> Codes:
        rank = {key: 3 + at if at < _OWN_CODES else 2 for at, key in enumerate(self.known)}
        other = 2 if self.cut else 1
        return np.array([MISSING if key is None else rank.get(key, other) for key in keys_of(values)], np.int64)[
            :, None
        ]

    def state(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "kind": "category",
            "known": list(self.known),
            "once": self.once,
            "cut": self.cut,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(state["column"], tuple(state["known"]), state["once"], state["cut"])


@dataclass(frozen=True)
class TextView:
    """Text by its length, its share of ideographs, and how surprising its characters are, each given the one before: a
    text in another language, of another trade or of chance is told by it.

    Counts stand in buckets, `single` for characters and `pairs` for two of them; the surprise is a mean over the text.
    """

    column: str
    single: tuple[int, ...]
    pairs: tuple[int, ...]
    scales: tuple[Scale, ...]

    @classmethod
    def fit(cls, column: str, values: Values) -> Self:
        """Characters are counted in every second text and the scales fitted on the others, which they have not seen."""
        single, pairs = np.zeros(_SINGLE, np.int64), np.zeros(_PAIRS, np.int64)
        for text in values[::2]:
            ones, twos = _buckets(text)
            single += np.bincount(ones, minlength=_SINGLE)
            pairs += np.bincount(twos, minlength=_PAIRS)
        bare = cls(column, tuple(single.tolist()), tuple(pairs.tolist()), ())
        measures_BL = bare._measures(values[1::2] if len(values) > 1 else values)
        return cls(column, bare.single, bare.pairs, tuple(Scale.fit(x) for x in measures_BL.T))

    @property
    def priors(self) -> tuple[NDArray[np.float64], ...]:
        return tuple(scale.prior for scale in self.scales)

    def codes(self, values: Values) -> Codes:
        return scaled(self.scales, self._measures(values))

    def _measures(self, values: Values) -> NDArray[np.float64]:
        """[B, 3]; NaN for no text."""
        single, pairs = np.array(self.single, np.float64), np.array(self.pairs, np.float64)
        share = (single + 0.1) / (single + 0.1).sum()
        measures_BL = np.full((len(values), 3), np.nan)
        for row, text in enumerate(values):
            ones, twos = _buckets(text)
            if len(ones):
                # A pair that was never met leans on its second character alone (Witten and Bell 1991, with one weight).
                found = (pairs[twos] + _LEAN * share[ones[1:]]) / (single[ones[:-1]] + _LEAN)
                wide = sum(character >= _FIRST_IDEOGRAPH for character in text[:_CHARACTERS]) / len(ones)
                measures_BL[row] = np.log(len(ones)), wide, -np.log(found).mean()
        return measures_BL

    def state(self) -> dict[str, Any]:
        counts = {"single": list(self.single), "pairs": list(self.pairs)}
        return {"column": self.column, "kind": "text", **counts, "scales": [scale.state() for scale in self.scales]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        scales = tuple(Scale.from_state(scale) for scale in state["scales"])
        return cls(state["column"], tuple(state["single"]), tuple(state["pairs"]), scales)


def _buckets(text: object) -> tuple[Codes, Codes]:
    """Buckets of the characters, [T], and of neighbouring ones, [T - 1], the ends counted as spaces; none for no text."""
    if not isinstance(text, str) or not text.strip():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    plain = f" {text[:_CHARACTERS].lower()} ".encode("utf-32-le", errors="replace")
    points = np.frombuffer(plain, dtype="<u4").astype(np.uint64)
    mixed = points[:-1] * np.uint64(0x9E3779B1) + points[1:] * np.uint64(0x85EBCA77)
    ones = (points * np.uint64(0x9E3779B1) >> np.uint64(9)) % np.uint64(_SINGLE)
    twos = (mixed >> np.uint64(15)) % np.uint64(_PAIRS)
    return ones.astype(np.int64), twos.astype(np.int64)


def fit_view(column: str, kind: str, values: Values) -> View | None:
    """A view of one column from training values, shape [B]; None for a kind that has none."""
    match kind:
        case "number" | "date":
            return NumberView.fit(column, kind, values)
        case "category":
            return CategoryView.fit(column, values)
        case "text":
            return TextView.fit(column, values)
        case "image" | "audio":
            view: View = _view_of(kind).fit(column, values)
            return view
    return None


def view_from_state(state: Mapping[str, Any]) -> View:
    match state["kind"]:
        case "category":
            return CategoryView.from_state(state)
        case "text":
            return TextView.from_state(state)
        case "image" | "audio":
            view: View = _view_of(state["kind"]).from_state(state)
            return view
    return NumberView.from_state(state)


def _view_of(kind: str) -> Any:
    """Loaded when a product has such a column: a table of numbers is served without Pillow and libsndfile."""
    module, name = {"image": ("domain_image", "ImageView"), "audio": ("domain_audio", "AudioView")}[kind]
    return getattr(import_module(f"tradewind.features.{module}"), name)
