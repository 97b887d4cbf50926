"""Counts, quantiles, histograms, most frequent values and missing shares of each column, as JSON for the report.

Not here: drift between two profiles (`evaluate/drift.py`), drawing them (`evaluate/report.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.dictionary import Dictionary
from tradewind.data.plan import Plan

_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_BINS = 20
_TOP = 20
_OUTLIER_IQR = 10.0


def describe_columns(
    plan: Plan, frame: pl.DataFrame, dictionaries: Mapping[str, Dictionary]
) -> list[dict[str, Any]]:  # fmt: skip
    """One entry a column of the source, in its order: part, kind, reason, why dropped, and what its values are."""
    columns = []
    for name, found in plan.inferred.items():
        part = "dropped"
        for candidate, names in (("input", plan.inputs), ("target", [plan.target]), ("sensitive", plan.sensitive)):
            if name in names:
                part = candidate
                break
        if name == plan.weight:
            part = "weight"
        entry: dict[str, Any] = {"name": name, "part": part, "kind": found.kind, "reason": found.reason}
        if name in plan.dropped:
            entry["dropped"] = plan.dropped[name]
        if name in plan.kept:
            words = dictionaries[name].words if plan.reading(name) == "category" else None
            entry |= describe(plan.reading(name), frame[name], words)
        columns.append(entry)
    return columns


def describe(reading: str, series: pl.Series, words: Sequence[str] | None = None) -> dict[str, Any]:
    """The profile of one typed column. Numbers keep the column's units, lengths count characters."""
    if reading == "number":
        return _numbers(series.to_numpy())
    if words is not None:
        counts = np.bincount(series.to_numpy(), minlength=len(words) + 1)
        pairs = [(words[code - 1], int(counts[code])) for code in (np.flatnonzero(counts[1:]) + 1).tolist()]
        return {"rows": len(series), "missing": int(counts[0]), "distinct": len(pairs), "top": _top(pairs)}
    content: dict[str, Any] = {"rows": len(series), "missing": series.null_count()}
    if reading in ("image", "audio"):
        return content
    content["distinct"] = series.drop_nulls().n_unique()
    if reading == "text":
        content["characters"] = _numbers(series.drop_nulls().str.len_chars().cast(pl.Float64).to_numpy())
        content["examples"] = [text[:120] for text in series.drop_nulls().head(3).to_list()]
    else:
        table = series.drop_nulls().value_counts(name="count")
        content["top"] = _top(list(table.iter_rows()))
    return content


def _top(pairs: list[tuple[str, int]]) -> list[dict[str, Any]]:
    ordered = sorted(pairs, key=lambda item: (-item[1], item[0]))[:_TOP]
    return [{"value": value, "count": count} for value, count in ordered]


def _numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    known = np.sort(values[np.isfinite(values)])
    content: dict[str, Any] = {"rows": len(values), "missing": int(len(values) - len(known))}
    if len(known) == 0:
        return content | {"distinct": 0}
    quantiles = _quantiles(known, _QUANTILES)
    low, high = outlier_bounds(known)
    least, most = (quantiles[1], quantiles[-2]) if quantiles[1] < quantiles[-2] else (quantiles[0], quantiles[-1])
    edges = np.linspace(least, most if most > least else least + 1, _BINS + 1)
    inside = np.searchsorted(known, edges[:-1], side="left")
    counts = np.diff(np.r_[inside, np.searchsorted(known, edges[-1], side="right")])
    return content | {
        "distinct": int((known[1:] != known[:-1]).sum()) + 1,
        "mean": float(known.mean()),
        "deviation": float(known.std()),
        "quantiles": {str(share): value for share, value in zip(_QUANTILES, quantiles, strict=True)},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "zeros": int((known == 0).sum()),
        "negative": int((known < 0).sum()),
        "outliers": int(((known < low) | (known > high)).sum()),
    }


def _quantiles(ordered: NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """Quantiles of sorted values, between two by linear interpolation, as `np.quantile` does."""
    places = np.arange(len(ordered), dtype=np.float64)
    return [float(value) for value in np.interp(np.array(shares) * (len(ordered) - 1), places, ordered)]


def outlier_bounds(ordered: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds ten interquartile ranges beyond the quartiles of sorted values; none where the middle half is one value."""
    first, third = _quantiles(ordered, (0.25, 0.75))
    reach = _OUTLIER_IQR * (third - first)
    if reach == 0:
        return -np.inf, np.inf
    return first - reach, third + reach
