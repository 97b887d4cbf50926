"""`tradewind deidentify`: copies of DICOM files without anybody's identity. Not here: what stays in a file (`privacy/dicom.py`)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.artifacts import Workspace
from tradewind.cli.session import HERE, FolderOption, JsonOption, emit
from tradewind.errors import DataError, EnvironmentFailure, InputError
from tradewind.files import write_bytes
from tradewind.privacy.subjects import SubjectKey

_SHOWN = 10


def command(
    source: Annotated[Path, typer.Argument(help="A DICOM file, or a folder with them.")],
    target: Annotated[Path, typer.Argument(help="Folder of the copies: empty, or not there yet.")],
    characteristics: Annotated[
        bool, typer.Option("--keep-characteristics", help="Leave sex and age in years.")
    ] = False,
    burned_in: Annotated[
        bool, typer.Option("--burned-in", help="Copy also files that say text is burned into their pixels.")
    ] = False,
    folders: Annotated[
        bool, typer.Option("--keep-folders", help="Keep the folders: their names are classes, not people.")
    ] = False,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write copies of DICOM files without names, numbers and dates. Their names are numbers, too."""
    files = _files(source)
    if target.exists() and any(target.iterdir()):
        raise InputError(
            "The folder of the copies is not empty.", code="exists", where=str(target), hint="Name a new one."
        )
    copier = _reader()
    key = SubjectKey.open(Workspace.of(directory).home).digest("identifiers of DICOM files").encode()
    copied, unsure, left_out = 0, 0, list[str]()
    for number, path in enumerate(files, 1):
        try:
            copy = copier.deidentified(path.read_bytes(), key=key, keep_characteristics=characteristics)
        except DataError as error:
            left_out.append(f"{path}: {error.message}")
            continue
        if copy.burned_in and not burned_in:
            left_out.append(f"{path}: it says that text is burned into its pixels.")
            continue
        inner = path.relative_to(source).parent if folders and source.is_dir() else Path()
        write_bytes(target / inner / f"{number:06d}.dcm", copy.content)
        copied, unsure = copied + 1, unsure + (copy.burned_in is None)
    if not copied:
        raise DataError(f"Nothing was copied. {left_out[0]}", code="dicom_none", where=str(source))
    if as_json:
        emit({"copied": copied, "left_out": left_out, "burned_in_unknown": unsure, "folder": str(target)})
        return
    typer.echo(f"Copied {copied} files to {target}.")
    if unsure:
        typer.echo(f"Of {unsure} nothing says whether text is burned into the pixels: look at them.", err=True)
    for line in left_out[:_SHOWN]:
        typer.echo(f"left out: {line}", err=True)
    if len(left_out) > _SHOWN:
        typer.echo(f"and {len(left_out) - _SHOWN} more.", err=True)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = (
        sorted(path for path in source.rglob("*") if path.is_file() and path.name[0] != ".") if source.is_dir() else []
    )
    if not found:
        raise DataError(
            "There is no file.", code="missing", where=str(source), hint="Name a DICOM file, or a folder with them."
        )
    return found


def _reader() -> Any:
    try:
        return importlib.import_module("tradewind.privacy.dicom")
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            "tradewind deidentify needs pydicom, which is not installed.", code="package_missing",
            hint="Install it with: pip install 'tradewind[dicom]'.",
        ) from error  # fmt: skip
