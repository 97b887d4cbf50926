"""A small signed release that classifies texts, gives their vectors and brings a knowledge base: a table of random vectors a
token, averaged. No training: texts that share words lie near each other, which is all that intents and search need."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.engines.knowledge import documents_of, write
from tradewind.artifacts import Workspace
from tradewind.engines.engine import Decision
from tradewind.engines.onnx import OnnxPredictor
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.prototypes import Space, means
from tradewind.features.target import fit_target
from tradewind.release.bundle import Content, build
from tradewind.release.golden import Golden, object_array
from tradewind.release.registry import promote, register
from tradewind.release.signing import key_pair, make_key_pair

TEXTS = {
    "refund": ["give me my money back", "I want a refund of my money", "refund the order money"],
    "delivery": ["where is my parcel", "when will the parcel arrive", "delivery of my parcel is late"],
    "address": ["change my street address", "I moved to a new address", "my street and house number changed"],
    "greeting": ["hello there friend", "good morning to you", "hi and good evening"],
}
KNOWLEDGE = (
    "Refunds go to your card within five days.",
    "Parcels arrive within two days.",
    "Change your address under profile.",
)
WIDTH = 64


def text_graph(vocabulary: int, classes: int, seed: int) -> bytes:
    """tokens [B, T] → vectors [B, 64], the mean of the tokens' random vectors, length 1 → probabilities."""
    draw = np.random.default_rng(seed)
    table = draw.normal(size=(vocabulary, WIDTH)).astype(np.float32)
    table[0] = 0
    tables = {
        "table": table, "W": draw.normal(size=(WIDTH, classes)).astype(np.float32), "axis": np.array([1]),
        "small": np.array([1e-6], np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["table", "tokens_text"], ["looked"]),
        helper.make_node("ReduceSum", ["looked", "axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceL2", ["sum", "axis"], ["length"], keepdims=1),
        helper.make_node("Add", ["length", "small"], ["some"]),
        helper.make_node("Div", ["sum", "some"], ["vectors"]),
        helper.make_node("MatMul", ["vectors", "W"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", classes]),
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", WIDTH]),
    ]
    tokens = helper.make_tensor_value_info("tokens_text", TensorProto.INT64, ["B", "T"])
    graph = helper.make_graph(
        nodes, "text", [tokens], outputs, [numpy_helper.from_array(one, name) for name, one in tables.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def make_support(workspace: Workspace, *, seed: int = 1, knowledge: bool = True, live: bool = True):
    """Product `support`. Another `seed` is another encoder."""
    texts = object_array([text for some in TEXTS.values() for text in some])
    answers = object_array([name for name, some in TEXTS.items() for _ in some])
    target = fit_target("classification", answers)
    features = FeatureSet.fit([ColumnSpec("text", "text")], {"text": texts}, target, seed=0)
    decision = Decision("classification", target.classes)
    vocabulary = next(one.meta["vocabulary"] for one in features.layout.tensors if one.role == "tokens")
    graph = text_graph(int(vocabulary), len(target.classes), seed)
    predictor = OnnxPredictor(graph, features, decision)
    vectors = predictor.vectors({"text": texts})
    centre = vectors.mean(0)
    nothing = np.zeros((0, WIDTH), np.float32)
    placed = Space(centre, nothing, nothing).placed(vectors)
    known = means(placed, target.encode(answers), range(len(target.classes)))
    state = Space(centre, known, placed, scale=20.0, bias=0.0, pull=0.5).state()
    workspace.home.mkdir(parents=True, exist_ok=True)
    path = workspace.home / f"text-{seed}.onnx"
    path.write_bytes(graph)
    manifest = {
        "product": "support", "task": "classification", "classes": list(target.classes), "positive": None, "threshold": 0.5,
        "features_fingerprint": features.fingerprint, "plans": {},
    }  # fmt: skip
    schema = {"input": features.row_schema(), "output": {"type": "object"}}
    outputs = predictor.predict({"text": texts}).probabilities.astype(np.float64)
    content = Content(
        manifest, path, features.state(), schema, Golden({"text": texts}, outputs, 1e-5), {},
        lambda manifest: {"report/card.md": b"card"},
        trust={"intents": state | {"quantiles": [0.2, 0.5, 1.0]}},
        knowledge=write(workspace.home / f"knowledge-{seed}", documents_of(*KNOWLEDGE)) if knowledge else None,
    )  # fmt: skip
    pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
    artifact = build(workspace, content, pair, parents={})
    version = register(workspace, artifact.digest, artifact.folder)
    if live:
        promote(workspace, f"v{version.version}")
    return version
