"""What every figure of a language model is computed from, as it lies beside report.json: the witness.

    losses.parquet   for each scored token: `split`, `unit` (number in its split), `bytes` (of the unit's text, at its first
                     token, else 0), `model` and `baseline:NAME` in nats, float32
    samples.jsonl    prompts and what the model wrote, with the tokens of it that stand in the training text
    answers.jsonl    tasks: each question with the log-likelihood of every choice, or what was said and what was expected
    attacks.jsonl    attacks in words: what was asked, what the answer may not hold, what was said; only where some were
    written.jsonl    jobs of a writing model: what was asked, what the document says, what was said; only where there are some
    pairs.jsonl      preferences: log-likelihoods of the better and the worse answer, before training and after

Not here: any figure (`generation.py`). Legend: n scored tokens, U units.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.errors import ArtifactError, writing
from tradewind.evaluate.attacks import Attacked
from tradewind.files import write_text

LOSSES, SAMPLES, ANSWERS, PAIRS = "losses.parquet", "samples.jsonl", "answers.jsonl", "pairs.jsonl"
ATTACKS, WRITTEN = "attacks.jsonl", "written.jsonl"
MODEL = "model"
SPLITS = ("validation", "test")
_BASELINE = "baseline:"

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class SplitLosses:
    """The scored tokens of one split in order. `unit_n` rises from 0 to U - 1: documents, or blocks of a long text;
    `bytes_U` are the UTF-8 bytes of what is scored of each; `losses` are nats per token of the model and each baseline."""

    unit_n: NDArray[np.int64]
    bytes_U: Floats
    losses: Mapping[str, NDArray[np.float32]]

    @property
    def units(self) -> int:
        return len(self.bytes_U)


@dataclass(frozen=True)
class Sample:
    """One text that the model wrote after `prompt`. Of its `tokens`, `verbatim` stand inside a run of 50 characters or
    more that is in the training text word for word; the longest run has `longest` tokens and is `passage`."""

    prompt: str
    text: str
    finish: Literal["stop", "length"]
    tokens: int
    verbatim: int
    longest: int
    passage: str


@dataclass(frozen=True)
class Answer:
    """One question of a task. With choices: the log-likelihood and characters of each, and which is right. Without: what
    was said, and what was expected. `cut` says that examples or text were left out, for the prompt had no room."""

    task: str
    line: int
    expected: str
    said: str = ""
    choices: tuple[str, ...] = ()
    log_likelihoods: tuple[float, ...] = ()
    cut: bool = False


@dataclass(frozen=True)
class Pair:
    """Log-likelihoods of the better and the worse answer to one prompt, in nats, after training and before it."""

    chosen: float
    rejected: float
    base_chosen: float
    base_rejected: float


@dataclass(frozen=True)
class Written:
    """One held-out pair: what was asked, what the document says, and what the model said (nothing of a continuation, of which
    `nats` and `baseline_nats` are the losses of what really followed, of the model and of the n-gram model)."""

    job: str
    prompt: str
    reference: str
    said: str = ""
    nats: float = 0.0
    baseline_nats: float = 0.0


@dataclass(frozen=True)
class Witness:
    losses: Mapping[str, SplitLosses]
    samples: tuple[Sample, ...] = ()
    answers: tuple[Answer, ...] = ()
    pairs: tuple[Pair, ...] = ()
    attacked: tuple[Attacked, ...] = ()
    written: tuple[Written, ...] = ()

    def digest(self) -> str:
        """Of the content itself, whatever the version of the file format."""
        sha = hashlib.sha256()
        for name in sorted(self.losses):
            split = self.losses[name]
            sha.update(f"{name} {split.units} {len(split.unit_n)}".encode())
            sha.update(np.ascontiguousarray(split.unit_n, dtype="<i8").tobytes())
            sha.update(np.ascontiguousarray(split.bytes_U, dtype="<f8").tobytes())
            for predictor in sorted(split.losses):
                sha.update(predictor.encode())
                sha.update(np.ascontiguousarray(split.losses[predictor], dtype="<f4").tobytes())
        for rows in (self.samples, self.answers, self.pairs, self.attacked, self.written):
            sha.update(_lines(rows).encode())
        return "sha256:" + sha.hexdigest()


def column_of(predictor: str) -> str:
    return f"{LOSSES}#{predictor if predictor == MODEL else _BASELINE + predictor}"


def write_witness(witness: Witness, folder: Path) -> None:
    """Writes the files. Raises EnvironmentFailure when the disk refuses."""
    names = [name for name in SPLITS if name in witness.losses]
    parts = [witness.losses[name] for name in names]
    columns: dict[str, Any] = {
        "split": pa.array(
            np.repeat(names, [len(part.unit_n) for part in parts]).tolist(), pa.string()
        ).dictionary_encode(),
        "unit": np.concatenate([part.unit_n.astype(np.int32) for part in parts]),
        "bytes": np.concatenate([_at_first_tokens(part) for part in parts]),
    }
    for predictor in dict.fromkeys(name for part in parts for name in part.losses):
        column = predictor if predictor == MODEL else _BASELINE + predictor
        columns[column] = np.concatenate([part.losses[predictor].astype(np.float32) for part in parts])
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / LOSSES, compression="zstd")
    for file, rows in ((SAMPLES, witness.samples), (ANSWERS, witness.answers), (PAIRS, witness.pairs)):
        write_text(folder / file, _lines(rows))
    if witness.attacked:
        write_text(folder / ATTACKS, _lines(witness.attacked))
    if witness.written:
        write_text(folder / WRITTEN, _lines(witness.written))


def _at_first_tokens(part: SplitLosses) -> Floats:
    bytes_n = np.zeros(len(part.unit_n))
    bytes_n[np.searchsorted(part.unit_n, np.arange(part.units))] = part.bytes_U
    return bytes_n


def _lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n" for row in rows)


def read_witness(folder: Path) -> Witness:
    """Reads the files back, equal to what was written. Raises ArtifactError when one is missing or no such file."""
    try:
        table = pq.read_table(folder / LOSSES)
        split_of = np.asarray(table["split"].combine_chunks().to_pylist(), dtype=object)
        losses = {name: _part(table, np.flatnonzero(split_of == name)) for name in SPLITS if (split_of == name).any()}
        return Witness(
            losses,
            _rows(folder / SAMPLES, Sample),
            _rows(folder / ANSWERS, Answer),
            _rows(folder / PAIRS, Pair),
            _rows(folder / ATTACKS, Attacked) if (folder / ATTACKS).exists() else (),
            _rows(folder / WRITTEN, Written) if (folder / WRITTEN).exists() else (),
        )
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"The stored losses, samples or answers cannot be read ({error}).", code="witness_broken", where=str(folder),
            hint="Run `tradewind evaluate` again.",
        ) from error  # fmt: skip


def _part(table: Any, rows: NDArray[np.int64]) -> SplitLosses:
    unit_n = table["unit"].to_numpy()[rows].astype(np.int64)
    bytes_n = table["bytes"].to_numpy()[rows]
    losses = {
        name.removeprefix(_BASELINE): table[name].to_numpy()[rows].astype(np.float32)
        for name in table.column_names
        if name == MODEL or name.startswith(_BASELINE)
    }
    return SplitLosses(unit_n, np.asarray(np.bincount(unit_n, bytes_n), dtype=np.float64), losses)


Row = TypeVar("Row")


def _rows(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    found = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        content = json.loads(line)
        if set(content) != names:
            raise ValueError(f"{path.name} has a line with the fields {sorted(content)}")
        found.append(kind(**{name: tuple(one) if isinstance(one, list) else one for name, one in content.items()}))
    return tuple(found)
