"""Changes to an exported graph before it is measured: the fitted temperature, and 8-bit weights. Needs `onnx`, not torch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from tradewind.errors import ArtifactError

TEMPERATURE = "temperature"


def calibrated_graph(graph: bytes, temperature: float) -> bytes:
    """The same graph with its `temperature` set. Raises ArtifactError when the graph has none."""
    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.name == TEMPERATURE:
            shape = tuple(tensor.dims)
            tensor.CopyFrom(numpy_helper.from_array(np.full(shape, temperature, dtype=np.float32), TEMPERATURE))
            data: bytes = model.SerializeToString(deterministic=True)
            return data
    raise ArtifactError("The graph has no temperature to set.", code="no_temperature")


def int8_graph(graph: bytes) -> bytes:
    """Weights of matrix products as 8-bit integers, activations quantised as they come (dynamic quantisation)."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        before.write_bytes(graph)
        quantize_dynamic(before, after, weight_type=QuantType.QInt8, per_channel=True)
        return after.read_bytes()
