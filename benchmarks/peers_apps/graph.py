"""The model that every peer serves: the graph in $GRAPH over the columns in $COLUMNS, on one thread."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

COLUMNS = os.environ["COLUMNS"].split(",")
_options = ort.SessionOptions()
_options.intra_op_num_threads = _options.inter_op_num_threads = 1
_session = ort.InferenceSession(os.environ["GRAPH"], _options, providers=["CPUExecutionProvider"])
(_input,) = [item.name for item in _session.get_inputs()]


def answers(rows_BF: np.ndarray) -> np.ndarray:
    found: np.ndarray = _session.run(None, {_input: rows_BF.astype(np.float32)})[0]
    return found


def answer(row: Mapping[str, float]) -> list[float]:
    found: list[float] = answers(np.array([[row[name] for name in COLUMNS]]))[0].tolist()
    return found
