"""What a gate demands, as written in the product file, and which demands contradict each other.

Not here: which figures a product will have (`gate_names.py`), whether one meets its gate (`evaluate/gates.py`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

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


def contradiction(gates: Mapping[str, str | bool]) -> tuple[str, str] | None:
    """The name of a gate that cannot hold beside another, and a sentence that says why; None where all can hold together."""
    rules = {
        name: rule for name, rule in ((name, parse(text)) for name, text in gates.items()) if isinstance(rule, Rule)
    }
    for small, large in _pairs(rules):
        least, most = rules[small], rules[large]
        if least.sign not in (">=", ">", "==") or most.sign not in ("<=", "<", "=="):
            continue
        strict = least.sign == ">" or most.sign == "<"
        if least.bound > most.bound or (least.bound == most.bound and strict):
            says = f"{small} {str(gates[small]).strip()} and {large} {str(gates[large]).strip()} cannot both hold"
            return small, f"{says}: {small} is never above {large}"
    return None


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
