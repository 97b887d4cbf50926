"""What is known of users or items: a table with a key, its columns fitted on those that training events name.

Not here: the events (`events.py`). Pictures are left out, with a reason.

Legend: E users or items in the order of their names, C columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data import checks
from tradewind.data.clean import Cleaner
from tradewind.data.encode import raw_values
from tradewind.data.inference import infer
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.plan import Plan
from tradewind.data.sources import OpenSource, open_source
from tradewind.data.subjects import spelled
from tradewind.errors import DataError, nearest
from tradewind.features.column import Values
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import NumberTarget
from tradewind.product import Clean, Data, Entities

# A feature set has a target; what stands for users and items has none to encode.
NO_TARGET = NumberTarget(mean=0.0, scale=1.0)
_KEYS = {
    "item": ("item", "item_id", "itemid", "product", "product_id", "sku", "asin", "id", "商品", "商品id"),
    "user": ("user", "user_id", "userid", "customer", "customer_id", "id", "用户", "用户id", "客户"),
}  # fmt: skip


@dataclass(frozen=True)
class EntityTable:
    """A table as it was read: typed columns, names by row, and which columns are not used, with reasons."""

    names: list[str]
    values: Mapping[str, Values]
    plan: Plan
    missing: tuple[str, ...]
    dropped: Mapping[str, str]


def open_entities(settings: Entities, *, base: Path, memory: int) -> OpenSource:
    """Raises DataError where the source cannot be read."""
    return open_source(settings.source, base=base, memory=memory, only=None, drop=())


def key_of(settings: Entities, names: Sequence[str], *, what: str, events: str) -> str:
    """The column with the key. Raises DataError where there is none."""
    where = f"data.{what}s.key"
    if settings.key is not None:
        if settings.key in names:
            return settings.key
        raise DataError(f"{settings.key}: no such column in {settings.source.path}. Columns: {', '.join(names[:20])}.",
                        code="column_missing", where=where, hint=nearest(settings.key, names) or "Correct the name.")  # fmt: skip
    lower = {name.lower(): name for name in names}
    found = next((lower[name] for name in (events.lower(), *_KEYS[what]) if name in lower), None)
    if found is None:
        raise DataError(f"No column of {settings.source.path} is called as the key of a table of {what}s usually is. "
                        f"Columns: {', '.join(names[:20])}.", code="key_unknown", where=where, hint="Name it there.")  # fmt: skip
    return found


def read_entities(
    settings: Entities, source: OpenSource, key: str, ledger: Ledger, *, data: Data, what: str
) -> EntityTable:  # fmt: skip
    """The table, one row for each name: the last one holds. Raises DataError where no row has a key or no column is left."""
    for said in (*(settings.only or ()), *settings.drop, *settings.columns):
        if said not in source.names:
            raise DataError(f"{said}: no such column in {settings.source.path}.", code="column_missing",
                            where=f"data.{what}s", hint=nearest(said, source.names) or "Correct the name.")  # fmt: skip
    chunks = list(source.chunks())
    frame = pl.concat([chunk.frame for chunk in chunks], how="vertical_relaxed")
    lines = np.concatenate([chunk.lines for chunk in chunks])
    names = spelled(frame[key]).str.strip_chars()
    bad = (names.is_null() | (names == "")).to_numpy()
    again = names.is_duplicated().to_numpy() & ~names.is_last_distinct().to_numpy() & ~bad
    for hit, code, reason in (
        (bad, f"{what}.no_key", f"{key} is empty."),
        (again, f"{what}.twice", "A later row has the same key and holds."),
    ):
        for row in np.flatnonzero(hit).tolist():
            ledger.reject(RejectedRow(chunks[0].file, int(lines[row]), code, reason, str(names[row] or "")))
    kept = pl.Series(~(bad | again))
    frame, names = frame.filter(kept), names.filter(kept)
    if frame.is_empty():
        raise DataError(f"No row of {settings.source.path} has a key.", code="no_keys", where=f"data.{what}s.key")
    inferred = infer(
        frame.head(50_000), given=settings.columns, missing=settings.source.missing, units=data.clean.units
    )
    why = {name: _why_not(name, key, settings, inferred[name].kind, data.clean) for name in source.names}
    dropped = {name: reason for name, reason in why.items() if reason is not None}
    plan = Plan(task="recommendation", target="", inputs=tuple(name for name in source.names if name not in dropped),
                sensitive=(), weight=None, group=None, time=None, given=None, inferred=inferred)  # fmt: skip
    if not plan.inputs:
        told = "; ".join(f"{name}: {why}" for name, why in dropped.items())
        raise DataError(f"No column is left of {settings.source.path}. {told}", code="no_columns", where=f"data.{what}s",
                        hint="Name the columns to use under only, or leave the table out.")  # fmt: skip
    cleaner = Cleaner(plan, data.clean, ledger, missing=settings.source.missing)
    try:
        typed, _ = cleaner.clean(frame)
        found = checks.constant(typed, plan, data.clean)
        values = {name: raw_values(name, typed[name], plan, cleaner.dictionaries) for name in plan.inputs}
    finally:
        cleaner.close()
    left = tuple(name for name in plan.inputs if name not in found)
    plan = plan.without(found) if left else plan
    return EntityTable(names.to_list(), {name: values[name] for name in plan.inputs}, plan,
                       tuple(settings.source.missing), {**dropped, **found})  # fmt: skip


def _why_not(name: str, key: str, settings: Entities, kind: str, clean: Clean) -> str | None:
    named = (settings.only is not None and name in settings.only) or name in settings.columns
    if name == key:
        return "the key"
    if settings.only is not None and name not in settings.only:
        return "not among only"
    if name in settings.drop:
        return "dropped in the product file"
    if kind == "image":
        return "pictures of users and items are not read yet"
    if kind == "identifier" and clean.identifiers == "drop" and not named:
        return "an identifier"
    return None


def in_order(table: EntityTable, names: Sequence[str]) -> dict[str, Values]:
    """Raw values by column for `names` [E]; missing where the table does not have one of them."""
    place = {name: row for row, name in enumerate(table.names)}
    rows = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    return {column: _taken(values, rows) for column, values in table.values.items()}


def _taken(values: Values, rows: NDArray[np.int64]) -> Values:
    taken = values[np.maximum(rows, 0)].copy() if len(values) else np.empty(len(rows), dtype=np.object_)
    taken[rows < 0] = np.nan if taken.dtype.kind == "f" else None
    return taken


def fit_entities(
    table: EntityTable, values: Mapping[str, Values], trained: NDArray[np.bool_], *, settings: Entities, data: Data
) -> FeatureSet:  # fmt: skip
    """The columns, fitted on the rows that training events name; on all of them where they name none."""
    rows = trained if trained.any() else np.ones_like(trained)
    specs = table.plan.specs(settings.columns, outliers=data.clean.outliers)
    return FeatureSet.fit(specs, {name: one[rows] for name, one in values.items()}, NO_TARGET, seed=data.split.seed)


def encode_entities(features: FeatureSet, values: Mapping[str, Values]) -> dict[str, NDArray[Any]]:
    """Encoded arrays [E, …] by name, integers as int32."""
    found = features.encode(values)
    return {name: one.astype(np.int32) if one.dtype == np.int64 else one for name, one in found.items()}
