"""`tradewind rollback`: the release that was live before is live again."""

from __future__ import annotations

import typer

from tradewind.artifacts import Workspace
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.release.registry import Registry, roll_back


def command(directory: FolderOption = HERE, as_json: JsonOption = False) -> None:
    """Go back to the release that was live before."""
    workspace = Workspace.of(directory)
    version = roll_back(workspace)
    if as_json:
        folder = Registry.open(workspace).path(version)
        emit({"live": version.version, "digest": version.digest, "folder": str(folder)})
    else:
        typer.echo(f"v{version.version} is live again.")
