"""How verbs name a release: a folder, or a version or alias in the product's registry."""

from __future__ import annotations

from pathlib import Path

from tradewind.artifacts import Workspace
from tradewind.release.registry import Registry


def release_folder(name: str, directory: Path) -> Path:
    """The folder of the release called `name`. Raises InputError when there is none."""
    path = Path(name)
    if path.is_dir():
        return path
    registry = Registry.open(Workspace.of(directory))
    if "/" in name or path.suffix:
        return path
    return registry.path(registry.find(name))
