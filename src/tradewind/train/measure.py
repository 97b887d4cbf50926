"""How fast this machine is at the step at hand: threads, precision and compiling by measurement, not by belief.

Not here: counts of operations and bytes (`estimate.py`), what a step computes (`language_tasks.py`). Measuring leaves
weights and random numbers as they were.

Legend: B rows, T tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tradewind.model.flops import matmul_peak
from tradewind.train import optimizers
from tradewind.train.device import Precision, autocast

# A change must be worth it: measured times swing by some per cent on a machine that is not alone.
WORTH = 1.1
_PEAK_SECONDS = 0.2
_OPTIMIZER_ELEMENTS = 10_000_000  # a sample of the parameters is enough to time the optimizer
_MOST_THREADS = 16


@dataclass(frozen=True)
class Way:
    """How steps are computed."""

    threads: int
    precision: Precision
    compiled: bool = False


@dataclass(frozen=True)
class Speed:
    """Seconds of one batch forward and backward, of one forward pass alone, and of one move of the optimizer; and the
    operations a second that matrix products reach here the same `way`."""

    way: Way
    batch_s: float
    forward_s: float
    optimizer_s: float
    peak_per_s: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Speed:
        return cls(**{**value, "way": Way(**value["way"])})


Lossy = Callable[[Tensor, Tensor], Any]  # (tokens [B, T], targets [B, T]) → object with `total` and `weight`


def measure(
    model: nn.Module, loss: Lossy, *, rows: int, length: int, vocabulary: int, device: torch.device, ways: list[Way],
    optimizer: optimizers.OptimizerName = "adamw", seconds: float = 0.5,
) -> Speed:  # fmt: skip
    """The fastest of `ways`, the first unless another is clearly better, timed on random tokens for about `seconds`."""
    was_training = model.training
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _threads_kept():
        generator = torch.Generator().manual_seed(0)
        tokens_BT = torch.randint(vocabulary, (rows, length), generator=generator).to(device)
        times: list[list[float]] = [[] for _ in ways]
        for way in ways:
            if way.compiled:  # at its first use, which is no measure of anything
                _batch(model, loss, tokens_BT, way, device)
        began = time.perf_counter()
        for round_number in range(50):
            for way, found in zip(ways, times, strict=True):
                took = _batch(model, loss, tokens_BT, way, device)
                if round_number > 0 or took > seconds:  # the first pass warms up; where it is long, it has to do
                    found.append(took)
            if time.perf_counter() - began > seconds and all(times):
                break
        best = _fastest([min(found) for found in times])
        way, batch_s = ways[best], min(times[best])
        torch.set_num_threads(way.threads)
        speed = Speed(
            way, batch_s, _forward(model, loss, tokens_BT, way, device), _optimizer(model, optimizer, device),
            getattr(matmul_peak(_PEAK_SECONDS, device=device), way.precision),
        )  # fmt: skip
    model.train(was_training)
    return speed


def ways_of(
    *, threads: int | None, precision: Precision | None, device: torch.device, compiled: bool = False
) -> list[Way]:
    """What there is to choose from, the safe one first. What was asked for is not up for choice."""
    every = min(torch.get_num_threads(), _MOST_THREADS)
    if device.type != "cpu":
        return [Way(every, precision or ("bfloat16" if torch.cuda.is_bf16_supported() else "float32"), compiled)]
    counts = [threads] if threads is not None else sorted({1, max(1, every // 2), every}, reverse=True)
    kinds: list[Precision] = [precision] if precision is not None else ["float32"]
    if precision is None and torch.cpu._is_avx512_bf16_supported():
        kinds.append("bfloat16")
    return [Way(count, kind, compiled) for kind in kinds for count in counts]


def _fastest(times: list[float]) -> int:
    best = 0
    for place, took in enumerate(times):
        if took * WORTH < times[best]:
            best = place
    return best


def _batch(model: nn.Module, loss: Lossy, tokens_BT: Tensor, way: Way, device: torch.device) -> float:
    torch.set_num_threads(way.threads)

    def step() -> None:
        with autocast(way.precision, device):
            found = loss(tokens_BT, tokens_BT)
        (found.total / found.weight).backward()

    try:
        return _timed(step, device)
    finally:
        model.zero_grad(set_to_none=True)


@torch.no_grad()
def _forward(model: nn.Module, loss: Lossy, tokens_BT: Tensor, way: Way, device: torch.device) -> float:
    def forward() -> None:
        with autocast(way.precision, device):
            loss(tokens_BT, tokens_BT)

    model.eval()
    took = min(_timed(forward, device) for _ in range(2))
    model.train()
    return took


def _optimizer(model: nn.Module, name: optimizers.OptimizerName, device: torch.device) -> float:
    """Timed on copies of a sample of the parameters and scaled up."""
    copies, sampled, total = nn.ParameterList(), 0, 0
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        total += parameter.numel()
        if sampled < _OPTIMIZER_ELEMENTS:
            sampled += parameter.numel()
            copies.append(nn.Parameter(torch.zeros_like(parameter)))
    if not sampled:
        return 0.0
    moved = optimizers.build(copies, name=name, rate=1e-4, weight_decay=0.1)

    def move() -> None:
        torch.nn.utils.clip_grad_norm_(moved.parameters, 1.0)
        moved.step()

    best = float("inf")
    for _ in range(3):
        for copy in copies:
            copy.grad = torch.full_like(copy, 1e-3)
        best = min(best, _timed(move, device))
    return best * total / sampled


def _timed(what: Callable[[], Any], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    what()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


@contextmanager
def _threads_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
