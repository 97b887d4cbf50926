"""Reason codes: the few columns that brought about an answer; where it is not the good one, those that counted against the
person, in the words of the product file.

Not here: how a column's share is computed (`shapley.py`), what would have to change (`counterfactual.py`).

Legend: P columns, M background rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.aim import Aim
from tradewind.engines.shapley import Attribution
from tradewind.features.coalitions import Arrays, Floats
from tradewind.product import Explain

_PASSED_ROWS = 8
_NOISE = 1e-6  # of the largest number at hand: what single precision rounds


@dataclass(frozen=True)
class Reason:
    """`effect` is what this value adds to the answer: to the log-odds of the given label, or in units of the target.
    `text` is the sentence of an adverse-action notice, where the value counted against the person and has one."""

    column: str
    value: object
    effect: float
    text: str | None = None

    def to_json(self) -> dict[str, Any]:
        content = {"column": self.column, "value": self.value, "effect": float(f"{self.effect:.6g}")}
        return content if self.text is None else {**content, "text": self.text}


class Reasons:
    """Reason codes of one release.

    Where the product file names no favourable answer: the strongest columns, whichever way they pull, beside the golden
    rows. Where it does and the answer is another: only columns that counted against the person, beside golden rows that
    just passed the decision threshold, as Regulation B takes the factors that fell furthest below those of applicants at
    or slightly above the minimum passing score (12 CFR 1002, Supplement I, 9(b)(2)-5).
    """

    def __init__(self, attribution: Attribution, explain: Explain) -> None:
        self._attribution = attribution
        self._explain = explain
        self._aim = Aim.of(attribution.predictor.decision, explain.favourable)

    def of(self, rows: Sequence[Mapping[str, object]], *, most: int | None = None) -> list[list[Reason]]:
        """For each checked row its `most` strongest reasons (`explain.most` by default), strongest first."""
        encoded = self._attribution.encode(rows)
        most = most or self._explain.most
        return [self._one(row, arrays, most) for row, arrays in zip(rows, encoded, strict=True)]

    def _one(self, row: Mapping[str, object], arrays: Arrays, most: int) -> list[Reason]:
        aim, ask = self._aim, self._attribution
        output = ask.ask(arrays)
        against = aim.favourable is not None and not aim.good(output)[0]
        if not against:
            code = int(aim.codes(output)[0]) if aim.decision.classes else None
            found = ask.shares(arrays, lambda outputs: aim.score(outputs, code))
            effect_P, weight_P = found.values_P, np.abs(found.values_P)
        else:
            found = ask.shares(arrays, aim.score, compared=self._just_passed)
            weight_P = -found.values_P
            effect_P = weight_P if aim.decision.classes else found.values_P
        noise = _NOISE * max(abs(found.score), abs(found.base), 1e-300)
        places = [place for place in np.argsort(-weight_P, kind="stable")[:most] if weight_P[place] > noise]
        return [self._reason(row, int(place), effect_P, against) for place in places]

    def _reason(self, row: Mapping[str, object], place: int, effect_P: Floats, against: bool) -> Reason:
        name = self._attribution.players.names[place]
        text = self._explain.reasons.get(name) if against else None
        return Reason(name, shown(row.get(name)), float(effect_P[place]), text)

    @cached_property
    def _just_passed(self) -> NDArray[np.int64]:
        """Golden rows with the good answer, those nearest to the threshold; all rows where none has it."""
        outputs = self._attribution.outputs
        good = np.flatnonzero(self._aim.good(outputs))
        if not len(good):
            return np.arange(len(outputs))
        nearest = good[np.argsort(self._aim.score(outputs)[good], kind="stable")]
        return nearest[:_PASSED_ROWS]


_SHOWN_CHARACTERS = 77


def shown(value: object) -> object:
    """A raw value as JSON that a person reads: long text cut, bytes counted."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value[:_SHOWN_CHARACTERS] + "…" if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS + 1 else value
