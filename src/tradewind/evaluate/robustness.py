"""Room of trust: how the released predictor fares when rows are not as they should be, and whether rows from elsewhere are told.

The predictor is a black box here: rows go in changed, answers come out. What is done to rows is in `perturbations.py`; attacks
that see the weights are in `benchmarks/robustness.py`. Not here: what the domain is (`features/domain.py`).

Legend: n sampled test rows, K classes, R resamples, S severities.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate import synonyms
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import LEVEL, bounds, resampled
from tradewind.evaluate.metrics import RANKING, SMALLER_IS_BETTER, Classification, Measure, Ranking, Regression
from tradewind.evaluate.perturbations import (
    BY_NAME,
    TRIALS,
    Columns,
    Facts,
    Trial,
    applies,
    changed,
    changed_pixels,
    foreign,
    shuffled,
)
from tradewind.evaluate.trust import Context, Examined, Outputs, TrustPart, Witness
from tradewind.features.domain import Domain

NAME = "robustness"
ALARM = 0.05  # a row that fewer than so many of the domain surprise as much is called foreign
_WITNESS = "trust/robustness.npz"
# Rows that trials change, by the costliest kind of column; what a domain is fitted on, and how many of its rows are asked for.
_ROWS = {"image": 64, "audio": 64, "text": 300}
_ROWS_OTHERWISE = 1_000
_DOMAIN_ROWS = {"image": 200, "audio": 300, "text": 4_000}
_DOMAIN_ROWS_OTHERWISE = 20_000
_HOME_ROWS = 2_000
_RESAMPLES = 200
_OF_DOMAIN = ("home", "shuffled", "foreign")


def measure(examined: Examined) -> Witness | None:
    """Answers of the predictor to sampled test rows after every trial at every severity, and the surprise of rows that are at
    home, shuffled and foreign. None without test rows."""
    test = examined.test
    if not len(test):
        return None
    random = np.random.default_rng([examined.seed, len(test)])
    most = _limit(examined.kinds, _ROWS, _ROWS_OTHERWISE)
    chosen = np.sort(random.permutation(len(test))[:most])
    rows = {name: test.raw[name][chosen] for name in examined.kinds}
    facts = Facts.of(examined.kinds, examined.train.raw, examined.lexicon or synonyms.built_in())
    encoded = cache(partial(examined.encode, rows))  # pictures are read once for all trials
    found: dict[str, NDArray[Any]] = {"rows": chosen, "target": test.target[chosen]}
    if test.weight is not None:
        found["weight"] = test.weight[chosen]
    _keep(found, "clean", test.outputs.of(chosen))
    for number, trial in enumerate(TRIALS):
        if not applies(trial, rows, facts):
            continue
        for at, severity in enumerate(trial.severities):
            own = np.random.default_rng([examined.seed, number, at])
            _keep(found, f"{trial.name}:{at}", _asked(examined, trial, severity, rows, encoded, facts, own))
    return found | _domain(examined, facts)


def _limit(kinds: Mapping[str, str], by_kind: Mapping[str, int], otherwise: int) -> int:
    return min([by_kind[kind] for kind in kinds.values() if kind in by_kind], default=otherwise)


def _asked(
    examined: Examined, trial: Trial, severity: float, rows: Columns,
    encoded: Callable[[], Mapping[str, NDArray[Any]]], facts: Facts, random: np.random.Generator,
) -> Outputs:  # fmt: skip
    if trial.family != "image":
        return examined.ask(changed(trial, severity, rows, facts, random))
    arrays = dict(encoded())
    for name in facts.of_kind("image"):
        arrays[f"image:{name}"] = changed_pixels(trial, severity, arrays[f"image:{name}"], random)
    return examined.ask_encoded(arrays)


def _keep(found: dict[str, NDArray[Any]], name: str, outputs: Outputs) -> None:
    if outputs.probabilities is None:
        assert outputs.values is not None
        found[name] = outputs.values
    else:
        assert outputs.decided is not None
        found[name], found[f"{name}:decided"] = outputs.probabilities.astype(np.float32), outputs.decided


def _domain(examined: Examined, facts: Facts) -> dict[str, NDArray[Any]]:
    """The fitted domain as the bytes of its JSON, and what rows of three sorts surprise by. Nothing where none can be fitted."""
    kinds = examined.kinds
    most = _limit(kinds, _DOMAIN_ROWS, _DOMAIN_ROWS_OTHERWISE)
    train, held, home = (
        _evenly({name: part.raw[name] for name in kinds}, min(most, limit))
        for part, limit in ((examined.train, most), (examined.validation, _HOME_ROWS), (examined.test, _HOME_ROWS))
    )
    domain = Domain.fit(kinds, train, held) if kinds else None
    if domain is None:
        return {}
    random = np.random.default_rng([examined.seed, len(TRIALS)])
    sorts = {"home": home, "foreign": foreign(home, facts, random)}
    if len(kinds) > 1:
        sorts["shuffled"] = shuffled(home, list(kinds), random)
    state = np.frombuffer(json.dumps(domain.state()).encode(), dtype=np.uint8)
    found = {f"surprise:{sort}": domain.surprise(values) for sort, values in sorts.items()}
    return {"domain": state, "home_score": domain.score_of(found["surprise:home"]), **found}


def _evenly(values: Columns, most: int) -> Columns:
    rows = len(next(iter(values.values()), ()))
    if rows <= most:
        return values
    places = np.linspace(0, rows - 1, most).round().astype(np.int64)
    return {name: array[places] for name, array in values.items()}


# ---------------------------------------------------------------- what follows from it


def summarise(witness: Witness, context: Context) -> TrustPart:
    """The curve of the primary figure over the severities of each trial, what is lost, and how well foreign rows are told."""
    measures = {key: _measure(witness, key, context) for key in witness if key == "clean" or _trial(key) is not None}
    values, drawn = _figures(measures, witness, context)
    clean = _ends(values["clean"], drawn["clean"])
    trials = []
    figures: dict[str, Figure] = {}
    for trial in TRIALS:
        if f"{trial.name}:0" not in witness:
            continue
        points = [_point(witness, f"{trial.name}:{at}", severity, values, drawn, context)
                  for at, severity in enumerate(trial.severities)]  # fmt: skip
        trials.append({"name": trial.name, "family": trial.family, "standard": trial.standard, "points": points})
        figures[f"robust_{trial.name}"] = _figure(points[trial.standard], measures["clean"], trial, context)
    rows = len(witness["target"])
    section: dict[str, Any] = {
        "rows": rows,
        "primary": context.primary,
        "clean": clean,
        "trials": trials,
        "domain": None,
    }
    state: dict[str, Any] = {}
    if "domain" in witness:
        state = {"domain": json.loads(bytes(witness["domain"].astype(np.uint8)).decode())}
        section["domain"], further = _told(witness, len(state["domain"]["held"]), context)
        figures |= further
    return TrustPart(section, figures, state)


def _trial(key: str) -> Trial | None:
    name, _, at = key.partition(":")
    return BY_NAME.get(name) if at.isdigit() else None


def _measure(witness: Witness, key: str, context: Context) -> Measure:
    target = witness["target"]
    if context.task == "regression":
        return Regression(target.astype(np.float64), witness[key].astype(np.float64))
    probabilities = witness[key].astype(np.float64)
    return Classification(target, probabilities, witness[f"{key}:decided"], context.positive, context.classes)


def _figures(
    measures: Mapping[str, Measure], witness: Witness, context: Context
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """The primary figure of each, and the same on R resamples of the rows, which are the same for all."""
    rows, weight = len(witness["target"]), witness.get("weight")
    ranking = context.primary in RANKING
    once = np.ones((1, rows)) if weight is None else weight[None, :].astype(np.float64)
    resamples = min(context.settings.bootstrap, _RESAMPLES)
    values = {key: float(one(once, ranking=ranking)[context.primary][0]) for key, one in measures.items()}
    drawn: dict[str, list[NDArray[np.float64]]] = {key: [] for key in measures}
    for weights in resampled(rows, resamples=resamples, seed=context.settings.seed, weight_N=weight):
        for key, one in measures.items():
            drawn[key].append(one(weights, ranking=ranking)[context.primary])
    return values, {key: np.concatenate(parts) if parts else np.zeros(0) for key, parts in drawn.items()}


def _ends(value: float, drawn_R: NDArray[np.float64]) -> dict[str, float | None]:
    low, high, _ = bounds(drawn_R, value)
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}


def _point(
    witness: Witness, key: str, severity: float, values: Mapping[str, float], drawn: Mapping[str, NDArray[np.float64]],
    context: Context,
) -> dict[str, Any]:  # fmt: skip
    sign = -1.0 if context.primary in SMALLER_IS_BETTER else 1.0
    lost = _ends(sign * (values["clean"] - values[key]), sign * (drawn["clean"] - drawn[key]))
    point: dict[str, Any] = {"severity": severity, **_ends(values[key], drawn[key]), "lost": lost}
    if context.task == "classification":
        point["changed"] = rounded(float((witness[f"{key}:decided"] != witness["clean:decided"]).mean()))
    return point


def _figure(point: Mapping[str, Any], clean: Measure, trial: Trial, context: Context) -> Figure:
    how = f"{context.primary} of {clean.rows} sampled test rows after {trial.name} of severity {point['severity']:g}"
    if point["value"] is None:
        return Figure(None, how, "test", clean.rows, _WITNESS, absent=clean.reason(context.primary))
    if point["low"] is not None:
        how += f"; {100 * LEVEL:g} % percentile bootstrap over rows"
    return Figure(point["value"], how, "test", clean.rows, _WITNESS, point["low"], point["high"])


def _told(witness: Witness, held: int, context: Context) -> tuple[dict[str, Any], dict[str, Figure]]:
    """How often a foreign row surprises more than one at home, and how many at home are taken for foreign."""
    home = witness["surprise:home"]
    alarms_N = (witness["home_score"] < ALARM).astype(np.float64)
    resamples = min(context.settings.bootstrap, _RESAMPLES)
    drawn = [
        weights @ alarms_N / len(home)
        for weights in resampled(len(home), resamples=resamples, seed=context.settings.seed)
    ]
    section: dict[str, Any] = {"rows": len(home), "held": held, "alarm": ALARM}
    section["alarms"] = _ends(float(alarms_N.mean()), np.concatenate(drawn) if drawn else np.zeros(0))
    for sort in _OF_DOMAIN[1:]:
        section[sort] = (
            _separation(home, witness[f"surprise:{sort}"], context) if f"surprise:{sort}" in witness else None
        )
    leading = "shuffled" if section["shuffled"] is not None else "foreign"
    says = {
        "shuffled": "a row of shuffled columns surprises more than a test row",
        "foreign": "a foreign row surprises more than a test row",
    }
    how = {
        "domain_auroc": f"how often {says[leading]}",
        "domain_alarms": f"share of test rows with a domain score below {ALARM:g}",
    }
    found = {"domain_auroc": section[leading], "domain_alarms": section["alarms"]}
    return section, {
        name: Figure(one["value"], how[name], "test", len(home), _WITNESS, one["low"], one["high"])
        for name, one in found.items()
    }


def _separation(home: NDArray[np.float64], other: NDArray[np.float64], context: Context) -> dict[str, float | None]:
    """The area under the ROC curve of surprise, with its interval."""
    is_other = np.r_[np.zeros(len(home), bool), np.ones(len(other), bool)]
    ranking = Ranking.of(np.r_[home, other], is_other)
    area = float(ranking.areas(np.ones((1, len(is_other))))[0][0])
    resamples = min(context.settings.bootstrap, _RESAMPLES)
    parts = [
        ranking.areas(weights)[0]
        for weights in resampled(len(is_other), resamples=resamples, seed=context.settings.seed)
    ]
    return _ends(area, np.concatenate(parts) if parts else np.zeros(0))
