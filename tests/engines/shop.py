"""A recommender made by hand: items are corners of a space, a state is the sum of what was met. Not a test itself."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tradewind.features.column import ColumnSpec
from tradewind.features.factors import Factors
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import NumberTarget
from tradewind.release.recommender import (
    BIAS,
    ENCODER,
    ITEM_CONTENT,
    ITEMS,
    USER_CONTENT,
    Parts,
    write_parts,
)

NAMES = ["tea", "cup", "pot", "jar", "hat", "cap"]
# Things to drink from lie together, things to wear lie together.
VECTORS = np.array([[1, 0.2, 0], [1, 0, 0.1], [0.9, 0.1, 0], [0.8, 0, 0], [0, 1, 0], [0, 0.9, 0.1]], np.float32)
BIASES = np.array([0.05, 0.04, 0.03, 0.02, 0.01, 0], np.float32)
KINDS = ["food", "ware", "ware", "ware", "wear", "wear"]
PRICES = [3.0, 8.0, 20.0, 5.0, 15.0, None]
WIDTH = 3


def columns() -> FeatureSet:
    """One number and one category, fitted on the shop."""
    values = {"price": np.array([3.0, 8, 20, 5, 15, np.nan]), "kind": np.array(KINDS, dtype=object)}
    specs = [ColumnSpec("price", "number"), ColumnSpec("kind", "category")]
    return FeatureSet.fit(specs, values, NumberTarget(mean=0.0, scale=1.0), seed=0)


def _save(path: Path, nodes, inputs, output, constants) -> None:
    graph = helper.make_graph(nodes, "shop", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _encoder(path: Path) -> None:
    given = [
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", "L", WIDTH]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["B"]),
        helper.make_tensor_value_info("users", TensorProto.FLOAT, ["B", WIDTH]),
    ]
    nodes = [
        helper.make_node("ReduceSum", ["vectors", "axis"], ["met"], keepdims=0),
        helper.make_node("Add", ["met", "users"], ["state"]),
    ]
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["B", WIDTH])
    _save(path, nodes, given, state, [helper.make_tensor("axis", TensorProto.INT64, [1], [1])])


def _content(path: Path, features: FeatureSet, table: np.ndarray) -> None:
    """What the category says, `table` [codes, outputs]; the number adds nothing."""
    names = features.input_names
    given = [
        helper.make_tensor_value_info(names["numbers"], TensorProto.FLOAT, ["B", len(features.layout.numbers)]),
        helper.make_tensor_value_info(names["categories"], TensorProto.INT64, ["B", 1]),
    ]
    nodes = [
        helper.make_node("Squeeze", [names["categories"], "axis"], ["code"]),
        helper.make_node("Gather", ["table", "code"], ["vectors"], axis=0),
    ]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("table", TensorProto.FLOAT, table.shape, table.ravel().tolist()),
    ]
    _save(path, nodes, given, helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", table.shape[1]]), constants)  # fmt: skip


def _table(features: FeatureSet, by_kind: dict[str, list[float]]) -> np.ndarray:
    """Rows by code, as the fitted columns number the kinds."""
    codes = features.encode_rows([{"price": 1.0, "kind": kind} for kind in by_kind])["categories"][:, 0]
    table = np.zeros((int(codes.max()) + 2, len(next(iter(by_kind.values())))), np.float32)
    table[codes] = list(by_kind.values())
    return table


def write_shop(folder: Path, *, described: bool = True, weight: float = 0.0, again: bool = False) -> Path:
    """`model/` of a release: with columns of items and users, or without; with the scores of factors `weight` times."""
    folder.mkdir(parents=True, exist_ok=True)
    _encoder(folder / ENCODER)
    np.save(folder / ITEMS, VECTORS)
    np.save(folder / BIAS, BIASES)
    features = columns() if described else None
    if features is not None:
        _content(folder / ITEM_CONTENT, features, _table(features, {"food": [1, 0, 0, 0], "ware": [1, 0, 0, 0], "wear": [0, 1, 0, 0]}))  # fmt: skip
        _content(folder / USER_CONTENT, features, _table(features, {"food": [1, 0, 0], "ware": [1, 0, 0], "wear": [0, 5, 0]}))  # fmt: skip
    factors = None
    histories = [np.array([0, 1]), np.array([4])]
    scores = np.stack([VECTORS[one].sum(0) @ VECTORS.T for one in histories]) + BIASES
    if weight:
        factors = Factors.of(np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32), alpha=2.0, ridge=0.01)
        scores = scores + weight * (factors.fold(np.array([0, 2, 3]), np.concatenate(histories)) @ factors.items_IF.T)
    write_parts(folder, Parts(
        names=NAMES, counts=np.arange(6, 0, -1), context=5, again=again, factors=factors, weight=weight, fresh_bias=-0.01,
        attributes={"kind": KINDS, "price": PRICES} if described else {}, items=features, users=features,
        golden_histories=histories, golden_scores=scores.astype(np.float32),
    ))  # fmt: skip
    return folder
