"""Room of trust: what the answers cost once they become actions, and what is found among rare positives.

Where the product file says what mistakes cost, each test row is allowed, reviewed or refused by the least expected cost
(Elkan 2001), and what that really costs stands beside the best thing to do without a model. Where positives are rare: the
share of them found at few false alarms, and how many of the strongest alarms are right. Not here: the rule itself
(`features/actions.py`).

Legend: n validation rows, N test rows, r resamples, G groups of equal scores, lowest last.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import resampled
from tradewind.evaluate.thresholds import RARE
from tradewind.evaluate.trust import Context, Examined, Part, TrustPart, Witness
from tradewind.features.actions import ACTIONS, Actions, Floats
from tradewind.product import Costs

NAME = "actions"
ALARMS = (0.001, 0.01)  # shares of the negatives that are called positive
_MOVES = np.arange(-3.0, 3.01, 0.25)  # of the log-odds
_NUMBERS = 60_000_000  # rows × resamples that intervals may cost, some seconds
_LEAST_RESAMPLES = 50
_WITNESS = "trust/actions.npz"
Flags = NDArray[np.bool_]


def measure(examined: Examined) -> Witness | None:
    """Probabilities, truth and losses of validation and test; None but for two classes with costs, or with few positives."""
    context = examined.context
    if context.positive is None or not len(examined.validation) or not len(examined.test):
        return None
    costs, rare = context.settings.costs, float((examined.test.target == context.positive).mean()) <= RARE
    if costs is None and context.settings.alerts is None and not rare:
        return None
    found: dict[str, NDArray[Any]] = {}
    for name, part in (("validation", examined.validation), ("test", examined.test)):
        assert part.outputs.probabilities is not None
        found[f"{name}_score"] = part.outputs.probabilities[:, context.positive]
        found[f"{name}_truth"] = part.target == context.positive
        if costs is not None:
            found[f"{name}_loss"] = _losses(part, costs)
    return found


def _losses(part: Part, costs: Costs) -> Floats:
    """NaN where the row does not say it."""
    column = costs.false_negative
    if not isinstance(column, str):
        return np.full(len(part), float(column))
    if column not in part.raw:
        raise DataError(
            f"{column} is no column of the dataset, but a positive costs what it says.", code="column_missing",
            where="evaluate.costs.false_negative", hint=f"Columns: {', '.join(sorted(part.raw)[:20])}.",
        )  # fmt: skip
    return Actions(0.0, column, usual=np.nan).losses(part.raw, rows=len(part))


def summarise(witness: Witness, context: Context) -> TrustPart:
    """Pure: figures of what is found, and, with costs, the actions and what they save."""
    section, figures = _found(witness, context)
    if "test_loss" not in witness:
        return TrustPart(section, figures)
    assert context.settings.costs is not None
    actions = chosen(witness, context.settings.costs)
    part, further = _paid(witness, actions, context)
    return TrustPart({**section, **part}, {**figures, **further}, actions.state())


def chosen(witness: Witness, costs: Costs) -> Actions:
    """The rule with its odds: those of the calibrated probabilities, moved where validation rows show that this saves more
    than two standard errors of what it changes."""
    loss_n, truth_n, score_n = witness["validation_loss"], witness["validation_truth"], witness["validation_score"]
    known = loss_n[np.isfinite(loss_n)]
    usual = float(np.median(known)) if len(known) else 0.0
    loss_n = np.where(np.isfinite(loss_n), loss_n, usual)

    def rule(move: float) -> Actions:
        return Actions(costs.false_positive, costs.false_negative, costs.review, usual=usual, odds=exp(move))

    def paid(move: float) -> Floats:
        return rule(move).paid(rule(move).choose(score_n, loss_n), truth_n, loss_n)

    plain_n = paid(0.0)
    best_n, move = min(
        ((paid(move), float(move)) for move in _MOVES), key=lambda one: (float(one[0].mean()), abs(one[1]))
    )
    saved_n = plain_n - best_n
    sure = float(saved_n.mean()) > 2 * float(saved_n.std()) / np.sqrt(len(saved_n))
    return rule(move if sure else 0.0)


# ---------------------------------------------------------------- among rare positives


def _found(witness: Witness, context: Context) -> tuple[dict[str, Any], dict[str, Figure]]:
    truth_N, score_N = witness["test_truth"], witness["test_score"]
    order = np.argsort(-score_N, kind="stable")
    ends_G = np.flatnonzero(np.append(np.diff(score_N[order]) != 0, True))
    alerts = context.settings.alerts
    names = [f"recall_fpr_{100 * share:g}" for share in ALARMS] + (["precision_alerts"] if alerts is not None else [])
    share = alerts.share if alerts is not None else 0.0

    def values(weights_rN: Floats) -> Floats:
        sorted_rN = weights_rN[:, order]
        hits_rG = np.cumsum(sorted_rN * truth_N[order], axis=1)[:, ends_G]
        alarms_rG = np.cumsum(sorted_rN * ~truth_N[order], axis=1)[:, ends_G]
        columns = [_recall(hits_rG, alarms_rG, allowed) for allowed in ALARMS]
        return np.stack([*columns, *([_precision(hits_rG, alarms_rG, share)] if alerts is not None else [])], axis=1)

    points, low, high = _interval(values, len(truth_N), context)
    hows = [f"share of positives found where {100 * allowed:g} % of the negatives raise an alarm" for allowed in ALARMS]
    if alerts is not None:
        hows.append(f"share of positives among the {100 * share:g} % of rows with the highest scores")
    figures = {
        name: _figure(points[at], low[at], high[at], how, len(truth_N))
        for at, (name, how) in enumerate(zip(names, hows, strict=True))
    }
    section = {
        "rows": len(truth_N), "positives": int(truth_N.sum()), "share": rounded(float(truth_N.mean())),
        "found": [{"name": name, "value": f.value, "low": f.low, "high": f.high} for name, f in figures.items()],
        "alerts": None if alerts is None else {"a_day": alerts.a_day, "of": alerts.of},
    }  # fmt: skip
    return section, figures


def _recall(hits_rG: Floats, alarms_rG: Floats, allowed: float) -> Floats:
    """At the lowest score that keeps alarms within their share; no row below it is called positive."""
    within = (alarms_rG <= allowed * alarms_rG[:, -1:]).sum(axis=1)
    reached = np.take_along_axis(hits_rG, np.maximum(within - 1, 0)[:, None], axis=1)[:, 0]
    return np.where(within > 0, reached, 0.0) / np.maximum(hits_rG[:, -1], 1e-300)


def _precision(hits_rG: Floats, alarms_rG: Floats, share: float) -> Floats:
    claimed_rG = hits_rG + alarms_rG
    last = np.maximum((claimed_rG <= share * claimed_rG[:, -1:]).sum(axis=1) - 1, 0)[:, None]
    hits, claimed = (np.take_along_axis(one, last, axis=1)[:, 0] for one in (hits_rG, claimed_rG))
    return np.asarray(hits / np.maximum(claimed, 1e-300))


# ---------------------------------------------------------------- what actions cost


def _paid(witness: Witness, actions: Actions, context: Context) -> tuple[dict[str, Any], dict[str, Figure]]:
    truth_N, score_N, loss_N = witness["test_truth"], witness["test_score"], witness["test_loss"]
    loss_N = np.where(np.isfinite(loss_N), loss_N, actions.usual)
    choice_N = actions.choose(score_N, loss_N)
    rows = len(truth_N)
    kinds = [at for at, action in enumerate(ACTIONS) if action != "review" or actions.review is not None]
    paid_KN = np.stack(
        [actions.paid(choice_N, truth_N, loss_N), *(actions.paid(np.full(rows, at), truth_N, loss_N) for at in kinds)]
    )

    def values(weights_rN: Floats) -> Floats:
        cost_rK = weights_rN @ paid_KN.T / weights_rN.sum(axis=1, keepdims=True)
        plain_r = cost_rK[:, 1:].min(axis=1)
        return np.stack([cost_rK[:, 0], plain_r, 1 - cost_rK[:, 0] / np.where(plain_r > 0, plain_r, np.nan)], axis=1)

    points, low, high = _interval(values, rows, context)
    per_row = _figure(points[0], low[0], high[0], "what the actions cost, a row, in the unit of evaluate.costs", rows)
    saving = _figure(
        points[2], low[2], high[2], "share that the actions save of the best single action for all rows", rows
    )
    alone: dict[str, float | None] = {
        ACTIONS[at]: rounded(float(paid_KN[place + 1].mean())) for place, at in enumerate(kinds)
    }
    taken = [
        {
            "action": action, "rows": int((choice_N == at).sum()), "share": rounded(float((choice_N == at).mean())),
            "positives": int(truth_N[choice_N == at].sum()), "cost": rounded(float(paid_KN[0][choice_N == at].sum())),
        }
        for at, action in enumerate(ACTIONS)
    ]  # fmt: skip
    section = {
        "costs": {"false_positive": actions.false_positive, "false_negative": actions.false_negative, "review": actions.review},
        "odds": rounded(actions.odds), "taken": taken, "for_all": alone, "best": min(alone, key=lambda name: alone[name] or 0.0),
        "cost": per_row.to_json(), "saving": saving.to_json(), "without": rounded(float(points[1])),
    }  # fmt: skip
    return section, {"cost_per_row": per_row, "saving": saving}


def _interval(values: Callable[[Floats], Floats], rows: int, context: Context) -> tuple[Floats, Floats, Floats]:
    """What `values` says of the rows themselves, and the ends of its 95 % intervals over resamples."""
    points = values(np.ones((1, rows)))[0]
    settings = context.settings
    resamples = min(settings.bootstrap, max(_LEAST_RESAMPLES, _NUMBERS // max(rows, 1)))
    drawn = [values(weights) for weights in resampled(rows, resamples=resamples, seed=settings.seed)]
    if not drawn:
        return points, np.full(len(points), np.nan), np.full(len(points), np.nan)
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5], axis=0)
    return points, low, high


def _figure(value: float, low: float, high: float, how: str, rows: int) -> Figure:
    found = rounded(float(value))
    absent = None if found is not None else "nothing is lost without a model"
    return Figure(found, how, "test", rows, _WITNESS, rounded(float(low)), rounded(float(high)), absent)
