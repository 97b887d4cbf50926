"""How long the threads of a product of matrices spin for each other before they sleep. Not here: how many there are (`train/measure.py`).

Spinning costs a busy machine far more than waking; being woken each time costs a free one some of every small step (LAB.md).
"""

from __future__ import annotations

import os


def settle() -> None:
    """For GNU's OpenMP, which reads it when torch or LightGBM is loaded. Whoever set one of the two variables keeps his choice."""
    if "OMP_WAIT_POLICY" not in os.environ and hasattr(os, "getloadavg"):
        os.environ.setdefault("GOMP_SPINCOUNT", str(spin_count(os.getloadavg()[0], os.cpu_count() or 1)))


def spin_count(load: float, processors: int) -> int:
    """Looks before a thread sleeps: some hundreds of microseconds where half of the machine is free, some ten where it is not."""
    return 1_000 if load > processors / 2 else 10_000
