"""The items that a recommender chooses from: those of the release, which are fixed, and behind them those that came since, whose are
one customer's. Not which suit whom (`recommendation.py`), rules (`shelf_rules.py`), nor where new ones are kept (the server does).

Legend: I items of the release, N items that came since, W width, K chosen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.growing import Growing
from tradewind.engines.shelf_rules import Attribute, Attributes, Column
from tradewind.engines.top import Top, best_of, merged

Floats: TypeAlias = NDArray[np.float32]
Items: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Released:
    """The items of a release; `counts_I` are events of training."""

    names: Sequence[str]
    places: Mapping[str, int]
    matrix_IW: Floats
    bias_I: Floats
    counts_I: NDArray[np.int64]
    attributes: Mapping[str, Attribute]
    top: Top


@dataclass(frozen=True)
class _Since:
    """What came since, at one moment: replaced whole when an item comes or goes, so that a running request sees the old or the new.
    `names` and `places` are common to moments until an item goes, and only grow: a moment knows as many as its matrix has rows."""

    names: list[str]
    places: dict[str, int]
    matrix: Growing
    bias: Growing
    attributes: Mapping[str, Attribute]


class OwnItems:
    """Items that one customer brought since the release. Safe for threads: a request that runs sees none or all of an addition."""

    def __init__(self, released: Released) -> None:
        self._released = released
        self._adding = threading.Lock()
        width = released.matrix_IW.shape[1]
        self._since = _Since(
            [], {}, Growing(np.empty((0, width), np.float32)), Growing(np.empty(0, np.float32)),
            {name: Attribute.of([]) for name in released.attributes},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._since.bias.rows)

    @property
    def names(self) -> Sequence[str]:
        """In the order in which they came."""
        since = self._since
        return since.names[: len(since.bias.rows)]

    def knows(self, key: str) -> bool:
        """Whether it is an item of the release, or came since."""
        return self.shelf().place(key) is not None

    def add(
        self, keys: Sequence[str], vectors_NW: Floats, bias_N: Floats, attributes: Mapping[str, Sequence[object]]
    ) -> int:
        """Items with the raw values of every column of the release. One that came before takes its former's place, one of the
        release is left as it is. Gives how many were taken."""
        with self._adding:
            latest = {key: row for row, key in enumerate(keys) if key not in self._released.places}
            rows = sorted(latest.values())
            since = _without(self._since, latest)
            grown = _Since(
                since.names, since.places, since.matrix.joined(vectors_NW[rows]), since.bias.joined(bias_N[rows]),
                {name: one.joined([attributes[name][row] for row in rows]) for name, one in since.attributes.items()},
            )  # fmt: skip
            for row in rows:
                since.places[keys[row]] = len(since.names)
                since.names.append(keys[row])
            self._since = grown
        return len(rows)

    def remove(self, keys: Iterable[str]) -> None:
        """Those that came since; others are passed over."""
        with self._adding:
            self._since = _without(self._since, keys)

    def shelf(self) -> Shelf:
        """All there is at this moment."""
        return Shelf(self._released, self._since)


def _without(since: _Since, keys: Iterable[str]) -> _Since:
    gone = {since.places[key] for key in keys if key in since.places}
    if not gone:
        return since
    left = [row for row in range(len(since.bias.rows)) if row not in gone]
    names = [since.names[row] for row in left]
    return _Since(
        names, {name: row for row, name in enumerate(names)}, since.matrix.chosen(left), since.bias.chosen(left),
        {name: one.chosen(left) for name, one in since.attributes.items()},
    )  # fmt: skip


@dataclass(frozen=True)
class Shelf:
    """All items at one moment, those that came since behind those of the release."""

    released: Released
    since: _Since
    attributes: Attributes = field(init=False)

    def __post_init__(self) -> None:
        both: Attributes = self.released.attributes
        if len(self.since.bias.rows):
            both = {name: _Both(one, self.since.attributes[name]) for name, one in both.items()}
        object.__setattr__(self, "attributes", both)

    @property
    def items(self) -> int:
        return len(self.released.names) + len(self.since.bias.rows)

    def place(self, key: str | None) -> int | None:
        """The number of an item by its key; None for one that is not known."""
        if key is None:
            return None
        place = self.released.places.get(key)
        if place is not None:
            return place
        place = self.since.places.get(key)
        return None if place is None or place >= len(self.since.bias.rows) else len(self.released.names) + place

    def name(self, place: int) -> str:
        known = len(self.released.names)
        return self.released.names[place] if place < known else self.since.names[place - known]

    def rows(self, places: Items) -> Floats:
        """Their vectors [K, W]."""
        known = len(self.released.names)
        if not len(places) or int(places.max()) < known:
            found: Floats = self.released.matrix_IW[places]
            return found
        rows = np.empty((len(places), self.released.matrix_IW.shape[1]), np.float32)
        old = places < known
        rows[old] = self.released.matrix_IW[places[old]]
        rows[~old] = self.since.matrix.rows[places[~old] - known]
        return rows

    def scores(self, queries_BW: Floats) -> Floats:
        """Of every item, [B, items]."""
        found = queries_BW @ self.released.matrix_IW.T + self.released.bias_I
        if not len(self.since.bias.rows):
            return found
        return np.concatenate([found, queries_BW @ self.since.matrix.rows.T + self.since.bias.rows], 1)

    def best(
        self, query_W: Floats, k: int, *, without: Items, allowed: NDArray[np.bool_] | None, factor: Floats | None,
        lifts: Floats | None,
    ) -> tuple[Items, Floats]:  # fmt: skip
        """Places and scores of the `k` best; all rules hold before anything is left out. `allowed`, `factor` and `lifts` are of
        every item, or None."""
        if factor is not None:
            every = self.scores(query_W[None])[0]
            # Scores may be negative: a factor acts on the distance from the least likely item.
            least = float(every.min())
            every = least + (every - least) * factor
            return best_of(every if lifts is None else every + lifts, k, without=without, allowed=allowed)
        known = len(self.released.names)
        old, new = slice(known), slice(known, None)
        places, scores = self.released.top.best(
            query_W, k, without=without[without < known], allowed=None if allowed is None else allowed[old],
            lifts_I=None if lifts is None else lifts[old],
        )  # fmt: skip
        if not len(self.since.bias.rows):
            return places, scores
        fresh = self.since.matrix.rows @ query_W + self.since.bias.rows
        more, more_scores = best_of(
            fresh if lifts is None else fresh + lifts[new], k, without=without[without >= known] - known,
            allowed=None if allowed is None else allowed[new],
        )  # fmt: skip
        return merged(places, scores, more + known, more_scores, k)


@dataclass(frozen=True)
class _Both:
    """A column of the release's items and of those that came since."""

    old: Column
    new: Column

    def among(self, wanted: Sequence[object]) -> NDArray[np.bool_]:
        return np.concatenate([self.old.among(wanted), self.new.among(wanted)])

    def between(self, low: float, high: float) -> NDArray[np.bool_]:
        return np.concatenate([self.old.between(low, high), self.new.between(low, high)])
