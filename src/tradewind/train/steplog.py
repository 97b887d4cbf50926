"""The log of a run: JSONL that a resume cuts back to its checkpoint, and sinks for TensorBoard and MLflow.

Not here: progress on the terminal (`cli/`), which reads the same records.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from tradewind.errors import EnvironmentFailure, writing


class Sink(Protocol):
    def write(self, step: int, figures: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class StepLog:
    """Appends one record a line to `path`; `offset` bytes of an earlier attempt are kept, the rest is cut off."""

    def __init__(self, path: Path, *, offset: int = 0, sinks: Sequence[Sink] = ()) -> None:
        self._sinks = list(sinks)
        with writing(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
            self._file.truncate(offset)
            self._file.seek(0, 2)

    def write(self, record: Mapping[str, Any]) -> None:
        """`record` has a `step`; its other numbers go to the sinks too. Raises EnvironmentFailure on a full disk."""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        with writing(self._file.name):
            self._file.write(line.encode())
            self._file.flush()
        if self._sinks:
            figures = {key: float(value) for key, value in record.items() if isinstance(value, int | float)}
            for sink in self._sinks:
                sink.write(int(record["step"]), figures)

    @property
    def offset(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        for sink in self._sinks:
            sink.close()


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        self._writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            if name != "step":
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    """Writes to the tracking server that MLFLOW_TRACKING_URI names, else to a database in a folder of the run."""

    def __init__(self, folder: Path, *, name: str) -> None:
        mlflow = import_module("mlflow")
        if "MLFLOW_TRACKING_URI" not in os.environ:
            # MLflow 3 refuses a folder of files; its own database beside the run's steps asks for no server.
            folder.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
            if mlflow.get_experiment_by_name(name) is None:
                mlflow.create_experiment(name, artifact_location=folder.resolve().as_uri())
        mlflow.set_experiment(name)
        self._mlflow: Any = mlflow
        self._run: Any = mlflow.start_run()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        # MLflow allows letters, digits and _ - . / in names: ndcg@10 becomes ndcg_at_10.
        named = {key.replace("@", "_at_"): value for key, value in figures.items() if key != "step"}
        self._mlflow.log_metrics(named, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


def open_sinks(names: Sequence[str], folder: Path, *, product: str) -> list[Sink]:
    """Raises EnvironmentFailure when a sink's package is not installed."""
    sinks: list[Sink] = []
    for name in names:
        try:
            if name == "tensorboard":
                sinks.append(_TensorBoard(folder / name))
            else:
                sinks.append(_MLflow(folder / name, name=product))
        except ModuleNotFoundError as error:
            raise EnvironmentFailure(
                f"The sink {name} needs the package {error.name}, which is not installed.",
                code="package_missing",
                where="train.sinks",
                hint=f"Install it with: pip install {name}.",
            ) from error
    return sinks
