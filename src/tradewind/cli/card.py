"""`tradewind card`: the model card of a release, in Markdown; or the privacy notice of the product."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tradewind import product_file
from tradewind.cli.notice import notice_of
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption
from tradewind.errors import ArtifactError, InputError
from tradewind.privacy.notice import as_text, render


class Spoken(StrEnum):
    en = "en"
    zh = "zh"


def command(
    release: Annotated[str, typer.Argument(help="A release folder, a version or an alias.")] = "candidate",
    directory: FolderOption = HERE,
    privacy: Annotated[
        bool, typer.Option("--privacy", help="The privacy notice of the product file instead, as Markdown.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="With --privacy: as a page.")] = False,
    language: Annotated[
        Spoken | None,
        typer.Option(
            "--language", help="With --privacy: en or zh; that of the product by default.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the model card of a release, or the privacy notice of the product."""
    if not privacy and (html or language is not None):
        raise InputError("--html and --language go with --privacy.", code="card_option")
    if privacy:
        product = product_file.load(directory)
        told = language.value if language is not None else product.language
        typer.echo((render if html else as_text)(notice_of(product), "zh" if told == "zh" else "en"), nl=False)
        return
    card = release_folder(release, directory) / "report" / "card.md"
    if not card.is_file():
        raise ArtifactError("The release holds no card.", code="no_card", where=str(card))
    typer.echo(card.read_text(encoding="utf-8"))
