"""Which kind each column is, with a reason that a person can read. Looks at values; changes none.

Not here: what a kind becomes for a model (`features/`), nor whether a column is used at all (`plan.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from tradewind.features.attachments import is_audio
from tradewind.features.date import parse_date
from tradewind.features.number import parse_number, unit_of
from tradewind.product import ColumnKind, ColumnOptions

# Words that mean "no value" in any column, compared in lower case; `None` and `无` may be an answer in a category.
MISSING = frozenset(
    [
        "?",
        "？",
        "na",
        "n/a",
        "#n/a",
        "<na>",
        "nan",
        "-nan",
        "null",
        "(null)",
        "\\n",
        "-",
        "--",
        "—",
        "nil",
        "#value!",
        "#ref!",
        "#div/0!",
        "#name?",
        "缺失",
        "空",
        "暂无",
        "不详",
        "missing",
    ]
) | {""}
MISSING_NUMBER = MISSING | {"none", "无", "未知", "unknown"}

_SHARE = 0.95  # of the values must read as a kind for a column to be of it
_PARSED = 5000  # distinct values tried by the slow parsers
_FEW = 20  # rows below which uniqueness proves nothing without a name that says identifier
_ID_NAME = re.compile(
    r"(^|[_\s\-.])(id|ids|uuid|guid|no|nr|key|index|rowid|serial)$|[a-z]I[Dd]$|编号|序号|单号|流水号|证号"
)
_DATE_NAME = re.compile(r"date|time|日期|时间|(_at|_on|_ts)$", re.IGNORECASE)
_AGE_NAME = re.compile(r"(^|[_\s])age(_years)?$|年龄|岁数", re.IGNORECASE)
_IMAGE_NAME = re.compile(r"\.(png|jpe?g|bmp|gif|webp|tiff?|dcm|dicom)$", re.IGNORECASE)
_AUDIO_NAME = re.compile(r"\.(wav|flac|mp3|og[ga])$", re.IGNORECASE)
_CJK = r"[\u3400-\u9fff\uf900-\ufaff]"
_SENTINELS = (-999.0, -9999.0, -99999.0)


@dataclass(frozen=True)
class Inferred:
    """The kind of one column and why; values outside [minimum, maximum] are impossible there (in the column's units)."""

    kind: ColumnKind
    reason: str
    minimum: float | None = None
    maximum: float | None = None
    given: bool = False


@dataclass(frozen=True)
class _Facts:
    """The non-missing values of a column in the sample: `distinct` with `counts`, most frequent first."""

    name: str
    values: pl.Series
    distinct: list[str]
    counts: list[int]

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def ratio(self) -> float:
        return len(self.distinct) / max(self.rows, 1)

    @property
    def unique(self) -> bool:
        enough = self.rows >= _FEW or (self.rows >= 3 and bool(_ID_NAME.search(self.name)))
        return enough and len(self.distinct) >= 0.98 * self.rows


def infer(
    sample: pl.DataFrame, *, given: Mapping[str, ColumnOptions], missing: Iterable[str] = (), units: bool = True
) -> dict[str, Inferred]:
    """The kind of every column of `sample` (the first rows of a source); `given` options go before what is seen."""
    words = MISSING | {word.strip().lower() for word in missing}
    inferred = {}
    for name in sample.columns:
        options = given.get(name, ColumnOptions())
        found = infer_column(name, sample[name], words=words, units=units)
        if options.kind != "auto":
            found = Inferred(options.kind, "given in the product file", found.minimum, found.maximum, given=True)
        if found.kind in ("number", "audio"):
            low = options.minimum if options.minimum is not None else found.minimum
            high = options.maximum if options.maximum is not None else found.maximum
            found = replace(found, minimum=low, maximum=high)
        inferred[name] = found
    return inferred


def infer_column(name: str, series: pl.Series, *, words: frozenset[str], units: bool) -> Inferred:
    """The kind of one column from its values of any Polars type."""
    dtype = series.dtype
    if dtype == pl.Binary:
        first = series.drop_nulls().head(1).to_list()
        if first and is_audio(first[0]):
            return Inferred("audio", "it holds recordings")
        return Inferred("image", "it holds bytes")
    if dtype.is_temporal():
        return Inferred("date", f"the source types it as {dtype}")
    if dtype == pl.Boolean:
        return Inferred("category", "the source types it as true or false")
    if dtype.is_numeric():
        return _typed_number(name, series)
    if dtype != pl.String:
        series = series.cast(pl.String, strict=False)
    facts = _facts(name, series, words)
    if facts.rows == 0:
        return Inferred("category", f"no value in the first {len(series):,} rows")
    for rule in (_as_file, _as_code, _as_number, _as_date):
        found = rule(facts, units)
        if found is not None:
            return found
    return _as_words(facts)


def _facts(name: str, series: pl.Series, words: frozenset[str]) -> _Facts:
    values = series.drop_nulls().str.strip_chars()
    values = values.filter(~values.str.to_lowercase().is_in(list(words)))
    table = values.value_counts().sort(["count", values.name], descending=[True, False])
    return _Facts(name, values, table[values.name].to_list(), table["count"].to_list())


def _as_file(facts: _Facts, units: bool) -> Inferred | None:
    tried = facts.distinct[:_PARSED]
    kinds: tuple[tuple[ColumnKind, str, re.Pattern[str]], ...] = (
        ("image", "image", _IMAGE_NAME), ("audio", "audio", _AUDIO_NAME)
    )  # fmt: skip
    for kind, what, pattern in kinds:
        if sum(bool(pattern.search(value)) for value in tried) >= _SHARE * len(tried):
            return Inferred(kind, f"the values name {what} files, such as *{Path(tried[0]).suffix}")
    return None


def _as_code(facts: _Facts, units: bool) -> Inferred | None:
    """Digits that are not a quantity: leading zeros, or eleven and more digits of one length."""
    digits = facts.values.str.contains(r"^\d+[0-9Xx]?$")
    if digits.mean() != 1.0:
        return None
    lengths = facts.values.str.len_chars()
    padded = facts.values.str.contains(r"^0\d")
    if padded.any() and lengths.n_unique() <= 2 and lengths.max() != 1:
        if facts.unique:
            return Inferred(
                "identifier", f"codes with leading zeros, and {len(facts.distinct):,} of {facts.rows:,} differ"
            )
        return Inferred("category", f"codes with leading zeros, such as {facts.values.filter(padded)[0]}")
    if int(str(lengths.min())) >= 11 and lengths.n_unique() <= 2 and facts.ratio > 0.5:
        if _DATE_NAME.search(facts.name):
            return None
        return Inferred(
            "identifier",
            f"numbers of {int(str(lengths.max()))} digits, and {len(facts.distinct):,} of {facts.rows:,} differ",
        )
    return None


def _as_number(facts: _Facts, units: bool) -> Inferred | None:
    plain = facts.values.cast(pl.Float64, strict=False)
    read = plain.len() - plain.null_count()
    if read < facts.rows and units:
        hard = facts.values.filter(plain.is_null()).value_counts().sort(["count", facts.values.name], descending=True)
        tried = hard.head(_PARSED)
        numbers = [parse_number(text) for text in tried[facts.values.name].to_list()]
        good = sum(count for number, count in zip(numbers, tried["count"].to_list(), strict=True) if number == number)
        rest = int(hard["count"].sum()) - int(tried["count"].sum())
        read += good + round(rest * good / max(int(tried["count"].sum()), 1))
        if len({unit for text in tried[facts.values.name] if (unit := unit_of(text)) is not None}) > 1:
            return None  # 5 kg and 300 克 are not one scale
    share = read / facts.rows
    if share < _SHARE:
        return None
    dated = _as_numbered_date(facts, plain)
    if dated is not None:
        return dated
    if read < facts.rows or plain.null_count():
        units_seen = f", {plain.null_count():,} of them with a unit or separator" if plain.null_count() else ""
        reason = f"{share:.1%} of {facts.rows:,} values read as numbers{units_seen}"
        return _bounded(facts.name, plain.drop_nulls(), Inferred("number", reason))
    return _typed_number(facts.name, plain)


def _as_numbered_date(facts: _Facts, plain: pl.Series) -> Inferred | None:
    """Seconds or milliseconds since 1970, or 20260105, in a column whose name says date."""
    if not _DATE_NAME.search(facts.name) or plain.null_count():
        return None
    numbers = plain.to_numpy()
    low, high = float(numbers.min()), float(numbers.max())
    seconds, milliseconds, days = (3e8, 4.2e9), (3e11, 4.2e12), (19000101, 21001231)
    moments = any(least <= low and high <= most for least, most in (seconds, milliseconds, days))
    if moments and all(parse_date(text) == parse_date(text) for text in facts.distinct[:200]):
        return Inferred("date", f"its name says date and values such as {facts.distinct[0]} are moments")
    return None


def _typed_number(name: str, numbers: pl.Series) -> Inferred:
    """A number, unless it is an identifier that counts rows or a code of two values."""
    values = numbers.drop_nulls().cast(pl.Float64)
    values = values.filter(values.is_finite())
    rows, distinct = len(values), values.n_unique()
    whole = bool((values == values.floor()).all()) if rows else False
    if whole and distinct == rows and rows >= 3:
        steps = values.diff().drop_nulls()
        counts_up = rows >= _FEW and bool((steps == 1).all())
        if counts_up:
            return Inferred("identifier", f"whole numbers that count the rows, from {values[0]:.0f} up by one")
        if _ID_NAME.search(name) or (rows >= _FEW and name.lower() in ("id", "rowid")):
            return Inferred("identifier", f"its name says identifier and all {rows:,} values differ")
    if whole and distinct <= 2 and rows:
        seen = " and ".join(f"{value:.0f}" for value in sorted(values.unique().to_list()))
        return Inferred("category", f"only the codes {seen} in {rows:,} values")
    reason = f"all {rows:,} values read as numbers, {distinct:,} of them differ"
    return _bounded(name, values, Inferred("number", reason))


def _bounded(name: str, values: pl.Series, found: Inferred) -> Inferred:
    """Bounds of what is possible: an age, or a column without negatives but for a word for missing such as -999."""
    if _AGE_NAME.search(name):
        return replace(found, minimum=0.0, maximum=130.0)
    negative = values.filter(values < 0)
    if len(negative) and bool(negative.is_in(list(_SENTINELS)).all()) and len(negative) < 0.5 * len(values):
        return replace(found, minimum=0.0)
    return found


def _as_date(facts: _Facts, units: bool) -> Inferred | None:
    tried = list(zip(facts.distinct, facts.counts, strict=True))[:_PARSED]
    if sum(parse_date(text) == parse_date(text) for text, _ in tried[:20]) < min(len(tried), 20) * 0.5:
        return None
    good = sum(count for text, count in tried if parse_date(text) == parse_date(text))
    share = good / max(sum(count for _, count in tried), 1)
    if share < _SHARE:
        return None
    return Inferred("date", f"{share:.1%} of the values read as dates, such as {facts.distinct[0]}")


def _as_words(facts: _Facts) -> Inferred:
    """Text, category or identifier, by how long the values are and how often they come again."""
    rows, distinct, ratio = facts.rows, len(facts.distinct), facts.ratio
    chars = float(str(facts.values.str.len_chars().mean()))
    cjk = float(str(facts.values.str.count_matches(_CJK).mean()))
    words = float(str(facts.values.str.count_matches(r"\S+").mean())) + cjk / 1.5
    seen = f"{distinct:,} of {rows:,} values differ"
    if words >= 3.5 and (ratio >= 0.2 or distinct > 1000) and (distinct > 12 or ratio > 0.8):
        return Inferred("text", f"{chars:.0f} characters on average, and {seen}")
    if facts.unique and words < 1.5 and cjk < 1:
        return Inferred("identifier", f"single words, and {seen}")
    if rows >= 200 and ratio > 0.5:
        kind: ColumnKind = "text" if words >= 1.5 else "identifier" if ratio > 0.9 else "category"
        return Inferred(kind, f"{words:.1f} words on average, and {seen}")
    return Inferred("category", f"{distinct:,} different values in {rows:,}, {chars:.0f} characters on average")
