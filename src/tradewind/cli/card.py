"""`tradewind card`: the transparency report of a release, under the headings of a frame, in a form and a language; or the
privacy notice of the product.

Not here: what stands in them (`release/transparency/`, `privacy/notice.py`); whether it holds is for `tradewind verify` to say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tradewind import product_file, typeface
from tradewind.cli.notice import notice_of
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import InputError
from tradewind.files import write_bytes
from tradewind.privacy import notice
from tradewind.release.transparency.files import Form, read_document, render
from tradewind.release.transparency.frames import FrameName
from tradewind.release.transparency.layout import unanswered

Language = Literal["en", "zh"]


def command(
    release: Annotated[str, typer.Argument(help="A release folder, a version or an alias.")] = "candidate",
    frame: Annotated[
        FrameName,
        typer.Option(
            "--as", help="Headings: the model card, EU AI Act Annex IV, NIST AI RMF, China's filing, or all of it."
        ),
    ] = "card",
    form: Annotated[Form, typer.Option("--format", help="Markdown, a self-contained page, or PDF.")] = "md",
    language: Annotated[
        Language | None,
        typer.Option("--language", help="By default the language of the product file.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Where to write it; stdout by default.", show_default=False)
    ] = None,
    privacy: Annotated[
        bool, typer.Option("--privacy", help="The privacy notice of the product file instead, as Markdown or page.")
    ] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Print the model card of a release, its transparency report under the headings of a law, or the privacy notice."""
    if privacy:
        content, about = _notice(directory, form, language)
    else:
        content, about = _report(release_folder(release, directory), frame, form, language)
    if out is not None:
        write_bytes(out, content)
    if as_json:
        text = content.decode() if out is None and form != "pdf" else None
        emit({**about, "format": form, "file": None if out is None else str(out), "text": text})
    elif out is None:
        if form == "pdf" and sys.stdout.isatty():
            raise InputError(
                "A terminal shows no PDF.",
                code="pdf_on_terminal",
                where="--format pdf",
                hint="Name a file: -o card.pdf",
            )
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    if form == "pdf" and (remark := typeface.remark(content)):
        typer.echo(remark, err=True)


def _report(folder: Path, frame: FrameName, form: Form, language: Language | None) -> tuple[bytes, dict[str, object]]:
    document = read_document(folder)
    chosen = language or document.language
    missing = [*(one.field for one in document.missing), *unanswered(document, frame)]
    about: dict[str, object] = {
        "artifacts": {"release": str(folder)},
        "frame": frame,
        "language": chosen,
        "missing": missing,
    }
    return render(document, frame, form, language=chosen), about


def _notice(directory: Path, form: Form, language: Language | None) -> tuple[bytes, dict[str, object]]:
    if form == "pdf":
        raise InputError("The privacy notice is Markdown or a page.", code="card_option", where="--format pdf")
    product = product_file.load(directory)
    chosen: Language = language or ("zh" if product.language == "zh" else "en")
    told = notice_of(product)
    rendered = (notice.render if form == "html" else notice.as_text)(told, chosen)
    return rendered.encode(), {"frame": "privacy", "language": chosen, "missing": list(told.missing)}
