"""How fast a machine multiplies matrices: what the speed of training is held against.

Not here: what training costs (`train/costs.py`), the operations of one token (`decoder_config.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

# A product this large runs at the machine's best rate, and takes milliseconds: 2 and 1100 billion operations.
_SIDES = {"cpu": 1024, "cuda": 8192}


@dataclass(frozen=True)
class MatmulPeak:
    """Operations a second of large matrix products, with so many `threads`. bfloat16 is also measured where it is emulated:
    that is how one sees that it does not pay."""

    float32: float
    bfloat16: float
    threads: int


def matmul_peak(seconds: float = 1.0, *, device: torch.device | str = "cpu") -> MatmulPeak:
    """Measured for `seconds` in all, with the threads that torch has now. The best of several products counts: what
    disturbs a measurement only ever makes it slower."""
    device = torch.device(device)
    found = {
        dtype: _peak(seconds / 2, device=device, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)
    }  # fmt: skip
    return MatmulPeak(found[torch.float32], found[torch.bfloat16], torch.get_num_threads())


@torch.no_grad()
def _peak(seconds: float, *, device: torch.device, dtype: torch.dtype) -> float:
    side = _SIDES.get(device.type, _SIDES["cpu"])
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, generator=generator, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)  # the first product sets up what the others use
    best, began = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - began < seconds:
        best = min(best, _timed(a, b, out))
    return 2 * side**3 / best


def _timed(a: Tensor, b: Tensor, out: Tensor) -> float:
    if a.device.type == "cuda":
        torch.cuda.synchronize(a.device)
    began = time.perf_counter()
    torch.mm(a, b, out=out)
    if a.device.type == "cuda":
        torch.cuda.synchronize(a.device)
    return time.perf_counter() - began
