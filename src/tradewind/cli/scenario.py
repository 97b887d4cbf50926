"""A new product folder from a scenario: its files copied, its sample data made. Not here: the scenarios (`scenarios/`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from tradewind import plugins
from tradewind.errors import InputError
from tradewind.files import write_bytes
from tradewind.product_file import FILE_NAME

GROUP = "scenarios"
MAKER = "make_data"
README = "README.md"
_FILES = (FILE_NAME, README, f"{MAKER}.py")


@dataclass(frozen=True)
class Begun:
    """The files of a new folder, in the order in which they are read: product file, README, maker, sample data."""

    scenario: str
    files: Sequence[Path]


def begin(folder: Path, scenario: str, *, seed: int = 0) -> Begun:
    """Writes the scenario's files into `folder` and makes its sample data there.

    Raises InputError `exists` where one of its files stands there already, `plugin_unknown` for an unknown scenario.
    """
    package = plugins.load(GROUP, scenario)
    for name in _FILES:
        if (folder / name).exists():
            raise InputError(
                f"There is a {name} already.", code="exists", where=str(folder / name), hint="Choose an empty folder."
            )
    kept = set(folder.rglob("*")) if folder.is_dir() else set()
    for name in _FILES:
        write_bytes(folder / name, files(package).joinpath(name).read_bytes())
    make: Callable[..., None] = import_module(f"{package.__name__}.{MAKER}").make
    make(folder, seed=seed)
    first = [folder / name for name in _FILES]
    made = sorted(path for path in folder.rglob("*") if path.is_file() and path not in kept and path not in first)
    return Begun(scenario, [*first, *made])


def known() -> list[str]:
    """Names of the scenarios that are installed."""
    return plugins.names(GROUP)
