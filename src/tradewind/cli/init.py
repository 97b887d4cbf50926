"""`tradewind init`: a folder with a product file for a team's own data, commented where a choice is likely."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from tradewind.cli.scenario import README, begin, known
from tradewind.cli.session import JsonOption, emit
from tradewind.data.sources import open_source
from tradewind.errors import DataError, InputError, nearest
from tradewind.files import write_text
from tradewind.product import Source
from tradewind.product_file import FILE_NAME, load

_MEMORY_BYTES = 64 << 20

_TEMPLATE = """\
# What is built from which data. Every setting: tradewind check --resolved
product: {product}
task: {task}            # classification, or regression for a number
data:
  source: {source}
  target: {target}      # the column to predict
  # only: [...]         # the columns to use; all by default
  # sensitive: [...]    # kept for fairness, never a model input
  # split: {{test: 0.2, by: random}}   # or time:COLUMN, group:COLUMN, or a file of its own
evaluate:
  gates:
    beats_baseline: true   # no release unless it beats the simple models
"""


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of the new product.")],
    source: Annotated[str | None, typer.Option("--source", help="Your data: a file, a folder or a URL.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="The column to predict.")] = None,
    task: Annotated[str, typer.Option("--task", help="classification or regression")] = "classification",
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Begin with a scenario and its sample data.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of a scenario's sample data.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Begin a product: write a product file for your data, or a scenario with sample data."""
    if scenario is not None:
        if source is not None or target is not None:
            raise InputError(
                "A scenario brings its own data.", code="scenario_source", where="--scenario",
                hint="Leave out --source and --target; its README says how to put your data in.",
            )  # fmt: skip
        _from_scenario(folder, scenario, seed=seed, as_json=as_json)
        return
    if source is None or target is None:
        raise InputError(
            f"{'--source' if source is None else '--target'} is missing.", code="option_missing",
            where="--source" if source is None else "--target",
            hint=f"Name your data and the column to predict, or a scenario: {', '.join(known())}.",
        )  # fmt: skip
    _from_data(folder, source, target, task=task, as_json=as_json)


def _from_scenario(folder: Path, scenario: str, *, seed: int, as_json: bool) -> None:
    begun = begin(folder, scenario, seed=seed)
    load(folder / FILE_NAME)
    if as_json:
        emit({"scenario": scenario, "product_file": str(begun.files[0]), "files": [str(path) for path in begun.files]})
    else:
        typer.echo(
            f"Wrote {len(begun.files)} files of the scenario {scenario}; {folder / README} explains them. "
            f"Next: tradewind run -C {folder}"
        )


def _from_data(folder: Path, source: str, target: str, *, task: str, as_json: bool) -> None:
    file = folder / FILE_NAME
    if file.exists():
        raise InputError("There is a product file already.", code="exists", where=str(file))
    names = open_source(Source(path=source), base=Path(), memory=_MEMORY_BYTES).names
    if target not in names:
        raise DataError(
            f"{target}: no such column. Columns: {', '.join(names)}.",
            code="target_missing",
            where=source,
            hint=nearest(target, names) or None,
        )
    path = source if "://" in source else os.path.relpath(source, folder)
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    product = name if re.fullmatch(r"[a-z][a-z0-9-]{1,62}", name) else "my-product"
    text = _TEMPLATE.format(product=product, task=task, source=_quoted(path), target=_quoted(target))
    write_text(file, text)
    try:
        load(file)
    except InputError:
        file.unlink()
        raise
    if as_json:
        emit({"product_file": str(file), "columns": list(names)})
    else:
        typer.echo(f"Wrote {file} for {len(names)} columns. Next: tradewind run -C {folder}")


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_./-][\w./ -]*", text) else "'" + text.replace("'", "''") + "'"
