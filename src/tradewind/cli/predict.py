"""`tradewind predict`: one row, or a file in bulk and out of core: chunk by chunk, answers appended as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from pyarrow import csv, parquet

from tradewind.cli.predict_rows import (
    CounterfactualsOption,
    DomainOption,
    HeatmapOption,
    Int8Option,
    KeyOption,
    ReasonsOption,
    ReleaseArgument,
    RowOption,
    SetsOption,
    answer_rows,
    beside_columns,
    labelled,
    parse_rows,
)
from tradewind.cli.predict_texts import translate_rows
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, JsonOption, Voice, emit
from tradewind.data.reading import raw_rows
from tradewind.data.single_texts import single_texts
from tradewind.engines.beside import Beside, Wanted
from tradewind.engines.loading import LoadedRelease, load, load_translator
from tradewind.engines.translation import TranslationEngine
from tradewind.errors import InputError, writing
from tradewind.product import Clean, Source
from tradewind.release import translation
from tradewind.release.bundle import task_of

_MEMORY_BYTES = 256 << 20
_FORMATS = (".csv", ".jsonl", ".parquet")


def command(
    release: ReleaseArgument,
    file: Annotated[str | None, typer.Argument(help="CSV, JSONL, Parquet, Excel, a folder of images or a URL.")] = None,
    row: RowOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where answers go: .csv, .jsonl or .parquet.", show_default=False),
    ] = None,
    reasons: ReasonsOption = 0,
    counterfactuals: CounterfactualsOption = 0,
    sets: SetsOption = False,
    domain: DomainOption = False,
    heatmap: HeatmapOption = False,
    header: Annotated[
        str | None, typer.Option("--header", help="Column names, by commas, of a file without them.")
    ] = None,
    key: KeyOption = None,
    int8: Int8Option = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Predict one row, or a file in bulk, from a release."""
    if (row is None) == (file is None):
        raise InputError(
            "Give either a file or --row.",
            code="predict_input",
            hint="""tradewind predict live rows.csv, or --row '{"a": 1}'.""",
        )
    folder = release_folder(release, directory)
    if task_of(folder) == translation.TASK:
        if row is not None:
            translate_rows(folder, parse_rows(row), key=key, int8=int8, as_json=as_json)
            return
        assert file is not None
        engine = load_translator(folder, public_key=key, threads=0, precision="int8" if int8 else None)
        source, target = Source(path=file, header=header.split(",") if header else None), _target(file, output)
        _told(_translated(engine, source, target), 0, target, as_json=as_json)
        return
    loaded = load(folder, public_key=key, int8=int8, threads=0 if file else 1)
    wanted = Wanted(reasons or None, counterfactuals or None, sets, domain, heatmap)
    if row is not None:
        answer_rows(loaded, row, wanted=wanted, as_json=as_json)
        return
    assert file is not None
    names = header.split(",") if header else None
    source = Source(path=file, header=names, missing=list(loaded.bundle.manifest["missing_words"]))
    target = _target(file, output)
    rows, rejected = _in_bulk(loaded, source, target, wanted)
    _told(rows, rejected, target, as_json=as_json)


def _target(file: str, output: Path | None) -> Path:
    return output or Path(f"{Path(file).name.split('.')[0]}.predictions.csv")


def _told(rows: int, rejected: int, target: Path, *, as_json: bool) -> None:
    if as_json:
        emit({"rows": rows, "rejected": rejected, "output": str(target)})
        return
    typer.echo(f"{rows:,} rows answered in {target}" + (f"; {rejected:,} could not be read" if rejected else ""))


def _translated(engine: TranslationEngine, source: Source, target: Path) -> int:
    """Translates every text of `source` into `target`; gives how many."""
    voice, answered = Voice(), 0
    texts = single_texts(source, language=engine.facts.source, base=Path(), memory=_MEMORY_BYTES)
    with _writer(target) as write:
        for some in texts:
            found = engine.translate(some.texts)
            columns: dict[str, Any] = {
                "line": some.lines,
                "text": [one.text for one in found],
                "score": [one.score for one in found],
                "cut": [one.cut for one in found],
                "missing": [sum(term.how == "missing" for term in one.terms) for one in found],
            }
            write(pa.table(columns))
            answered += len(found)
            voice.say(f"{answered:,} texts")
    return answered


def _in_bulk(loaded: LoadedRelease, source: Source, target: Path, wanted: Wanted) -> tuple[int, int]:
    """Answers every row of `source` into `target`; gives rows answered and rows that could not be read."""
    voice = Voice()
    answered = 0
    beside = Beside(loaded)
    beside.check(wanted)
    clean = Clean.model_validate(loaded.bundle.manifest["clean"])
    words = sorted(loaded.predictor.decided_by)
    reader = raw_rows(source, loaded.predictor.features, clean=clean, base=Path(), memory=_MEMORY_BYTES, words=words)
    with _writer(target) as write:
        for chunk in reader.chunks():
            predictions = loaded.predictor.predict(chunk.values)
            columns: dict[str, Any] = {"line": chunk.lines, **labelled(predictions)}
            columns |= beside_columns(beside, chunk.values, wanted)
            write(pa.table({name: pa.array(values) for name, values in columns.items()}))
            answered += predictions.rows
            voice.say(f"{answered:,} rows")
    for reject in reader.rejects[:5]:
        voice.say(f"! {reject.file}:{reject.line}: {reject.reason}")
    return answered, len(reader.rejects)


@contextmanager
def _writer(target: Path) -> Iterator[Any]:
    """A function that appends a table to `target`, which appears only when all of it is written."""
    if target.suffix not in _FORMATS:
        raise InputError(
            f"Answers cannot be written as {target.suffix or 'a file without ending'}.",
            code="output_format",
            where=str(target),
            hint=f"End the name in {', '.join(_FORMATS)}.",
        )
    partial = target.with_name(f".{target.name}.part")
    state: dict[str, Any] = {}

    def append(table: pa.Table) -> None:
        if target.suffix == ".jsonl":
            for row in table.to_pylist():
                state["file"].write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if "writer" not in state:
            make = csv.CSVWriter if target.suffix == ".csv" else parquet.ParquetWriter
            state["writer"] = make(partial, table.schema)
        state["writer"].write_table(table)

    with writing(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w", encoding="utf-8") as state["file"]:
                yield append
            if "writer" in state:
                state["writer"].close()
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
