"""`tradewind verify`: digests, signature and golden examples of releases; every figure of a report, computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradewind.artifacts import RECORD, check_files, open_artifact
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.engines.loading import load
from tradewind.errors import VerificationFailed
from tradewind.evaluate.recompute import recompute


def command(
    what: Annotated[str, typer.Argument(help="An artifact's folder, a version or an alias.")] = "candidate",
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key of the signer (PEM).", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Recompute a report's figures; check digests and signatures."""
    folder = release_folder(what, directory)
    checked: list[str] = []
    faults: list[str] = []
    if (folder / "manifest.json").exists() or not (folder / RECORD).exists():
        load(folder, public_key=key)
        checked.append("digests, signature, fingerprint and golden examples of the release")
        report = folder.parent.parent / "reports" / _short(open_artifact(folder).parents.get("report", ""))
        if report.is_dir():
            faults += _report(report, checked)
    else:
        artifact = open_artifact(folder)
        if artifact.kind == "report":
            faults += _report(folder, checked)
        else:
            checked.append(f"{len(artifact.files)} files of the {artifact.kind}")
            faults += check_files(artifact)
    if faults:
        raise VerificationFailed("\n  ".join(["It does not hold:", *faults]), code="differs", where=str(folder))
    if as_json:
        emit({"verified": checked, "folder": str(folder)})
    else:
        typer.echo("\n".join(f"holds: {one}" for one in checked))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:16]


def _report(folder: Path, checked: list[str]) -> list[str]:
    """The figures are computed first, so that an edited one is named by what it was and what it should be."""
    result = recompute(folder)
    checked.append(f"{result.checked:,} values of the report, from its predictions")
    checked.append("the files of the report")
    return [*map(str, result.differences), *check_files(open_artifact(folder, kind="report"))]
