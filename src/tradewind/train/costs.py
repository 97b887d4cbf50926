"""What a run will cost, before it: parameters, tokens, operations, memory by part, seconds and money; and how far off that was.

Counts are exact: they come from the very module and its settings. Seconds are counts times what was measured here
(`measure.py`) or what a data sheet promises (`accelerators.py`).

Not here: the plan that is counted (`language_plan.py`), the verb's way to a figure before anything is prepared (`estimate.py`).

Legend: B rows, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tradewind.money import Price
from tradewind.train.accelerators import UTILISATION, Accelerator
from tradewind.train.device import Precision, autocast
from tradewind.train.measure import Speed

_FLOAT = 4  # bytes of a weight, a gradient and each number that the optimizer keeps
_CHUNK = 1 << 22  # logits that stand in memory at once (`model/cross_entropy.py`)
# Numbers that an optimizer keeps for each weight that learns.
_KEPT: Mapping[str, int] = {"gd": 0, "sgd": 0, "momentum": 1, "adam": 2, "adamw": 2, "muon": 2}


@dataclass(frozen=True)
class Work:
    """What there is to do. A batch is one pass forward and backward; a step moves the weights after `accumulate` batches.

    `operations_per_token` are multiplications and additions for a token that is trained on; `held_tokens` are those of all
    evaluations together, which only go forward. `memory` in bytes by part.
    """

    parameters: Mapping[str, int]
    steps: int
    accumulate: int
    tokens_per_batch: int
    operations_per_token: float
    forward_per_token: float
    held_tokens: int
    memory: Mapping[str, int]

    @property
    def batches(self) -> int:
        return self.steps * self.accumulate

    @property
    def tokens(self) -> int:
        return self.batches * self.tokens_per_batch

    @property
    def operations(self) -> float:
        return self.tokens * self.operations_per_token + self.held_tokens * self.forward_per_token


@dataclass(frozen=True)
class Estimate:
    """`seconds` on `machine`; `price` where an hour has one; `fits` is None where the machine's memory is not known."""

    work: Work
    seconds: float
    machine: str
    price: str | None = None
    fits: bool | None = None

    @classmethod
    def of(cls, work: Work, speed: Speed, *, hour: Price | None = None) -> Estimate:
        """On this machine, from its measured speed."""
        forward_s = work.held_tokens / work.tokens_per_batch * speed.forward_s
        seconds = work.batches * speed.batch_s + work.steps * speed.optimizer_s + forward_s
        way = speed.way
        machine = f"this machine, {way.threads} threads, {way.precision}{', compiled' if way.compiled else ''}"
        return cls(work, seconds, machine, _cost(hour, seconds), _fits(work, free_memory()))

    @classmethod
    def on(cls, work: Work, device: Accelerator, *, hour: Price | None = None) -> Estimate:
        """On an accelerator of the table, at the share of its peak that training usually reaches."""
        seconds = work.operations / (device.peak_per_s * UTILISATION)
        machine = f"{device.name}, {UTILISATION:.0%} of {device.peak_per_s / 1e12:,.0f} TFLOP/s ({device.source})"
        return cls(work, seconds, machine, _cost(hour, seconds), _fits(work, device.memory))

    def to_json(self) -> dict[str, Any]:
        work = self.work
        return {
            "parameters": dict(work.parameters), "tokens": work.tokens, "steps": work.steps,
            "operations": work.operations, "operations_per_token": work.operations_per_token,
            "memory": {**work.memory, "total": sum(work.memory.values())}, "seconds": self.seconds,
            "machine": self.machine, "price": self.price, "fits": self.fits,
        }  # fmt: skip


def outcome(estimate: Estimate, seconds: float) -> dict[str, Any]:
    """The estimate held against the run: `error` is the share by which it was too high (above 0) or too low."""
    return {**estimate.to_json(), "took": seconds, "error": estimate.seconds / max(seconds, 1e-9) - 1}


def operations(forward_per_token: float, *, again: float, learn: int, total: int) -> float:
    """Of one token that is trained on: forward once, backward twice that, half of it for the gradients of weights; and
    `again`, what is computed a second time.

    Beside frozen weights only adapters have such gradients, and cost their own three passes.
    """
    if learn == total:
        return 3 * forward_per_token + again
    return 2 * forward_per_token + again + 6.0 * learn


def memory_of(
    build: Callable[[], Any], *, rows: int, length: int, precision: Precision, optimizer: str, vocabulary: int,
    depth: int,
) -> dict[str, int]:  # fmt: skip
    """Bytes by part of training the module that `build` makes, on batches [rows, length]; nothing of it is computed.

    Activations are those that autograd keeps, counted on tensors without content.
    """
    with FakeTensorMode():
        model = build()
        total = sum(parameter.numel() for parameter in model.parameters())
        learn = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        activations = _kept_bytes(model, rows, length, precision)
        if getattr(model, "recompute", False):  # one layer at a time stands there whole
            model.recompute = False
            activations += _kept_bytes(model, rows, length, precision) // max(1, depth)
    return {
        "weights": _FLOAT * total, "gradients": _FLOAT * learn, "optimizer": _FLOAT * learn * _KEPT[optimizer],
        "best_weights": _FLOAT * learn, "activations": activations,
        "logits": 2 * _FLOAT * min(max(_CHUNK, 16 * vocabulary), rows * length * vocabulary),
    }  # fmt: skip


def _kept_bytes(model: Any, rows: int, length: int, precision: Precision) -> int:
    """What autograd keeps of a forward pass, the weights themselves left out."""
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = (storage.nbytes(), tensor)  # the tensor too, so that its number is not used again
        return tensor

    model.train()
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        autocast(precision, torch.device("cpu")),
    ):
        model.hidden(torch.zeros(rows, length, dtype=torch.int64))
    return sum(size for size, _ in kept.values())


def _cost(hour: Price | None, seconds: float) -> str | None:
    if hour is None:
        return None
    return str(Price(hour.amount * Decimal(str(round(seconds, 3))) / 3600, hour.currency).times(1))


def _fits(work: Work, memory: int | None) -> bool | None:
    return None if memory is None else sum(work.memory.values()) <= memory


def free_memory() -> int | None:
    """Bytes that this machine can still give, where the system says so."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
