"""Groups of the sensitive columns: who belongs to which, how far the rates of groups lie apart, and how sure that is.

Not here: making them alike (`fairness.py`, `shifts.py`), nor the figures of a report (`evaluate/fairness.py`), which are of the
test split; these are of the rows that training sees, and only choose.

Legend: R rows, C sensitive columns, G groups of all columns one after the other, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.data.dataset import Split
from tradewind.errors import ModelError
from tradewind.evaluate.slices import labels_of

Goal: TypeAlias = Literal["demographic_parity", "equalized_odds"]
Codes: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_BETWEEN = 0.05  # how far rates of groups are expected to lie apart (one standard deviation) before any row is seen


@dataclass(frozen=True)
class Groups:
    """`names` by column; `codes_RC` are places in the names of a column. A missing value is a group of its own."""

    columns: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    codes_RC: Codes

    @classmethod
    def of(cls, splits: Sequence[Split], columns: Sequence[str]) -> Groups:
        """The groups of the rows of all splits together: few values are groups each, many numbers four bands.

        Raises ModelError for a column without groups, or with one only.
        """
        names, codes = [], []
        for column in columns:
            labels = labels_of(np.concatenate([split.raw_column(column) for split in splits]))
            reason = labels if isinstance(labels, str) else None
            found, place_R = np.unique(np.asarray(labels).astype(str), return_inverse=True)
            if reason is None and len(found) < 2:
                reason = f"every row is {found[0]}" if len(found) else "there are no rows"
            if reason is not None:
                raise ModelError(
                    f"{column} has no groups to be fair to: {reason}.", code="fairness_groups", where="data.sensitive",
                    hint=f"Leave {column} out of data.sensitive, or leave out train.fairness.",
                )  # fmt: skip
            names.append(tuple(str(name) for name in found))
            codes.append(place_R)
        return cls(tuple(columns), tuple(names), np.stack(codes, axis=1).astype(np.int64))

    def part(self, begin: int, end: int) -> Groups:
        """The same groups, of some rows only."""
        return Groups(self.columns, self.names, self.codes_RC[begin:end])

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where the groups of each column begin among all; one more for their number."""
        return tuple(np.cumsum([0, *map(len, self.names)]).tolist())

    @cached_property
    def together_R(self) -> Codes:
        """One code for what a row is in all columns together, of the combinations that occur."""
        found: Codes = np.unique(self.codes_RC, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
        return found


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups of one column. `seen` is as it was counted, `value` as it is to be expected:
    rates of few rows drawn towards that of all. `column` and `of` say where it was found."""

    value: float
    seen: float
    column: str = ""
    of: str = ""


def decision_gap(
    groups: Groups, decided_R: Codes, target_R: Codes, *, goal: Goal, asked: Sequence[int], least: int,
    weight_R: Floats | None = None,
) -> Gap:  # fmt: skip
    """The worst gap in how often class `asked` is decided: among all rows (demographic parity), or among those that are of it
    and those that are not (equalized odds; fairlearn's definition, the worse of the two).

    Groups with fewer than `least` rows behind a rate are left out, as the report leaves them out.
    """
    known_R = target_R >= 0
    found = [Gap(0.0, 0.0)]
    for kind in asked:
        hit_R = (decided_R == kind).astype(np.float64)
        conditions = {"selected": known_R}
        if goal == "equalized_odds":
            conditions = {"true positives": target_R == kind, "false positives": known_R & (target_R != kind)}
        found += [_worst(groups, hit_R, rows_R, least, weight_R, of) for of, rows_R in conditions.items()]
    return max(found, key=lambda gap: gap.value)


def value_gap(
    groups: Groups, value_R: Floats, target_R: Floats, *, goal: Goal, least: int, weight_R: Floats | None = None
) -> Gap:
    """The same of predicted values (demographic parity) or of their errors (equalized odds), in the unit of `value_R`."""
    known_R = np.isfinite(target_R)
    seen_R = value_R - np.nan_to_num(target_R) if goal == "equalized_odds" else value_R
    return _worst(groups, seen_R, known_R, least, weight_R, "mean error" if goal == "equalized_odds" else "mean value")


def _worst(
    groups: Groups, seen_R: Floats, rows_R: NDArray[np.bool_], least: int, weight_R: Floats | None, of: str
) -> Gap:
    found = [Gap(0.0, 0.0)]
    weights = np.ones(int(rows_R.sum())) if weight_R is None else weight_R[rows_R]
    seen = seen_R[rows_R]
    if not len(seen) or weights.sum() <= 0:
        return found[0]
    overall = np.average(seen, weights=weights)
    variance = np.average((seen - overall) ** 2, weights=weights)
    for column, (name, labels) in enumerate(zip(groups.columns, groups.names, strict=True)):
        code, kinds = groups.codes_RC[rows_R, column], len(labels)
        counts = np.bincount(code, minlength=kinds)
        sums, totals = (np.bincount(code, w, minlength=kinds) for w in (weights * seen, weights))
        enough = (counts >= least) & (totals > 0)
        if enough.sum() < 2:
            continue
        rates = sums[enough] / totals[enough]
        drawn = overall + (rates - overall) * trust(counts[enough], float(variance))
        found.append(Gap(float(np.ptp(drawn)), float(np.ptp(rates)), name, of))
    return max(found, key=lambda gap: gap.value)


def trust(rows: NDArray[Any], variance: float) -> Floats:
    """How much of a group's distance from all rows is to be believed, 0 to 1: the share of its variance that is not the
    chance of so few rows (Efron and Morris, Stein's estimation rule, 1973), for rates _BETWEEN apart."""
    return np.asarray(rows * _BETWEEN**2 / (rows * _BETWEEN**2 + max(variance, 1e-12)))
