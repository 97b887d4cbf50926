"""Versions of a product's releases with aliases: `candidate` is the newest, `live` is what is served.

Not here: what a release holds (`bundle.py`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tradewind.artifacts import Workspace
from tradewind.clock import stamp
from tradewind.errors import ArtifactError, InputError, writing
from tradewind.files import read_json, write_json

FILE = "registry.json"


@dataclass(frozen=True)
class Version:
    version: int
    digest: str
    folder: str
    created: str


@dataclass
class Registry:
    """A JSON file in the workspace. Every change is written whole, under a lock, with a line of history."""

    workspace: Workspace
    versions: list[Version] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, workspace: Workspace) -> Registry:
        """Raises ArtifactError when the file is broken."""
        path = workspace.home / FILE
        if not path.exists():
            return cls(workspace)
        try:
            content = read_json(path)
            versions = [Version(**item) for item in content["versions"]]
            return cls(workspace, versions, dict(content["aliases"]), list(content["history"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"The registry cannot be read ({error}).", code="registry", where=str(path)) from error

    def find(self, name: str) -> Version:
        """By version number ("3", "v3"), alias ("live") or the beginning of a digest. Raises InputError."""
        if name in self.aliases:
            return self._numbered(self.aliases[name])
        if name.removeprefix("v").isdigit():
            return self._numbered(int(name.removeprefix("v")))
        found = [item for item in self.versions if item.digest.removeprefix("sha256:").startswith(name)]
        if len(found) == 1 and len(name) >= 6:
            return found[0]
        raise InputError(
            f"There is no release {name}.",
            code="release_unknown",
            hint=f"Known: {', '.join([*(f'v{item.version}' for item in self.versions), *self.aliases]) or 'none yet'}.",
        )

    def path(self, version: Version) -> Path:
        return self.workspace.home / version.folder

    def _numbered(self, number: int) -> Version:
        for item in self.versions:
            if item.version == number:
                return item
        raise InputError(
            f"There is no version {number}.",
            code="release_unknown",
            hint=f"Known: {', '.join(f'v{item.version}' for item in self.versions) or 'none yet'}.",
        )


def register(workspace: Workspace, digest: str, folder: Path) -> Version:
    """Gives a release the next version number and the alias `candidate`; the same release keeps the number it has."""
    with _changing(workspace) as registry:
        for item in registry.versions:
            if item.digest == digest:
                registry.aliases["candidate"] = item.version
                return item
        number = max((item.version for item in registry.versions), default=0) + 1
        now = stamp(workspace.clock.now())
        version = Version(number, digest, folder.resolve().relative_to(workspace.home.resolve()).as_posix(), now)
        registry.versions.append(version)
        registry.aliases["candidate"] = number
        registry.history.append({"at": now, "did": "register", "version": number})
        return version


def promote(workspace: Workspace, name: str) -> Version:
    """Makes a version `live`. Raises InputError when there is none of that name."""
    with _changing(workspace) as registry:
        version = registry.find(name)
        before = registry.aliases.get("live")
        if before != version.version:
            registry.aliases["live"] = version.version
            entry = {"at": stamp(workspace.clock.now()), "did": "promote", "version": version.version, "before": before}
            registry.history.append(entry)
        return version


def roll_back(workspace: Workspace) -> Version:
    """Makes the version live again that was live before the present one. Raises InputError when there was none."""
    with _changing(workspace) as registry:
        trail: list[int] = []
        for entry in registry.history:
            if entry["did"] == "promote":
                trail.append(entry["version"])
            elif entry["did"] == "roll_back" and trail:
                trail.pop()
        if len(trail) < 2:
            raise InputError(
                "No earlier release was live.", code="no_earlier_release", hint="Promote one by its version."
            )
        registry.aliases["live"] = trail[-2]
        entry = {"at": stamp(workspace.clock.now()), "did": "roll_back", "version": trail[-2], "before": trail[-1]}
        registry.history.append(entry)
        return registry.find(str(trail[-2]))


@contextmanager
def _changing(workspace: Workspace) -> Iterator[Registry]:
    with writing(str(workspace.home)):
        workspace.home.mkdir(parents=True, exist_ok=True)
        lock = (workspace.home / f".{FILE}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        registry = Registry.open(workspace)
        yield registry
        content = {
            "versions": [asdict(item) for item in registry.versions],
            "aliases": registry.aliases,
            "history": registry.history,
        }
        write_json(workspace.home / FILE, content)
