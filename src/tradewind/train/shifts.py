"""A threshold of its own for each group, found after training: how far the common one is moved, in log-odds.

The threshold of a row is the common one moved by the shift of each of its groups, one a sensitive column; a group that is
missing or was not seen moves nothing. Not here: the common threshold (`evaluate/thresholds.py`), applying it
(`features/shifts.py`), how strong it is to be (`frontier.py`).

Legend: R rows, G groups of all columns one after the other, J combinations of groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.slices import MISSING, OTHERS
from tradewind.features.shifts import Shifts
from tradewind.train.groups import Floats, Goal, Groups, trust

_REACH, _STEPS = 3.0, (0.25, 0.05, 0.01)
_SWEEPS = 20


def equalise(
    groups: Groups, margin_R: Floats, positive_R: NDArray[np.bool_], *, goal: Goal, strength: float,
    weight_R: Floats | None = None,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Shifts that make small: the share of rows that the common threshold decides otherwise, plus `strength` times the squared
    distances of the groups' rates.

    `margin_R` is the log-odds of the positive class above the common threshold. Rates are shares decided positive: of all
    rows, or of the positive and the others apart (Hardt, Price and Srebro, Equality of opportunity in supervised learning,
    2016, without their coin: the same row gets the same answer). Of a group's rate as much is believed as its rows bear out
    (`groups.trust`); for the rest a shift is taken to do to the group what it would do to all rows, so that a group of a
    few rows keeps the common threshold.
    Shift after shift is moved to its best place, in ever finer steps, until none moves.
    """
    shift_G = np.zeros(groups.starts[-1])
    if strength == 0:
        return _named(groups, shift_G)
    cost = _Cost(groups, margin_R, positive_R, goal, strength, weight_R)
    free = [
        start + at
        for start, names in zip(groups.starts, groups.names, strict=False)
        for at, name in enumerate(names)
        if name not in (MISSING, OTHERS)
    ]
    best = cost(shift_G)
    for step in _STEPS:
        reach = _REACH if step == _STEPS[0] else 8 * step
        for _ in range(_SWEEPS):
            moved = False
            for group in free:
                around = shift_G[group]
                for tried in np.unique(np.clip(np.arange(-reach, reach + step / 2, step) + around, -_REACH, _REACH)):
                    candidate = shift_G.copy()
                    candidate[group] = tried
                    found = cost(candidate)
                    if found < best - 1e-12:
                        best, shift_G, moved = found, candidate, True
            if not moved:
                break
    return _named(groups, shift_G)


def shift_of_codes(groups: Groups, shifts: Shifts) -> Floats:
    """What the common threshold is moved by, for each row [R]."""
    total = np.zeros(len(groups.codes_RC))
    for at, (column, names) in enumerate(zip(groups.columns, groups.names, strict=True)):
        own = shifts.get(column, {})
        total += np.array([own.get(name, 0.0) for name in names])[groups.codes_RC[:, at]]
    return total


def _named(groups: Groups, shift_G: Floats) -> dict[str, dict[str, float]]:
    return {
        column: {
            name: round(float(shift_G[start + at]), 6) for at, name in enumerate(names) if name not in (MISSING, OTHERS)
        }
        for column, names, start in zip(groups.columns, groups.names, groups.starts, strict=False)
    }


class _Cost:
    """What a choice of shifts costs. Margins are sorted once by combination of groups, so that a choice is a few searches."""

    def __init__(
        self, groups: Groups, margin_R: Floats, positive_R: NDArray[np.bool_], goal: Goal, strength: float,
        weight_R: Floats | None,
    ) -> None:  # fmt: skip
        self.strength = strength
        weights = np.ones(len(margin_R)) if weight_R is None else weight_R
        self.total = float(weights.sum())
        self.starts, self.goal = groups.starts, goal
        codes_JC, place_R = np.unique(groups.codes_RC, axis=0, return_inverse=True)
        self.member_JG = np.zeros((len(codes_JC), groups.starts[-1]))
        for at, start in enumerate(groups.starts[:-1]):
            self.member_JG[np.arange(len(codes_JC)), start + codes_JC[:, at]] = 1.0
        self.sorted: list[tuple[Floats, Floats]] = []  # by combination, the positive rows then the others
        for combination in range(len(codes_JC)):
            for positive in (True, False):
                rows_R = (place_R.reshape(-1) == combination) & (positive_R == positive)
                self.sorted.append(_ordered(margin_R, weights, rows_R))
        self.all_J2 = np.array([cumulated[-1] for _, cumulated in self.sorted]).reshape(-1, 2)
        counts_J2 = np.array([len(margins) for margins, _ in self.sorted]).reshape(-1, 2)
        self.common_J2 = self._claimed(np.zeros(groups.starts[-1]))
        kinds = [np.ones(len(margin_R), dtype=np.bool_)] if goal == "demographic_parity" else [positive_R, ~positive_R]
        self.everybody = [_ordered(margin_R, weights, rows_R) for rows_R in kinds]  # by rate
        rate_Q = self._parts(self.common_J2).sum(1) / np.maximum(self._parts(self.all_J2).sum(1), 1e-12)
        rows_QG = self._parts(counts_J2) @ self.member_JG
        self.believed_QG = np.stack(
            [trust(rows, float(rate * (1 - rate))) for rows, rate in zip(rows_QG, rate_Q, strict=True)]
        )

    def __call__(self, shift_G: Floats) -> float:
        claimed_J2 = self._claimed(shift_G)
        changed = np.abs(claimed_J2 - self.common_J2).sum()
        hit_QJ, all_QJ = self._parts(claimed_J2), self._parts(self.all_J2)
        all_QG = all_QJ @ self.member_JG
        rate_QG = (hit_QJ @ self.member_JG) / np.maximum(all_QG, 1e-12)
        overall_Q1 = hit_QJ.sum(1, keepdims=True) / np.maximum(all_QJ.sum(1, keepdims=True), 1e-12)
        apart_QG = self.believed_QG * (rate_QG - overall_Q1) + (1 - self.believed_QG) * self._as_everybody(shift_G)
        return float(changed / self.total + self.strength * np.square(np.where(all_QG > 0, apart_QG, 0.0)).sum())

    def _parts(self, found_J2: NDArray[Any]) -> Floats:
        """By rate [Q, J], from positive rows and the others."""
        found_QJ = np.asarray(found_J2.T, dtype=np.float64)
        return found_QJ.sum(0, keepdims=True) if self.goal == "demographic_parity" else found_QJ

    def _as_everybody(self, shift_G: Floats) -> Floats:
        """What each shift would do to the rate of all rows [Q, G]: what it does to a group of whom too little is known."""
        return np.stack([
            (cumulated[np.searchsorted(margins, 0.0)] - cumulated[np.searchsorted(margins, shift_G)]) / max(cumulated[-1], 1e-12)
            for margins, cumulated in self.everybody
        ])  # fmt: skip

    def _claimed(self, shift_G: Floats) -> Floats:
        """Weight decided positive, by combination, among positive rows and the others [J, 2]."""
        found = np.empty(len(self.sorted))
        for at, (margins, cumulated) in enumerate(self.sorted):
            shift = float(self.member_JG[at // 2] @ shift_G)
            found[at] = cumulated[-1] - cumulated[np.searchsorted(margins, shift, side="left")]
        return found.reshape(-1, 2)


def _ordered(margin_R: Floats, weights: Floats, rows_R: NDArray[Any]) -> tuple[Floats, Floats]:
    """Margins of some rows in order, and the weights before each."""
    rows = np.flatnonzero(rows_R)
    order = rows[np.argsort(margin_R[rows], kind="stable")]
    return margin_R[order], np.r_[0.0, np.cumsum(weights[order])]
