"""Repairs values column by column: missing words, spaces, units, impossible values, personal data. Counts each repair.

Not here: which rows are copies (`duplicates.py`), what is suspicious (`checks.py`), encoding (`features/`).

Typed columns: number → float64 with NaN for missing; category and key → uint32 codes into a `Dictionary`, 0 for
missing; text, date and image → String or Binary with null for missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.dictionary import Dictionary
from tradewind.data.inference import MISSING, MISSING_NUMBER
from tradewind.data.ledger import Ledger
from tradewind.data.plan import Plan
from tradewind.features.number import parse_number
from tradewind.privacy.pii import redact
from tradewind.product import Clean

Mask = NDArray[np.bool_]

_THREADS = 2  # columns of a chunk cleaned at the same time; each column is counted by one thread alone
_LARGEST = float(np.finfo(np.float64).max)
# Whatever could hold personal data: an at sign, six digits (perhaps spaced), or an IBAN. Others are not looked at again.
_PII_HINT = r"@|[0-9０-９](?:[\s\-.]?[0-9０-９]){5}|[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:|\d{1,3}\.\d{1,3}\.\d"


@dataclass(frozen=True)
class Refusal:
    """Rows of one chunk that may not stay, as a mask, with a code and a sentence."""

    rows: Mask
    code: str
    reason: str


class Cleaner:
    """Types the columns of one dataset, chunk by chunk; the same value always becomes the same."""

    def __init__(self, plan: Plan, rules: Clean, ledger: Ledger, *, missing: Iterable[str] = ()) -> None:
        self.plan = plan
        self.rules = rules
        self.ledger = ledger
        words = {word.strip().lower() for word in missing}
        self._threads = ThreadPoolExecutor(_THREADS)
        self._missing = MISSING | words
        self._missing_number = MISSING_NUMBER | words
        names = [name for name in plan.needed if plan.reading(name) in ("category", "key")]
        self.dictionaries: Mapping[str, Dictionary] = {
            name: Dictionary(name, self._missing, labels=name == plan.target) for name in names
        }

    def clean(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Refusal]]:
        """Typed columns of `plan.needed`, and the rows that have to go because of an impossible value."""
        done = list(self._threads.map(lambda name: self._column(name, frame[name]), self.plan.needed))
        return pl.DataFrame([series for series, _ in done]), [refusal for _, found in done for refusal in found]

    def close(self) -> None:
        self._threads.shutdown()

    def _column(self, name: str, series: pl.Series) -> tuple[pl.Series, list[Refusal]]:
        series = as_plain(series)
        reading = self.plan.reading(name)
        if reading == "number":
            numbers = self._numbers(name, series)
            if name in (self.plan.target, self.plan.weight):
                return numbers, []
            return self._possible(name, numbers)
        if reading in ("category", "key"):
            return pl.Series(name, self.dictionaries[name].encode(series, self.ledger)), []
        if series.dtype == pl.Binary:
            return series, []
        texts = self._words(name, series.cast(pl.String))
        if reading == "text" and self.rules.pii != "keep":
            texts = self._personal(name, texts)
        return texts, []

    def _numbers(self, name: str, series: pl.Series) -> pl.Series:
        """Float64 [B] without nulls; what is no number becomes NaN and is counted."""
        plain = series.cast(pl.Float64, strict=False)
        missing = plain.null_count()
        if missing == series.null_count():
            return plain.fill_null(float("nan")) if missing else plain
        failed = plain.is_null() & (series != "").fill_null(False)  # an empty field is missing and no repair
        if not failed.any():
            return plain.fill_null(float("nan"))
        numbers = np.array(plain.fill_null(float("nan")).to_numpy())
        rows = np.flatnonzero(failed.to_numpy())
        hard = series.filter(failed)
        trimmed = hard.str.strip_chars().cast(pl.Float64, strict=False)
        padded = trimmed.is_not_null()
        if padded.any():
            example = repr(hard.filter(padded)[0])
            self.ledger.count("whitespace", name, int(padded.sum()), action="repaired", example=example)
            numbers[rows[padded.to_numpy()]] = trimmed.filter(padded).to_numpy()
            hard, rows = hard.filter(~padded), rows[~padded.to_numpy()]
        if len(hard):
            table = hard.value_counts(name="count").sort(["count", hard.name], descending=[True, False])
            texts = table[hard.name]
            counts = zip(texts.to_list(), table["count"].to_list(), strict=True)
            read = pl.Series([self._number(name, text, count) for text, count in counts], dtype=pl.Float64)
            numbers[rows] = hard.replace_strict(texts, read).to_numpy()
        return pl.Series(name, numbers)

    def _number(self, name: str, text: str, count: int) -> float:
        """One spelling that a plain cast refused, with how often it stands there."""
        stripped = text.strip()
        if stripped.lower() in self._missing_number:
            self.ledger.count("missing_word", name, count, action="missing", example=text)
            return float("nan")
        number = parse_number(stripped) if self.rules.units else float("nan")
        if number == number:
            self.ledger.count("units", name, count, action="repaired", example=f"{stripped} → {number:g}")
        else:
            self.ledger.count("not_a_number", name, count, action="missing", example=stripped)
        return number

    def _possible(self, name: str, series: pl.Series) -> tuple[pl.Series, list[Refusal]]:
        """Infinite values and values beyond the column's bounds, after `clean.impossible`."""
        found = self.plan.inferred[name]
        low = -_LARGEST if found.minimum is None else found.minimum
        high = _LARGEST if found.maximum is None else found.maximum
        numbers = series.to_numpy()
        if len(numbers) == 0 or (np.fmin.reduce(numbers) >= low and np.fmax.reduce(numbers) <= high):
            return series, []
        wrong = (numbers < low) | (numbers > high)
        count = int(wrong.sum())
        if count == 0:  # nothing but NaN
            return series, []
        example = f"{numbers[wrong][0]:g}"
        if self.rules.impossible == "reject":
            self.ledger.count("impossible", name, count, action="rejected", example=example)
            shown = [f"{bound:g}" for bound in (low, high) if abs(bound) < _LARGEST]
            return series, [Refusal(wrong, "impossible", f"{name} is impossible; its bounds are {shown}.")]
        if self.rules.impossible == "keep":
            wrong = np.isinf(numbers)
        self.ledger.count("impossible", name, int(wrong.sum()), action="missing", example=example)
        return pl.Series(name, np.where(wrong, np.nan, numbers)), []

    def _words(self, name: str, series: pl.Series) -> pl.Series:
        """Text without padding; words for missing become null."""
        if self.rules.whitespace:
            stripped = series.str.strip_chars()
            changed = (stripped.str.len_bytes() != series.str.len_bytes()).fill_null(False)
            if changed.any():
                example = f"{series.filter(changed)[0]!r}"
                self.ledger.count("whitespace", name, int(changed.sum()), action="repaired", example=example)
                series = stripped
        short = series.str.len_bytes() <= 12
        if short.any():
            low = series.str.to_lowercase().str.strip_chars()
            gone = (short & low.is_in(list(self._missing))).fill_null(False)
            words = series.filter(gone & (series != ""))
            if len(words):
                self.ledger.count("missing_word", name, len(words), action="missing", example=str(words[0]))
            if gone.any():
                series = series.set(gone, None)
        return series

    def _personal(self, name: str, series: pl.Series) -> pl.Series:
        """Counts personal data by kind; with `pii: redact` puts a mark such as [EMAIL] in its place."""
        hinted = series.str.contains(_PII_HINT).fill_null(False)
        if not hinted.any():
            return series
        rows = np.flatnonzero(hinted.to_numpy())
        changed: list[str] = []
        for text in series.filter(hinted).to_list():
            clean, findings = redact(text)
            for finding in findings:
                action = "redacted" if self.rules.pii == "redact" else "reported"
                self.ledger.count(f"pii_{finding.kind}", name, 1, action=action)
            changed.append(clean)
        if self.rules.pii == "redact":
            return series.scatter(rows.astype(np.uint32), pl.Series(changed))
        return series


def as_plain(series: pl.Series) -> pl.Series:
    """A column as String, Float64 or Binary: moments in ISO 8601, booleans as true and false, nested values as JSON."""
    dtype = series.dtype
    if dtype in (pl.String, pl.Binary):
        return series
    if dtype == pl.Boolean or dtype == pl.Null:
        return series.cast(pl.String)
    if dtype == pl.Date:
        return series.dt.to_string("%Y-%m-%d")
    if dtype == pl.Datetime:
        zone = "%:z" if dtype.time_zone else ""  # type: ignore[attr-defined]
        return series.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
    if dtype.is_numeric():
        return series.cast(pl.Float64, strict=False)
    if dtype.is_nested():
        return pl.Series(
            series.name, [None if value is None else str(value) for value in series.to_list()], dtype=pl.String
        )
    return series.cast(pl.String, strict=False)
