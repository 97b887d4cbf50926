"""From a trained module to an ONNX graph that gives the same figures, proved on golden rows before anyone trusts it.

Not here: the bundle around the graph and its calibration (`release/`), nor serving it (`engines/onnx.py`).

Legend: B rows, M members, K classes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradewind.errors import ModelError
from tradewind.features.column import Layout
from tradewind.features.feature_set import FeatureSet, input_name
from tradewind.features.target import NumberTarget
from tradewind.files import write_bytes
from tradewind.model.heads import log_probabilities, values
from tradewind.model.text import TextEncoder
from tradewind.model.trunk import TradewindModel

TOLERANCE = 1e-4
VECTORS = "vectors"  # the graph's second output
_OPSET = 20
# The exporter's optimizer would take a division by 1 away, and the temperature with it. It also merges equal constants:
# a value that no model holds keeps the temperature apart from, say, the scale 2 of an adapter.
_TRACED_TEMPERATURE = 1.8437291
_NOISY_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch._dynamo")


@dataclass(frozen=True)
class ExportReport:
    """What was written and how near it is: the largest absolute difference, in probability or in units of scale."""

    path: Path
    difference: float
    rows: int
    size_bytes: int
    seconds: float
    inputs: tuple[str, ...]
    output: str


class Served(nn.Module):
    """The model as it is served: encoded arrays in, final answer out.

    Classification: softmax(log mean probability / temperature), [B, K]. Regression: the value in its own units, [B]. A
    classifier of one text column also gives the texts' vectors, [B, V]: what new classes are compared by.
    """

    temperature: Tensor

    def __init__(self, model: TradewindModel, names: tuple[str, ...], target: NumberTarget | None) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.mean = target.mean if target is not None else None
        self.scale = target.scale if target is not None else 1.0
        if target is None:
            # A buffer at the top keeps its name in the graph: `release` finds and sets it (Guo et al., 2017).
            self.register_buffer("temperature", torch.tensor(1.0))

    @property
    def text(self) -> TextEncoder | None:
        """The encoder whose vectors are given."""
        (*others, encoder) = self.model.encoders.values()
        return encoder if self.mean is None and not others and isinstance(encoder, TextEncoder) else None

    def forward(self, *arrays: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        inputs = dict(zip(self.names, arrays, strict=True))
        if self.text is not None:
            encoded_BMD, vectors_BV = self.text.with_vectors(inputs)
            logits_BMK = self.model.decide(encoded_BMD, self.text.wide_logits(inputs))
            return (log_probabilities(logits_BMK) / self.temperature).softmax(-1), vectors_BV
        logits_BMK = self.model(inputs)
        if self.mean is not None:
            return values(logits_BMK, mean=self.mean, scale=self.scale)
        return (log_probabilities(logits_BMK) / self.temperature).softmax(-1)


def predict(model: TradewindModel, features: FeatureSet, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """What torch gives for encoded arrays: probabilities [B, K], or values [B] in their own units. Evaluation mode."""
    served, names = _served(model, features)
    was_training = model.training
    device = next(iter(model.parameters())).device
    served.to(device).eval()
    with torch.no_grad():
        output = _answer(served(*(torch.from_numpy(np.array(arrays[name])).to(device) for name in names)))
    model.train(was_training)
    result: NDArray[np.float32] = output.float().cpu().numpy()
    return result


def export(
    model: TradewindModel, features: FeatureSet, folder: Path, *, golden: Mapping[str, NDArray[Any]]
) -> ExportReport:
    """Writes `model.onnx` and proves it on the golden rows (encoded arrays, at least 2) in batches of 1, 2 and all.

    Batch and lengths are dynamic. Raises ModelError when the graph is unsound or differs by more than 1e-4 (of a
    probability, or of the target's scale).
    """
    started = time.perf_counter()
    model = model.cpu()
    served, names = _served(model, features)
    was_training = model.training
    served.eval()
    example = tuple(torch.from_numpy(exemplary(np.array(golden[name]))) for name in names)
    output = "probabilities" if served.mean is None else "values"
    if served.mean is None:
        served.temperature.fill_(_TRACED_TEMPERATURE)
    with quiet():
        program = torch.onnx.export(
            served,
            example,
            dynamo=True,
            opset_version=_OPSET,
            verbose=False,
            external_data=False,
            input_names=[input_name(name) for name in names],
            output_names=[output] if served.text is None else [output, VECTORS],
            dynamic_shapes=(dynamic_shapes(names, features.layout),),
        )
        assert program is not None
        proto = program.model_proto
        if served.mean is None:
            _reset_temperature(proto)
            served.temperature.fill_(1.0)
        onnx.checker.check_model(proto, full_check=True)
        data: bytes = proto.SerializeToString(deterministic=True)
    difference = parity(served, data, names, golden)
    scale = served.scale if served.mean is not None else 1.0
    model.train(was_training)
    if not difference <= TOLERANCE * scale:
        raise ModelError(
            f"The exported graph differs from the trained model by {difference:.2g}, more than {TOLERANCE * scale:.2g}.",
            code="export_differs",
            hint="Please report it with the run's product.json: no release is made from it.",
        )
    path = folder / "model.onnx"
    write_bytes(path, data)
    return ExportReport(
        path=path,
        difference=difference / scale,
        rows=len(golden[names[0]]),
        size_bytes=len(data),
        seconds=time.perf_counter() - started,
        inputs=tuple(input_name(name) for name in names),
        output=output,
    )


def parity(served: Served, graph: bytes, names: tuple[str, ...], golden: Mapping[str, NDArray[Any]]) -> float:
    """Largest absolute difference between torch and ONNX Runtime over batches of 1, 2 and all rows."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    wanted = {item.name for item in session.get_inputs()}
    rows = len(golden[names[0]])
    largest = 0.0
    for size in sorted({1, min(2, rows), rows}):
        arrays = {name: np.array(golden[name][:size]) for name in names}
        with torch.no_grad():
            expected = served(*(torch.from_numpy(arrays[name]) for name in names))
        feed = {input_name(name): array for name, array in arrays.items() if input_name(name) in wanted}
        outputs = (expected,) if isinstance(expected, Tensor) else expected
        for found, output in zip(session.run(None, feed), outputs, strict=True):
            assert found.shape == output.shape
            difference = np.abs(found.astype(np.float64) - output.numpy())
            largest = max(largest, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return largest


def _answer(output: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _reset_temperature(proto: Any) -> None:
    (temperature,) = [tensor for tensor in proto.graph.initializer if tensor.name == "temperature"]
    users = [node.op_type for node in proto.graph.node if "temperature" in node.input]
    assert users == ["Div"], f"the temperature divides and does nothing else, not {users}"
    temperature.CopyFrom(onnx.numpy_helper.from_array(np.array(1.0, dtype=np.float32), "temperature"))


def _served(model: TradewindModel, features: FeatureSet) -> tuple[Served, tuple[str, ...]]:
    names = input_names(features.layout)
    target = features.target if isinstance(features.target, NumberTarget) else None
    return Served(model, names, target), names


def input_names(layout: Layout) -> tuple[str, ...]:
    """The readable names of a model's inputs, in the order of the graph's."""
    names = ["numbers"] if layout.numbers else []
    names += ["categories"] if layout.categories else []
    return (*names, *(tensor.name for tensor in layout.tensors))


def dynamic_shapes(names: tuple[str, ...], layout: Layout) -> tuple[dict[int, Any], ...]:
    """Axis 0 is the batch; an axis whose length the layout leaves open is dynamic too."""
    open_axes = {
        tensor.name: [axis + 1 for axis, length in enumerate(tensor.shape) if length is None]
        for tensor in layout.tensors
    }
    dynamic = torch.export.Dim.DYNAMIC
    return tuple({0: dynamic, **dict.fromkeys(open_axes.get(name, []), dynamic)} for name in names)


def exemplary(array: NDArray[Any]) -> NDArray[Any]:
    """At least 2 rows, and at least 2 places on a ragged axis: torch.export takes a 0 or 1 for a constant."""
    if len(array) < 2:
        array = np.repeat(array, 2, axis=0)
    return array


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter speaks through print, logging and warnings; none of it is for a user."""
    loggers = [logging.getLogger(name) for name in _NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
