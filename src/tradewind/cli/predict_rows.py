"""`tradewind predict` for rows given as JSON: needs neither Polars nor torch, so it works where only serving is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.engines.engine import Predictions
from tradewind.engines.explain import explain
from tradewind.engines.loading import LoadedRelease, load
from tradewind.errors import InputError
from tradewind.features.column import Values
from tradewind.release.golden import object_array

ReleaseArgument = Annotated[str, typer.Argument(help="A release folder, a version (v3) or an alias (live).")]
RowOption = Annotated[str | None, typer.Option("--row", help="One row as a JSON object, or several as a list.")]
ReasonsOption = Annotated[int, typer.Option("--reasons", help="Give so many reasons a row, by occlusion.", min=0)]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Public key of the signer (PEM).", show_default=False)]
Int8Option = Annotated[bool, typer.Option("--int8", help="Use the 8-bit graph of the release.")]


def command(
    release: ReleaseArgument,
    row: RowOption = None,
    reasons: ReasonsOption = 0,
    key: KeyOption = None,
    int8: Int8Option = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Predict rows given as JSON. (A file in bulk needs tradewind[train].)"""
    if row is None:
        raise InputError("There is no row to predict.", code="no_row", hint="""Write --row '{"column": value}'.""")
    loaded = load(release_folder(release, directory), public_key=key, int8=int8)
    answer_rows(loaded, row, reasons=reasons, as_json=as_json)


def answer_rows(loaded: LoadedRelease, text: str, *, reasons: int, as_json: bool) -> None:
    """Predicts the rows in `text` and prints them: JSON lines, or one object with --json."""
    rows = parse_rows(text)
    answers = loaded.predictor.predict_rows(rows).to_rows()
    if reasons:
        found = reasons_of(loaded, columns_of(rows, loaded.predictor.columns), most=reasons)
        for answer, why in zip(answers, found, strict=True):
            answer["reasons"] = why
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


def columns_of(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Values]:
    return {name: object_array([row.get(name) for row in rows]) for name in names}


def reasons_of(loaded: LoadedRelease, values: dict[str, Values], *, most: int) -> list[list[dict[str, Any]]]:
    """Reasons as JSON objects, strongest first: column, value, and what it adds to the answer's log-odds (or value)."""
    found = explain(loaded.predictor, values, loaded.background, most=most)
    return [
        [{"column": one.column, "value": _short(one.value), "effect": round(one.effect, 6)} for one in row]
        for row in found
    ]


def labelled(predictions: Predictions) -> dict[str, Any]:
    """Answers as columns: `label` and `p:CLASS` for classes, `value` for numbers."""
    if predictions.probabilities is None:
        return {"value": predictions.values}
    columns: dict[str, Any] = {"label": predictions.labels}
    for index, name in enumerate(predictions.classes):
        columns[f"p:{name}"] = predictions.probabilities[:, index]
    return columns


def _short(value: object) -> object:
    return value[:77] + "…" if isinstance(value, str) and len(value) > 78 else value
