"""Rules of a shop over recommended items: what may be shown, what is pushed, and that not all are alike.

Not here: scores (`recommendation.py`), the search for the best (`top.py`).

Legend: I items, K candidates, k wanted, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.growing import Growing
from tradewind.errors import DataError, nearest
from tradewind.features.category import category_key

Floats: TypeAlias = NDArray[np.float32]
Wanted: TypeAlias = object  # a value, a sequence of values, or {"min": …, "max": …}


class Attribute:
    """One raw column of items [I]. Words and numbers are looked up once: rules hold for every request."""

    def __init__(self, values: Growing) -> None:
        self._values = values

    @classmethod
    def of(cls, values: Sequence[object]) -> Attribute:
        return cls(Growing(_objects(values)))

    @property
    def values(self) -> NDArray[Any]:
        return self._values.rows

    @cached_property
    def _coded(self) -> tuple[Growing, dict[str, int]]:
        numbers: dict[str, int] = {}
        return Growing(_codes(self.values, numbers)), numbers

    @cached_property
    def _numbers(self) -> Growing:
        return Growing(_floats(self.values))

    def among(self, wanted: Sequence[object]) -> NDArray[np.bool_]:
        """Which items [I] have one of the values; a missing one is never wanted."""
        codes, numbers = self._coded
        keys = [category_key(one) for one in wanted]
        chosen = [numbers[key] for key in keys if key in numbers]
        if len(chosen) == 1:
            one: NDArray[np.bool_] = codes.rows == chosen[0]
            return one
        is_wanted = np.zeros(len(numbers) + 1, np.bool_)  # the last is that of a missing value, whose code is -1
        is_wanted[chosen] = True
        return is_wanted.take(codes.rows, mode="wrap")

    def between(self, low: float, high: float) -> NDArray[np.bool_]:
        """Which items [I] lie in a range. Raises ValueError where the column holds words."""
        numbers_I = self._numbers.rows
        with np.errstate(invalid="ignore"):
            found: NDArray[np.bool_] = (numbers_I >= low) & (numbers_I <= high)
        return found

    def joined(self, more: Sequence[object]) -> Attribute:
        """The same column with further items behind. Only of the newest."""
        further = _objects(more)
        grown = Attribute(self._values.joined(further))
        if "_coded" in self.__dict__:
            codes, numbers = self._coded
            grown.__dict__["_coded"] = codes.joined(_codes(further, numbers)), numbers
        if "_numbers" in self.__dict__:
            grown.__dict__["_numbers"] = self._numbers.joined(_floats(further))
        return grown

    def chosen(self, rows: Sequence[int]) -> Attribute:
        """The same column of some of the items."""
        left = Attribute(self._values.chosen(rows))
        if "_coded" in self.__dict__:
            codes, numbers = self._coded
            left.__dict__["_coded"] = codes.chosen(rows), dict(numbers)
        if "_numbers" in self.__dict__:
            left.__dict__["_numbers"] = self._numbers.chosen(rows)
        return left


def _objects(values: Sequence[object]) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    return found


def _codes(values: NDArray[Any], numbers: dict[str, int]) -> NDArray[np.int32]:
    """By `numbers`, which new words join; -1 for a missing value."""
    keys = (category_key(one) for one in values)
    return np.array([-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys], np.int32)


def _floats(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if one is None else float(one) for one in values], np.float64)


class Column(Protocol):
    """What rules ask of a column of items."""

    def among(self, wanted: Sequence[object]) -> NDArray[np.bool_]: ...
    def between(self, low: float, high: float) -> NDArray[np.bool_]: ...


Attributes: TypeAlias = Mapping[str, Column]
Place: TypeAlias = Callable[[str | None], int | None]  # of an item by its key; None for one that is not known


@dataclass(frozen=True)
class Boost:
    """Items by name, or by the value of a column, whose scores are multiplied (their distance from the lowest) or raised."""

    items: Sequence[object] = ()
    where: Mapping[str, Wanted] = field(default_factory=dict)
    times: float = 1.0
    plus: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What holds for one answer. `allow` are the only items that may be shown (those in stock, say), `exclude` never are;
    `where` asks for values of item columns; `diversity`, 0 to 1, weighs how unlike the items are against their scores."""

    seen: Literal["default", "leave_out", "keep"] = "default"
    exclude: Sequence[object] = ()
    allow: Sequence[object] | None = None
    where: Mapping[str, Wanted] = field(default_factory=dict)
    boosts: Sequence[Boost] = ()
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.diversity <= 1:
            raise DataError(
                f"diversity is {self.diversity:g}, but lies between 0 and 1.", code="diversity", where="diversity"
            )
        for boost in self.boosts:
            if not 0 <= boost.times < np.inf or not np.isfinite(boost.plus):
                raise DataError(f"A boost multiplies by {boost.times:g} and adds {boost.plus:g}, but multiplies by a finite "
                                "number that is not below 0, and adds a finite one.",
                                code="boost", where="boosts")  # fmt: skip

    def allowed(self, attributes: Attributes, place: Place, items: int) -> NDArray[np.bool_] | None:
        """Which items [I] may be shown; None for all. Raises DataError for a column that is none."""
        found: NDArray[np.bool_] | None = None
        if self.allow is not None:
            found = np.zeros(items, np.bool_)
            found[_known(self.allow, place)] = True
        for column, wanted in self.where.items():
            meets = _meets(attributes, column, wanted)
            found = meets if found is None else found & meets
        if self.exclude:
            found = np.ones(items, np.bool_) if found is None else found
            found[_known(self.exclude, place)] = False
        return found

    def _boosted(self, attributes: Attributes, place: Place, items: int) -> list[tuple[NDArray[np.bool_], Boost]]:
        """Each boost with the items [I] that it is for: those named, and those that meet all it asks of columns."""
        found = []
        for boost in self.boosts:
            chosen = np.zeros(items, np.bool_)
            if boost.where:
                chosen[:] = True
                for column, wanted in boost.where.items():
                    chosen &= _meets(attributes, column, wanted)
            chosen[_known(boost.items, place)] = True
            found.append((chosen, boost))
        return found

    def sums(
        self, attributes: Attributes, place: Place, items: int
    ) -> tuple[Floats | None, Floats | None]:  # fmt: skip
        """The factor and the addend of every item [I], None where there is none."""
        factor: Floats | None = None
        addend: Floats | None = None
        for chosen, boost in self._boosted(attributes, place, items):
            if boost.times != 1:
                factor = np.ones(items, np.float32) if factor is None else factor
                factor[chosen] *= np.float32(boost.times)
            if boost.plus:
                addend = np.zeros(items, np.float32) if addend is None else addend
                addend[chosen] += np.float32(boost.plus)
        return factor, addend


def _known(names: Sequence[object], place: Place) -> NDArray[np.int64]:
    """Places of the items that are known; stock lists name more than a model knows."""
    places = (place(category_key(name)) for name in names)
    return np.array([one for one in places if one is not None], np.int64)


def _meets(attributes: Attributes, column: str, wanted: Wanted) -> NDArray[np.bool_]:
    """Which items [I] have a wanted value; a missing one is never wanted."""
    if column not in attributes:
        raise DataError(
            f"Items have no column {column}. Columns: {', '.join(attributes) or 'none'}.", code="column_unknown",
            where=f"where.{column}", hint=nearest(column, list(attributes)) or None,
        )  # fmt: skip
    if not isinstance(wanted, Mapping):
        several = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
        return attributes[column].among(several)
    low, high = wanted.get("min", -np.inf), wanted.get("max", np.inf)
    if set(wanted) - {"min", "max"} or not all(isinstance(one, int | float) for one in (low, high)):
        raise DataError(f"{column} asks for {dict(wanted)!r}, but a range has min and max, numbers both.",
                        code="range", where=f"where.{column}")  # fmt: skip
    try:
        return attributes[column].between(low, high)
    except (TypeError, ValueError) as error:
        raise DataError(f"{column} holds words, which have no range.", code="range", where=f"where.{column}") from error


def diversified(vectors_KD: Floats, scores_K: Floats, k: int, diversity: float) -> NDArray[np.int64]:
    """Which candidates, in order: each time the one with the best of its score less its likeness to those chosen already
    (Carbonell and Goldstein, Maximal Marginal Relevance, 1998).

    Scores are brought to 0 … 1, likeness is the cosine of the items' vectors.
    """
    lengths = np.linalg.norm(vectors_KD, axis=1, keepdims=True)
    unit = vectors_KD / np.maximum(lengths, 1e-12)
    spread = float(scores_K.max() - scores_K.min())
    worth = (scores_K - scores_K.min()) / spread if spread > 0 else np.ones_like(scores_K)
    likeness = np.zeros(len(scores_K), np.float32)
    left = np.ones(len(scores_K), np.bool_)
    chosen: list[int] = []
    for _ in range(min(k, len(scores_K))):
        gain = np.where(left, (1 - diversity) * worth - diversity * likeness, -np.inf)
        best = int(gain.argmax())
        chosen.append(best)
        left[best] = False
        likeness = np.maximum(likeness, unit @ unit[best])
    return np.array(chosen, np.int64)
