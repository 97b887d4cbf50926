"""Room of trust: which columns the model rests on, how its answer follows each of them, and whether its reasons are true.

Not here: reasons beside one served answer (`engines/reasons.py`), deletion (`faithfulness.py`), the tree that imitates the
model (`surrogate.py`), words of the page (`explanations_words.py`).

Legend: n explained rows, m rows whose columns are shuffled, P columns, R draws by lot, T columns drawn, G values, r rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate import faithfulness
from tradewind.evaluate.faithfulness import Moves, asked
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import bounds, resampled
from tradewind.evaluate.surrogate import agreeing, fit_surrogate, judge
from tradewind.evaluate.trust import Context, Examined, Outputs, Part, TrustPart, Witness
from tradewind.features.category import keys_of
from tradewind.features.coalitions import Arrays, Floats, Players, shapley, spread
from tradewind.features.number import to_numbers

NAME = "explanations"
_WITNESS = "trust/explanations.npz"
_ROWS = {"table": (64, 1000), "text": (24, 100), "image": (6, 12), "audio": (16, 60)}  # explained; shuffled
_QUESTIONS = {"table": 256, "text": 96, "image": 48, "audio": 64}
_BACKGROUND = 16
_OTHERS = 8  # background rows of the deletion: none that the reasons were found with
_DRAWN, _VALUES, _DRAWN_ROWS = 4, 12, 60
_CHARACTERS = 60
_RESAMPLES = 500


def measure(examined: Examined) -> Witness | None:
    """Shapley values, shuffled columns, partial dependence, a surrogate and deletions, all over rows drawn evenly. Of a
    product that reads one text, picture or recording alone: deletions. None without rows, or with one number or category alone."""
    if not len(examined.test) or not len(examined.train) or not examined.kinds:
        return None
    if len(examined.kinds) > 1:
        return _columns(examined)
    ((column, kind),) = examined.kinds.items()
    return _parts(examined, column, kind) if kind in ("text", "image", "audio") else None


def summarise(witness: Witness, context: Context) -> TrustPart:
    """Importance with intervals over rows, curves, rules of the tree; figures `faithfulness` and `surrogate_fidelity`."""
    figures = {"faithfulness": _faithfulness(witness, context)}
    section: dict[str, Any] = {
        "faithfulness": {
            "rows": len(witness["named"]),
            "named": rounded(witness["named"].mean()) if len(witness["named"]) else None,
            "random": rounded(witness["random"].mean()) if len(witness["random"]) else None,
            "deleted": int(witness["deleted"]),
            "kind": str(witness["kind"]),
        },
        "importance": [],
        "dependence": [],
        "surrogate": None,
    }
    if "shapley" in witness:
        section["importance"] = _importance(witness, context)
        section["shuffled_rows"] = int(witness["shuffled"].shape[1])
        section["dependence"] = _dependence(witness, context)
    if "tree_feature" in witness:
        section["surrogate"] = judge(witness, context.classes)
        figures["surrogate_fidelity"] = _fidelity(witness, context, section["surrogate"])
    return TrustPart(section, figures)


# ---------------------------------------------------------------- what is looked at


def _columns(examined: Examined) -> Witness | None:
    players = Players.of(examined.layout, tuple(examined.kinds))
    cost = next((kind for kind in ("image", "audio", "text") if kind in examined.kinds.values()), "table")
    explained, shuffled = _ROWS[cost]
    test, train = examined.test, examined.train
    chosen = spread(len(test), min(explained, max(8, len(test) // 3)))
    places = spread(len(train), _BACKGROUND + _OTHERS)
    mine = np.arange(len(places)) % 3 != 2  # two of three explain, the third deletes
    background, others = (_encoded(examined, train, part) for part in (places[mine], places[~mine]))
    encoded = _encoded(examined, test, chosen)
    rows = [{name: array[at : at + 1] for name, array in encoded.items()} for at in range(len(chosen))]
    codes = _codes(examined, chosen)
    bases = {code: asked(examined, background, code) for code in set(codes)}
    found = [
        shapley(
            lambda arrays, code=code: asked(examined, arrays, code), players, row, background,  # type: ignore[misc]
            base_M=bases[code], questions=_QUESTIONS[cost], exact=4 * _QUESTIONS[cost], seed=at,
        )
        for at, (row, code) in enumerate(zip(rows, codes, strict=True))
    ]  # fmt: skip
    shares_nP = np.stack([one.values_P for one in found])
    count = max(1, min(examined.context.explain.most, len(players.names) // 2))
    random = np.random.default_rng(examined.seed)
    moves = faithfulness.columns_deleted(
        examined, players, rows, others, strength_nP=np.abs(shares_nP), codes=codes, random=random, count=count,
        scores_n=np.array([one.score for one in found]),
    )  # fmt: skip
    names = np.array([name[:_CHARACTERS] for name in players.names], dtype=np.str_)
    return {
        **_witness_of(moves, count, "columns"),
        "columns": names,
        "shapley": shares_nP,
        **_shuffled(examined, players, spread(len(test), min(shuffled, len(test))), random),
        **_drawn(examined, np.abs(shares_nP).mean(axis=0)),
        **(fit_surrogate(examined.kinds, train, test) or {}),
    }


def _parts(examined: Examined, column: str, kind: str) -> Witness:
    chosen = spread(len(examined.test), _ROWS[kind][0])
    codes, random = _codes(examined, chosen), np.random.default_rng(examined.seed)
    count = examined.context.explain.most
    if kind == "text":
        moves = faithfulness.text_deleted(
            examined, column, list(examined.test.raw[column][chosen]), codes=codes, count=count, random=random
        )
        return _witness_of(moves, count, kind)
    (tensor,) = (one.name for one in examined.layout.tensors if one.role == kind)
    encoded = _encoded(examined, examined.test, chosen)
    rows = [{name: array[at : at + 1] for name, array in encoded.items()} for at in range(len(chosen))]
    if kind == "audio":
        moves = faithfulness.audio_deleted(examined, tensor, rows, codes=codes, count=count, random=random)
        return _witness_of(moves, count, kind)
    moves = faithfulness.image_deleted(examined, tensor, rows, codes=codes, random=random)
    return _witness_of(moves, faithfulness.CELLS_DELETED, kind)


def _witness_of(moves: Moves, count: int, kind: str) -> dict[str, NDArray[Any]]:
    return {"named": moves.named_n, "random": moves.random_nR, "deleted": np.array(count), "kind": np.array(kind)}


def _encoded(examined: Examined, part: Part, rows: NDArray[np.int64]) -> Arrays:
    return examined.encode({name: part.raw[name][rows] for name in examined.kinds})


def _codes(examined: Examined, rows: NDArray[np.int64]) -> Sequence[int | None]:
    """The class whose log-odds are explained: the positive one of two, the decided one of many, none of a value."""
    decided, positive = examined.test.outputs.decided, examined.context.positive
    if decided is None:
        return [None] * len(rows)
    return [int(decided[row]) if positive is None else positive for row in rows]


def _losses(outputs: Outputs, target_m: NDArray[Any]) -> Floats:
    """Log loss of each row, or its absolute error."""
    if outputs.values is not None:
        errors: Floats = np.abs(outputs.values - target_m)
        return errors
    assert outputs.probabilities is not None
    found: Floats = -np.log(outputs.probabilities[np.arange(len(target_m)), target_m].clip(1e-7))
    return found


def _shuffled(
    examined: Examined, players: Players, rows: NDArray[np.int64], random: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """How much worse each row is answered when one column comes from another row, [P, m] (Breiman 2001)."""
    encoded, target_m = _encoded(examined, examined.test, rows), examined.test.target[rows]
    plain_m = _losses(examined.ask_encoded(encoded), target_m)
    worse_Pm = np.empty((len(players.names), len(rows)))
    for column in range(len(players.names)):
        mixed = players.exchanged(encoded, column, random.permutation(len(rows)))
        worse_Pm[column] = _losses(examined.ask_encoded(mixed), target_m) - plain_m
    return {"shuffled": worse_Pm}


def _drawn(examined: Examined, importance_P: Floats) -> dict[str, NDArray[Any]]:
    """Partial dependence (Friedman 2001) with the spread over rows, of the most important numbers and categories."""
    names = list(examined.kinds)
    usable = [
        at for at in np.argsort(-importance_P, kind="stable") if examined.kinds[names[at]] in ("number", "category")
    ]
    test = examined.test
    rows = spread(len(test), min(_DRAWN_ROWS, len(test)))
    raw = {name: test.raw[name][rows] for name in names}
    code = _drawn_class(examined)
    found: list[tuple[str, list[Any], Floats]] = []
    for at in usable[:_DRAWN]:
        values = _values_of(examined.train.raw[names[at]], examined.kinds[names[at]])
        if len(values) > 1:
            many = {name: np.tile(column, len(values)) for name, column in raw.items()}
            many[names[at]] = np.repeat(np.array(values, dtype=object), len(rows))
            answered = examined.ask(many)
            outputs = answered.values if answered.probabilities is None else answered.probabilities[:, int(code or 0)]
            assert outputs is not None
            found.append((names[at], values, outputs.reshape(len(values), len(rows))))
    if not found:
        return {}
    longest = max(len(values) for _, values, _ in found)
    responses = np.full((len(found), longest, len(rows)), np.nan)
    places = np.full((len(found), longest), np.nan)
    labels = np.full((len(found), longest), "", dtype=f"<U{_CHARACTERS}")
    for at, (_, values, outputs) in enumerate(found):
        responses[at, : len(values)] = outputs
        labels[at, : len(values)] = [str(value)[:_CHARACTERS] for value in values]
        places[at, : len(values)] = [value if isinstance(value, float) else np.nan for value in values]
    return {
        "drawn": np.array([name[:_CHARACTERS] for name, _, _ in found], dtype=np.str_),
        "drawn_labels": labels, "drawn_places": places, "drawn_outputs": responses,
        "drawn_class": np.array(-1 if code is None else code),
    }  # fmt: skip


def _drawn_class(examined: Examined) -> int | None:
    """The positive class of two, or the one that is decided for most often."""
    decided = examined.test.outputs.decided
    if decided is None:
        return None
    positive = examined.context.positive
    return int(np.bincount(decided).argmax()) if positive is None else positive


def _values_of(values: NDArray[Any], kind: str) -> list[Any]:
    """Quantiles of a number, in order, without its furthest fiftieths; the most frequent words of a category."""
    if kind == "category":
        counts = Counter(key for key in keys_of(values) if key is not None)
        return sorted(counts, key=lambda word: (-counts[word], word))[:_VALUES]
    x = to_numbers(values)
    known = np.sort(x[np.isfinite(x)])
    known = known[len(known) // 50 : len(known) - len(known) // 50]
    return [float(one) for one in np.unique(known[spread(len(known), _VALUES)])] if len(known) else []


# ---------------------------------------------------------------- what follows from it


def _faithfulness(witness: Witness, context: Context) -> Figure:
    named_n, random_n = witness["named"], witness["random"].mean(axis=1) if len(witness["random"]) else np.zeros(0)
    how = (
        "1 less how far deleting as many by lot moves the score, divided by how far deleting the named reasons does, means "
        f"over rows; the {int(witness['deleted'])} strongest"
    )
    if not len(named_n) or named_n.mean() <= 0:
        return Figure(None, how, "test", len(named_n), _WITNESS, absent="no reason moves the score")
    point = 1 - float(random_n.mean() / named_n.mean())
    drawn = np.concatenate(
        [
            1 - (weights @ random_n) / np.maximum(weights @ named_n, 1e-300)
            for weights in resampled(len(named_n), resamples=_RESAMPLES, seed=context.settings.seed)
        ]
    )
    low, high, behind = bounds(drawn, point)
    how += f"; 95 % percentile bootstrap over {behind} resamples of rows"
    return Figure(rounded(point), how, "test", len(named_n), _WITNESS, rounded(low), rounded(high))


def _fidelity(witness: Witness, context: Context, found: Mapping[str, Any]) -> Figure:
    rows = int(found["rows"])
    if not context.classes:
        return Figure(found["fidelity"], "R² of the surrogate tree for the model's values", "test", rows, _WITNESS)
    low, high = _mean_interval(agreeing(witness), context)
    how = "share of rows on which the surrogate tree decides as the model does; 95 % percentile bootstrap over rows"
    return Figure(found["fidelity"], how, "test", rows, _WITNESS, low, high)


def _mean_interval(values_n: Floats, context: Context) -> tuple[float | None, float | None]:
    drawn = [
        (weights @ values_n) / len(values_n)
        for weights in resampled(len(values_n), resamples=_RESAMPLES, seed=context.settings.seed)
    ]
    low, high, _ = bounds(np.concatenate(drawn), float(values_n.mean()))
    return rounded(low), rounded(high)


def _importance(witness: Witness, context: Context) -> list[dict[str, Any]]:
    """Columns, the most important first: mean size of the Shapley value, and mean loss by shuffling, with intervals."""
    sizes_nP, worse_Pm = np.abs(witness["shapley"]), witness["shuffled"]
    found = []
    for at in np.argsort(-sizes_nP.mean(axis=0), kind="stable"):
        low, high = _mean_interval(sizes_nP[:, at], context)
        worse_low, worse_high = _mean_interval(worse_Pm[at], context)
        found.append(
            {
                "column": str(witness["columns"][at]),
                "shapley": {"value": rounded(sizes_nP[:, at].mean()), "low": low, "high": high},
                "shuffled": {"value": rounded(worse_Pm[at].mean()), "low": worse_low, "high": worse_high},
            }
        )
    return found


def _dependence(witness: Witness, context: Context) -> list[dict[str, Any]]:
    if "drawn" not in witness:
        return []
    of_class = int(witness["drawn_class"])
    found = []
    for at, column in enumerate(witness["drawn"]):
        outputs_Gr = witness["drawn_outputs"][at]
        known = ~np.isnan(outputs_Gr[:, 0])
        points = [
            {
                "label": str(witness["drawn_labels"][at, place]),
                "x": rounded(float(witness["drawn_places"][at, place])),
                "mean": rounded(outputs_Gr[place].mean()),
                "low": rounded(float(np.percentile(outputs_Gr[place], 10))),
                "high": rounded(float(np.percentile(outputs_Gr[place], 90))),
            }
            for place in np.flatnonzero(known)
        ]
        found.append(
            {"column": str(column), "class": context.classes[of_class] if of_class >= 0 else None, "points": points}
        )
    return found
