"""“Approved if …”: the few changes of one row that would turn its answer into the good one, from values that were seen.

A search of our own in the spirit of Wachter, Mittelstadt, Russell (2018): one column first, then two, up to four; each
value as near to the row's own as still turns the answer. Not here: why the answer is what it is (`reasons.py`).

Legend: Q questions to the model, V values that a column may take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.aim import Aim
from tradewind.engines.reasons import shown
from tradewind.engines.shapley import Attribution
from tradewind.errors import InputError
from tradewind.features.category import CategoryColumn, category_key
from tradewind.features.coalitions import Arrays, Floats, spread
from tradewind.features.column import Column, Values
from tradewind.features.number import NumberColumn, parse_number, to_numbers
from tradewind.product import Explain

CHANGEABLE = ("number", "category")
_MOST_CHANGES = 4
_COARSE, _FINE = 16, 160  # values tried of a number: while searching, and when the nearest one is sought
_MOST_WORDS = 64
_PER_COLUMN, _BEAM = 4, 6  # of the values that help most: how many of a column, how many rows are built upon
_CATEGORY_COST = 0.5  # of another word; a number's is the share of seen values that lie between


@dataclass(frozen=True)
class Change:
    column: str
    before: object
    after: object

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "from": shown(self.before), "to": shown(self.after)}


@dataclass(frozen=True)
class Counterfactual:
    """Changes that turn the answer, and the answer that they lead to, as `Predictions.to_rows` writes it."""

    changes: tuple[Change, ...]
    answer: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"changes": [change.to_json() for change in self.changes], **self.answer}


@dataclass(frozen=True)
class _Option:
    """Values [V] that one column may take, raw and encoded, with their places 0 … 1 among what was seen."""

    place: int
    raw: list[Any]
    encoded: Arrays
    rank_V: Floats
    numeric: bool


@dataclass(frozen=True)
class _Try:
    """Some columns at other values: `taken` maps an option to the value's place in it."""

    taken: Mapping[int, int] = field(default_factory=dict)
    score: float = -np.inf

    def having(self, option: int, value: int) -> _Try:
        return _Try({**self.taken, option: value})


class Counterfactuals:
    """Those of one release. Only `explain.may_change` moves (`auto` is every column of numbers or categories here; a release
    spells it out without the sensitive ones), in the direction that `explain.only` gives, to values seen in training."""

    def __init__(self, attribution: Attribution, explain: Explain) -> None:
        self._attribution = attribution
        self._explain = explain
        self._decision = attribution.predictor.decision
        self._aim = Aim.of(self._decision, explain.favourable)

    def of(self, row: Mapping[str, object], *, most: int) -> list[Counterfactual]:
        """At most `most`, the smallest change first and no two over the same columns; none where the answer is the good one
        already or nothing that may change turns it.

        Without `explain.favourable` any other class counts as the good one. Raises InputError for a release that predicts
        numbers and does not say from which on one is good.
        """
        (arrays,) = self._attribution.encode([row])
        output = self._attribution.ask(arrays)
        aim, target = self._aim, 1.0
        if aim.favourable is None:
            if not self._decision.classes:
                raise InputError(
                    "This model does not say which values are good ones, so nothing can be turned.",
                    code="counterfactuals_undefined", where="counterfactuals", hint="explain.favourable in the product file says it.",
                )  # fmt: skip
            aim, target = Aim(self._decision, int(aim.codes(output)[0])), -1.0  # away from the class that was given
        search = _Search(self._attribution, aim, target, arrays, list(self._allowed(row)))
        if search.turned(output)[0]:
            return []
        found = [self._told(row, search, one) for one in search.found(most)]
        return [one for one in found if one is not None]

    def _told(self, row: Mapping[str, object], search: _Search, one: _Try) -> Counterfactual | None:
        """The changes in raw values, asked once more as a customer would ask."""
        changed, changes = dict(row), []
        for option, value in one.taken.items():
            name, after = search.names[search.options[option].place], search.options[option].raw[value]
            changes.append(Change(name, row.get(name), _as_sent(after, row.get(name))))
            changed[name] = changes[-1].after
        predictions = self._attribution.predictor.predict_rows([changed])
        output = predictions.probabilities if predictions.probabilities is not None else predictions.values
        assert output is not None
        return Counterfactual(tuple(changes), predictions.to_rows()[0]) if search.turned(output)[0] else None

    def _allowed(self, row: Mapping[str, object]) -> Iterator[_Option]:
        """The options of this row: values on the allowed side of its own, and never its own."""
        for option in self._options:
            name = self._attribution.players.names[option.place]
            own, direction = row.get(name), self._explain.only.get(name)
            if option.numeric:
                at = _number(own)
                raw = np.array(option.raw)
                keep = raw != at
                if direction is not None and at == at:
                    keep &= raw > at if direction == "up" else raw < at
            else:
                keep = np.array([word != category_key(own) for word in option.raw], dtype=np.bool_)
            places = np.flatnonzero(keep)
            if len(places):
                yield _Option(
                    option.place,
                    [option.raw[place] for place in places],
                    {key: one[places] for key, one in option.encoded.items()},
                    np.abs(option.rank_V[places] - _rank(option, own)) if option.numeric else np.full(len(places), _CATEGORY_COST),
                    option.numeric,
                )  # fmt: skip

    @cached_property
    def _options(self) -> list[_Option]:
        predictor, may = self._attribution.predictor, self._explain.may_change
        found = []
        for place, column in enumerate(predictor.features.columns):
            if column.kind in CHANGEABLE and (may == "auto" or column.name in may):
                raw = seen_values(column, self._attribution.raw.get(column.name))
                if raw:
                    found.append(_option(place, column, raw))
        return found


def seen_values(column: Column, further: Values | None) -> list[Any]:
    """Values of a column that training saw: the edges of a number's bins with those of the `further` raw values, in order;
    the words of a category, the most frequent first."""
    if isinstance(column, CategoryColumn):
        return list(column.vocabulary[:_MOST_WORDS])
    assert isinstance(column, NumberColumn)
    edges = column.decode(np.array(column.bins, dtype=np.float64))
    known = to_numbers(further) if further is not None else np.zeros(0)
    # Edges went through single precision: six digits are what is left of the value that was seen.
    values = np.array([float(f"{x:.6g}") for x in [*edges.tolist(), *known[np.isfinite(known)].tolist()]])
    values = np.unique(
        values[(values >= max(column.lowest, column.low)) & (values <= min(column.highest, column.high))]
    )
    return [float(x) for x in values]


def _option(place: int, column: Column, raw: list[Any]) -> _Option:
    values = np.array(raw, dtype=np.float64) if column.kind == "number" else np.array(raw, dtype=object)
    block = column.apply(values)
    encoded: dict[str, NDArray[Any]] = {}
    if block.numbers_BN is not None:
        encoded["numbers"] = block.numbers_BN
    if block.categories_BC is not None:
        encoded["categories"] = block.categories_BC
    return _Option(place, raw, encoded, np.linspace(0, 1, len(raw)), column.kind == "number")


def _rank(option: _Option, own: object) -> float:
    at = _number(own)
    return 0.5 if at != at else float(np.searchsorted(option.raw, at)) / max(1, len(option.raw) - 1)


def _number(value: object) -> float:
    if isinstance(value, str):
        return parse_number(value)
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]


def _as_sent(value: Any, own: object) -> object:
    """The value as the caller writes such values: whole numbers without a point, a number where a number was sent."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(own, int | float) and not isinstance(own, bool):
        number = parse_number(value)
        if number == number and category_key(number) == value:
            return int(number) if number.is_integer() else number
    return value


class _Search:
    """One row's search. `target` is 1 towards the aim's class (or value), -1 away from it."""

    def __init__(
        self, attribution: Attribution, aim: Aim, target: float, arrays: Arrays, options: Sequence[_Option]
    ) -> None:
        self.options = options
        self.names = attribution.players.names
        self._attribution, self._aim, self._target, self._arrays = attribution, aim, target, arrays
        players = attribution.players
        self._owned = {
            place: {"numbers": np.flatnonzero(players.numbers_N == place), "categories": np.flatnonzero(players.categories_C == place)}
            for place in {option.place for option in options}
        }  # fmt: skip

    def turned(self, outputs: NDArray[Any]) -> NDArray[np.bool_]:
        good = self._aim.good(outputs)
        return good if self._target > 0 else ~good

    def found(self, most: int) -> list[_Try]:
        """Tries that turn the answer, cheapest first, each over columns of its own."""
        answers: list[_Try] = []
        base = [_Try()]
        steps = [(at, value) for at, option in enumerate(self.options) for value in _coarse(option)]
        for _ in range(min(_MOST_CHANGES, len(self.options))):
            tries = [one.having(at, value) for one in base for at, value in steps if at not in one.taken]
            tries = [one for one in tries if not any(answer.taken.keys() <= one.taken.keys() for answer in answers)]
            if not tries:
                break
            scores, turned = self._ask(tries)
            tries = [_Try(one.taken, float(score)) for one, score in zip(tries, scores, strict=True)]
            answers += self._cheapest([one for one, good in zip(tries, turned, strict=True) if good])
            if len(answers) >= most:
                break
            base, steps = self._promising(tries, steps)
        return sorted(answers, key=lambda one: (len(one.taken), self._cost(one)))[:most]

    def _ask(self, tries: Sequence[_Try]) -> tuple[Floats, NDArray[np.bool_]]:
        arrays = {name: np.repeat(one, len(tries), axis=0) for name, one in self._arrays.items()}
        for question, one in enumerate(tries):
            for at, value in one.taken.items():
                option = self.options[at]
                for name, encoded in option.encoded.items():
                    arrays[name][question, self._owned[option.place][name]] = encoded[value]
        outputs = self._attribution.ask(arrays)
        return self._target * self._aim.score(outputs), self.turned(outputs)

    def _cheapest(self, turning: Sequence[_Try]) -> list[_Try]:
        """For each set of columns that turns the answer the nearest values that still do."""
        best: dict[frozenset[int], _Try] = {}
        for one in turning:
            columns = frozenset(one.taken)
            if columns not in best or self._cost(one) < self._cost(best[columns]):
                best[columns] = one
        cheap = sorted(best.values(), key=self._cost)[: 4 * _BEAM]
        nearest = {frozenset(one.taken): one for one in map(self._nearest, map(self._needed, cheap))}
        return [one for columns, one in nearest.items() if not any(other < columns for other in nearest)]

    def _needed(self, one: _Try) -> _Try:
        """The try without changes that are not needed."""
        for at in sorted(one.taken):
            less = _Try({other: value for other, value in one.taken.items() if other != at})
            if less.taken and self._ask([less])[1][0]:
                one = less
        return one

    def _nearest(self, one: _Try) -> _Try:
        """Each number of the try moved back towards the row's own, as far as the answer stays turned."""
        for at in one.taken:
            option = self.options[at]
            if not option.numeric:
                continue
            nearer = np.flatnonzero(option.rank_V < option.rank_V[one.taken[at]])
            if not len(nearer):
                continue
            nearer = nearer[np.argsort(option.rank_V[nearer], kind="stable")][:_FINE]
            _, turned = self._ask([one.having(at, int(value)) for value in nearer])
            if turned.any():
                one = one.having(at, int(nearer[turned.argmax()]))
        return one

    def _promising(
        self, tries: Sequence[_Try], steps: Sequence[tuple[int, int]]
    ) -> tuple[list[_Try], list[tuple[int, int]]]:
        """What the next round builds on: the best tries, no two over the same columns, and of each column the values that
        helped most in the first round."""
        best: dict[frozenset[int], _Try] = {}
        for one in sorted(tries, key=lambda one: -one.score):
            best.setdefault(frozenset(one.taken), one)
        if all(len(one.taken) == 1 for one in tries):
            kept: dict[int, list[int]] = {}
            for one in sorted(tries, key=lambda one: -one.score):
                ((at, value),) = one.taken.items()
                if len(kept.setdefault(at, [])) < _PER_COLUMN:
                    kept[at].append(value)
            steps = [(at, value) for at, values in kept.items() for value in values]
        return list(best.values())[:_BEAM], list(steps)

    def _cost(self, one: _Try) -> float:
        return float(sum(self.options[at].rank_V[value] for at, value in one.taken.items()))


def _coarse(option: _Option) -> list[int]:
    count = len(option.raw)
    if not option.numeric or count <= _COARSE:
        return list(range(count))
    return [int(place) for place in spread(count, _COARSE)]
