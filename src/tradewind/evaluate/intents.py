"""Intents beside those that were learnt, as a room of trust: how well a new one is known from a few examples, and how well what
belongs to none is told apart. Of classifiers of one text column. Not here: the arithmetic (`features/prototypes.py`), serving
(`engines/prototypes.py`).

Nobody has examples of what is not foreseen. So known classes play it: in an episode some of them are left out of what the model
may answer; they come back with a few of their training rows as examples, or stay outside (cross-class holdout). A frozen
encoder has never seen their names; one that was trained has, and does better here than on what is truly new.

Legend: B rows, K classes, J of them played by new ones, V width, E episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.trust import Context, Examined, Part, TrustPart, Witness
from tradewind.features.prototypes import Floats, Space, joined, means, parts

NAME = "intents"
SHOTS = 5
ACCEPT = (0.8, 0.9, 0.95, 0.98, 0.99)
LEAST_CLASSES = 4
_EPISODES, _SETTLING = 40, 16
_TRAIN_ROWS, _ROWS, _LEAST_EACH, _MOST_EACH = 2400, 600, 10, 60
_SCALES, _BIASES, _PULLS = (6.0, 9.0, 13.0, 18.0, 25.0), (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0), (0.0, 0.5, 1.0, 2.0)
_FOLDS = 5
_FROM = "trust/intents.npz"
_QUANTILES = 201


@dataclass(frozen=True)
class _Rows:
    """Rows of one split, placed in the space: vectors [B, V], codes [B], the model's probabilities [B, K]."""

    placed_BV: Floats
    target_B: NDArray[np.int64]
    probabilities_BK: NDArray[np.float64]


def measure(examined: Examined) -> Witness | None:
    """What episodes gave, and the space that was settled; None where there is no text to compare, or few classes."""
    classes = len(examined.context.classes)
    if examined.embed is None or classes < LEAST_CLASSES:
        return None
    draw = np.random.default_rng(examined.seed)
    train = _some(examined.train, _by_class(examined.train.target, classes, draw))
    asked = [_some(part, _evenly(len(part), _ROWS)) for part in (examined.validation, examined.test)]
    if len(train) < 2 * classes or not all(map(len, asked)):
        return None
    vectors = [examined.embed(part.raw) for part in (train, *asked)]
    centre_V = vectors[0].mean(0).astype(np.float32)
    nothing = np.zeros((0, len(centre_V)), np.float32)
    space = Space(centre_V, nothing, nothing)
    placed = [space.placed(one) for one in vectors]
    present = [code for code in range(classes) if (train.target == code).any()]
    by_class = [parts(placed[0][train.target == code]) for code in present]
    owner_P = np.repeat(present, [len(one) for one in by_class])
    space = replace(space, known_KV=means(placed[0], train.target, range(classes)), parts_PV=np.concatenate(by_class))
    examples, validation, test = (
        _Rows(one, part.target, _probabilities(part)) for one, part in zip(placed, (train, *asked), strict=True)
    )
    space = _settled(space, examples, validation, draw)
    return {
        "centre": space.centre_V, "known": space.known_KV, "parts": space.parts_PV, "scale": np.array(space.scale), "bias": np.array(space.bias),
        "pull": np.array(space.pull), "frozen": np.array(examined.frozen),
        "scope_validation": space.scope(validation.placed_BV), **_asked(space, examples, test, draw), **_outside(space, owner_P, test, draw),
    }  # fmt: skip


def summarise(witness: Witness, context: Context) -> TrustPart:
    """Accuracy on new intents, what they cost the known ones, the area under the curve of in and out, and false accepts."""
    within, outside = witness["scope_in"], witness["scope_out"]
    right_E, asked_E = witness["new_right"], witness["new_asked"]
    low, high = _of_episodes(right_E / np.maximum(asked_E, 1))
    asked = max(1, int(witness["kept_asked"].sum()))
    kept, before = witness["kept_right"].sum() / asked, witness["kept_before"].sum() / asked
    trained = "" if bool(witness["frozen"]) else "; the encoder had learnt these classes"
    how = f"classes left out come back with {SHOTS} examples each, {len(right_E)} episodes{trained}"
    area, area_low, area_high = _area(within, outside)
    figures = {
        "few_shot_accuracy": _figure(right_E.sum() / max(1, asked_E.sum()), how, int(asked_E.sum()), low, high),
        "few_shot_cost": _figure(
            before - kept, f"accuracy that the other classes lose; {how}", int(witness["kept_asked"].sum())
        ),
        "scope_auroc": _figure(
            area, f"rows of classes left out against the others{trained}", len(outside), area_low, area_high
        ),
    }
    quantiles = np.quantile(witness["scope_validation"], np.linspace(0, 1, _QUANTILES))
    table = [_accepting(level, quantiles, within, outside) for level in ACCEPT]
    chosen = next(one for one in table if one["accept"] == 0.95)
    figures["scope_false_accept"] = _figure(
        chosen["false"] or 0.0,
        "share of rows of classes left out that are taken for known where 95 % of known rows are",
        len(outside),
    )
    state = Space(
        witness["centre"],
        witness["known"],
        witness["parts"],
        float(witness["scale"]),
        float(witness["bias"]),
        float(witness["pull"]),
    ).state() | {"quantiles": [rounded(float(one), 6) for one in quantiles]}
    section = {
        "shots": SHOTS, "episodes": len(right_E), "played": int(witness["played"]), "frozen": bool(witness["frozen"]),
        "figures": {name: one.to_json() for name, one in figures.items()}, "accepting": table,
        "kept": rounded(float(kept)), "kept_before": rounded(float(before)),
    }  # fmt: skip
    return TrustPart(section, figures, state)


# ---------------------------------------------------------------- episodes


@dataclass(frozen=True)
class _Episode:
    """Known classes that stay, those that are played by new ones, and the rows of the examples of each."""

    kept: list[int]
    new: list[int]
    rows: list[NDArray[np.int64]]


def _episodes(
    target_B: NDArray[np.int64], classes: int, count: int, shots: Sequence[int], draw: np.random.Generator
) -> list[_Episode]:
    found = []
    playing = [code for code in range(classes) if (target_B == code).sum() >= 2]
    most = max(1, min(5, classes // 3, len(playing)))
    for number in range(count):
        new = sorted(draw.choice(playing, most, replace=False).tolist())
        rows = []
        for code in new:
            mine = np.flatnonzero(target_B == code)
            rows.append(draw.choice(mine, min(shots[number % len(shots)], len(mine)), replace=False))
        found.append(_Episode([code for code in range(classes) if code not in new], new, rows))
    return found


def _settled(space: Space, examples: _Rows, validation: _Rows, draw: np.random.Generator) -> Space:
    """The scale, bias and pull with the smallest log loss over episodes on validation rows, with 1 to 10 examples."""
    classes = len(space.known_KV)
    episodes = _episodes(examples.target_B, classes, _SETTLING, (1, 3, 5, 10), draw)
    loss: dict[tuple[float, float, float], list[float]] = {}
    for episode in episodes:
        whole: dict[float, NDArray[np.float64]] = {}  # what the kept classes come to says nothing of a pull
        for pull in _PULLS:
            table = _table(replace(space, pull=pull), episode, examples, validation)
            for scale in _SCALES:
                if scale not in whole:
                    whole[scale] = _log_sum(scale * table[1])
                for bias, value in zip(_BIASES, _log_losses(*table, scale=scale, whole_B=whole[scale]), strict=True):
                    loss.setdefault((scale, bias, pull), []).append(value)
    scale, bias, pull = min(loss, key=lambda one: (float(np.mean(loss[one])), one))
    return replace(space, scale=scale, bias=bias, pull=pull)


def _table(
    space: Space, episode: _Episode, examples: _Rows, asked: _Rows
) -> tuple[NDArray[np.float64], Floats, Floats, NDArray[np.int64]]:
    """Probabilities of the kept classes, cosines to them and to the new ones, and which of these each row is."""
    new_JV = np.stack([space.prototype(examples.placed_BV[rows]) for rows in episode.rows])
    order = [*episode.kept, *episode.new]
    place_K = np.empty(len(order), np.int64)
    place_K[order] = np.arange(len(order))
    probabilities = np.maximum(asked.probabilities_BK[:, episode.kept], 1e-12)
    return (
        probabilities,
        asked.placed_BV @ space.known_KV[episode.kept].T,
        asked.placed_BV @ new_JV.T,
        place_K[asked.target_B],
    )


def _log_sum(scores_BK: NDArray[Any]) -> NDArray[np.float64]:
    """The logarithm of the sum of exponentials of each row."""
    scores_BK = scores_BK.astype(np.float64)
    top_B1 = scores_BK.max(1, keepdims=True)
    found: NDArray[np.float64] = np.log(np.exp(scores_BK - top_B1).sum(1)) + top_B1[:, 0]
    return found


def _log_losses(
    probabilities: NDArray[np.float64], known: Floats, new: Floats, truth_B: NDArray[np.int64], *, scale: float,
    whole_B: NDArray[np.float64],
) -> list[float]:  # fmt: skip
    """The log loss of what `joined` gives, for each bias, of the probability of the truth alone. `whole_B` is `_log_sum` of the
    scaled cosines to the kept classes. New rows and kept ones count alike: there are few of the new."""
    kept, rows = known.shape[1], np.arange(len(truth_B))
    is_new_B = truth_B >= kept
    told_B = np.log(probabilities[rows, np.minimum(truth_B, kept - 1)] / probabilities.sum(1)) + whole_B
    told_B[is_new_B] = scale * new[is_new_B, truth_B[is_new_B] - kept].astype(np.float64)
    new_B = _log_sum(scale * new.astype(np.float64))
    losses = []
    for bias in _BIASES:
        log_B = told_B - np.where(is_new_B, bias, 0.0) - np.logaddexp(whole_B, new_B - bias)
        loss_B = -np.maximum(log_B, np.log(1e-9))
        losses.append(float(np.mean([loss_B[which].mean() for which in (is_new_B, ~is_new_B) if which.any()])))
    return losses


def _asked(space: Space, examples: _Rows, test: _Rows, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
    """How often new classes and kept ones are told on test rows, and the kept ones before the new came."""
    episodes = _episodes(examples.target_B, len(space.known_KV), _EPISODES, (SHOTS,), draw)
    counts = []
    for one in episodes:
        probabilities, known, new, truth_B = _table(space, one, examples, test)
        said_B = joined(probabilities, known, new, scale=space.scale, bias=space.bias).argmax(1)
        is_new_B = truth_B >= len(one.kept)
        before_B = probabilities.argmax(1) == truth_B
        right_B = said_B == truth_B
        counts.append(
            (
                right_B[is_new_B].sum(),
                is_new_B.sum(),
                right_B[~is_new_B].sum(),
                before_B[~is_new_B].sum(),
                (~is_new_B).sum(),
            )
        )
    names = ("new_right", "new_asked", "kept_right", "kept_before", "kept_asked")
    columns = (np.array(column, np.int64) for column in zip(*counts, strict=True))
    return {**dict(zip(names, columns, strict=True)), "played": np.array(len(episodes[0].new))}


def _outside(
    space: Space, owner_P: NDArray[np.int64], test: _Rows, draw: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """The scope of rows whose class is left out, each class once, and of the rows of the others."""
    classes = len(space.known_KV)
    folds = np.array_split(draw.permutation(classes), min(_FOLDS, classes // 2))
    within, outside = [], []
    for fold in folds:
        kept = np.setdiff1d(np.arange(classes), fold)
        scope_B = replace(space, parts_PV=space.parts_PV[np.isin(owner_P, kept)]).scope(test.placed_BV)
        out_B = np.isin(test.target_B, fold)
        within.append(scope_B[~out_B])
        outside.append(scope_B[out_B])
    return {"scope_in": np.concatenate(within), "scope_out": np.concatenate(outside)}


# ---------------------------------------------------------------- rows


def _by_class(target_B: NDArray[np.int64], classes: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Rows of each class alike, as many as examining may take."""
    each = int(np.clip(_TRAIN_ROWS // classes, _LEAST_EACH, _MOST_EACH))
    rows = [np.flatnonzero(target_B == code) for code in range(classes)]
    return np.sort(np.concatenate([draw.permutation(mine)[:each] for mine in rows]))


def _evenly(rows: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, max(0, rows - 1), min(rows, most)).astype(np.int64)


def _some(part: Part, rows: NDArray[np.int64]) -> Part:
    outputs = replace(part.outputs, probabilities=_probabilities(part)[rows], decided=None)
    raw = {name: column[rows] for name, column in part.raw.items()}
    return replace(part, raw=raw, target=part.target[rows], weight=None, answers=outputs)


def _probabilities(part: Part) -> NDArray[np.float64]:
    assert part.outputs.probabilities is not None
    return part.outputs.probabilities


# ---------------------------------------------------------------- figures


def _figure(value: float, how: str, rows: int, low: float | None = None, high: float | None = None) -> Figure:
    absent = None if rows else "no row of a class that was left out is in the split"
    return Figure(
        rounded(float(value)) if rows else None, how, "test", rows, _FROM, rounded(low), rounded(high), absent=absent
    )


def _of_episodes(share_E: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the mean over episodes."""
    half = 1.96 * float(share_E.std(ddof=1)) / len(share_E) ** 0.5 if len(share_E) > 1 else 0.0
    return max(0.0, float(share_E.mean()) - half), min(1.0, float(share_E.mean()) + half)


def _area(within: NDArray[np.float64], outside: NDArray[np.float64]) -> tuple[float, float | None, float | None]:
    """The probability that a row of a known class lies higher, ties as half (Mann, Whitney 1947), with its interval by the
    normal approximation (Hanley, McNeil 1982)."""
    if not len(within) or not len(outside):
        return 0.5, None, None
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, within, "left") + np.searchsorted(ordered, within, "right")
    area = float(below.sum() / 2 / len(within) / len(outside))
    first, second = area / (2 - area), 2 * area * area / (1 + area)
    n, m = len(within), len(outside)
    variance = (area * (1 - area) + (n - 1) * (first - area * area) + (m - 1) * (second - area * area)) / (n * m)
    half = 1.96 * max(0.0, variance) ** 0.5
    return area, max(0.0, area - half), min(1.0, area + half)


def _accepting(
    level: float, quantiles: NDArray[np.float64], within: NDArray[np.float64], outside: NDArray[np.float64]
) -> dict[str, float | None]:
    """Where a share `level` of validation rows is taken for known: which share of test rows is, and of what is outside."""
    threshold = float(np.interp(1 - level, np.linspace(0, 1, len(quantiles)), quantiles))
    return {
        "accept": level, "threshold": rounded(threshold, 6),
        "kept": rounded(float((within >= threshold).mean())) if len(within) else None,
        "false": rounded(float((outside >= threshold).mean())) if len(outside) else None,
    }  # fmt: skip
