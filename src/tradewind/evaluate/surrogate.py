"""A small tree that imitates the model: fitted to its answers on training rows, judged by how often it agrees on test rows.

Craven, Shavlik (1996); the tree is CART (Breiman, Friedman, Olshen, Stone 1984). Not here: trees as baselines
(`baselines.py`), which learn from the truth and not from the model.

Legend: n rows, F features (a number as it is, or whether a category is one word), T nodes of the tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tradewind.evaluate.figures import rounded
from tradewind.evaluate.trust import Outputs, Part, Witness
from tradewind.features.category import keys_of
from tradewind.features.column import Values
from tradewind.features.number import to_numbers

_LEAVES = 8
_WORDS = 8  # of a category: the most frequent
_FITTED, _JUDGED = 5_000, 2_000
_CHARACTERS = 60
_LEAST_SHARE, _LEAST_ROWS = 0.01, 5
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Feature:
    column: str
    word: str | None  # None: a number
    middle: float = 0.0  # stands for a missing number

    def of(self, values: Values) -> Floats:
        if self.word is not None:
            return np.array([key == self.word for key in keys_of(values)], dtype=np.float64)
        x = to_numbers(values)
        return np.where(np.isfinite(x), x, self.middle)


def fit_surrogate(kinds: Mapping[str, str], train: Part, test: Part) -> Witness | None:
    """The tree as arrays over its nodes, with the test rows it is judged on and the model's answers to them. None where no
    column is a number or a category."""
    features = _features(kinds, train.raw)
    if not features:
        return None
    fitted, judged = _evenly(len(train), _FITTED), _evenly(len(test), _JUDGED)
    x_nF = _matrix(features, train.raw, fitted)
    least = max(_LEAST_ROWS, int(_LEAST_SHARE * len(fitted)))
    kind = DecisionTreeRegressor if train.outputs.decided is None else DecisionTreeClassifier
    model = kind(max_leaf_nodes=_LEAVES, min_samples_leaf=least, random_state=0).fit(
        x_nF, _answers(train.outputs)[fitted]
    )
    tree = model.tree_
    value = tree.value[:, 0, :]
    answer = value[:, 0] if train.outputs.decided is None else model.classes_[value.argmax(axis=1)].astype(np.float64)
    return {
        "tree_columns": np.array([one.column[:_CHARACTERS] for one in features], dtype=np.str_),
        "tree_words": np.array([(one.word or "")[:_CHARACTERS] for one in features], dtype=np.str_),
        "tree_numeric": np.array([one.word is None for one in features]),
        "tree_feature": tree.feature.astype(np.int64),
        "tree_edge": tree.threshold.astype(np.float64),
        "tree_left": tree.children_left.astype(np.int64),
        "tree_right": tree.children_right.astype(np.int64),
        "tree_answer": answer,
        "tree_rows": _matrix(features, test.raw, judged),
        "tree_said": _answers(test.outputs)[judged].astype(np.float64),
        "tree_fitted": np.array(len(fitted)),
    }


def judge(witness: Witness, classes: tuple[str, ...]) -> dict[str, Any]:
    """JSON: how often the tree agrees with the model (of a regression R²), beside always the commonest answer, and its
    leaves as rules in the order of the tree, each with its share of the rows."""
    leaf_n = _leaves(witness)
    said_n, tree_n = witness["tree_said"], witness["tree_answer"][leaf_n]
    if classes:
        fidelity = float((said_n == tree_n).mean())
        plain = float((said_n == _commonest(said_n)).mean())
    else:
        spread = float(((said_n - said_n.mean()) ** 2).sum())
        fidelity = (
            1 - float(((said_n - tree_n) ** 2).sum()) / spread if spread > 0 else float(np.allclose(said_n, tree_n))
        )
        plain = 0.0
    rules = [
        {
            "conditions": conditions,
            "answer": classes[int(witness["tree_answer"][leaf])] if classes else rounded(witness["tree_answer"][leaf]),
            "share": rounded((leaf_n == leaf).mean()),
        }
        for leaf, conditions in _paths(witness)
    ]
    return {
        "fidelity": rounded(fidelity), "plain": rounded(plain), "rows": len(said_n), "fitted": int(witness["tree_fitted"]), "rules": rules
    }  # fmt: skip


def agreeing(witness: Witness) -> Floats:
    """1 for each judged row on which tree and model agree, for the interval of their agreement."""
    found: Floats = (witness["tree_said"] == witness["tree_answer"][_leaves(witness)]).astype(np.float64)
    return found


def _features(kinds: Mapping[str, str], raw: Mapping[str, Values]) -> list[_Feature]:
    features = []
    for column, kind in kinds.items():
        if kind == "number":
            x = to_numbers(raw[column])
            known = x[np.isfinite(x)]
            if len(known):
                features.append(_Feature(column, None, float(np.median(known))))
        elif kind == "category":
            counts = Counter(key for key in keys_of(raw[column]) if key is not None)
            ranked = sorted(counts, key=lambda word: (-counts[word], word))
            features += [_Feature(column, word) for word in ranked[:_WORDS]]
    return features


def _matrix(features: list[_Feature], raw: Mapping[str, Values], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """[n, F] in single precision, as the tree compares."""
    return np.stack([one.of(raw[one.column][rows]) for one in features], axis=1).clip(-3e38, 3e38).astype(np.float32)


def _answers(outputs: Outputs) -> NDArray[Any]:
    if outputs.decided is not None:
        return outputs.decided
    assert outputs.values is not None
    return outputs.values


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _commonest(codes_n: Floats) -> float:
    values, counts = np.unique(codes_n, return_counts=True)
    return float(values[counts.argmax()])


def _leaves(witness: Witness) -> NDArray[np.int64]:
    """The leaf that each judged row comes to, [n]."""
    rows, feature, edge = witness["tree_rows"], witness["tree_feature"], witness["tree_edge"]
    node_n = np.zeros(len(rows), dtype=np.int64)
    while (inner := witness["tree_left"][node_n] >= 0).any():
        at = np.flatnonzero(inner)
        node = node_n[at]
        left = rows[at, feature[node]] <= edge[node]
        node_n[at] = np.where(left, witness["tree_left"][node], witness["tree_right"][node])
    return node_n


def _paths(witness: Witness) -> list[tuple[int, list[dict[str, Any]]]]:
    """Every leaf with the conditions that lead to it."""
    found: list[tuple[int, list[dict[str, Any]]]] = []
    stack: list[tuple[int, list[dict[str, Any]]]] = [(0, [])]
    while stack:
        node, conditions = stack.pop()
        if witness["tree_left"][node] < 0:
            found.append((node, conditions))
            continue
        feature = int(witness["tree_feature"][node])
        column = str(witness["tree_columns"][feature])
        numeric = bool(witness["tree_numeric"][feature])
        value = rounded(float(witness["tree_edge"][node]), 6) if numeric else str(witness["tree_words"][feature])
        for side, sign in (("tree_right", ">" if numeric else "="), ("tree_left", "<=" if numeric else "!=")):
            condition = {"column": column, "sign": sign, "value": value}
            stack.append((int(witness[side][node]), [*conditions, condition]))
    return found
