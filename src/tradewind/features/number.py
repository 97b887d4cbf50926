"""Numbers: one normalised float, bins for it, and a flag where training saw gaps.

Not here: dates (`date.py`), which rows or values are thrown out (`data/clean.py`), what a network does with bins (`model/`).

Legend: B rows, K knots of the quantile map, E edges of bins. z is a value in normalised units.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, nan
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError, nearest
from tradewind.features.column import Block, ColumnSpec, Layout, NumberFeature, Values

METHODS = ("auto", "standard", "minmax", "robust", "quantile", "none")
OUTLIERS = ("keep", "clip", "missing")

# Larger values do not fit in float32; they are sentinels (DBL_MAX, 1e99, inf) and count as missing.
LIMIT = 1e38
# No z lies further out: beyond it a value says only that something is odd. Units are kept where nothing is normalised.
_FURTHEST_Z = 1e4
_OUTLIER_IQRS = 10.0
_HEAVY_TAIL_Z = 100.0
_KNOTS = 256
# Added last, it turns -0.0 into 0.0: Python's max and NumPy's disagree on which of the two zeros is larger.
POSITIVE_ZERO = 0.0
# Measured on adult, german credit and credit default (LAB.md): few, coarse bins lose what exact values say.
_QUANTILE_BINS = 48
_DISTINCT_BINS = 48
_EXACT_EDGES = 128

NumberState = dict[str, Any]


@dataclass(frozen=True)
class NumberColumn:
    """A fitted column of numbers: N is 1, or 2 where training values were missing.

    A value outside [lowest, highest] is missing, one outside [low, high] is moved to the nearer end. The float is
    (x - center) / scale, or for `quantile` the line through (knots, levels); a missing value gives 0.
    """

    kind: ClassVar[str] = "number"

    name: str
    normalise: str
    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    lowest: float = -LIMIT
    highest: float = LIMIT
    low: float = -LIMIT
    high: float = LIMIT
    flag: bool = False
    furthest: float = _FURTHEST_Z
    bins: tuple[float, ...] = ()

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training values, shape [B]; their order does not matter. `seed` is not needed.

        Options: `normalise` (METHODS), `minimum` and `maximum` (values beyond are missing), `outliers` (OUTLIERS: what
        happens beyond 10 interquartile ranges, fitted here so that serving does the same). Raises DataError for a word
        that is none of these.
        """
        options = spec.options
        method = _choice(spec, "normalise", METHODS, "auto")
        outliers = _choice(spec, "outliers", OUTLIERS, "keep")
        lowest, highest = _bound(options.get("minimum"), -LIMIT), _bound(options.get("maximum"), LIMIT)
        all_B = to_numbers(values)
        # Sorted first: every statistic below is then the same whatever the order of the rows.
        x = np.sort(all_B[(all_B >= lowest) & (all_B <= highest)])
        low, high = -LIMIT, LIMIT
        if outliers != "keep" and x.size:
            low, high = _fences(x)
            if outliers == "missing":
                lowest, highest = max(lowest, low), min(highest, high)
                x, low, high = x[(x >= low) & (x <= high)], -LIMIT, LIMIT
            else:
                x = np.clip(x, low, high)
        settings: dict[str, Any] = {"lowest": lowest, "highest": highest, "low": low, "high": high}
        settings |= {"flag": bool(x.size < all_B.size), **_normaliser(method, x)}
        plain = cls(name=spec.name, **settings)
        # Edges pass through the same arithmetic as values, down to float32: a value on an edge stays on it.
        bins = np.unique(plain.apply(edges(x)).numbers_BN[:, 0]) if x.size else np.empty(0)  # type: ignore[index]
        return cls(name=spec.name, bins=tuple(bins.tolist()) if bins.size > 1 else (), **settings)

    @classmethod
    def from_state(cls, state: NumberState) -> Self:
        tuples = {key: tuple(state[key]) for key in ("knots", "levels", "bins")}
        return cls(**{**state, **tuples})

    def state(self) -> NumberState:
        return {
            "name": self.name,
            "normalise": self.normalise,
            "center": self.center,
            "scale": self.scale,
            "knots": list(self.knots),
            "levels": list(self.levels),
            "lowest": self.lowest,
            "highest": self.highest,
            "low": self.low,
            "high": self.high,
            "furthest": self.furthest,
            "flag": self.flag,
            "bins": list(self.bins),
        }

    @property
    def layout(self) -> Layout:
        numbers = [NumberFeature(self.name, self.name, self.bins)]
        if self.flag:
            numbers.append(NumberFeature(f"{self.name}:missing", self.name))
        return Layout(numbers=tuple(numbers))

    def apply(self, values: Values) -> Block:
        """numbers_BN float32 [B, 1], or [B, 2] with the flag."""
        x_B = to_numbers(values)
        known_B = (x_B >= self.lowest) & (x_B <= self.highest)
        x_B = np.minimum(np.maximum(np.where(known_B, x_B, 0.0), self.low), self.high)
        if self.knots:
            z_B = self._through_knots(x_B)
        else:
            z_B = (x_B - self.center) / self.scale
        z_B = np.minimum(np.maximum(z_B, -self.furthest), self.furthest)
        z_B = np.where(known_B, z_B, 0.0) + POSITIVE_ZERO
        columns = [z_B, (~known_B).astype(np.float64)] if self.flag else [z_B]
        return Block(np.stack(columns, axis=1).astype(np.float32))

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        x = value if type(value) is float else to_number(value)
        if self.lowest <= x <= self.highest:
            x = min(max(x, self.low), self.high)
            if self.knots:
                z = self._one_through_knots(x)
            else:
                z = (x - self.center) / self.scale
            numbers.append(min(max(z, -self.furthest), self.furthest) + POSITIVE_ZERO)
            if self.flag:
                numbers.append(0.0)
        else:
            numbers.append(0.0)
            if self.flag:
                numbers.append(1.0)
        return _NO_TENSORS

    def decode(self, z_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw values [B] that `apply` brings to z, up to the rounding of single precision."""
        if not self.knots:
            return z_B * self.scale + self.center
        return np.interp(z_B, self.levels, self.knots)

    # The two spellings below do the same operations in the same order, each rounded once: no np.interp, whose compiled
    # loop may fuse a multiplication and an addition on some processors and then differs from Python in the last bit.

    def _through_knots(self, x_B: NDArray[np.float64]) -> NDArray[np.float64]:
        knots_K, levels_K = np.array(self.knots), np.array(self.levels)
        if len(knots_K) == 1:
            return np.full(len(x_B), levels_K[0])
        x_B = np.minimum(np.maximum(x_B, knots_K[0]), knots_K[-1])
        at_B = np.minimum(np.searchsorted(knots_K, x_B, side="right"), len(knots_K) - 1)
        left_B, right_B = knots_K[at_B - 1], knots_K[at_B]
        share_B = (x_B - left_B) / (right_B - left_B)
        result: NDArray[np.float64] = levels_K[at_B - 1] + share_B * (levels_K[at_B] - levels_K[at_B - 1])
        return result

    def _one_through_knots(self, x: float) -> float:
        knots, levels = self.knots, self.levels
        if len(knots) == 1:
            return levels[0]
        x = min(max(x, knots[0]), knots[-1])
        at = min(bisect_right(knots, x), len(knots) - 1)
        left, base = knots[at - 1], levels[at - 1]
        return base + (x - left) / (knots[at] - left) * (levels[at] - base)


_NO_TENSORS: Mapping[str, NDArray[Any]] = {}


def _choice(spec: ColumnSpec, option: str, words: tuple[str, ...], default: str) -> str:
    word = spec.options.get(option) or default
    if word not in words:
        raise DataError(
            f"{option} is {word!r}. Known: {', '.join(words)}.",
            code="option_unknown",
            where=f"data.columns.{spec.name}",
            hint=nearest(str(word), words) or None,
        )
    return str(word)


def _bound(value: Any, default: float) -> float:
    return default if value is None else min(max(float(value), -LIMIT), LIMIT)


def _fences(x: NDArray[np.float64]) -> tuple[float, float]:
    """Tukey's fences, ten interquartile ranges out; none where half of the values are equal."""
    first, third = (float(q) for q in np.quantile(x, (0.25, 0.75)))
    width = _OUTLIER_IQRS * (third - first)
    return (max(first - width, -LIMIT), min(third + width, LIMIT)) if width > 0 else (-LIMIT, LIMIT)


def _normaliser(method: str, x: NDArray[np.float64]) -> dict[str, Any]:
    """The settings of one method, for sorted values; with nothing to learn from (no value, or one) it only centres.

    `auto` is standard, but quantile where the tail is so heavy that the bulk of the values would fall on one point.
    """
    if method == "none" or not x.size:
        return {"normalise": method, "furthest": LIMIT}
    if x[0] == x[-1]:
        return {"normalise": method, "center": float(x[0])}
    center, scale = float(x.mean()), float(x.std())
    if method == "auto":
        method = "quantile" if max(center - x[0], x[-1] - center) > _HEAVY_TAIL_Z * scale else "standard"
    if method == "quantile":
        knots, levels = _quantile_map(x)
        return {"normalise": method, "knots": knots, "levels": levels}
    if method == "minmax":
        center, scale = float(x[0]), float(x[-1] - x[0])
    elif method == "robust":
        first, center, third = (float(q) for q in np.quantile(x, (0.25, 0.5, 0.75)))
        # More than half of the values equal: the range between the quartiles says nothing, the deviation does.
        scale = (third - first) / 1.349 if third > first else scale
    return {"normalise": method, "center": center, "scale": scale if scale > 1e-100 else 1.0}


def _quantile_map(x: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots and their normal scores: a value stands at the middle of the ranks that it takes, so ties need no noise.

    After the noisy quantile transform of Gorishniy et al., 2021 (arXiv:2106.11959), with mid-ranks in place of noise.
    """
    distinct, counts = np.unique(x, return_counts=True)
    middle = (np.cumsum(counts) - 0.5 * counts) / x.size
    if len(distinct) > _KNOTS:
        at = np.searchsorted(middle, np.linspace(middle[0], middle[-1], _KNOTS))
        at = np.unique(np.minimum(at, len(distinct) - 1))
        distinct, middle = distinct[at], middle[at]
    normal = NormalDist()
    return tuple(distinct.tolist()), tuple(normal.inv_cdf(share) for share in middle.tolist())


def edges(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of bins, increasing, in the units of the sorted values `x`: all values where few, else quantiles.

    Every edge is a value that occurs. Quantiles of all values resolve where the rows are, those of the distinct values
    the tails that few rows reach (piecewise-linear encoding: Gorishniy et al., 2022, arXiv:2203.05556).
    """
    distinct = np.unique(x)
    if len(distinct) <= _EXACT_EDGES:
        return distinct
    of_all = np.quantile(x, np.linspace(0, 1, _QUANTILE_BINS + 1), method="lower")
    of_distinct = np.quantile(distinct, np.linspace(0, 1, _DISTINCT_BINS + 1), method="lower")
    return np.union1d(of_all, of_distinct)


# ---------------------------------------------------------------- reading numbers


def to_numbers(values: Values) -> NDArray[np.float64]:
    """float64 [B] of raw values, NaN for what is no number."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64, copy=False)
    if values.dtype.kind in "mM":
        return np.full(len(values), nan)
    return np.array([to_number(value) for value in values.tolist()], dtype=np.float64)


def to_number(value: object) -> float:
    """A raw value as a float, NaN for what is no number. A boolean is 1 or 0."""
    if isinstance(value, str):
        return parse_number(value)
    if isinstance(value, int | float | np.number | np.bool_ | Decimal) and not isinstance(value, np.complexfloating):
        try:
            return float(value)
        except (OverflowError, ValueError):  # an integer beyond float64, a signalling NaN
            return nan
    return nan


_CODES = "CNY|RMB|USD|EUR|GBP|JPY|HKD|TWD|KRW|INR|CHF|CAD|AUD|SGD"
_SIGNS = "[$¢£¤¥฿₠-₿]"
_EXPONENTS = {"": 0, "千": 3, "k": 3, "万": 4, "萬": 4, "十万": 5, "百万": 6, "千万": 7, "亿": 8, "億": 8}
_EXPONENTS |= {"十亿": 9, "百亿": 10, "千亿": 11, "万亿": 12}
_WRITTEN = re.compile(
    rf"(?P<open>\()? ?(?P<sign>[+-])? ?(?:(?:[A-Z]{{1,2}})?{_SIGNS}|{_CODES}|Rs\.?)? ?(?P<inner>[+-])?"
    rf"(?P<digits>\d[\d.,' ]*|\.\d+)(?P<exponent>e[+-]?\d{{1,3}})? ?(?P<times>[十百千万]?[千万亿]|[萬億k])?"
    rf" ?(?:[美欧日港]?元|圆|块钱?|円|英镑|港币|人民币|{_SIGNS}|{_CODES})? ?(?P<percent>[%‰])? ?(?P<close>\))?",
    re.IGNORECASE,
)
_COMPOUND = re.compile(r"([+-]?)(?:(\d+(?:\.\d+)?)亿)?(?:(\d+(?:\.\d+)?)万)?(\d+(?:\.\d+)?)?元?")
_GROUPED = re.compile(
    r"(?P<comma>\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?P<point>\.\d*)?"
    r"|(?P<dot>\d{1,3}(?:\.\d{3})+)(?P<decimal>,\d+)|(?P<dots>\d{1,3}(?:\.\d{3}){2,})"
    r"|(?P<space>\d{1,3}(?:(?P<gap>[ '])\d{3})(?:(?P=gap)\d{3})*)(?P<rest>[.,]\d+)?"
)
# Units of measure, which say nothing where a column has one of them; no single letters, for 5m may be five million.
_UNIT = re.compile(
    r"(?<=[\d.万千]) ?(平方米|平米|平|㎡|m²|m2|sqm|公顷|亩|公里|千米|厘米|毫米|米|km|cm|mm|公斤|千克|市斤|斤|毫克|克|吨|kg|mg"
    r"|毫升|升|ml|kwh|kw|mw|℃|°c|°f|摄氏度|度|周岁|岁|年|个月|天|小时|分钟|秒|years?|yrs?|months?|days?|hours?|hrs?|minutes?|mins?|secs?"
    r"|人|户|次|个|件|台|套|间|层|只|张|本|条|款|种|位|名|分)$",
    re.IGNORECASE,
)
_FIRST_YEAR = 1000  # 2026年 is a date, 12年 a length of time
# Full-width forms, other minus signs and spaces, one character for one. Not NFKC, which reads 5² as 52.
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PLAIN |= {ord("￥"): ord("¥"), ord("￡"): ord("£"), ord("￠"): ord("¢"), ord("￦"): ord("₩"), ord("’"): ord("'")}
_PLAIN |= dict.fromkeys(map(ord, "−–﹣"), ord("-")) | dict.fromkeys((0x3000, 0xA0, 0x202F, 0x2009, 0x2007), ord(" "))


def parse_number(text: str) -> float:
    """The number that `text` writes, NaN if it writes none.

    Reads 1,200 and 1 200 and 1'200, ¥12.5 and 12.5元, 40% (0.4), 3.5万 and 1亿2000万, full-width digits, (1,200) as
    -1200, 85.3平米 and 12 kg (the unit is left out: `unit_of` tells it). A comma is a decimal sign only where it cannot part thousands: 12,5 and 0,125 and 1.234,56, but 1,234 is 1234.
    """
    try:
        number = float(text)
    except ValueError:
        return _parse_written(text)
    return number if isfinite(number) and "_" not in text else nan


def unit_of(text: str) -> str | None:
    """The unit of measure that follows a number, in lower case: 平米 of 85.3平米; None where there is none."""
    plain = text.translate(_PLAIN).strip()
    found = _UNIT.search(plain)
    return found[1].lower() if found is not None and _WRITTEN.fullmatch(plain) is None else None


def _parse_written(text: str) -> float:
    text = text.translate(_PLAIN).strip()
    if not 0 < len(text) <= 64:
        return nan
    match = _WRITTEN.fullmatch(text)
    if match is None:
        unit = _UNIT.search(text)
        if unit is None:
            return _parse_compound(text)
        number = parse_number(text[: unit.start()])
        return nan if unit[1] == "年" and number >= _FIRST_YEAR else number
    digits = _ungroup(match["digits"].strip())
    exponent = _EXPONENTS.get((match["times"] or "").lower())
    signs = [part for part in (match["open"], match["sign"], match["inner"]) if part]
    if digits is None or exponent is None or len(signs) > 1 or bool(match["open"]) != bool(match["close"]):
        return nan
    exponent += int((match["exponent"] or "e0")[1:]) - {None: 0, "%": 2, "‰": 3}[match["percent"]]
    # One decimal literal, so that 40% is the float nearest to 0.4 and 3.3万 is exactly 33000.
    number = float(f"{digits}e{exponent}")
    if not isfinite(number):
        return nan
    return -number if signs and signs[0] in "(-" else number


def _ungroup(digits: str) -> str | None:
    """Digits with a decimal point, or None where the separators make no sense."""
    if digits.count(".") <= 1 and not set(digits) & set(", '"):
        return digits
    whole, comma, fraction = digits.partition(",")
    cannot_part = whole.startswith("0") or len(whole) > 3 or len(fraction) != 3
    if comma and cannot_part and whole.isdigit() and fraction.isdigit():
        return f"{whole}.{fraction}"
    match = _GROUPED.fullmatch(digits)
    if match is None:
        return None
    grouped = match["comma"] or match["dot"] or match["dots"] or match["space"]
    fraction = match["point"] or match["decimal"] or match["rest"] or ""
    return re.sub(r"\D", "", grouped) + fraction.replace(",", ".")


def _parse_compound(text: str) -> float:
    match = _COMPOUND.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return nan
    number = sum(Decimal(part or 0) * times for part, times in zip(match.groups()[1:], (10**8, 10**4, 1), strict=True))
    return float(-number if match[1] == "-" else number)
