"""One release, ready to answer: rows are checked, answered in batches, explained. Not which release is live (`serving.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tradewind.engines.batcher import Batcher, measure
from tradewind.engines.beside import Beside
from tradewind.engines.engine import Decision
from tradewind.engines.loading import LoadedRelease, load
from tradewind.engines.onnx import OnnxPredictor
from tradewind.engines.prototypes import Intents
from tradewind.engines.retrieval import Knowledge
from tradewind.errors import ArtifactError, DataError
from tradewind.features.actions import Actions
from tradewind.features.column import FileColumn
from tradewind.features.feature_set import FeatureSet
from tradewind.features.windows import Windows
from tradewind.files import read_json
from tradewind.release.registry import Version
from tradewind.release.transparency.evidence import STATED
from tradewind.server.answer_texts import AnswerTexts
from tradewind.server.drift_watch import Bounds, DriftWatch
from tradewind.server.wire import Row

# One row's answer: its label with the probabilities in the order of the classes, or a number.
Labelled: TypeAlias = tuple[str, list[float]]
Answer: TypeAlias = Labelled | float

_BATCH_ROWS = 1024
_BATCH_ROWS_TENSORS = 64


@dataclass(frozen=True)
class Served:
    """A loaded release and what it says beside its answers. `abstain_below`: less confident rows get no answer. `purpose`:
    what it is for and what not (`intended_use`, `excluded_use`), as the release itself states it.

    `answer` predicts checked rows where it is called; `batcher` does it with the rows of others.
    """

    product: str
    version: int
    digest: str
    created_s: int
    predictor: OnnxPredictor
    beside: Beside
    row_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    purpose: Mapping[str, str]
    abstain_below: float | None
    texts: AnswerTexts | None  # said beside the answers
    answer: Callable[[Sequence[Row]], list[Answer]]
    batcher: Batcher[Row, Answer]
    receivers: Mapping[str, Callable[[Any], bytes]]  # of columns that hold files: what was sent to its bytes
    seconds_a_row: float
    drift: DriftWatch
    windows: Windows | None = None  # what a transaction is told of its entities' past
    actions: Actions | None = None  # how answers become actions
    knowledge: Knowledge | None = None  # what it brings along to be searched
    intents: Intents | None = None  # where it can be told new ones, or what belongs to none

    @property
    def release(self) -> str:
        return f"v{self.version}"

    @property
    def decision(self) -> Decision:
        return self.predictor.decision

    @property
    def classes(self) -> tuple[str, ...]:
        return self.predictor.decision.classes

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of the columns that the model or its decision reads."""
        return frozenset([*self.predictor.columns, *self.predictor.decided_by])

    @cached_property
    def knows(self) -> frozenset[str]:
        """Names of the columns that a decision rests on: also those of windows and of costs."""
        cost = self.actions.false_negative if self.actions is not None else None
        further = [
            *(self.windows.columns if self.windows is not None else ()),
            *([cost] if isinstance(cost, str) else []),
        ]
        return self.reads | frozenset(further)

    @property
    def features(self) -> FeatureSet:
        return self.predictor.features

    def check(self, rows: Sequence[Row]) -> None:
        """Raises DataError (column_unknown, value_type, row_empty) whose `where` is the column."""
        check_row = self.predictor.features.check_row
        number = 0
        try:
            for row in self.predictor.inputs_of(rows):
                number += 1
                check_row(row)
        except DataError as error:
            if len(rows) > 1:
                error.message = f"Row {number}: {error.message}"
            raise

    def prepare(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Checked rows, with the bytes of files. For a thread where rows are many or hold pictures or recordings."""
        self.check(rows)
        return self.receive(rows) if self.receivers else rows

    def receive(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with bytes where a picture or a recording was base64. For a thread: every file is opened.

        Of DICOM come the pixels alone. Raises DataError for one that cannot be read, which the features alone would take for a missing one.
        """
        decoded = []
        for number, row in enumerate(rows, 1):
            copy = dict(row)
            for name, received in self.receivers.items():
                value = copy.get(name)
                if value is None:
                    continue
                try:
                    copy[name] = received(value)
                except DataError as error:
                    message = f"Row {number}: {error.message}" if len(rows) > 1 else error.message
                    code = error.code.removeprefix(f"{error.family}.")
                    raise DataError(message, code=code, where=name, hint=error.hint) from None
            decoded.append(copy)
        return decoded


def open_release(
    folder: Path,
    version: Version,
    *,
    executor: Executor,
    public_key: Path | None = None,
    threads: int = 1,
    abstain_below: float | None = None,
    texts: AnswerTexts | None = None,
    outside: str | None = None,
    accept: float = 0.95,
    drift: Bounds | None = None,
) -> Served:
    """Loads and checks a release, and measures it once on a golden row. Takes as long as the release is large.

    Raises ArtifactError, VerificationFailed (see `engines.loading.load`).
    """
    loaded = load(folder, public_key=public_key, threads=threads)
    predict = _Answering(loaded.predictor)
    seconds_a_row = measure(predict, _first_row(loaded))
    schema = read_json(folder / "schema.json")
    return Served(
        product=loaded.bundle.manifest["product"],
        version=version.version,
        digest=version.digest,
        created_s=int(datetime.fromisoformat(version.created).timestamp()),
        predictor=loaded.predictor,
        beside=Beside(loaded),
        row_schema=loaded.predictor.row_schema(),
        output_schema=schema["output"],
        purpose=_purpose(folder),
        abstain_below=abstain_below,
        texts=texts,
        answer=predict,
        batcher=Batcher(predict, seconds_a_row=seconds_a_row, executor=executor),
        receivers={
            column.name: column.received
            for column in loaded.predictor.features.columns
            if isinstance(column, FileColumn)
        },
        seconds_a_row=seconds_a_row,
        drift=DriftWatch(loaded.score_reference, drift),
        windows=loaded.windows,
        actions=loaded.actions,
        intents=_intents(loaded, outside, accept),
    )


def _purpose(folder: Path) -> dict[str, str]:
    """What people stated of the release, signed with it; nothing of a release from before there were such statements."""
    path = folder / STATED
    stated = read_json(path)["release"] if path.is_file() else {}
    return {name: stated[name] for name in ("intended_use", "excluded_use") if stated.get(name)}


def _intents(loaded: LoadedRelease, outside: str | None, accept: float) -> Intents | None:
    """Raises ArtifactError where texts of no class are to be told apart and the release cannot."""
    state = loaded.trust.get("intents")
    if state is None or not loaded.predictor.has_vectors:
        if outside is not None:
            raise ArtifactError(
                "The release cannot tell what belongs to no class.", code="scope_missing", where="serve.out_of_scope",
                hint="It takes one text column, four classes, and intents in evaluate.examine; make the release again.",
            )  # fmt: skip
        return None
    return Intents(loaded.predictor, state, outside=outside, accept=accept)


class _Answering:
    """Encoded and run without a second check of the rows: the server has checked them."""

    def __init__(self, predictor: OnnxPredictor) -> None:
        self._predictor = predictor
        self._decision = predictor.decision
        self._rows = _BATCH_ROWS_TENSORS if predictor.features.layout.tensors else _BATCH_ROWS
        self._regression = predictor.decision.task == "regression"

    def __call__(self, rows: Sequence[Row]) -> list[Answer]:
        if len(rows) <= self._rows:
            return self._part(rows)
        found: list[Answer] = []
        for start in range(0, len(rows), self._rows):
            found += self._part(rows[start : start + self._rows])
        return found

    def _part(self, rows: Sequence[Row]) -> list[Answer]:
        output = self._predictor.run_encoded(self._predictor.features.encode_rows(rows))
        if self._regression:
            return [float(value) for value in output.astype(np.float64).tolist()]
        labels = self._decision.labels(output, self._decision.cuts_of_rows(rows))
        return list(zip(labels.tolist(), output.tolist(), strict=True))


def _first_row(loaded: LoadedRelease) -> Row:
    return {name: column[0] for name, column in loaded.background.items() if len(column)}
