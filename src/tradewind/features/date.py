"""Dates: a moment on a normalised scale, and month, weekday and hour on a circle where they vary.

Not here: splits by time (`data/splits.py`), text that merely mentions a date (`text.py`).

Legend: B rows, N numbers of the column. A moment is in seconds since 1970-01-01 UTC; text without a zone is read as UTC.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import cos, floor, nan, pi, sin
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.features.column import Block, ColumnSpec, Layout, NumberFeature, Values
from tradewind.features.number import edges

_DAY_S = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH_DAY.toordinal()
_FIRST_S = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds()
_LAST_S = (datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH).total_seconds()
# A moment further from training than this many deviations says no more than that it is far.
_FURTHEST_Z = 10.0

# Points on the circle by part, computed once: NumPy's and Python's sine differ in the last bit on some processors.
_CIRCLES = {
    part: [(sin(2 * pi * step / steps), cos(2 * pi * step / steps)) for step in range(steps)]
    for part, steps in (("month", 12), ("weekday", 7), ("hour", 24))
}
_CIRCLE_TABLES = {part: np.array(points) for part, points in _CIRCLES.items()}
_NO_TENSORS: Mapping[str, NDArray[Any]] = {}


@dataclass(frozen=True)
class DateColumn:
    """A fitted column of dates: N is 1, 2 more for each of `cycles`, and 1 more where training values were missing.

    `day_first` says how 5/1/2026 is read; training values that allow one reading only decide it.
    """

    kind: ClassVar[str] = "date"

    name: str
    center_s: float = 0.0
    scale_s: float = 1.0
    cycles: tuple[str, ...] = ()
    flag: bool = False
    day_first: bool = False
    bins: tuple[float, ...] = ()

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training values, shape [B]; their order does not matter. `seed` is not needed."""
        day_first = _reads_day_first(values.tolist()) if values.dtype.kind in "OU" else False
        all_B = to_moments(values, day_first=day_first)
        moments = np.sort(all_B[~np.isnan(all_B)])
        flag = bool(moments.size < all_B.size)
        if not moments.size:
            return cls(name=spec.name, flag=flag, day_first=day_first)
        scale_s = float(moments.std())
        settings: dict[str, Any] = {"center_s": float(moments.mean()), "scale_s": scale_s if scale_s > 1e-6 else 1.0}
        settings |= {"flag": flag, "day_first": day_first}
        parts = _parts(moments)
        settings["cycles"] = tuple(part for part in _CIRCLES if np.unique(parts[part]).size > 1)
        plain = cls(name=spec.name, **settings)
        bins = np.unique(plain._normalised(edges(moments)).astype(np.float32))
        return cls(name=spec.name, bins=tuple(bins.tolist()) if bins.size > 1 else (), **settings)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(**{**state, "cycles": tuple(state["cycles"]), "bins": tuple(state["bins"])})

    def state(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "center_s": self.center_s,
            "scale_s": self.scale_s,
            "cycles": list(self.cycles),
            "flag": self.flag,
            "day_first": self.day_first,
            "bins": list(self.bins),
        }

    @property
    def layout(self) -> Layout:
        names = [f"{self.name}:{part}:{axis}" for part in self.cycles for axis in ("sin", "cos")]
        names += [f"{self.name}:missing"] if self.flag else []
        first = NumberFeature(self.name, self.name, self.bins)
        return Layout(numbers=(first, *(NumberFeature(name, self.name) for name in names)))

    def apply(self, values: Values) -> Block:
        """numbers_BN float32 [B, N]: the moment, sine and cosine of each cycle, the flag."""
        moments_B = to_moments(values, day_first=self.day_first)
        known_B = ~np.isnan(moments_B)
        moments_B = np.where(known_B, moments_B, 0.0)
        parts = _parts(moments_B)
        columns = [self._normalised(moments_B)]
        for part in self.cycles:
            columns.extend(_CIRCLE_TABLES[part][parts[part]].T)
        numbers_BN = np.stack(columns, axis=1)
        numbers_BN[~known_B] = 0.0
        if self.flag:
            numbers_BN = np.concatenate([numbers_BN, ~known_B[:, None]], axis=1)
        return Block(numbers_BN.astype(np.float32))

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        moment = to_moment(value, day_first=self.day_first)
        known = moment == moment
        if known:
            z = (moment - self.center_s) / self.scale_s
            numbers.append(min(max(z, -_FURTHEST_Z), _FURTHEST_Z) + 0.0)
            for part in self.cycles:
                numbers.extend(_CIRCLES[part][_part(part, moment)])
        else:
            numbers.extend([0.0] * (1 + 2 * len(self.cycles)))
        if self.flag:
            numbers.append(0.0 if known else 1.0)
        return _NO_TENSORS

    def _normalised(self, moments_B: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(np.maximum((moments_B - self.center_s) / self.scale_s, -_FURTHEST_Z), _FURTHEST_Z) + 0.0


def _parts(moments_B: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    """Month 0 … 11, weekday 0 … 6 from Monday, hour 0 … 23 of moments without NaN."""
    days = np.floor(moments_B / _DAY_S).astype(np.int64)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    hours = np.floor(moments_B / 3600).astype(np.int64) % 24
    return {"month": months, "weekday": (days + 3) % 7, "hour": hours}


def _part(part: str, moment: float) -> int:
    """What `_parts` gives for one moment, in the same arithmetic."""
    if part == "hour":
        return floor(moment / 3600) % 24
    days = floor(moment / _DAY_S)
    return (days + 3) % 7 if part == "weekday" else (_EPOCH_DAY + timedelta(days=days)).month - 1


# ---------------------------------------------------------------- reading dates


def to_moments(values: Values, *, day_first: bool = False) -> NDArray[np.float64]:
    """Moments, float64 [B]; NaN for what is no date."""
    if values.dtype.kind == "M":
        moments = values.astype("datetime64[us]").astype(np.int64) / 1e6
        moments[np.isnat(values)] = nan
        return np.where((moments >= _FIRST_S) & (moments <= _LAST_S), moments, nan)
    given = values.tolist()
    # A date stands in many rows: each distinct text is read once.
    known = {text: parse_date(text, day_first=day_first) for text in {one for one in given if type(one) is str}}
    moments_B = [known[one] if type(one) is str else to_moment(one, day_first=day_first) for one in given]
    return np.array(moments_B, dtype=np.float64)


def to_moment(value: object, *, day_first: bool = False) -> float:
    """The moment of a raw value: text, a date, a datetime, or a number (see `moment_of_number`). NaN for no date."""
    if isinstance(value, str):
        return parse_date(value, day_first=day_first)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date):
        return float((value.toordinal() - _EPOCH_ORDINAL) * _DAY_S)
    if isinstance(value, np.datetime64):
        return float(to_moments(np.array([value]))[0])
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return moment_of_number(value)
    return nan


def moment_of_number(value: int | float | np.integer | np.floating) -> float:
    """A year (1000 … 2999), a date as 20260105, or time since 1970 in seconds, ms, µs or ns, told apart by size."""
    if not -1e20 < value < 1e20:
        return nan
    number = float(value)
    if 1000 <= number <= 2999 and number == int(number):
        return _civil(int(number), 1, 1)
    if 10_000_101 <= number <= 29_991_231 and number == int(number):
        whole = int(number)
        moment = _civil(whole // 10_000, whole // 100 % 100, whole % 100)
        if moment == moment:
            return moment
    for limit in (1e11, 1e14, 1e17):
        if abs(number) < limit:
            break
        number /= 1000
    return number if _FIRST_S <= number <= _LAST_S else nan


_MONTH_WORDS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_WORDS, start=1)}
_CLOCK = (
    r"(?:[T ]*(?P<half_zh>上午|下午|中午|晚上|凌晨|早上)? ?(?P<hour>\d{1,2})[:时点](?:(?P<minute>\d{1,2})(?:[:分](?P<second>\d{1,2}"
    r"(?:[.,]\d+)?)?秒?)?)? ?(?P<half>[AaPp]\.?[Mm]\.?)? ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)
_WORD = r"(?P<word>[A-Za-z]{3})[a-z]{0,6}\.?"
_WRITTEN = [
    re.compile(shape + _CLOCK)
    for shape in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?",
        r"(?P<year>\d{4}) ?年 ?(?P<month>\d{1,2}) ?月(?: ?(?P<day>\d{1,2}) ?[日号]?)?(?: ?(?:星期|周)[一二三四五六日天])?",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        r"(?P<first>\d{1,2})[/-](?P<other>\d{1,2})[/-](?P<year>\d{4}),?",
        rf"(?:[A-Z][a-z]{{2,8}}, )?(?P<day>\d{{1,2}})[ -]{_WORD}[ ,-]{{1,2}}(?P<year>\d{{4}}),?",
        rf"{_WORD} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}}),?",
    )
]
_SLASHED = _WRITTEN[3]
_NUMERIC = re.compile(r"[+-]?\d+(?:\.\d*)?")
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: ord(" "), 0xA0: ord(" ")}


def parse_date(text: str, *, day_first: bool = False) -> float:
    """The moment that `text` names, in seconds since 1970 UTC; NaN if it names none.

    Reads ISO 8601, 2026/1/5 14:30, 5.1.2026, 2026年1月5日 下午2时30分, 5 Jan 2026, January 5, 2026, a year and month, a
    year, and the numbers of `moment_of_number`. 5/1/2026 is May 1st, or January 5th with `day_first`; 25/1/2026 has one
    reading only.
    """
    if "-" in text or "T" in text:
        try:
            return _moment(datetime.fromisoformat(text))
        except ValueError:
            pass
    text = " ".join(text.translate(_PLAIN).split())
    if not 4 <= len(text) <= 64:
        return nan
    if _NUMERIC.fullmatch(text):
        return moment_of_number(float(text))
    for shape in _WRITTEN:
        match = shape.fullmatch(text)
        if match is not None:
            return _read(match.groupdict(), day_first=day_first)
    return nan


def _read(found: dict[str, str | None], *, day_first: bool) -> float:
    year, month, day = int(found["year"] or 0), found.get("month"), int(found.get("day") or 1)
    if word := found.get("word"):
        month_number = _MONTHS.get(word.lower(), 0)
    elif month is not None:
        month_number = int(month)
    else:
        first, other = int(found["first"] or 0), int(found["other"] or 0)
        day, month_number = (first, other) if first > 12 or (day_first and other <= 12) else (other, first)
    moment = _civil(year, month_number, day)
    if found["hour"] is None:
        return moment
    hour, minute, second = (
        int(found["hour"]),
        int(found["minute"] or 0),
        float((found["second"] or "0").replace(",", ".")),
    )
    half = (found["half"] or "").lower()[:1]
    afternoon = half == "p" or found["half_zh"] in ("下午", "晚上", "中午")
    if hour < 12 and afternoon and not (found["half_zh"] == "中午" and hour == 11):
        hour += 12
    elif hour == 12 and (half == "a" or found["half_zh"] == "凌晨"):
        hour = 0
    if hour > 24 or minute > 59 or second >= 61:
        return nan
    return moment + hour * 3600 + minute * 60 + second - _zone_s(found["zone"])


def _zone_s(zone: str | None) -> int:
    if zone is None or zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return -seconds if zone[0] == "-" else seconds


def _civil(year: int, month: int, day: int) -> float:
    try:
        return float((date(year, month, day).toordinal() - _EPOCH_ORDINAL) * _DAY_S)
    except ValueError:
        return nan


def _moment(moment: datetime) -> float:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    seconds = (aware - _EPOCH).total_seconds()
    return seconds if _FIRST_S <= seconds <= _LAST_S else nan


def _reads_day_first(values: Iterable[object]) -> bool:
    """True where more of the slashed dates can only be day/month than can only be month/day."""
    balance = 0
    for text, rows in Counter(value for value in values if isinstance(value, str)).items():
        match = _SLASHED.fullmatch(text.strip()) if "/" in text or "-" in text else None
        if match is not None:
            balance += rows * ((int(match["first"]) > 12) - (int(match["other"]) > 12))
    return balance > 0
