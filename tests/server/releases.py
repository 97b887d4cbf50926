"""Small signed releases made by hand in a moment: a linear graph over fitted columns, no training.

Not a trained model: what stands before a model is tested with it.
"""

from __future__ import annotations

import io

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tradewind.artifacts import Workspace
from tradewind.engines.engine import Decision
from tradewind.engines.onnx import OnnxPredictor
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.release.bundle import Content, build
from tradewind.release.golden import Golden, object_array
from tradewind.release.registry import promote, register
from tradewind.release.signing import key_pair, make_key_pair

ROWS = 40


def linear_graph(numbers: int, outputs: int, seed: int, classes: bool) -> bytes:
    """probabilities = softmax(numbers @ W), or values = sum of numbers @ W; categories pass by."""
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=(numbers, outputs)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["numbers", "W"], ["logits"])]
    if classes:
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
        out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", outputs])
    else:
        nodes.append(helper.make_node("Squeeze", ["logits", "axes"], ["values"]))
        out = helper.make_tensor_value_info("values", TensorProto.FLOAT, ["B"])
    tables = [numpy_helper.from_array(weights, "W"), numpy_helper.from_array(np.array([1]), "axes")]
    numbers_in = helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["B", numbers])
    graph = helper.make_graph(nodes, "linear", [numbers_in], [out], tables if not classes else tables[:1])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def make_release(
    workspace: Workspace, *, product="churn", seed=1, task="classification", numbers=2, live=True, trust=None
):
    """Builds, signs and registers a release with `numbers` number columns (x0, x1, …) and the category `plan`."""
    draw = np.random.default_rng(0)
    values = {f"x{i}": object_array(draw.normal(size=ROWS).tolist()) for i in range(numbers)}
    values["plan"] = object_array([["basic", "plus", "专业"][i % 3] for i in range(ROWS)])
    specs = [ColumnSpec(f"x{i}", "number") for i in range(numbers)] + [ColumnSpec("plan", "category")]
    classes = task == "classification"
    answers = (
        object_array(["no" if i % 3 else "yes" for i in range(ROWS)])
        if classes
        else object_array(draw.normal(size=ROWS).tolist())
    )
    features = FeatureSet.fit(specs, values, fit_target(task, answers), seed=0)
    graph = linear_graph(len(features.layout.numbers), 2 if classes else 1, seed, classes)
    decision = Decision(task, ("no", "yes") if classes else (), positive="yes" if classes else None)
    predictor = OnnxPredictor(graph, features, decision)
    golden_rows = {name: column[:8] for name, column in values.items()}
    found = predictor.predict(golden_rows)
    outputs = found.probabilities if classes else found.values
    workspace.home.mkdir(parents=True, exist_ok=True)
    path = workspace.home / f"graph-{product}-{seed}.onnx"
    path.write_bytes(graph)
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    output_schema = (
        {
            "type": "object",
            "properties": {
                "label": {"type": "string", "enum": ["no", "yes"]},
                "probabilities": {
                    "type": "object",
                    "properties": {"no": probability, "yes": probability},
                    "required": ["no", "yes"],
                },
            },
            "required": ["label", "probabilities"],
        }
        if classes
        else {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}
    )
    manifest = {
        "product": product, "task": task, "classes": list(decision.classes), "positive": decision.positive,
        "threshold": 0.5, "features_fingerprint": features.fingerprint, "plans": {},
    }  # fmt: skip
    content = Content(
        manifest, path, features.state(), {"input": features.row_schema(), "output": output_schema},
        Golden(golden_rows, np.asarray(outputs, dtype=np.float64), 1e-5), {}, lambda manifest: {"report/card.md": b"card"},
        trust=trust or {},
    )  # fmt: skip
    pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
    artifact = build(workspace, content, pair, parents={})
    version = register(workspace, artifact.digest, artifact.folder)
    if live:
        promote(workspace, f"v{version.version}")
    return version


def make_picture_release(workspace: Workspace):
    """Product `scan`: one image column; light pictures are `light`, dark ones `dark`."""
    pictures = object_array([png(shade) for shade in (0, 40, 80, 120, 160, 200, 240, 255)])
    answers = object_array(["dark"] * 4 + ["light"] * 4)
    spec = ColumnSpec("scan", "image", {"size": 16})
    features = FeatureSet.fit([spec], {"scan": pictures}, fit_target("classification", answers), seed=0)
    shape = features.encode({"scan": pictures})["image:scan"].shape
    nodes = [
        helper.make_node("Cast", ["image_scan"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "W"], ["z"]),
        helper.make_node("Add", ["z", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    tables = [
        numpy_helper.from_array(np.array([1, 2, 3]), "axes"), numpy_helper.from_array(np.array([1]), "one"),
        numpy_helper.from_array(np.array([[0.0, 0.1]], dtype=np.float32), "W"),
        numpy_helper.from_array(np.array([0.0, -12.7], dtype=np.float32), "b"),
    ]  # fmt: skip
    picture_in = helper.make_tensor_value_info("image_scan", TensorProto.UINT8, ["B", *shape[1:]])
    out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", 2])
    model = helper.make_model(
        helper.make_graph(nodes, "light", [picture_in], [out], tables), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 9
    graph = model.SerializeToString()
    decision = Decision("classification", ("dark", "light"), positive="light")
    outputs = OnnxPredictor(graph, features, decision).predict({"scan": pictures}).probabilities
    workspace.home.mkdir(parents=True, exist_ok=True)
    path = workspace.home / "graph.onnx"
    path.write_bytes(graph)
    manifest = {
        "product": "scan", "task": "classification", "classes": ["dark", "light"], "positive": "light",
        "threshold": 0.5, "features_fingerprint": features.fingerprint, "plans": {},
    }  # fmt: skip
    content = Content(
        manifest, path, features.state(), {"input": features.row_schema(), "output": {"type": "object"}},
        Golden({"scan": pictures}, np.asarray(outputs, dtype=np.float64), 1e-5), {}, lambda manifest: {"report/card.md": b"card"},
    )  # fmt: skip
    pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
    artifact = build(workspace, content, pair, parents={})
    return register(workspace, artifact.digest, artifact.folder)


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (16, 16), shade).save(out, "PNG")
    return out.getvalue()
