"""Decides which row goes to train, validation or test: by chance in strata, by group, by time, as given, by own files.

Not here: reading the keys (`survey.py`). Whatever the way, copies of one row end on one side. Legend: R rows, U units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tradewind.data.copies import reject
from tradewind.data.duplicates import first_copies
from tradewind.data.ledger import Ledger
from tradewind.data.rows import DROPPED, SPLITS, TEST, TRAIN, VALIDATION, Hashes, Rows, mix
from tradewind.errors import DataError
from tradewind.product import Split

Sides = NDArray[np.int8]

_WORDS = {
    "train": TRAIN, "training": TRAIN, "learn": TRAIN, "训练": TRAIN, "训练集": TRAIN, "0": TRAIN,
    "validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION, "dev": VALIDATION, "验证": VALIDATION,
    "验证集": VALIDATION, "1": VALIDATION,
    "test": TEST, "testing": TEST, "holdout": TEST, "测试": TEST, "测试集": TEST, "2": TEST,
}  # fmt: skip
_WHERE = "data.split"


def decide(
    rows: Rows, split: Split, *, sides: Sides, given: Sequence[str] | None, classes: NDArray[np.generic] | None,
    ledger: Ledger,
) -> Sides:  # fmt: skip
    """The split of each row, shape [R]; rows that are DROPPED in `sides` stay so.

    `given` are the words of a split column by code - 1; `classes` [R] are strata. Raises DataError when a split that
    was asked for comes out empty or the keys do not serve.
    """
    sides = np.where((sides != DROPPED) & (rows.origin != TRAIN), rows.origin, sides)
    wanted: list[tuple[int, float]] = []
    if isinstance(split.test, float):
        wanted.append((TEST, split.test))
    if isinstance(split.validation, float):
        wanted.append((VALIDATION, split.validation))
    strata = classes if classes is not None and split.stratify else None
    if given is not None:
        assert rows.given is not None
        sides, wanted = _as_given(rows, sides, given, wanted)
    for side, share in wanted:
        free = np.flatnonzero((sides == TRAIN) & (rows.origin == TRAIN))
        if rows.time is not None:
            chosen = _latest(rows.time[free], share)
        elif rows.group is not None:
            units = np.where(rows.group[free] == 0, rows.copy[free] | np.uint64(1), rows.group[free])
            chosen = _by_chance(units, share, seed=split.seed + side, strata=None)
        else:
            under = None if strata is None else strata[free]
            chosen = _by_chance(rows.copy[free], share, seed=split.seed + side, strata=under)
        sides[free[chosen]] = side
    return keep_apart(rows, sides, ledger)


def check_filled(rows: Rows, sides: Sides, split: Split, ledger: Ledger) -> None:
    """Raises DataError when a split has no row left."""
    tally = ledger.tallies.get(("copy_across_splits", ""))
    apart = f" {tally.count:,} rows were dropped because a copy stands in another split." if tally else ""
    for side in (TRAIN, VALIDATION, TEST):
        if not (sides == side).any():
            raise DataError(
                f"The {SPLITS[side]} split comes out empty: {int((sides != DROPPED).sum())} rows in all, "
                f"{len(np.unique(rows.copy)):,} of them differ, split by {split.by}.", code="split_empty", where=_WHERE,
                hint=f"Give more rows, other shares, or another way to split.{apart}",
            )  # fmt: skip


def _by_chance(
    units: Hashes, share: float, *, seed: int, strata: NDArray[np.generic] | None
) -> NDArray[np.bool_]:  # fmt: skip
    """Rows chosen so that about `share` of each stratum is; rows of one unit go together. Order of rows has no say.

    A stratum of one row stays in train; one of two or more gives at least one row and keeps at least one.
    """
    rows = len(units)
    chosen = np.zeros(rows, dtype=np.bool_)
    if rows == 0:
        return chosen
    if strata is None:
        strata = np.zeros(rows, dtype=np.int64)
    mixed = mix(units, seed)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        own = mixed[members]
        wanted = min(max(round(share * len(members)), 1), len(members) - 1)
        if wanted < 1:
            continue
        border = np.partition(own, wanted - 1)[wanted - 1]
        below, upto = own < border, own <= border
        fewer, more = int(below.sum()), int(upto.sum())
        take_more = fewer == 0 or (more < len(members) and more - wanted <= wanted - fewer)
        if more == len(members) and fewer == 0:
            continue  # one unit cannot be split
        chosen[members[upto if take_more else below]] = True
    return chosen


def _latest(times: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """The latest rows; all rows of one moment go together, to the later side."""
    if len(times) == 0:
        return np.zeros(0, dtype=np.bool_)
    ordered = np.sort(times)
    count = min(max(round(share * len(times)), 1), len(times) - 1)
    border = ordered[len(times) - count]
    if border == ordered[0]:  # everything from the first moment on: take only what is later
        later: NDArray[np.bool_] = times > border
        return later
    chosen: NDArray[np.bool_] = times >= border
    return chosen


def _as_given(
    rows: Rows, sides: Sides, given: Sequence[str], wanted: list[tuple[int, float]]
) -> tuple[Sides, list[tuple[int, float]]]:
    """The splits that a column says; a share is drawn only for a split the column does not know."""
    table = np.array([DROPPED] + [_WORDS.get(word.lower(), 9) for word in given], dtype=np.int8)
    if (table == 9).any():
        strange = [word for word in given if word.lower() not in _WORDS]
        raise DataError(
            f"The split column holds {strange[0]!r}, but train, validation or test was expected.", code="split_values",
            where=_WHERE + ".by", hint="Name its values train, validation and test.",
        )  # fmt: skip
    if "0" in given and "2" not in given:  # 0 and 1 alone mean train and test
        table[table == VALIDATION] = TEST
    assert rows.given is not None
    main = (rows.origin == TRAIN) & (sides != DROPPED)
    sides = np.where(main, table[rows.given], sides).astype(np.int8)
    known = set(np.unique(sides[main]).tolist())
    return sides, [(side, share) for side, share in wanted if side not in known]


def keep_apart(rows: Rows, sides: Sides, ledger: Ledger) -> Sides:
    """Drops a row from train, or validation, when its copy stands in a split that is measured on."""
    first = first_copies(rows.copy)
    rank = np.full(len(rows), DROPPED, dtype=np.int8)
    np.maximum.at(rank, first, sides)
    crossing = (sides != DROPPED) & (sides < rank[first])
    count = int(crossing.sum())
    if count:
        ledger.count("copy_across_splits", "", count, action="dropped")
        reject(ledger, rows, np.flatnonzero(crossing), "copy_across_splits", reason="A copy stands in a later split.")
        sides = np.where(crossing, DROPPED, sides).astype(np.int8)
    return sides
