"""`tradewind init`: a folder with a product file for a team's own data, commented where a choice is likely."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

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
    source: Annotated[str, typer.Option("--source", help="Your data: a file, a folder or a URL.")],
    target: Annotated[str, typer.Option("--target", help="The column to predict.")],
    task: Annotated[str, typer.Option("--task", help="classification or regression")] = "classification",
    as_json: JsonOption = False,
) -> None:
    """Begin a product: write a product file for your data."""
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
