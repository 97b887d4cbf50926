"""Room of trust: does the truth lie in the sets and intervals as often as was promised, and what does abstaining gain?

Not here: how quantiles are found (`conformal.py`), nor what stands beside a served answer (`engines/conformal.py`).

Quantiles are found on validation rows, by outputs of the model that had not learnt from them. Where the released model
was then trained again on these rows too, it is another one than the quantiles were found with, and the guarantee is what
the test split shows, not a theorem: the witness says which it is.

Legend: n validation rows, N test rows, K classes, G groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.abstention import Abstention, abstention, at_shares
from tradewind.evaluate.conformal import Floats, IntervalRule, SetRule, by_chance, fit_intervals, fit_sets
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import exact_share
from tradewind.evaluate.trust import Context, Examined, Part, TrustPart, Witness
from tradewind.features.category import category_key

NAME = "uncertainty"
TOLERANCE = 0.01  # of the coverage from the promise
_GROUPS = 12  # a sensitive column with more values (an age, say) makes no groups
_SIZES = 5
_WITNESS = "trust/uncertainty.npz"
Flags = NDArray[np.bool_]


def measure(examined: Examined) -> Witness | None:
    """Targets and outputs of validation and test, whether test rows were decided rightly, their groups. None without rows."""
    if not len(examined.validation) or not len(examined.test):
        return None
    found: dict[str, NDArray[Any]] = {"refitted": np.array(examined.training.get("refit") is not None)}
    for name, part in (("validation", examined.validation), ("test", examined.test)):
        outputs = part.outputs.values if part.outputs.probabilities is None else part.outputs.probabilities
        assert outputs is not None
        found[f"{name}_target"], found[f"{name}_outputs"] = part.target, outputs
    if examined.test.outputs.decided is not None:
        found["decided"] = examined.test.outputs.decided
    return found | {f"group:{column}": words for column, words in _groups(examined.test, examined.context.sensitive)}


def _groups(part: Part, sensitive: tuple[str, ...]) -> Iterator[tuple[str, NDArray[Any]]]:
    for column in sensitive:
        if column in part.raw:
            words = np.array([category_key(value) or "" for value in part.raw[column]], dtype=np.str_)
            if len(np.unique(words)) <= _GROUPS:
                yield column, words


def summarise(witness: Witness, context: Context) -> TrustPart:
    """Coverage with its exact interval, sizes, coverage by class and group, the curve of abstaining."""
    if "decided" in witness:
        return _classes(witness, context)
    return _values(witness, context)


def _classes(witness: Witness, context: Context) -> TrustPart:
    target_N, probabilities_NK = witness["test_target"], witness["test_outputs"]
    rule = fit_sets(witness["validation_target"], witness["validation_outputs"], promise=context.settings.coverage)
    held_NK = rule.held(probabilities_NK)
    covered_N, size_N = held_NK[np.arange(len(target_N)), target_N], held_NK.sum(axis=1).astype(np.float64)
    curve = abstention((witness["decided"] != target_N).astype(np.float64), probabilities_NK.max(axis=1))
    by_class = [
        _part(name, covered_N, size_N, target_N == kind)
        for kind, name in enumerate(context.classes)
        if (target_N == kind).any()
    ]
    sizes = np.bincount(size_N.astype(np.int64), minlength=2)
    section = {
        **_section(rule, witness, covered_N, size_N, curve),
        "by_class_rule": rule.by_class,
        "empty": rounded(sizes[0] / len(size_N)),
        "single": rounded(sizes[1] / len(size_N)),
        "sizes": [int(count) for count in sizes[:_SIZES]] + [int(sizes[_SIZES:].sum())],
        "by_class": by_class,
    }
    how = f"mean number of classes in a set that promises {rule.promise:g}"
    return TrustPart(section, _figures(rule, covered_N, size_N, "set_size", how, curve), rule.state())


def _values(witness: Witness, context: Context) -> TrustPart:
    target_N, values_N = witness["test_target"], witness["test_outputs"]
    rule = fit_intervals(witness["validation_target"], witness["validation_outputs"], promise=context.settings.coverage)
    low_N, high_N = rule.ends(values_N)
    covered_N, width_N = (low_N <= target_N) & (target_N <= high_N), high_N - low_N
    curve = abstention(np.abs(target_N - values_N), -width_N)
    by_value = [
        {**_part("", covered_N, width_N, np.searchsorted(rule.edges, values_N, side="right") == at), **ends}
        for at, ends in enumerate(_bins(rule.edges))
    ]
    section = {**_section(rule, witness, covered_N, width_N, curve), "by_value": by_value}
    how = f"mean width of an interval that promises {rule.promise:g}, in the target's unit"
    return TrustPart(section, _figures(rule, covered_N, width_N, "interval_width", how, curve), rule.state())


def _bins(edges: tuple[float, ...]) -> list[dict[str, float | None]]:
    ends: list[float | None] = [None, *edges, None]
    return [{"from": low, "to": high} for low, high in pairwise(ends)]


def _section(
    rule: SetRule | IntervalRule, witness: Witness, covered_N: Flags, size_N: Floats, curve: Abstention
) -> dict[str, Any]:
    rows = len(covered_N)
    coverage, room = covered_N.mean(), by_chance(fitted=rule.rows, tested=rows, promise=rule.promise)
    columns = [key.removeprefix("group:") for key in witness if key.startswith("group:")]
    groups = {
        column: [
            _part(str(word), covered_N, size_N, witness[f"group:{column}"] == word)
            for word in np.unique(witness[f"group:{column}"])
        ]
        for column in columns
    }
    return {
        "promise": rule.promise,
        "fitted": rule.rows,
        "refitted": bool(witness["refitted"]),
        "rows": rows,
        "coverage": _part("", covered_N, size_N, np.ones(rows, dtype=bool)),
        "by_chance": rounded(room),
        "verdict": _verdict(float(coverage), rule.promise, room),
        "groups": groups,
        "abstention": {
            "shares": curve.shares,
            "errors": curve.errors,
            "at": at_shares(curve, rows),
            "area": rounded(curve.area),
            "random": rounded(curve.random_area),
            "ideal": rounded(curve.ideal_area),
        },
    }


def _verdict(coverage: float, promise: float, room: float) -> str:
    """kept: within a point; chance: further off, but no further than few rows explain; below or above otherwise."""
    if abs(coverage - promise) <= TOLERANCE:
        return "kept"
    if abs(coverage - promise) <= room:
        return "chance"
    return "below" if coverage < promise else "above"


def _part(name: str, covered_N: Flags, size_N: Floats, chosen_N: Flags) -> dict[str, Any]:
    rows, hits = int(chosen_N.sum()), int((covered_N & chosen_N).sum())
    if not rows:
        return {"name": name, "rows": 0, "value": None, "low": None, "high": None, "size": None}
    low, high = exact_share(hits, rows)
    return {
        "name": name, "rows": rows, "value": rounded(hits / rows), "low": rounded(low), "high": rounded(high),
        "size": rounded(float(size_N[chosen_N].mean())),
    }  # fmt: skip


def _figures(
    rule: SetRule | IntervalRule, covered_N: Flags, size_N: Floats, size_name: str, size_how: str, curve: Abstention
) -> Mapping[str, Figure]:
    rows, hits = len(covered_N), int(covered_N.sum())
    low, high = exact_share(hits, rows)
    how = f"share of test rows whose truth lies inside, by quantiles of {rule.rows} validation rows"

    def figure(value: float, how: str, low: float | None = None, high: float | None = None) -> Figure:
        absent = None if np.isfinite(value) else "validation has too few rows for the promise: intervals are open"
        return Figure(rounded(value), how, "test", rows, _WITNESS, low, high, absent)

    mean = float(size_N.mean())
    reach = 1.96 * float(size_N.std()) / rows**0.5 if np.isfinite(mean) else 0.0
    return {
        "coverage": figure(hits / rows, f"{how}; exact 95 % interval", rounded(low), rounded(high)),
        "coverage_gap": figure(abs(hits / rows - rule.promise), f"distance of coverage from {rule.promise:g}"),
        size_name: figure(mean, f"{size_how}; 95 % normal interval", rounded(mean - reach), rounded(mean + reach)),
        "abstention_area": figure(curve.area, "mean error of the surest rows over every share that is answered"),
    }
