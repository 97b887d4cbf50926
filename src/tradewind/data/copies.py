"""Drops later copies of rows and, where asked, rows that contradict each other. Dropped rows keep their reason.

Not here: how copies are found (`duplicates.py`); copies across splits (`splits.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.checks import conflicts
from tradewind.data.dictionary import Dictionary
from tradewind.data.duplicates import first_copies, near_copies, signatures
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.plan import Plan
from tradewind.data.rows import DROPPED, TRAIN, Rows, hash_frame, mix
from tradewind.data.spill import Spill
from tradewind.product import Clean

_MANY = 0.3  # of the rows dropped as copies is worth a warning


def drop_copies(
    rows: Rows, sides: NDArray[np.int8], spill: Spill, plan: Plan, dictionaries: Mapping[str, Dictionary], rules: Clean,
    ledger: Ledger,
) -> tuple[Rows, NDArray[np.int8]]:  # fmt: skip
    """Sides [R] with copies and conflicts DROPPED. A file of its own for test or validation is taken as it is.

    With `duplicates: near` the rows' `copy` becomes one hash for all near copies, so that a split keeps them together.
    """
    main = rows.origin == TRAIN
    texts = [name for name in plan.inputs if plan.reading(name) == "text"]
    key = rows.copy
    if rules.duplicates == "near" and texts:
        first = _near(spill, texts, plan, dictionaries, rules.near_threshold)
        rows = replace(rows, copy=mix(rows.inputs[first], 1))
        key = mix(mix(first.astype(np.uint64), 2) ^ rows.target.view(np.uint64), 3)
    found = np.flatnonzero(main)
    original = found[first_copies(key[found])]
    later = original != found
    count = int(later.sum())
    if count:
        rule = "near_duplicate" if rules.duplicates == "near" and texts else "duplicate"
        action = "kept" if rules.duplicates == "keep" else "dropped"
        ledger.count(rule, "", count, action=action)
        if count > _MANY * len(found):
            ledger.find(
                "many_duplicates", "", f"{count:,} of {len(found):,} rows are copies of earlier ones ({action}). Where equal "
                "rows are different cases, set data.clean.duplicates: keep.", action=action,
            )  # fmt: skip
        if rules.duplicates != "keep":
            sides[found[later]] = DROPPED
            reject(ledger, rows, found[later], rule, originals=original[later])
    own = len(rows) - len(found)
    if own:
        others = np.flatnonzero(~main)
        again = int((first_copies(key[others]) != np.arange(own)).sum())
        ledger.count("duplicate_in_own_file", "", again, action="kept")
    return rows, _conflicts(rows, sides, plan, rules, ledger)


def _near(
    spill: Spill, texts: list[str], plan: Plan, dictionaries: Mapping[str, Dictionary], threshold: float
) -> NDArray[np.int64]:  # fmt: skip
    """First near copy of each row [R]: texts alike, all other inputs equal."""
    others = [name for name in plan.inputs if name not in texts]
    parts, hashes = [], []
    for frame in spill.frames():
        joined = frame.select(pl.concat_str(texts, separator=" ", ignore_nulls=True)).to_series()
        parts.append(signatures(joined.to_list()))
        hashes.append(hash_frame(frame, others, plan, dictionaries))
    return near_copies(np.concatenate(parts), np.concatenate(hashes), threshold=threshold)


def _conflicts(rows: Rows, sides: NDArray[np.int8], plan: Plan, rules: Clean, ledger: Ledger) -> NDArray[np.int8]:
    """Counts rows with equal inputs and different targets; drops those of the main source with `conflicts: drop`."""
    if plan.task != "classification":
        return sides
    mixed = conflicts(rows.inputs, rows.target, sides != DROPPED)
    count = int(mixed.sum())
    if not count:
        return sides
    action = "dropped" if rules.conflicts == "drop" else "kept"
    ledger.count("label_conflict", "", count, action=action)
    ledger.find(
        "label_conflict", "", f"{count:,} rows have equal inputs but different targets ({action}).", action=action
    )
    if rules.conflicts == "drop":
        gone = mixed & (rows.origin == TRAIN)
        sides = np.where(gone, DROPPED, sides).astype(np.int8)
        reject(ledger, rows, np.flatnonzero(gone), "label_conflict", reason="Equal inputs stand with another target.")
    return sides


def reject(
    ledger: Ledger, rows: Rows, places: NDArray[np.int64], code: str, *, reason: str = "",
    originals: NDArray[np.int64] | None = None,
) -> None:  # fmt: skip
    """Puts rows into the ledger by their places [R]; `originals` are the rows they are copies of."""

    def written() -> Iterator[RejectedRow]:
        for index, place in enumerate(places.tolist()):
            why = reason
            if originals is not None:
                why = f"A copy of {rows.files[rows.file[originals[index]]]}:{rows.line[originals[index]]}."
            yield RejectedRow(rows.files[rows.file[place]], int(rows.line[place]), code, why)

    ledger.reject_many(code, len(places), written)
