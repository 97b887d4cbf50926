"""Room of trust: how many of the ill are found at a fixed rate of false alarms, and the other way round; for every group.

The operating point is chosen on validation rows and judged on test rows: read off the test's own curve it would look better
than it is. Beside it stands what acting on the answers gains (net benefit). Not here: the threshold that decides a label
(`thresholds.py`), differences between groups and their verdicts (`fairness.py`).

Legend: n validation rows, N test rows, T thresholds. An alarm is a score of at least the bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import area_above, exact_share
from tradewind.evaluate.metrics import Floats
from tradewind.evaluate.slices import labels_of
from tradewind.evaluate.thresholds import at_share
from tradewind.evaluate.trust import Context, Examined, Part, TrustPart, Witness
from tradewind.gate_names import held_names

NAME = "screening"
_WITNESS = "trust/screening.npz"
_BENEFIT_AT = np.arange(2, 100, 2) / 100
_OTHER = {"sensitivity": "specificity", "specificity": "sensitivity"}
Flags = NDArray[np.bool_]


def measure(examined: Examined) -> Witness | None:
    """Scores and truth of validation and test, and the groups of each test row. None where nothing is to be held fixed."""
    context = examined.context
    if not _fixed(context) or not len(examined.validation) or not len(examined.test):
        return None
    found: dict[str, NDArray[Any]] = {}
    for name, part in (("validation", examined.validation), ("test", examined.test)):
        scored = _scored(part, context)
        if scored is None:
            return None
        found[f"{name}_score"], found[f"{name}_ill"] = scored
    return found | dict(_groups(examined.test, context.sensitive))


def _fixed(context: Context) -> dict[str, float]:
    """What is held fixed, at which share: specificity, sensitivity."""
    settings = context.settings
    given = {"specificity": settings.specificity, "sensitivity": settings.sensitivity}
    return {name: share for name, share in given.items() if share is not None}


def _scored(part: Part, context: Context) -> tuple[Floats, Flags] | None:
    """The score of each row and whether it is ill: of two classes the positive one, of more all but `evaluate.negative`."""
    probabilities = part.outputs.probabilities
    if probabilities is None:
        return None
    if context.positive is not None:
        return probabilities[:, context.positive], part.target == context.positive
    if context.settings.negative not in context.classes:
        return None
    sound = context.classes.index(context.settings.negative)
    return 1.0 - probabilities[:, sound], part.target != sound


def _groups(part: Part, sensitive: tuple[str, ...]) -> Iterator[tuple[str, NDArray[Any]]]:
    for column in sensitive:
        labels = labels_of(np.asarray(part.raw[column]))
        if not isinstance(labels, str):
            yield f"group:{column}", labels.astype(np.str_)


def summarise(witness: Witness, context: Context) -> TrustPart:
    """The figures at each fixed share with exact intervals, the same for groups at the first of them, and net benefit."""
    score_N, ill_N = witness["test_score"], witness["test_ill"]
    figures: dict[str, Figure] = {}
    points = []
    for held, share in _fixed(context).items():
        bound = at_share(witness["validation_score"], witness["validation_ill"], share, of=held)
        point = _point(score_N >= bound, ill_N)
        points.append({"held": held, "share": share, "bound": rounded(bound), **point})
        figures |= _figures(held, share, bound, point, rows=len(score_N), validation=len(witness["validation_score"]))
    alarm_N = score_N >= points[0]["bound"]
    section = {
        "rows": len(score_N), "ill": int(ill_N.sum()), "validation_rows": len(witness["validation_score"]),
        "points": points,
        "area": _area(score_N, ill_N),
        "groups": [
            {"column": key.removeprefix("group:"), "group": str(word), "rows": int(of_N.sum()), "ill": int((of_N & ill_N).sum()),
             **_point(alarm_N[of_N], ill_N[of_N]), "area": _area(score_N[of_N], ill_N[of_N])}
            for key in witness if key.startswith("group:")
            for word in np.unique(witness[key]) for of_N in [witness[key] == word]
        ],
        "benefit": _benefit(score_N, ill_N),
    }  # fmt: skip
    return TrustPart(section, figures)


def _point(alarm_N: Flags, ill_N: Flags) -> dict[str, Any]:
    """Sensitivity, specificity and what an alarm, or none, then means."""
    return {
        "sensitivity": _share(alarm_N[ill_N]),
        "specificity": _share(~alarm_N[~ill_N]),
        "positive_value": _share(ill_N[alarm_N]),
        "negative_value": _share(~ill_N[~alarm_N]),
    }


def _share(hit_n: Flags) -> dict[str, Any]:
    """A share with its exact interval (Clopper, Pearson 1934); no value where nothing is behind it."""
    rows, hits = len(hit_n), int(hit_n.sum())
    if not rows:
        return {"value": None, "low": None, "high": None, "rows": 0}
    low, high = exact_share(hits, rows)
    return {"value": rounded(hits / rows), "low": rounded(low), "high": rounded(high), "rows": rows}


def _area(score_N: Floats, ill_N: Flags) -> dict[str, Any]:
    if ill_N.all() or not ill_N.any():
        return {"value": None, "low": None, "high": None}
    value, low, high = area_above(score_N[ill_N], score_N[~ill_N])
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}


def _benefit(score_N: Floats, ill_N: Flags) -> dict[str, list[float | None]]:
    """Net benefit of acting on the answers, and of acting on everybody, by the probability from which a doctor would act:
    found ill less false alarms at the odds of that probability, per row (Vickers, Elkin 2006). Acting on nobody gains 0."""
    rows, odds_T = len(score_N), _BENEFIT_AT / (1 - _BENEFIT_AT)
    alarm_TN = score_N[None, :] >= _BENEFIT_AT[:, None]
    hits_T, false_T = (alarm_TN & ill_N).sum(axis=1), (alarm_TN & ~ill_N).sum(axis=1)
    ill = int(ill_N.sum())
    return {
        "at": [rounded(float(at)) for at in _BENEFIT_AT],
        "model": [rounded(float(value)) for value in (hits_T - odds_T * false_T) / rows],
        "everybody": [rounded(float(value)) for value in (ill - odds_T * (rows - ill)) / rows],
    }


def _figures(
    held: str, share: float, bound: float, point: Mapping[str, Any], *, rows: int, validation: int
) -> dict[str, Figure]:
    """`sensitivity_at_specificity_90`, and the specificity that test rows really had there. No name holds a point: paths do."""
    how = f"at the bound {bound:.4g}, which gave a {held} of {share:g} or more on {validation} validation rows; exact 95 % interval"
    found = {}
    for name, of in zip(held_names(held, share), (_OTHER[held], held), strict=True):
        one = point[of]
        absent = None if one["rows"] else f"no test row to judge {of} by"
        found[name] = Figure(
            one["value"], f"{of} on test rows {how}", "test", rows, _WITNESS, one["low"], one["high"], absent
        )
    return found
