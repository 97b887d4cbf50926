"""All rooms of trust, one after the other: measured and written down, or computed again from what was written.

Not here: what a room looks at (its own file), or the contract between them (`trust.py`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from tradewind.errors import ArtifactError
from tradewind.evaluate import (
    actions,
    drift,
    explanations,
    fairness,
    intents,
    membership,
    retrieval,
    robustness,
    screening,
    uncertainty,
)
from tradewind.evaluate.figures import Figure
from tradewind.evaluate.trust import Context, Examined, Room, TrustPart, Witness
from tradewind.files import write_bytes

FOLDER = "trust"
STATE_FILE = "trust.json"
ROWS_OF_TRAIN = 20_000

ROOMS: tuple[Room, ...] = (
    cast(Room, fairness),
    cast(Room, screening),
    cast(Room, robustness),
    cast(Room, explanations),
    cast(Room, uncertainty),
    cast(Room, membership),
    cast(Room, actions),
    cast(Room, drift),
    cast(Room, intents),
    cast(Room, retrieval),
)


@dataclass(frozen=True)
class Examination:
    """What every room said, by its name."""

    parts: Mapping[str, TrustPart] = field(default_factory=lambda: MappingProxyType({}))
    witnesses: Mapping[str, Witness] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def figures(self) -> dict[str, Figure]:
        """Figures of all rooms, by name; no two rooms have one of the same name."""
        found: dict[str, Figure] = {}
        for part in self.parts.values():
            assert not found.keys() & part.figures.keys(), "two rooms name a figure alike"
            found |= part.figures
        return found

    @property
    def sections(self) -> dict[str, Any]:
        return {name: part.section for name, part in self.parts.items()}

    @property
    def state(self) -> dict[str, Any]:
        return {name: part.state for name, part in self.parts.items() if part.state}


def examine(examined: Examined, *, say: Callable[[str, float], None]) -> Examination:
    """Each room that the product file asks for and that has something to look at. `say(what, share done)`."""
    asked = examined.context.settings.examine
    rooms = [room for room in ROOMS if asked == "auto" or room.NAME in asked]
    parts: dict[str, TrustPart] = {}
    witnesses: dict[str, Witness] = {}
    for done, room in enumerate(rooms):
        say(f"examining {room.NAME}", done / len(rooms))
        witness = room.measure(examined)
        if witness is not None:
            assert all(array.dtype != object for array in witness.values()), f"{room.NAME}: no objects in a witness"
            witnesses[room.NAME] = witness
            parts[room.NAME] = room.summarise(witness, examined.context)
    return Examination(parts, witnesses)


def write_witnesses(examination: Examination, folder: Path) -> None:
    """`trust/NAME.npz` below `folder`. Raises EnvironmentFailure when the disk refuses."""
    for name, witness in examination.witnesses.items():
        (folder / FOLDER).mkdir(exist_ok=True)
        content = io.BytesIO()
        np.savez_compressed(content, **cast(dict[str, Any], dict(witness)))
        write_bytes(folder / FOLDER / f"{name}.npz", content.getvalue())


def again(folder: Path, names: tuple[str, ...], context: Context) -> Examination:
    """What the rooms `names` say, from their witnesses in `folder`. Raises ArtifactError when one cannot be read."""
    rooms = {room.NAME: room for room in ROOMS}
    parts: dict[str, TrustPart] = {}
    for name in names:
        path = folder / FOLDER / f"{name}.npz"
        try:
            with np.load(path, allow_pickle=False) as content:
                witness = {key: content[key] for key in content.files}
            parts[name] = rooms[name].summarise(witness, context)
        except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError) as error:
            raise ArtifactError(
                f"What was seen of {name} cannot be read ({error!r}).",
                code="report_broken",
                where=str(path),
                hint="Run `tradewind evaluate` again.",
            ) from error
    return Examination(parts)
