"""What a gate demands, as written in the product file, and which demands contradict themselves or each other.

Not here: whether a figure meets its gate (`evaluate/gates.py`), how figures are computed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tradewind.errors import nearest

TOGETHER = "×"  # between the columns of an intersection
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq,
}  # fmt: skip
_RULE = re.compile(r"^\s*(>=|<=|>|<|==)\s*(-?\d+(?:\.\d+)?)\s*$")

# Figures over the groups of `data.sensitive`, and their tasks; also as NAME:COLUMN.
FAIRNESS: Mapping[str, str] = {
    **dict.fromkeys(
        ("demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference", "equalized_odds_ratio",
         "average_odds_difference", "equal_opportunity_difference", "predictive_parity_difference", "calibration_difference",
         "accuracy_difference"),
        "classification",
    ),
    **dict.fromkeys(("mae_difference", "mae_ratio", "rmse_difference", "bias_difference"), "regression"),
}  # fmt: skip

_SHARES = ("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1", "precision_macro", "recall_macro", "f1_macro",
           "f1_micro", "f1_weighted", "ece", *(name for name, task in FAIRNESS.items() if task == "classification"),
           "mae_ratio")  # fmt: skip
_INFINITE = float("inf")
_RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(_SHARES, (0.0, 1.0)),
    **dict.fromkeys(
        ("log_loss", "mse", "rmse", "mae", "mae_difference", "rmse_difference", "bias_difference", "perplexity", "loss",
         "bits_per_byte"),
        (0.0, _INFINITE),
    ),
    "brier": (0.0, 2.0),
    "r2": (-_INFINITE, 1.0),
    "calibration_difference": (0.0, 2.0),
}  # fmt: skip
# The first is never above the second, whatever the model.
_NEVER_ABOVE = (
    ("equal_opportunity_difference", "equalized_odds_difference"),
    ("average_odds_difference", "equalized_odds_difference"),
    ("mae", "rmse"),
)


@dataclass(frozen=True)
class Rule:
    """A comparison and the number to compare with."""

    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        return _COMPARE[self.sign](value, self.bound)


def parse(rule: str | bool) -> Rule | bool:
    """'>= 0.77' as a Rule; true and false as they are. Raises ValueError for anything else."""
    if isinstance(rule, bool):
        return rule
    match = _RULE.match(rule)
    if match is None:
        raise ValueError(f"{rule!r} is no gate. Write a comparison and a number, as in '>= 0.77', or true")
    return Rule(match[1], float(match[2]))


# ---------------------------------------------------------------- contradictions


@dataclass(frozen=True)
class _Limit:
    """A bound on one figure: `strict` leaves the bound itself out; `source` is the gate that says so, None for nature."""

    value: float
    strict: bool
    source: str | None


def contradiction(gates: Mapping[str, str | bool]) -> tuple[str, str] | None:
    """The name of a gate that cannot hold, alone or beside another, and a sentence that says why; None where all can."""
    rules = {
        name: rule for name, rule in ((name, parse(text)) for name, text in gates.items()) if isinstance(rule, Rule)
    }
    lower = {name: _Limit(_range(name)[0], False, None) for name in rules}
    upper = {name: _Limit(_range(name)[1], False, None) for name in rules}
    for name, rule in rules.items():
        strict = rule.sign in ("<", ">")
        if rule.sign in (">=", ">", "=="):
            lower[name] = max(lower[name], _Limit(rule.bound, strict, name), key=lambda one: (one.value, one.strict))
        if rule.sign in ("<=", "<", "=="):
            upper[name] = min(
                upper[name], _Limit(rule.bound, strict, name), key=lambda one: (one.value, not one.strict)
            )
    for small, large in [(name, name) for name in rules] + list(_pairs(rules)):
        low, high = lower[small], upper[large]
        if low.value < high.value or (low.value == high.value and not (low.strict or high.strict)):
            continue
        if small == large:
            least, most = _range(small)
            between = f"lies between {least:g} and {most:g}" if most < _INFINITE else f"is never below {least:g}"
            between = f"is never above {most:g}" if least == -_INFINITE else between
            return small, f"{small} {between}, so {str(gates[small]).strip()} can never hold"
        says = f"{small} {str(gates[small]).strip()} and {large} {str(gates[large]).strip()} cannot both hold"
        return small, f"{says}: {small} is never above {large}"
    return None


def _range(name: str) -> tuple[float, float]:
    return _RANGES.get(name.partition(":")[0], (-_INFINITE, _INFINITE))


def _pairs(names: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    """Two figures of which the first is never above the second: of a column and over all columns, and by definition."""
    for one, other in [*combinations(names, 2), *(pair[::-1] for pair in combinations(names, 2))]:
        (base, _, column), (beside, _, over) = one.partition(":"), other.partition(":")
        if base == beside and base in FAIRNESS and TOGETHER not in column + over:
            ratio = base.endswith("_ratio")
            if (column and not over and not ratio) or (over and not column and ratio):
                yield one, other
        if (base, beside) in _NEVER_ABOVE and (column == over or (column and not over)):
            yield one, other


def groundless(
    gates: Mapping[str, str | bool], *, task: str, sensitive: Sequence[str], examined: bool
) -> tuple[str, str, str] | None:
    """The name of a gate on a fairness figure that this product will not have, why, and the next step."""
    for name, rule in gates.items():
        figure, _, column = name.partition(":")
        if figure not in FAIRNESS or rule is False:
            continue
        if not sensitive:
            return (
                name,
                f"{figure} compares groups, but data.sensitive names no column",
                "Name one: sensitive: [COLUMN].",
            )
        if task != FAIRNESS[figure]:
            known = [other for other, of in FAIRNESS.items() if of == task]
            return name, f"{figure} is no figure of a {task}", f"Figures here: {', '.join(known)}." if known else ""
        if not examined:
            return name, f"{figure} is asked for, but evaluate.examine leaves fairness out", "Add fairness to it."
        names = [*sensitive, *(TOGETHER.join(pair) for pair in combinations(sensitive, 2)), TOGETHER.join(sensitive)]
        if column and column not in names:
            hint = nearest(column, names) or f"Sensitive columns: {', '.join(sensitive)}."
            return name, f"{column} is none of data.sensitive", hint
    return None
