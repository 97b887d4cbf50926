"""LoRA adapters in PEFT's layout, stacked so that one graph serves them all: each row names its own.

Not here: the graph that takes the stacks (`model/genai.py` writes it), training and merging (`model/adapters.py`).
Method: Hu et al., LoRA (2021); one batch over several adapters as in Chen et al., Punica (2023).

Legend: N adapters and none (number 0, zeros), I inputs of a matrix, O outputs, R rank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tradewind.errors import ArtifactError, InputError
from tradewind.files import read_json

ADAPTER_GRAPH = "model.adapters.onnx"
ADAPTER_MAP = (
    "adapters.json"  # matrix of the graph -> its inputs, outputs, and the modules whose outputs lie side by side
)
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def stack_adapters(folder: Path, adapters: Mapping[str, Path]) -> dict[str, NDArray[np.float32]]:
    """Inputs `MATRIX.lora_a` [N, I, R] and `MATRIX.lora_b` [N, R, O] of the graph in `folder`, scaled by alpha / rank.

    Raises InputError where the release cannot serve adapters, ArtifactError where one cannot be read or does not fit.
    """
    if not (folder / ADAPTER_GRAPH).is_file():
        raise InputError(
            "This precision was released without a graph for adapters.",
            code="adapters_unsupported",
            where=str(folder),
            hint="Make the release again, or serve merged weights.",
        )
    matrices: dict[str, dict[str, Any]] = read_json(folder / ADAPTER_MAP)
    read = [_read(path) for path in adapters.values()]
    for (tensors, _), path in zip(read, adapters.values(), strict=True):
        _refuse_strangers(tensors, matrices, path)
    rank = max((tensor.shape[0] for tensors, _ in read for name, tensor in tensors.items() if ".lora_A" in name))
    stacks: dict[str, NDArray[np.float32]] = {}
    for name, matrix in matrices.items():
        parts = matrix["parts"]
        a_NIR = np.zeros((1 + len(read), matrix["inputs"], rank * len(parts)), np.float32)
        b_NRO = np.zeros((1 + len(read), rank * len(parts), matrix["outputs"]), np.float32)
        for number, ((tensors, scale), path) in enumerate(zip(read, adapters.values(), strict=True), 1):
            first = 0
            for place, (module, outputs) in enumerate(parts):
                a_RI, b_OR = tensors.get(f"{module}.lora_A"), tensors.get(f"{module}.lora_B")
                if a_RI is not None and b_OR is not None:
                    _check(module, a_RI, b_OR, matrix["inputs"], outputs, path)
                    rows = slice(place * rank, place * rank + len(a_RI))
                    a_NIR[number, :, rows] = a_RI.T
                    b_NRO[number, rows, first : first + outputs] = scale * b_OR.T
                first += outputs
        stacks[f"{name}.lora_a"], stacks[f"{name}.lora_b"] = a_NIR, b_NRO
    return stacks


def _read(folder: Path) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Tensors by `MODULE.lora_A` and `.lora_B`, and the scale."""
    try:
        config = read_json(folder / CONFIG)
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError, SafetensorError) as error:
        raise ArtifactError(
            f"The adapter cannot be read ({type(error).__name__}: {error}).", code="adapter_broken", where=str(folder),
            hint=f"Give a folder with {CONFIG} and {WEIGHTS}, in float32.",
        ) from error  # fmt: skip
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    named = {_module(name): tensor.astype(np.float32) for name, tensor in tensors.items()}
    for name, tensor in named.items():
        if not np.isfinite(tensor).all():
            raise ArtifactError(
                f"The adapter's {name} holds numbers that are not finite.", code="adapter_broken", where=str(folder)
            )
    return named, scale


def _module(name: str) -> str:
    """`base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` -> `model.layers.0.self_attn.q_proj.lora_A`."""
    return name.removeprefix("base_model.model.").removesuffix(".weight").replace(".default", "")


def _refuse_strangers(tensors: Mapping[str, Any], matrices: Mapping[str, Any], where: Path) -> None:
    known = {f"{module}.lora_{side}" for one in matrices.values() for module, _ in one["parts"] for side in "AB"}
    if strangers := sorted(set(tensors) - known):
        raise ArtifactError(
            f"The adapter changes {strangers[0]} ({len(strangers)} in all), which this model has not.",
            code="adapter_misfit",
            where=str(where),
            hint="Give an adapter of the linear layers of this very model.",
        )


def _check(module: str, a_RI: NDArray[Any], b_OR: NDArray[Any], inputs: int, outputs: int, where: Path) -> None:
    if a_RI.shape[1] != inputs or b_OR.shape != (outputs, len(a_RI)):
        raise ArtifactError(
            f"The adapter's {module} has the shapes {a_RI.shape} and {b_OR.shape}; the model has {inputs} inputs and "
            f"{outputs} outputs there.",
            code="adapter_misfit",
            where=str(where),
            hint="Give an adapter that was trained on this very model.",
        )
