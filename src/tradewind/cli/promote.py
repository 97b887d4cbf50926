"""`tradewind promote`: a release becomes the live one. Its signature is checked first."""

from __future__ import annotations

from typing import Annotated

import typer

from tradewind.artifacts import Workspace
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.engines.loading import verify_release
from tradewind.release.registry import Registry, promote


def command(
    name: Annotated[str, typer.Argument(help="A version (v3), an alias or the beginning of a digest.")] = "candidate",
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make a release the live one."""
    workspace = Workspace.of(directory)
    registry = Registry.open(workspace)
    verify_release(registry.path(registry.find(name)))
    version = promote(workspace, name)
    if as_json:
        emit({"live": version.version, "digest": version.digest, "folder": str(registry.path(version))})
    else:
        typer.echo(f"v{version.version} is live.")
