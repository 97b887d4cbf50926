"""Checkpoints: everything a run needs to go on as if nothing had happened. safetensors and JSON, no pickle.

Not here: what the state is (`loop.py` gathers it). One file is one checkpoint: the tensors, and the JSON state in the
file's own metadata, so that the two can never disagree. The best weights are files of their own beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tradewind.errors import ArtifactError
from tradewind.model.weights import load_tensors, save_tensors

_STATE = "state"


@dataclass(frozen=True)
class Checkpoint:
    """`tensors` by group and name: model, optimizer, average, generators, sums. `best` are the best weights so far."""

    tensors: Mapping[str, dict[str, Tensor]]
    state: Mapping[str, Any]
    best: Mapping[str, Tensor]


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    best: Mapping[str, Tensor],
    best_step: int,
    keep: int,
) -> Path:
    """Writes the checkpoint of a step, then removes all but the `keep` newest and the best weights none of them needs.

    Raises EnvironmentFailure when the disk is full; the earlier checkpoints are then untouched.
    """
    best_path = folder / f"best-{best_step:09d}.safetensors"
    if best and not best_path.exists():
        save_tensors(best_path, best)
    flat = {f"{group}/{name}": tensor for group, named in tensors.items() for name, tensor in named.items()}
    content = {**state, "best_file": best_path.name if best else None}
    path = folder / f"step-{step:09d}.safetensors"
    save_tensors(path, flat, metadata={_STATE: json.dumps(content, allow_nan=False)})
    for old in _steps(folder)[:-keep]:
        old.unlink()
    needed = {json.loads(load_metadata(kept)[_STATE])["best_file"] for kept in _steps(folder)}
    for old in folder.glob("best-*.safetensors"):
        if old.name not in needed:
            old.unlink()
    for rest in folder.glob(".*.part"):  # of a writer that was killed
        rest.unlink(missing_ok=True)
    return path


def newest_checkpoint(folder: Path, *, fingerprint: str) -> Checkpoint | None:
    """The newest checkpoint that can be read, or None to begin anew.

    Raises ArtifactError when it was made with other columns than these (`fingerprint` of the feature set).
    """
    for path in reversed(_steps(folder)):
        try:
            flat, metadata = load_tensors(path)
            state = json.loads(metadata[_STATE])
            best = load_tensors(folder / state["best_file"])[0] if state["best_file"] else {}
        except (ArtifactError, KeyError, ValueError):
            continue  # a disk fault: the one before it is as good, only older
        if state["fingerprint"] != fingerprint:
            raise ArtifactError(
                "The checkpoint was made with other columns than the dataset has now.",
                code="fingerprint",
                where=str(path),
                hint="Remove the unfinished run and train again.",
            )
        tensors: dict[str, dict[str, Tensor]] = {}
        for name, tensor in flat.items():
            group, key = name.split("/", 1)
            tensors.setdefault(group, {})[key] = tensor
        return Checkpoint(tensors=tensors, state=state, best=best)
    return None


def load_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, without its tensors."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found: dict[str, str] = header.get("__metadata__", {})
    return found


def _steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"))
