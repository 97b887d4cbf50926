"""`tradewind predict` for rows given as JSON: needs neither Polars nor torch, so it works where only serving is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.cli.predict_texts import translate_rows
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.engines.beside import Beside, Wanted
from tradewind.engines.engine import Predictions
from tradewind.engines.loading import LoadedRelease, load
from tradewind.errors import InputError
from tradewind.features.column import Values
from tradewind.release import translation
from tradewind.release.bundle import task_of

ReleaseArgument = Annotated[str, typer.Argument(help="A release folder, a version (v3) or an alias (live).")]
RowOption = Annotated[str | None, typer.Option("--row", help="One row as a JSON object, or several as a list.")]
ReasonsOption = Annotated[int, typer.Option("--reasons", help="Give so many reasons a row (Shapley values).", min=0)]
CounterfactualsOption = Annotated[
    int, typer.Option("--counterfactuals", help="Give so many small changes that would turn the answer.", min=0)
]
SetsOption = Annotated[bool, typer.Option("--sets", help="Give the classes or the interval that the truth lies in.")]
DomainOption = Annotated[bool, typer.Option("--domain", help="Say whether a row is of the kind the model is for.")]
HeatmapOption = Annotated[
    bool, typer.Option("--heatmap", help="Say what in texts, pictures and recordings an answer rests on.")
]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Public key of the signer (PEM).", show_default=False)]
Int8Option = Annotated[bool, typer.Option("--int8", help="Use the 8-bit graph of the release.")]


def command(
    release: ReleaseArgument,
    row: RowOption = None,
    reasons: ReasonsOption = 0,
    counterfactuals: CounterfactualsOption = 0,
    sets: SetsOption = False,
    domain: DomainOption = False,
    heatmap: HeatmapOption = False,
    key: KeyOption = None,
    int8: Int8Option = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Predict rows given as JSON. (A file in bulk needs tradewind[train].)"""
    if row is None:
        raise InputError("There is no row to predict.", code="no_row", hint="""Write --row '{"column": value}'.""")
    folder = release_folder(release, directory)
    if task_of(folder) == translation.TASK:
        translate_rows(folder, parse_rows(row), key=key, int8=int8, as_json=as_json)
        return
    loaded = load(folder, public_key=key, int8=int8)
    wanted = Wanted(reasons or None, counterfactuals or None, sets, domain, heatmap)
    answer_rows(loaded, row, wanted=wanted, as_json=as_json)


def answer_rows(loaded: LoadedRelease, text: str, *, wanted: Wanted, as_json: bool) -> None:
    """Predicts the rows in `text` and prints them: JSON lines, or one object with --json."""
    rows = parse_rows(text)
    answers = loaded.predictor.predict_rows(rows).to_rows()
    if wanted:
        for answer, beside in zip(answers, Beside(loaded).of(rows, wanted), strict=True):
            answer.update(beside)
    if as_json:
        emit({"predictions": answers, "release": loaded.bundle.manifest["product"]})
        return
    for answer in answers:
        typer.echo(json.dumps(answer, ensure_ascii=False))


def parse_rows(text: str) -> list[dict[str, Any]]:
    """A JSON object, or a list of them. Raises InputError for anything else."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"The row is no JSON: {error.msg} at character {error.pos + 1}.", code="row_json", where="--row"
        ) from None
    rows = content if isinstance(content, list) else [content]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            "A row is a JSON object.", code="row_json", where="--row", hint="""Write --row '{"column": value}'."""
        )
    return rows


def beside_columns(beside: Beside, values: Mapping[str, Values], wanted: Wanted) -> dict[str, list[str]]:
    """What stands beside the answers to raw columns, as columns of JSON text."""
    if not wanted:
        return {}
    rows = max((len(column) for column in values.values()), default=0)
    found = beside.of([{name: values[name][at] for name in values} for at in range(rows)], wanted)
    return {name: [json.dumps(one[name], ensure_ascii=False) for one in found] for name in (found[0] if found else ())}


def labelled(predictions: Predictions) -> dict[str, Any]:
    """Answers as columns: `label` and `p:CLASS` for classes, `value` for numbers."""
    if predictions.probabilities is None:
        return {"value": predictions.values}
    columns: dict[str, Any] = {"label": predictions.labels}
    for index, name in enumerate(predictions.classes):
        columns[f"p:{name}"] = predictions.probabilities[:, index]
    return columns
