"""Entry points: how rooms find what others add to them. The built-ins register the same way in `pyproject.toml`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tradewind.errors import EnvironmentFailure, InputError, nearest


def names(group: str) -> list[str]:
    """Names registered under `tradewind.GROUP`, sorted."""
    return sorted({point.name for point in entry_points(group=f"tradewind.{group}")})


def load(group: str, name: str) -> Any:
    """The object registered as `name` under `tradewind.GROUP`.

    Raises InputError for an unknown name, EnvironmentFailure when a package that it needs is not installed.
    """
    found: list[EntryPoint] = list(entry_points(group=f"tradewind.{group}", name=name))
    if not found:
        known = names(group)
        raise InputError(
            f"There is no {group.rstrip('s')} called {name}. Known: {', '.join(known) or 'none'}.",
            code="plugin_unknown",
            hint=nearest(name, known) or None,
        )
    try:
        return found[0].load()
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"{name} needs the package {error.name}, which is not installed.",
            code="package_missing",
            hint="Install it with: pip install 'tradewind[train]'.",
        ) from error
