"""`tradewind card`: the model card of a release, in Markdown."""

from __future__ import annotations

from typing import Annotated

import typer

from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption
from tradewind.errors import ArtifactError


def command(
    release: Annotated[str, typer.Argument(help="A release folder, a version or an alias.")] = "candidate",
    directory: FolderOption = HERE,
) -> None:
    """Print the model card of a release."""
    card = release_folder(release, directory) / "report" / "card.md"
    if not card.is_file():
        raise ArtifactError("The release holds no card.", code="no_card", where=str(card))
    typer.echo(card.read_text(encoding="utf-8"))
