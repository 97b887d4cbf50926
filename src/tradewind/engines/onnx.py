"""Predictions by ONNX Runtime: columns are encoded in NumPy, the rest is the graph. Not the bundle (`loading.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tradewind.engines.engine import Decision, Predictions, Usage
from tradewind.errors import ArtifactError, DataError
from tradewind.features.column import Values
from tradewind.features.feature_set import FeatureSet, input_name

# Rows in one call of the graph: enough to fill the processor, few enough to stay in its cache.
_BATCH_ROWS = 1024
_BATCH_ROWS_TENSORS = 64
_VECTORS = "vectors"  # a second output of graphs over one text column


class OnnxPredictor:
    """A fitted feature set in front of an ONNX graph whose output is `probabilities` [B, K] or `values` [B].

    `threads` is the number of threads inside one call; 0 lets the runtime use all cores.
    Raises ArtifactError when the graph cannot be loaded or asks for an input that the features do not make.
    """

    def __init__(self, graph: Path | bytes, features: FeatureSet, decision: Decision, *, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        source = str(graph) if isinstance(graph, Path) else graph
        try:
            self._session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            where = str(graph) if isinstance(graph, Path) else "model.onnx"
            first = str(error).splitlines()[0]
            raise ArtifactError(f"The graph cannot be loaded: {first}", code="graph_broken", where=where) from error
        self._features = features
        self._decision = decision
        layout = features.layout
        names = [tensor.name for tensor in layout.tensors]
        names += ["numbers"] if layout.numbers else []
        names += ["categories"] if layout.categories else []
        known = {input_name(name): name for name in names}
        wanted = [item.name for item in self._session.get_inputs()]
        if unknown := sorted(set(wanted) - set(known)):
            raise ArtifactError(f"The graph asks for {', '.join(unknown)}, which no column makes.", code="graph_inputs")
        self._decided_by = frozenset(decision.shifts) - {column.name for column in features.columns}
        self._inputs = [(name, known[name]) for name in wanted]
        self._outputs = [item.name for item in self._session.get_outputs()][:1]
        self._has_vectors = _VECTORS in [item.name for item in self._session.get_outputs()]
        self._batch_rows = _BATCH_ROWS_TENSORS if layout.tensors else _BATCH_ROWS

    @property
    def decision(self) -> Decision:
        return self._decision

    @property
    def features(self) -> FeatureSet:
        return self._features

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self._features.columns)

    @property
    def has_vectors(self) -> bool:
        """Whether `with_vectors` can be asked: a classifier of one text column."""
        return self._has_vectors

    @property
    def decided_by(self) -> frozenset[str]:
        """Columns that only the decision reads."""
        return self._decided_by

    def predict(self, values: Mapping[str, Values]) -> Predictions:
        """See `Predictor.predict`. Runs in batches, so memory stays bounded beyond the rows themselves."""
        rows = max((len(column) for column in values.values()), default=0)
        given = {name: values[name] if name in values else _missing(rows) for name in self.columns}
        parts = []
        for start in range(0, rows, self._batch_rows):
            part = {name: column[start : start + self._batch_rows] for name, column in given.items()}
            parts.append(self._run(self._features.encode(part)))
        output = np.concatenate(parts) if parts else self._run_empty()
        return self._answer(output, rows, self._decision.cuts(values, rows=rows))

    def predict_rows(self, rows: Sequence[Mapping[str, object]]) -> Predictions:
        """See `Predictor.predict_rows`. One row takes the short way through the columns."""
        cuts, rows = self._decision.cuts_of_rows(rows), self.inputs_of(rows)
        for index, row in enumerate(rows):
            try:
                self._features.check_row(row)
            except DataError as error:
                error.where = error.where or f"row {index + 1}"
                raise
        parts = [
            self._run(self._features.encode_rows(rows[start : start + self._batch_rows]))
            for start in range(0, len(rows), self._batch_rows)
        ]
        return self._answer(np.concatenate(parts) if parts else self._run_empty(), len(rows), cuts)

    def inputs_of(self, rows: Sequence[Mapping[str, object]]) -> Sequence[Mapping[str, object]]:
        """The rows without the columns that only the decision reads; the very same rows where there are none."""
        if not self._decided_by:
            return rows
        return [
            {name: value for name, value in row.items() if name not in self._decided_by} if isinstance(row, Mapping) else row
            for row in rows
        ]  # fmt: skip

    def row_schema(self) -> dict[str, Any]:
        """JSON Schema of one input row; columns that only the decision reads are marked so."""
        schema = self._features.row_schema()
        for name in sorted(self._decided_by):
            schema["properties"][name] = {
                "type": ["string", "number", "boolean", "null"],
                "description": "Not read by the model: chooses the threshold of the row's group",
                "examples": list(self._decision.shifts[name]),
                "x-decision-only": True,
            }
        return schema

    def run_encoded(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The graph alone over encoded arrays: [B, K] probabilities or [B] values."""
        return self._run(arrays)

    def with_vectors(self, rows: Sequence[Mapping[str, object]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities [B, K] and the texts' vectors [B, V], each of length 1, of checked rows."""
        assert self._has_vectors
        parts = [
            self._run_both(self._features.encode_rows(rows[start : start + self._batch_rows]))
            for start in range(0, len(rows), self._batch_rows)
        ]
        return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])

    def vectors(self, values: Mapping[str, Values]) -> NDArray[np.float32]:
        """The texts' vectors [B, V] of raw columns."""
        rows = max(len(column) for column in values.values())
        given = {name: values[name] if name in values else _missing(rows) for name in self.columns}
        parts = []
        for start in range(0, rows, self._batch_rows):
            part = {name: column[start : start + self._batch_rows] for name, column in given.items()}
            parts.append(self._run_both(self._features.encode(part))[1])
        return np.concatenate(parts)

    def _run_both(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        fed = {key: arrays[name] for key, name in self._inputs}
        answer, vectors = self._session.run([*self._outputs, _VECTORS], fed)
        return answer, vectors

    def _run(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        output: NDArray[Any] = self._session.run(self._outputs, {key: arrays[name] for key, name in self._inputs})[0]
        return output

    def _run_empty(self) -> NDArray[Any]:
        return np.zeros((0, len(self._decision.classes)) if self._decision.classes else (0,), dtype=np.float32)

    def _answer(self, output: NDArray[Any], rows: int, cut_B: NDArray[np.float32] | None = None) -> Predictions:
        usage = Usage(rows=rows)
        if self._decision.task == "regression":
            return Predictions(rows, values=output.astype(np.float64), usage=usage)
        classes = self._decision.classes
        return Predictions(
            rows, classes=classes, probabilities=output, labels=self._decision.labels(output, cut_B), usage=usage
        )


def _missing(rows: int) -> Values:
    return np.full(rows, None, dtype=object)
