"""Predictors made by hand in a moment: a small network over fitted columns, in ONNX and in torch with the same weights."""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from tradewind.engines.engine import Decision
from tradewind.engines.onnx import OnnxPredictor
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.release.golden import object_array

CLASSES = ("no", "yes")
TEXTS = ["味道很好", "太难吃了", "very good food", "bad, very bad", "好", "不好", "good", "bad"]


def as_columns(rows):
    return {name: object_array([row[name] for row in rows]) for name in rows[0]}


def network(inputs, *, hidden=5, outputs=2, seed=0):
    """tanh(x @ A) @ B as torch; `graph` makes the same in ONNX."""
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, outputs))
    return layers.requires_grad_(False)


def graph(layers, *, classes=True):
    first, second = layers[0], layers[2]
    tables = {
        "A": first.weight.numpy().T.copy(), "a": first.bias.numpy(), "B": second.weight.numpy().T.copy(), "b": second.bias.numpy(),
    }  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["numbers", "A"], ["xA"]), helper.make_node("Add", ["xA", "a"], ["z"]),
        helper.make_node("Tanh", ["z"], ["h"]), helper.make_node("MatMul", ["h", "B"], ["hB"]),
        helper.make_node("Add", ["hB", "b"], ["logits"]),
    ]  # fmt: skip
    shape = ["B", second.out_features] if classes else ["B"]
    last = (
        helper.make_node("Softmax", ["logits"], ["out"], axis=1)
        if classes
        else helper.make_node("Squeeze", ["logits", "axes"], ["out"])
    )
    initializers = [numpy_helper.from_array(table, name) for name, table in tables.items()]
    initializers += [] if classes else [numpy_helper.from_array(np.array([1]), "axes")]
    model = helper.make_model(
        helper.make_graph(
            [*nodes, last], "small",
            [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["B", first.in_features])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)], initializers,
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )  # fmt: skip
    model.ir_version = 9
    return model.SerializeToString()


def predictor(columns=4, *, classes=CLASSES, seed=0, threshold=0.5, rows=64):
    """A predictor over `columns` numbers x0, x1, …; its network; raw rows as dicts."""
    random = np.random.default_rng(seed)
    raw = [{f"x{at}": float(f"{x:.4g}") for at, x in enumerate(line)} for line in random.normal(size=(rows, columns))]
    values = as_columns(raw)
    specs = [ColumnSpec(name, "number") for name in values]
    answers = object_array([classes[at % len(classes)] for at in range(rows)]) if classes else random.normal(size=rows)
    features = FeatureSet.fit(specs, values, fit_target("classification" if classes else "regression", answers), seed=0)
    decision = (
        Decision("classification", classes, positive=classes[-1] if len(classes) == 2 else None, threshold=threshold)
        if classes
        else Decision("regression")
    )
    layers = network(columns, outputs=len(classes) or 1, seed=seed)
    return OnnxPredictor(graph(layers, classes=bool(classes)), features, decision), layers, raw


def text_predictor(words):
    """Log-odds of `yes` are the sum of `words` over the n-grams of a text: what each word adds is known by hand."""
    specs = [ColumnSpec("note", "text")]
    texts = {"note": object_array(TEXTS * 4 + list(words) * 2)}
    answers = object_array(["no", "yes"] * (len(texts["note"]) // 2) + ["no"] * (len(texts["note"]) % 2))
    features = FeatureSet.fit(specs, texts, fit_target("classification", answers), seed=0)
    ngrams = features.columns[0].ngrams
    table = np.zeros((ngrams.vocabulary, 1), dtype=np.float32)
    for word, weight in words.items():
        table[ngrams._words[word]] = weight
    nodes = [
        helper.make_node("Gather", ["T", "ngrams_note"], ["found"], axis=0),
        helper.make_node("ReduceSum", ["found", "one"], ["yes"], keepdims=0),
        helper.make_node("Sub", ["yes", "yes"], ["no"]), helper.make_node("Concat", ["no", "yes"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["out"], axis=1),
    ]  # fmt: skip
    model = helper.make_model(
        helper.make_graph(
            nodes, "words", [helper.make_tensor_value_info("ngrams_note", TensorProto.INT64, ["B", "G"])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["B", 2])],
            [numpy_helper.from_array(table, "T"), numpy_helper.from_array(np.array([1]), "one")],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )  # fmt: skip
    model.ir_version = 9
    decision = Decision("classification", CLASSES, positive="yes")
    return OnnxPredictor(model.SerializeToString(), features, decision), texts
