"""`tradewind check`: the product file is read and judged; nothing is built. With --schema, its JSON Schema for editors."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tradewind import product_file
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, SetOption, emit


def command(
    directory: FolderOption = HERE,
    changes: SetOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the product file.")] = False,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every setting with its value.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the product file, or print its JSON Schema."""
    if schema:
        typer.echo(json.dumps(product_file.json_schema(), indent=2, ensure_ascii=False))
        return
    session = Session.open(directory, changes)
    product = session.product
    if as_json:
        emit({"product": product.resolved()})
    elif resolved:
        typer.echo(json.dumps(product.resolved(), indent=2, ensure_ascii=False))
    else:
        what = f"{product.task} of {product.data.target}" if product.data.target else product.task
        typer.echo(f"{product.product}: {what} from {product.data.source.path}. Good.")
