"""The first pass: reads every source once, cleans each chunk, refuses rows, hashes them and keeps the typed chunk.

Not here: what is decided from it (`splits.py`, `checks.py`, `dataset.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.ahead import ahead
from tradewind.data.clean import Cleaner, Refusal
from tradewind.data.dicom import BURNED_IN, burned_in, warn_of_burned_in
from tradewind.data.inference import Inferred
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.plan import Plan
from tradewind.data.rows import SPLITS, Rows, RowsBuilder, hash_column, hash_frame
from tradewind.data.sources import Chunk, OpenSource
from tradewind.data.sources.location import DICOM
from tradewind.data.spill import Spill
from tradewind.data.subjects import Named, Subjects
from tradewind.errors import DataError
from tradewind.features import recording
from tradewind.features.date import parse_date
from tradewind.features.picture import MIDDLE, checked

Progress = Callable[[str, float], None]

HEAD_ROWS = 50_000
_GATHERED_BYTES = 8 << 20
_FILE_ROWS: Mapping[str, int] = {"image": 256, "audio": 64}  # files held at once
_SHOWN = 200  # characters of a rejected row that are kept


@dataclass(frozen=True)
class Input:
    """One source and the split its rows belong to (TRAIN for the main one, which is split further)."""

    side: int
    source: OpenSource
    uri: str


def head(source: OpenSource) -> pl.DataFrame:
    """The first rows of a source, for inference; read once and kept. Raises DataError when it has none."""
    if source.head is not None:
        return source.head
    frames: list[pl.DataFrame] = []
    rows = 0
    for chunk in source.chunks():
        frames.append(chunk.frame)
        rows += len(chunk.frame)
        if rows >= HEAD_ROWS:
            break
    if rows == 0:
        raise DataError("The source has no rows.", code="empty", where="data.source", hint="Give a file with rows.")
    source.head = pl.concat(frames, how="vertical_relaxed").head(HEAD_ROWS)
    return source.head


def survey(
    inputs: Sequence[Input], cleaner: Cleaner, spill: Spill, ledger: Ledger, *, progress: Progress,
    subjects: Subjects | None = None,
) -> Rows:  # fmt: skip
    """Fills `spill` with the typed chunks of all inputs, in order, and returns what is known of each row."""
    builder = RowsBuilder()
    for part, item in enumerate(inputs):
        _check_columns(item, cleaner, subjects)
        total = float(item.source.provenance().get("bytes") or 0)
        done = 0
        for chunk in ahead(_gathered(item.source.chunks())):
            for piece in _parts(chunk, cleaner):
                named = None
                if subjects is not None:
                    piece, named = subjects.admitted(piece, ledger)
                if len(piece.frame):
                    _chunk(item, piece, cleaner, spill, ledger, builder, named)
            done += int(chunk.frame.estimated_size())
            progress("read", (part + min(done / total, 1.0) if total else part) / len(inputs))
        for reject in item.source.rejects:
            ledger.reject(RejectedRow(reject.file, int(reject.line), reject.code, reject.reason, reject.text))
    warn_of_burned_in(ledger)
    if not builder.parts:
        raise DataError("Every row was rejected." if ledger.rejected else "The source has no rows.", code="empty",
                        where="data.source", hint=_why_empty(ledger))  # fmt: skip
    return builder.build()


def _gathered(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Small chunks of one file joined, so that work per chunk does not outweigh work per row."""
    waiting: list[Chunk] = []
    held = 0
    for chunk in chunks:
        if waiting and (chunk.file != waiting[0].file or held >= _GATHERED_BYTES):
            yield _joined(waiting)
            waiting, held = [], 0
        waiting.append(chunk)
        held += int(chunk.frame.estimated_size())
    if waiting:
        yield _joined(waiting)


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    frame = pl.concat([chunk.frame for chunk in chunks], how="vertical_relaxed", rechunk=True)
    return Chunk(frame, np.concatenate([chunk.lines for chunk in chunks]), chunks[0].file)


def _parts(chunk: Chunk, cleaner: Cleaner) -> Iterator[Chunk]:
    """The chunk, or parts of it where its pictures or recordings have to be held."""
    readings = map(cleaner.plan.reading, cleaner.plan.inputs)
    size = min([_FILE_ROWS[kind] for kind in readings if kind in _FILE_ROWS], default=max(len(chunk.frame), 1))
    for at in range(0, len(chunk.frame), size):
        yield Chunk(chunk.frame.slice(at, size), chunk.lines[at : at + size], chunk.file)


def _check_columns(item: Input, cleaner: Cleaner, subjects: Subjects | None) -> None:
    names = set(item.source.names)
    needed = [*cleaner.plan.needed, *(subjects.columns if subjects is not None else ())]
    missing = [name for name in needed if name not in names and name != cleaner.plan.given]
    if missing:
        raise DataError(
            f"{item.uri} has no column {', '.join(missing)}. Columns: {', '.join(item.source.names)}.",
            code="column_missing", where=f"data.split.{SPLITS[item.side]}",
            hint="A file of its own needs the columns of data.source.",
        )  # fmt: skip


def _chunk(
    item: Input, chunk: Chunk, cleaner: Cleaner, spill: Spill, ledger: Ledger, builder: RowsBuilder,
    named: Named | None,
) -> None:  # fmt: skip
    plan = cleaner.plan
    frame = chunk.frame
    if plan.given and plan.given not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(plan.given))
    typed, refusals = cleaner.clean(frame)
    typed, moments = _moments(typed, cleaner)
    refusals = [*_no_target(typed, cleaner), *refusals, *_no_time(moments, cleaner), *_no_weight(typed, cleaner)]
    for name in plan.inputs:
        if plan.reading(name) in _FILE_ROWS:
            typed, refused, burned = _files(name, typed, item.source, plan)
            refusals += refused
            ledger.count(BURNED_IN, name, burned, action="none")
    keep = np.ones(len(typed), dtype=np.bool_)
    for refusal in refusals:
        for row in np.flatnonzero(refusal.rows & keep).tolist():
            shown = _shown(chunk.frame.row(row, named=True), cleaner, named, row)
            ledger.reject(RejectedRow(chunk.file, int(chunk.lines[row]), refusal.code, refusal.reason, shown))
        keep &= ~refusal.rows
    if not keep.any():
        return
    lines = chunk.lines
    if not keep.all():
        typed, lines = typed.filter(pl.Series(keep)), lines[keep]
        moments = None if moments is None else moments[keep]
        named = None if named is None else named.of(keep)
    inputs = hash_frame(
        typed, [*plan.inputs, *(n for n in plan.sensitive if n not in plan.inputs)], plan, cleaner.dictionaries
    )
    target = typed[plan.target].to_numpy()
    hashed = hash_column(plan.target, typed[plan.target], plan, cleaner.dictionaries)
    arrays: dict[str, NDArray[np.generic]] = {
        "origin": np.full(len(typed), item.side, dtype=np.int8),
        "line": np.asarray(lines, dtype=np.int64),
        "inputs": inputs,
        "copy": (inputs ^ hashed) * np.uint64(0xC4CEB9FE1A85EC53),
        "target": target.astype(np.int64) if target.dtype != np.float64 else target.copy(),
    }
    if plan.group:
        codes = typed[plan.group]
        numbers = hash_column(plan.group, codes, plan, cleaner.dictionaries)
        absent = (
            codes.is_null().to_numpy() | (codes == 0).fill_null(True).to_numpy()
            if codes.dtype == pl.UInt32
            else (codes.is_null() | codes.is_nan() if codes.dtype == pl.Float64 else codes.is_null()).to_numpy()
        )
        arrays["group"] = np.where(absent, np.uint64(0), numbers)
    if moments is not None:
        arrays["time"] = moments
    if named is not None:
        arrays["subject"] = named.digests
    if plan.given:
        arrays["given"] = typed[plan.given].to_numpy().astype(np.int64)
    builder.add(file=chunk.file, **arrays)
    spill.add(typed.select(plan.kept))


def _shown(row: dict[str, Any], cleaner: Cleaner, named: Named | None, place: int) -> str:
    """The beginning of a rejected row; a picture by the name of its file, wherever it lies, a subject by its hash."""
    plan = cleaner.plan
    cells: list[str] = []
    for name, value in row.items():
        if named is not None and name == named.column:
            cells.insert(0, named.shown(place))  # first, so that it is never cut off: an erasure finds the row by it
            continue
        file = name in plan.inputs and plan.reading(name) in _FILE_ROWS
        cells.append("" if value is None else _file_shown(value) if file else str(value)[:_SHOWN])
    return ", ".join(cells)[:_SHOWN]


def _file_shown(value: str | bytes) -> str:
    """The name of a picture's file; of DICOM its suffix alone: scanners and archives name files after people."""
    if isinstance(value, bytes):
        return "(bytes)"
    path = Path(value)
    return f"*{path.suffix}" if path.suffix.lower() in DICOM else path.name


def _no_target(typed: pl.DataFrame, cleaner: Cleaner) -> Iterator[Refusal]:
    target = typed[cleaner.plan.target]
    absent = (target == 0).to_numpy() if target.dtype == pl.UInt32 else ~np.isfinite(target.to_numpy())
    if absent.any():
        yield Refusal(absent, "target_missing", f"The target {cleaner.plan.target} is missing or no number."
                      if target.dtype != pl.UInt32 else f"The target {cleaner.plan.target} is missing.")  # fmt: skip


def _no_weight(typed: pl.DataFrame, cleaner: Cleaner) -> Iterator[Refusal]:
    if cleaner.plan.weight:
        weight = typed[cleaner.plan.weight].to_numpy()
        wrong = ~(np.isfinite(weight) & (weight >= 0))
        if wrong.any():
            yield Refusal(wrong, "weight_invalid", f"The weight {cleaner.plan.weight} is missing or negative.")


def _no_time(moments: NDArray[np.float64] | None, cleaner: Cleaner) -> Iterator[Refusal]:
    if moments is not None:
        absent = ~np.isfinite(moments)
        if absent.any():
            yield Refusal(absent, "time_missing", f"{cleaner.plan.time} is no moment, and the split goes by time.")


def _moments(typed: pl.DataFrame, cleaner: Cleaner) -> tuple[pl.DataFrame, NDArray[np.float64] | None]:
    """Seconds since 1970 (or the number itself) of the column that a split by time goes by."""
    name = cleaner.plan.time
    if name is None:
        return typed, None
    series = typed[name]
    if series.dtype == pl.Float64:
        return typed, series.to_numpy().copy()
    if series.dtype == pl.UInt32:
        words = cleaner.dictionaries[name].values()
        table = np.array([np.nan if word is None else parse_date(word) for word in words])
        return typed, table[series.to_numpy()]
    distinct = series.drop_nulls().unique()
    parsed = pl.Series([parse_date(text) for text in distinct.to_list()], dtype=pl.Float64)
    seconds = series.replace_strict(distinct, parsed, default=None, return_dtype=pl.Float64)
    return typed, np.array(seconds.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _files(name: str, typed: pl.DataFrame, source: OpenSource, plan: Plan) -> tuple[pl.DataFrame, list[Refusal], int]:
    """Reads the files, so that the dataset holds the bytes; refuses rows whose picture or recording is missing or broken; how
    many of the others have text burned in."""
    values = typed[name].to_list()
    with ThreadPoolExecutor(2) as pool:
        loaded = list(pool.map(lambda value: _file(value, source, name, plan), values))
    wrong: dict[tuple[str, str], list[int]] = {}
    for row, one in enumerate(loaded):
        if one.fault:
            wrong.setdefault((one.code, one.fault), []).append(row)
    refusals = []
    for (code, fault), places in wrong.items():
        mask = np.zeros(len(values), dtype=np.bool_)
        mask[places] = True
        refusals.append(Refusal(mask, code, f"{name}: {fault}"))
    series = pl.Series(name, [one.content for one in loaded], dtype=pl.Binary)
    return typed.with_columns(series), refusals, sum(one.burned_in for one in loaded)


@dataclass(frozen=True)
class _Loaded:
    """The bytes that are kept of one file, or why there are none."""

    content: bytes | None = None
    code: str = ""
    fault: str = ""
    burned_in: bool = False


def _file(value: str | bytes | None, source: OpenSource, name: str, plan: Plan) -> _Loaded:
    kind = plan.reading(name)
    if value is None:
        return _Loaded(code=f"{kind}_unreadable", fault=f"no {kind} is named.")
    try:
        content = value if isinstance(value, bytes) else Path(source.locate(value)).read_bytes()
    except OSError as error:
        return _Loaded(code=f"{kind}_unreadable", fault=f"the file cannot be read ({error.strerror}).")
    try:
        if kind == "image":
            return _Loaded(checked(content, frame=plan.frames.get(name, MIDDLE)), burned_in=burned_in(content))
        _check_recording(content, plan.inferred[name])
        return _Loaded(content)
    except DataError as error:
        return _Loaded(code=error.code.removeprefix(f"{error.family}."), fault=error.message)


def _check_recording(content: bytes, column: Inferred) -> None:
    longest_s = recording.LONGEST_S if column.maximum is None else column.maximum
    recording.decode(content, shortest_s=column.minimum or 0.0, longest_s=longest_s)


def _why_empty(ledger: Ledger) -> str:
    if not ledger.rejected:
        return "Give a file with rows."
    first = ledger.rejected[0]
    return f"{len(ledger.rejected)} rows were rejected; the first ({first.file}:{first.line}): {first.reason}"
