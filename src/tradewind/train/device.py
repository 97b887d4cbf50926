"""Where training runs: device, precision, threads, determinism; and arrays on their way there.

Not here: several devices at once (`distributed.py`, still to be written).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from tradewind.errors import EnvironmentFailure

Precision = Literal["float32", "bfloat16"]

_ALIGNMENT = 64  # bytes, as torch allocates on the CPU


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Raises EnvironmentFailure when a GPU is asked for and there is none."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise EnvironmentFailure(
            "train.device is cuda, but no GPU can be used from here.",
            code="no_gpu",
            hint="Leave device as auto, or install a driver and a CUDA build of PyTorch.",
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def choose_precision(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """bfloat16 where it was asked for, or by default on a GPU that has it: on a CPU it is slower for small widths."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def to_tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    """Without a copy on the CPU, unless the array is read-only or not aligned as torch aligns its own.

    Matrix products may round differently by the alignment of their operands, and NumPy's varies from run to run.
    """
    if not array.flags.writeable:
        array = array.copy()
    tensor = torch.from_numpy(array)
    if device.type != "cpu":
        return tensor.to(device, non_blocking=True)
    return tensor if tensor.data_ptr() % _ALIGNMENT == 0 else tensor.clone()


@contextmanager
def reproducible(*, seed: int, threads: int | None, device: torch.device) -> Iterator[None]:
    """Inside: deterministic kernels, torch's generators started from `seed`, and so many threads. Restored afterwards."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # a module whose one attribute its types leave out
    fill = memory.fill_uninitialized_memory
    old_threads = torch.get_num_threads()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            memory.fill_uninitialized_memory = False  # it costs time, and nothing reads such memory
            if threads is not None:
                torch.set_num_threads(threads)
            torch.manual_seed(seed)
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            memory.fill_uninitialized_memory = fill
            torch.set_num_threads(old_threads)


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators, uint8."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_generators(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def environment(device: torch.device) -> dict[str, Any]:
    """What the figures of a run may depend on beside its product and its data."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
    }
