"""Fairness: rates of the groups of each sensitive column and of their intersections, how far they lie apart, and a verdict.

A verdict has three values: holds, violated, not enough data. A group with fewer than `evaluate.fairness_least` rows behind a
rate is shown and left out of the difference, and then the difference cannot hold: a group of 8 never passes.
Not here: the sums (`fairness_rates.py`), the page (`fairness_page.py`), making a model fair (`train/fairness.py`).

Legend: N rows, n rows of one group, G groups, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.fairness_rates import (
    ERROR_GAPS,
    ERROR_RATES,
    GAPS,
    RATES,
    Gap,
    Rate,
    Sums,
    apart,
    decision_sums,
    error_sums,
    rate,
)
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import bounds
from tradewind.evaluate.metrics import Floats
from tradewind.evaluate.slices import labels_of
from tradewind.evaluate.trust import Context, Examined, TrustPart, Witness
from tradewind.gate_rules import TOGETHER, parse

NAME = "fairness"
Verdict = Literal["holds", "violated", "not enough data"]
_MOST_GROUPS = 40  # of an intersection
_MOST_TOGETHER = 10  # intersections
_NAMED = 4  # groups in a sentence
_PREDICTIONS = "trust/fairness.npz"


def measure(examined: Examined) -> Witness | None:
    """What is true, what is said and which group each test row belongs to; and what training found along its frontier."""
    context, test = examined.context, examined.test
    if not context.sensitive or not len(test):
        return None
    found: dict[str, NDArray[Any]] = {"target": test.target}
    if test.weight is not None:
        found["weight"] = test.weight
    if context.task == "regression":
        assert test.outputs.values is not None
        found["value"] = test.outputs.values
    else:
        decided, probabilities = test.outputs.decided, test.outputs.probabilities
        assert decided is not None
        assert probabilities is not None
        found["decided"] = decided
        of = decided if context.positive is None else context.positive
        found["score"] = probabilities[np.arange(len(test)), of]
    for column in context.sensitive:
        labels = labels_of(np.asarray(test.raw[column]))
        if isinstance(labels, str):
            found[f"left_out:{column}"] = np.array(labels)
        else:
            found[f"groups:{column}"], found[f"group:{column}"] = np.unique(labels.astype(str), return_inverse=True)
    if "fairness" in examined.training:
        found["training"] = np.array(json.dumps(examined.training["fairness"], sort_keys=True))
    return found


def summarise(witness: Witness, context: Context) -> TrustPart:
    columns = [column for column in context.sensitive if f"group:{column}" in witness]
    left_out = {column: str(witness[f"left_out:{column}"]) for column in context.sensitive if column not in columns}
    labels = {column: (witness[f"groups:{column}"].astype(str), witness[f"group:{column}"]) for column in columns}
    parts = [_examined(column, *labels[column], witness, context) for column in columns]
    rows = len(witness["target"])
    figures = _figures(parts, rows) | _leading(parts, left_out, rows, context) | _absent(left_out, rows, context)
    together: list[_Column] = []
    for group in _intersections(columns):
        name = TOGETHER.join(group)
        names, group_N = _crossed([labels[column] for column in group])
        if len(names) > _MOST_GROUPS:
            left_out[name] = f"{len(names)} intersections are more than {_MOST_GROUPS}"
        else:
            together.append(_examined(name, names, group_N, witness, context))
    section = {
        "least": context.settings.fairness_least,
        "positive": None if context.positive is None else context.classes[context.positive],
        "columns": [part.to_json() for part in parts],
        "intersections": [part.to_json() for part in together],
        "left_out": left_out,
        "training": json.loads(str(witness["training"])) if "training" in witness else None,
    }
    return TrustPart(section, figures | _figures(together, rows))


# ---------------------------------------------------------------- one column


@dataclass(frozen=True)
class _Difference:
    """One gap of one column. `ends` are the groups between which it lies, with their rates; `of` is the class it is about,
    where there are more than two; `few` are groups left out with the rows behind them. `clear`: the interval lies wholly on
    the verdict's side of `bound`."""

    name: str
    gap: Gap
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    bound: float
    reason: str | None
    few: Mapping[str, int]
    rate: str | None = None
    of: str | None = None
    ends: tuple[tuple[str, float | None], ...] = ()
    resamples: int = 0

    @property
    def clear(self) -> bool:
        if self.low is None or self.high is None or self.verdict == "not enough data":
            return False
        within = self.low >= self.bound if self.gap.ratio else self.high <= self.bound
        beyond = self.high < self.bound if self.gap.ratio else self.low > self.bound
        return within if self.verdict == "holds" else beyond

    def figure(self, column: str, rows: int) -> Figure:
        how = f"{self.gap.how} over the groups of {column}" + (f", class {self.of}" if self.of else "")
        if self.low is not None:
            how += f"; 95 % percentile bootstrap over {self.resamples} resamples of rows, centred"
        absent = self.reason if self.value is None else None
        unsure = self.reason if self.verdict == "not enough data" else None
        return Figure(self.value, how, "test", rows, _PREDICTIONS, self.low, self.high, absent, unsure)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "value": self.value, "low": self.low, "high": self.high, "bound": rounded(self.bound),
            "verdict": self.verdict, "clear": self.clear, "reason": self.reason, "left_out": dict(self.few), "rate": self.rate,
            "of": self.of, "ends": [{"group": group, "value": value} for group, value in self.ends],
        }  # fmt: skip


@dataclass(frozen=True)
class _Column:
    """A sensitive column, or several together."""

    name: str
    groups: list[dict[str, Any]]
    differences: list[_Difference]

    def to_json(self) -> dict[str, Any]:
        return {"column": self.name, "groups": self.groups, "differences": [one.to_json() for one in self.differences]}


def _examined(
    column: str, names: NDArray[Any], group_N: NDArray[np.int64], witness: Witness, context: Context
) -> _Column:
    sums = _sums(group_N, len(names), witness, context)
    asked = _asked(witness, context)
    gaps = ERROR_GAPS if context.task == "regression" else GAPS
    labels = [str(name) for name in names]
    scale = _scale(witness) if context.task == "regression" else None
    found = [_difference(column, key, gap, sums, asked, labels, scale, context) for key, gap in gaps.items()]
    return _Column(column, _groups(labels, sums, asked, context), found)


def _sums(group_N: NDArray[np.int64], groups: int, witness: Witness, context: Context) -> Sums:
    settings = context.settings
    common: dict[str, Any] = {
        "group_N": group_N, "groups": groups, "weight_N": witness.get("weight"), "resamples": settings.bootstrap,
        "seed": settings.seed,
    }  # fmt: skip
    if context.task == "regression":
        return error_sums(true_N=witness["target"], value_N=witness["value"], **common)
    target_N, decided_N = witness["target"].astype(np.int64), witness["decided"].astype(np.int64)
    hit_N = target_N == (decided_N if context.positive is None else context.positive)
    return decision_sums(
        target_N=target_N, decided_N=decided_N, score_N=witness["score"].astype(np.float64), hit_N=hit_N,
        classes=len(context.classes), **common,
    )  # fmt: skip


def _asked(witness: Witness, context: Context) -> list[int]:
    """The classes that are held against the rest: the positive one of two, else each that occurs."""
    if context.task == "regression":
        return []
    if context.positive is not None:
        return [context.positive]
    return [int(code) for code in np.unique(witness["target"])]


def _scale(witness: Witness) -> float:
    """The mean absolute error over all rows: what `evaluate.fairness_bound` is a share of where values are predicted."""
    weight_N = witness.get("weight")
    return float(np.average(np.abs(witness["value"] - witness["target"]), weights=weight_N))


def _difference(
    column: str, key: str, gap: Gap, sums: Sums, asked: Sequence[int], names: Sequence[str], scale: float | None,
    context: Context,
) -> _Difference:  # fmt: skip
    found = apart(sums, gap, asked=asked, least=context.settings.fairness_least)
    bound = _bound(key, column, gap, scale, context)
    few = {names[group]: rows for group, rows in sorted(found.few.items(), key=lambda pair: (pair[1], pair[0]))}
    reason = _reason(few, context.settings.fairness_least)
    if found.spread is None:
        return _Difference(key, gap, None, None, None, "not enough data", bound, reason, few)
    spread = found.spread
    low, high, resamples = bounds(spread.drawn, spread.point, centred=True)
    if gap.ratio and high is not None:
        high = min(high, 1.0)
    value = rounded(spread.point)
    assert value is not None
    within = value >= bound if gap.ratio else value <= bound
    verdict: Verdict = "violated" if not within else "holds" if found.whole and not few else "not enough data"
    return _Difference(
        key, gap, value, rounded(low), rounded(high), verdict, bound, reason if few or not found.whole else None, few,
        rate=spread.rate,
        of=context.classes[asked[spread.of]] if len(asked) > 1 and key != "accuracy_difference" else None,
        ends=((names[spread.low_group], rounded(spread.low)), (names[spread.high_group], rounded(spread.high))),
        resamples=resamples,
    )  # fmt: skip


def _reason(few: Mapping[str, int], least: int) -> str:
    if not few:
        return "there is one group only"
    named = [f"{name} ({rows})" for name, rows in list(few.items())[:_NAMED]]
    further = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return f"fewer than {least} rows behind a rate of {', '.join(named)}{further}"


def _bound(key: str, column: str, gap: Gap, scale: float | None, context: Context) -> float:
    """The gate's, where one asks for this figure in the right direction; else `evaluate.fairness_bound`."""
    signs = (">=", ">") if gap.ratio else ("<=", "<")
    for name in (f"{key}:{column}", key):
        rule = parse(context.settings.gates.get(name, True))
        if not isinstance(rule, bool) and rule.sign in signs:
            return rule.bound
    share = context.settings.fairness_bound
    return 1 - share if gap.ratio else share if scale is None else share * scale


# ---------------------------------------------------------------- its groups


def _groups(names: Sequence[str], sums: Sums, asked: Sequence[int], context: Context) -> list[dict[str, Any]]:
    regression, least = context.task == "regression", context.settings.fairness_least
    rates = {key: rate(sums, key, asked) for key in (ERROR_RATES if regression else RATES)}
    rows = sums.counts["rows" if regression else "banded"].sum(axis=-1)
    several = len(asked) > 1
    found = []
    for at, name in enumerate(names):
        whole = {key: one for key, one in rates.items() if one.point.shape[-1] == 1}
        group: dict[str, Any] = {
            "group": name, "rows": int(rows[at]), "rates": {key: _rate(key, one, at, 0, least) for key, one in whole.items()}
        }  # fmt: skip
        if several:
            group["classes"] = {
                context.classes[code]: {
                    key: _rate(key, one, at, place, least) for key, one in rates.items() if key not in whole
                }
                for place, code in enumerate(asked)
            }
        if not regression:
            group["calibration"] = _calibration(sums, at)
        found.append(group)
    return found


def _rate(key: str, found: Rate, group: int, place: int, least: int) -> dict[str, Any]:
    point, behind = float(found.point[group, place]), int(found.behind[group, place])
    low, high, _ = bounds(found.drawn[:, group, place], point, centred=key == "ece")
    return {
        "value": rounded(point), "low": rounded(low), "high": rounded(high), "rows": behind, "enough": behind >= least,
    }  # fmt: skip


def _calibration(sums: Sums, group: int) -> list[dict[str, Any]]:
    """Mean probability and share that came true in equal bands of probability, of those that hold a row."""
    part = {name: sums.points[name][group] for name in ("banded", "said", "came_true")}
    counts: Floats = sums.counts["banded"][group]
    return [
        {
            "rows": int(counts[band]),
            "said": rounded(float(part["said"][band] / part["banded"][band])),
            "found": rounded(float(part["came_true"][band] / part["banded"][band])),
        }
        for band in np.flatnonzero((counts > 0) & (part["banded"] > 0)).tolist()
    ]


# ---------------------------------------------------------------- all columns


def _intersections(columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Every two columns, and all together."""
    pairs = [tuple(pair) for pair in combinations(columns, 2)][: _MOST_TOGETHER - 1]
    return [*pairs, tuple(columns)] if len(columns) > 2 else pairs


def _crossed(labels: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Names of the combinations that occur, and the place of each row among them."""
    codes_NC = np.stack([code_N for _, code_N in labels], axis=1)
    occurring, group_N = np.unique(codes_NC, axis=0, return_inverse=True)
    names = [
        f" {TOGETHER} ".join(names[code] for (names, _), code in zip(labels, row, strict=True)) for row in occurring
    ]
    return np.array(names), group_N.reshape(-1)


def _figures(parts: Sequence[_Column], rows: int) -> dict[str, Figure]:
    return {f"{one.name}:{part.name}": one.figure(part.name, rows) for part in parts for one in part.differences}


def _absent(left_out: Mapping[str, str], rows: int, context: Context) -> dict[str, Figure]:
    """Of columns that have no groups: no figure, but the reason."""
    gaps = ERROR_GAPS if context.task == "regression" else GAPS
    return {
        f"{key}:{column}": Figure(None, f"{gap.how} over the groups of {column}", "test", rows, _PREDICTIONS, absent=why, unsure=why)
        for column, why in left_out.items()
        for key, gap in gaps.items()
    }  # fmt: skip


def _leading(parts: Sequence[_Column], left_out: Mapping[str, str], rows: int, context: Context) -> dict[str, Figure]:
    """Over all columns, not their intersections: the worst of each gap. One column without a verdict leaves none."""
    found: dict[str, Figure] = {}
    for key, gap in (ERROR_GAPS if context.task == "regression" else GAPS).items():
        every = {part.name: one for part in parts for one in part.differences if one.name == key}
        known = [name for name, one in every.items() if one.value is not None]
        reasons = {name: one.reason for name, one in every.items() if one.verdict == "not enough data"} | dict(left_out)
        reason = next((f"{name}: {why}" for name, why in reasons.items()), None)
        if not known:
            found[key] = Figure(None, gap.how, "test", rows, _PREDICTIONS, absent=reason, unsure=reason)
            continue
        worst = (min if gap.ratio else max)(known, key=lambda name: every[name].value or 0.0)
        found[key] = replace(every[worst].figure(worst, rows), unsure=reason)
    return found
