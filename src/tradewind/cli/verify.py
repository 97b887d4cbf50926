"""`tradewind verify`: digests, signature and golden examples of releases; every number of its transparency report, every
figure of a report, computed again; and where nothing is named, the books of the business and the receipts of erasures too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradewind.artifacts import RECORD, TOMBSTONE, Workspace, check_files, open_artifact
from tradewind.cli.office import database_exists
from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption, JsonOption
from tradewind.cli.verify_books import differs, tell, verify_books
from tradewind.cli.verify_people import verify_people, verify_receipt
from tradewind.engines.loading import verify_release
from tradewind.errors import VerificationFailed
from tradewind.evaluate.recompute import recompute
from tradewind.files import read_json
from tradewind.privacy.receipts import is_receipt
from tradewind.release.registry import FILE as REGISTRY
from tradewind.release.registry import Registry
from tradewind.release.signing import PUBLIC_KEY
from tradewind.release.transparency.check import Checked, check, check_rendering
from tradewind.release.transparency.document import FILE

NEWEST = "candidate"


def command(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="An artifact's folder, a version or an alias, or a rendering of `tradewind card`; by default the newest "
            "release and the books.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key of the signer (PEM).", show_default=False)
    ] = None,
    of: Annotated[
        str, typer.Option("--of", help="The release that a rendering speaks of: a folder, a version or an alias.")
    ] = NEWEST,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Recompute figures, invoices and the audit log; check signatures."""
    checked: list[str] = []
    faults: list[str] = []
    if what is not None and is_receipt(Path(what)):
        verify_receipt(Path(what), key or _public_key(Path(what), directory), checked)
        tell(checked, Path(what), as_json=as_json)
        return
    folder = directory
    if what is not None and Path(what).is_file():
        folder = release_folder(of, directory)
        faults += _artifact(folder, key, checked)
        faults += _told(check_rendering(folder, Path(what)), f"{what}, against the release", checked)
    elif what is not None or not _only_books(directory):
        folder = release_folder(what or NEWEST, directory)
        faults += _artifact(folder, key, checked)
    if what is None:
        faults += [*verify_books(directory, checked), *verify_people(directory, key, checked)]
    if faults:
        raise differs(faults, where=str(folder))
    tell(checked, folder, as_json=as_json)


def _public_key(receipt: Path, directory: Path) -> Path:
    """Beside the workspace that the receipt lies in, else the product's own."""
    beside = receipt.resolve().parent.parent.parent / "keys" / PUBLIC_KEY
    return beside if beside.is_file() else Workspace.of(directory).keys / PUBLIC_KEY


def _only_books(directory: Path) -> bool:
    """A service whose releases come from elsewhere has books and no release of its own."""
    workspace = Workspace.of(directory)
    return not Registry.open(workspace).versions and database_exists(workspace)


def _artifact(folder: Path, key: Path | None, checked: list[str]) -> list[str]:
    if (folder / "manifest.json").exists() or not (folder / RECORD).exists():
        faults = _paper(folder, checked)
        try:
            checked.append(verify_release(folder, public_key=key))
        except VerificationFailed as error:
            if not faults:
                raise
            return [*faults, str(error)]  # what was edited is told by its line before the signature that it broke
        report = folder.parent.parent / "reports" / _short(open_artifact(folder).parents.get("report", ""))
        if (report / TOMBSTONE).is_file():
            checked.append(
                f"its report was removed ({read_json(report / TOMBSTONE)['why']}): no figure is computed again"
            )
        return faults + (_report(report, checked) if (report / RECORD).is_file() else [])
    artifact = open_artifact(folder)
    if artifact.kind == "report":
        return _report(folder, checked)
    checked.append(f"{len(artifact.files)} files of the {artifact.kind}")
    return check_files(artifact)


def _paper(folder: Path, checked: list[str]) -> list[str]:
    """The transparency report; a release from before there were any has none."""
    if not (folder / FILE).is_file():
        return []
    home = folder.resolve().parent.parent
    workspace = Workspace(home) if (home / REGISTRY).is_file() else None
    return _told(check(folder, workspace), "the transparency report", checked)


def _told(found: Checked, what: str, checked: list[str]) -> list[str]:
    checked.append(f"{found.values:,} statements of {what}, from their evidence")
    return [str(fault) for fault in found.faults]


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:16]


def _report(folder: Path, checked: list[str]) -> list[str]:
    """The figures are computed first, so that an edited one is named by what it was and what it should be."""
    result = recompute(folder)
    checked.append(f"{result.checked:,} values of the report, from its predictions")
    checked.append("the files of the report")
    return [*map(str, result.differences), *check_files(open_artifact(folder, kind="report"))]
