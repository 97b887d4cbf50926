"""Which releases are due to be trained again because somebody's rows were taken out of what they learnt from.
Not here: the training (`tradewind run`), nor the erasing (`erasure.py`).

`privacy/retraining.json` of the workspace: what is due, and what was done about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tradewind.errors import ArtifactError
from tradewind.files import read_json, write_json
from tradewind.privacy.subjects import FOLDER
from tradewind.privacy.suppression import locked

FILE = "retraining.json"


@dataclass(frozen=True)
class Due:
    """A release, by its digest and version, and the receipt because of which it is to be trained again, since when."""

    release: str
    version: int | None
    receipt: str
    since: str


def due(home: Path) -> tuple[Due, ...]:
    """Raises ArtifactError where the schedule cannot be read."""
    return tuple(Due(**one) for one in _read(home)["due"])


def schedule(home: Path, releases: Sequence[Due]) -> None:
    """Puts releases on the schedule; one that is on it stays as it is. Raises EnvironmentFailure."""
    with locked(home):
        content = _read(home)
        known = {one["release"] for one in content["due"]}
        content["due"] += [asdict(one) for one in releases if one.release not in known]
        write_json(home / FOLDER / FILE, content)


def fulfil(home: Path, release: str, *, at: str) -> int:
    """A release was made without the erased: all others are done. Gives how many were due."""
    if not due(home):
        return 0
    with locked(home):
        content = _read(home)
        done = [one for one in content["due"] if one["release"] != release]
        content["done"] += [{**one, "by": release, "at": at} for one in done]
        content["due"] = [one for one in content["due"] if one["release"] == release]
        write_json(home / FOLDER / FILE, content)
    return len(done)


def _read(home: Path) -> dict[str, Any]:
    path = home / FOLDER / FILE
    if not path.exists():
        return {"format": 1, "due": [], "done": []}
    try:
        content: dict[str, Any] = read_json(path)
        for one in content["due"]:
            Due(**one)
        content["done"] = list(content["done"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"The schedule cannot be read ({error}).", code="retraining", where=str(path)) from error
    return content
