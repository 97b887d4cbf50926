"""Looks at cleaned rows for what harms a model: nothing to learn from, a target given away, few of a class, conflicts.

Not here: repairs of values (`clean.py`), copies (`duplicates.py`). Legend: B rows of the training sample.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.clean import as_plain
from tradewind.data.duplicates import first_copies
from tradewind.data.ledger import Ledger
from tradewind.data.plan import Plan
from tradewind.data.rows import Hashes
from tradewind.errors import DataError
from tradewind.features.date import parse_date
from tradewind.features.number import parse_number
from tradewind.product import Clean

_LEAK_BINS = 256
_LEAK_ERROR = 0.03  # of the errors of the most frequent class are left
_LEAK_ROWS = 50
_LEAK_MOST = 50_000
_RARE = 0.1
_TRIED = 1000
_SENSITIVE = re.compile(
    r"(^|[_\s])(sex|gender|race|ethnic\w*|religion|nationality|disab\w*|age|age_band|marital\w*|pregnan\w*)($|[_\s])"
    r"|性别|民族|种族|宗教|国籍|年龄|残疾|婚姻",
    re.IGNORECASE,
)


def target_of_task(plan: Plan, classes: Mapping[str, int], rows: int) -> None:
    """Raises DataError when the target does not suit the task: one class, or a different value in nearly every row."""
    if plan.task != "classification":
        return
    where = "data.target"
    if len(classes) == 1:
        raise DataError(
            f"The target {plan.target} is {next(iter(classes))} in all {rows:,} rows.", code="target_constant",
            where=where, hint="Give rows of at least two classes, or name another target.",
        )  # fmt: skip
    if len(classes) > 50 and len(classes) > 0.5 * rows:
        number = sum(_is_number(name) for name in classes) > 0.9 * len(classes)
        raise DataError(
            f"The target {plan.target} has {len(classes):,} different values in {rows:,} rows, too many for classes.",
            code="target_not_classes", where=where,
            hint="Its values are numbers: set task: regression." if number else "Name a target with fewer classes.",
        )  # fmt: skip
    if max(classes.values()) < 2:
        raise DataError(
            f"No class of {plan.target} has two rows.",
            code="target_rare",
            where=where,
            hint="Give more rows of each class.",
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def regression_target(name: str, read: int, seen: int, example: str | None) -> None:
    """Raises DataError when most of a regression's target values are no numbers."""
    if seen and read < 0.5 * seen:
        shown = f", such as {example!r}" if example else ""
        raise DataError(
            f"The target {name} is a number in {read:,} of {seen:,} rows only{shown}.", code="target_not_number",
            where="data.target", hint="Set task: classification, or name a target of numbers.",
        )  # fmt: skip


def keys_read(first: pl.DataFrame, plan: Plan) -> None:
    """Raises DataError when, in the first rows, a regression's target or the column of a split by time cannot be read."""
    if plan.task == "regression":
        texts = as_plain(first[plan.target]).cast(pl.String).drop_nulls()
        read = [parse_number(text) == parse_number(text) for text in texts.head(_TRIED).to_list()]
        wrong = [text for text, good in zip(texts.to_list(), read, strict=False) if not good]
        regression_target(plan.target, sum(read), len(read), wrong[0] if wrong else None)
    if plan.time is not None:
        texts = as_plain(first[plan.time]).cast(pl.String).drop_nulls().head(_TRIED)
        good = sum(parse_date(text) == parse_date(text) or parse_number(text) == parse_number(text) for text in texts)
        if good < 0.5 * max(len(texts), 1):
            raise DataError(
                f"{plan.time} reads as a moment in {good:,} of its first {len(texts):,} values, such as {texts[0]!r}.",
                code="time_unreadable", where="data.split.by", hint="Name a column of dates, as 2026-01-05 or 2026年1月5日.",
            )  # fmt: skip


def imbalance(classes: Mapping[str, int], target: str, ledger: Ledger) -> None:
    """Finds a class with less than a tenth of its even share, and classes too small to be in every split."""
    total = sum(classes.values())
    name, least = min(classes.items(), key=lambda item: (item[1], item[0]))
    if least / total < _RARE * 2 / len(classes):
        most = max(classes.values())
        ledger.find("imbalance", target, f"The class {name} has {least:,} of {total:,} rows, 1 to {most / least:.0f}.")
    single = [name for name, count in classes.items() if count == 1]
    if single:
        ledger.find("class_single_row", target, f"Classes with one row, kept in train alone: {', '.join(single[:5])}.")


def constant(frame: pl.DataFrame, plan: Plan, rules: Clean) -> dict[str, str]:
    """Inputs that are the same in all typed training rows, each with its reason."""
    dropped: dict[str, str] = {}
    for name in plan.inputs:
        column = frame[name]
        if column.dtype == pl.Float64:
            column = column.fill_nan(None)
        elif column.dtype == pl.UInt32:
            column = column.set(column == 0, None)
        if column.null_count() == len(column):
            dropped[name] = "no value in any training row"
        elif rules.constant == "drop" and column.dtype != pl.Binary and column.n_unique() == 1:
            dropped[name] = "constant: the same in all training rows"
    return dropped


def sensitive(plan: Plan, ledger: Ledger) -> None:
    """Finds inputs whose name says that a person could be treated unfairly by them."""
    for name in plan.inputs:
        if name not in plan.sensitive and _SENSITIVE.search(name):
            ledger.find(
                "sensitive", name, f"{name} may be a protected attribute and is an input; list it under data.sensitive."
            )


def conflicts(inputs: Hashes, target: NDArray[np.generic], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows [R] among the living whose inputs stand elsewhere with another target."""
    rows = np.flatnonzero(alive)
    first = first_copies(inputs[rows])
    differs = target[rows] != target[rows][first]
    mixed = np.zeros(len(rows), dtype=np.bool_)
    mixed[first[differs]] = True
    found = np.zeros(len(inputs), dtype=np.bool_)
    found[rows] = mixed[first]
    return found


def leakage(
    frame: pl.DataFrame, plan: Plan, rules: Clean, ledger: Ledger
) -> dict[str, str]:  # fmt: skip
    """Inputs of typed training rows that alone give nearly every target, each with its reason when `clean.leakage` is drop.

    A column is learnt by heart on one half of the sample and asked on the other; what is left of the error of always
    saying the most frequent class (or the mean) tells. Raises DataError when `clean.leakage` is refuse.
    """
    dropped: dict[str, str] = {}
    frame = frame.head(_LEAK_MOST)
    target = frame[plan.target].to_numpy()
    if len(target) < _LEAK_ROWS:
        return dropped
    for name in plan.inputs:
        kind = plan.reading(name)
        if kind in ("text", "image", "audio"):
            continue
        column = frame[name].fill_null("") if kind == "date" else frame[name]
        codes = _bins(column.to_numpy()) if kind == "number" else column.rank("dense").to_numpy().astype(np.int64)
        left = _error_left(codes, target, classes=plan.task == "classification")
        if left > (_LEAK_ERROR if plan.task == "classification" else 0.001):
            continue
        message = (
            f"{name} alone gives the target away: it leaves {left:.1%} of the error. Would it be known beforehand?"
        )
        if rules.leakage == "refuse":
            raise DataError(message, code="leakage", where=f"data.columns.{name}",
                            hint="List it under data.drop, or set data.clean.leakage to report.")  # fmt: skip
        ledger.find("leakage", name, message, action="dropped" if rules.leakage == "drop" else "none")
        if rules.leakage == "drop":
            dropped[name] = "gives the target away"
    return dropped


def _bins(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    known = numbers[~np.isnan(numbers)]
    if len(known) == 0:
        return np.zeros(len(numbers), dtype=np.int64)
    distinct = np.unique(known)
    edges = distinct if len(distinct) <= _LEAK_BINS else np.unique(np.quantile(known, np.linspace(0, 1, _LEAK_BINS)))
    codes = np.searchsorted(edges, numbers, side="right")
    return np.where(np.isnan(numbers), len(edges) + 1, codes)


def _error_left(codes: NDArray[np.int64], target: NDArray[np.generic], *, classes: bool) -> float:
    """Share of the plain error that is left on the odd rows once the even rows are known by heart. In [0, …)."""
    size = int(codes.max()) + 1
    learnt, asked = slice(0, None, 2), slice(1, None, 2)
    if classes:
        names, labels = np.unique(target, return_inverse=True)
        table = np.zeros((size, len(names)), dtype=np.int64)
        np.add.at(table, (codes[learnt], labels[learnt]), 1)
        common = int(table.sum(axis=0).argmax())
        guess = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), common)
        plain = float((labels[asked] != common).mean())
        return float((labels[asked] != guess[codes[asked]]).mean()) / plain if plain else 1.0
    numbers = target.astype(np.float64)
    counts = np.bincount(codes[learnt], minlength=size)
    mean = float(numbers[learnt].mean())
    means = np.where(counts, np.bincount(codes[learnt], numbers[learnt], size) / np.maximum(counts, 1), mean)
    plain = float(((numbers[asked] - mean) ** 2).mean())
    return float(((numbers[asked] - means[codes[asked]]) ** 2).mean()) / plain if plain else 1.0
