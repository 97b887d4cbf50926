"""Weights as safetensors: save, load with a clear refusal, count. Not here: checkpoints (`train/checkpoints.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tradewind.errors import ArtifactError, nearest
from tradewind.files import write_bytes


def parameters(model: nn.Module) -> dict[str, int]:
    """Numbers of weights: `total` and those that `learn`."""
    total = sum(p.numel() for p in model.parameters())
    return {"total": total, "learn": sum(p.numel() for p in model.parameters() if p.requires_grad)}


def save_tensors(path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors and string metadata as one safetensors file, whole or not at all.

    Raises EnvironmentFailure when the disk is full or not writable.
    """
    # safetensors refuses tensors that share memory, so tied weights become copies of their own.
    seen: set[int] = set()
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        pointer = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if pointer in seen else tensor
        seen.add(pointer)
    write_bytes(path, save(plain, metadata=dict(metadata or {})))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of a safetensors file, on the CPU. Raises ArtifactError when it is none."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"The weights cannot be read ({error}).", code="weights_broken", where=str(path)) from error


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], *, where: str, partial: bool = False) -> None:
    """Copies tensors into the model by name. With `partial` the model may have others, which stay as they are.

    Raises ArtifactError naming the first tensor that is missing, unknown or of another shape.
    """
    own = model.state_dict()
    unknown = sorted(set(tensors) - set(own))
    missing = [] if partial else sorted(set(own) - set(tensors))
    if unknown or missing:
        name = (unknown or missing)[0]
        what = "is not in this model" if unknown else "is missing from the file"
        raise ArtifactError(
            f"The tensor {name} {what} ({len(unknown)} unknown, {len(missing)} missing).",
            code="weights_mismatch",
            where=where,
            hint=nearest(name, own if unknown else tensors) or None,
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise ArtifactError(
                f"The tensor {name} has the shape {tuple(tensor.shape)}, but {tuple(own[name].shape)} is expected.",
                code="weights_mismatch",
                where=where,
            )
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def save_model(model: nn.Module, path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    save_tensors(path, model.state_dict(), metadata=metadata)


def load_model(model: nn.Module, path: Path, *, fingerprint: str | None = None) -> dict[str, str]:
    """Loads a file that `save_model` wrote and returns its metadata.

    Raises ArtifactError when it does not fit, or was made for other columns than those of `fingerprint`.
    """
    tensors, metadata = load_tensors(path)
    if fingerprint is not None and metadata.get("fingerprint") != fingerprint:
        raise ArtifactError(
            "The weights were made for other columns than these.", code="fingerprint", where=str(path),
            hint="Use the dataset that the run names as its parent.",
        )  # fmt: skip
    load_into(model, tensors, where=str(path))
    return metadata
