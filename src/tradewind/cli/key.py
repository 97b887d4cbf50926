"""`tradewind key signing`: the key pair that signs this product's releases."""

from __future__ import annotations

from typing import Annotated

import typer

from tradewind.artifacts import Workspace
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError
from tradewind.release.signing import fingerprint, make_key_pair


def command(
    kind: Annotated[str, typer.Argument(help="signing")],
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make the key pair that signs releases."""
    if kind != "signing":
        raise InputError(f"There is no key of kind {kind}.", code="key_kind", hint="Write: tradewind key signing.")
    pair = make_key_pair(Workspace.of(directory).keys)
    if as_json:
        emit({"private": str(pair.private), "public": str(pair.public), "fingerprint": fingerprint(pair.public)})
        return
    typer.echo(f"Private key: {pair.private} (keep it; whoever has it can sign as you)")
    typer.echo(f"Public key:  {pair.public} (give it to whoever runs your releases)")
    typer.echo(f"Fingerprint: {fingerprint(pair.public)}")
