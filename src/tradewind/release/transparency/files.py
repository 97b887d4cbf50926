"""The files of a release that are its transparency report: evidence, the statements, card, page and PDF. As bytes by path.

Not here: signing them (`release/bundle.py`), or whether they hold (`check.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from tradewind.artifacts import Workspace
from tradewind.errors import ArtifactError
from tradewind.files import canonical_json, digest_bytes, read_json, write_bytes
from tradewind.release.registry import Registry, Version
from tradewind.release.transparency import html, markdown, pdf
from tradewind.release.transparency.document import (
    CARD,
    FILE,
    PAGE,
    PAPER,
    Document,
    Kind,
    changes_since,
    document_from,
    worth_comparing,
)
from tradewind.release.transparency.evidence import DATA, PREVIOUS, RELEASE, REPORT, STATED, TRAINING, Json, text_of
from tradewind.release.transparency.facts import statements_of
from tradewind.release.transparency.frames import FrameName
from tradewind.release.transparency.layout import Language, lay_out

Form: TypeAlias = Literal["md", "html", "pdf"]
FORMS: tuple[Form, ...] = get_args(Form)
# What a release holds beside the statements, in the language of the product file.
RENDERINGS: Mapping[str, tuple[FrameName, Form]] = MappingProxyType(
    {CARD: ("card", "md"), PAGE: ("full", "html"), PAPER: ("full", "pdf")}
)


@dataclass(frozen=True)
class Sources:
    """What the report is made from. `report` is report.json as it lies in the release, None where nothing was evaluated;
    `previous` what the release before says (`previous_of`)."""

    kind: Kind
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    stated: Mapping[str, Any]
    released: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    report: bytes | None


def paper_of(sources: Sources) -> dict[str, bytes]:
    """Every file of the transparency report but report.json itself. The same sources give the same bytes."""
    evidence: dict[str, Json] = {
        DATA: sources.data,
        TRAINING: sources.training,
        STATED: sources.stated,
        RELEASE: sources.released,
    }
    if sources.previous is not None:
        evidence[PREVIOUS] = sources.previous
    files = {name: text_of(content).encode() for name, content in evidence.items()}
    read = files if sources.report is None else {**files, REPORT: sources.report}
    return {**files, **_made_from(read, sources.kind)}


def _made_from(read: Mapping[str, bytes], kind: Kind) -> dict[str, bytes]:
    """Renderings and statements of the evidence `read`, by path."""
    parsed = {name: json.loads(content) for name, content in read.items()}
    document = document_of(kind, parsed, digests=digests_of(read))
    rendered = renderings_of(document)
    document = replace(document, renderings=digests_of(rendered))
    return {**rendered, FILE: text_of(document.to_json()).encode()}


def document_of(kind: Kind, files: Mapping[str, Json], *, digests: Mapping[str, str]) -> Document:
    """The document that the evidence makes, without renderings. Pure."""
    statements, stated = statements_of(files, kind), files[STATED]
    changes = changes_since(files.get(PREVIOUS), statements)
    return Document(stated["product"], kind, stated["language"], digests, statements, changes)


def render(document: Document, frame: FrameName, form: Form, *, language: Language) -> bytes:
    """One frame in one form. The card as Markdown has Hugging Face front matter."""
    page = lay_out(document, frame, language=language)
    if form == "html":
        return html.render(page).encode()
    if form == "pdf":
        return pdf.render(page)
    return markdown.render(page, markdown.front_matter(document) if frame == "card" else "").encode()


def renderings_of(document: Document) -> dict[str, bytes]:
    """The files of `RENDERINGS`."""
    return {name: render(document, *what, language=document.language) for name, what in RENDERINGS.items()}


def make_again(folder: Path) -> None:
    """Statements and renderings anew, from the evidence as it lies in the release now: what was struck from it is in no
    page and no PDF either. Nothing where the release has no transparency report. Raises ArtifactError, EnvironmentFailure."""
    if not (folder / FILE).is_file():
        return
    before = read_document(folder)
    read = {name: (folder / name).read_bytes() for name in before.evidence}
    for name, content in _made_from(read, before.kind).items():
        write_bytes(folder / name, content)


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: digest_bytes(content) for name, content in sorted(files.items())}


def read_document(folder: Path) -> Document:
    """The report of a release. Raises ArtifactError when it has none or it cannot be read."""
    path = folder / FILE
    if not path.is_file():
        raise ArtifactError(
            "The release holds no transparency report.",
            code="no_transparency",
            where=str(path),
            hint="It was made before there were any: run `tradewind release` again.",
        )
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"The transparency report cannot be read ({error}).", code="transparency_broken", where=str(path)
        ) from error
    return document_from(content, where=str(path))


def previous_of(workspace: Workspace) -> dict[str, Any] | None:
    """What the newest registered release says, to be compared with; None where there is none. One without a report, or
    with one that cannot be read, is named without statements."""
    versions = Registry.open(workspace).versions
    if not versions:
        return None
    return said_by(workspace, max(versions, key=lambda one: one.version))


def said_by(workspace: Workspace, version: Version) -> dict[str, Any]:
    try:
        document = read_document(workspace.home / version.folder)
        values: dict[str, Json] | None = {key: value for key, value in document.values.items() if worth_comparing(key)}
    except ArtifactError:
        values = None
    return {"version": version.version, "digest": version.digest, "created": version.created, "statements": values}


def about(stated: Mapping[str, Any]) -> str:
    """Digest of what people state: with another text the same model is another release."""
    return digest_bytes(canonical_json(stated))
