"""Has a distribution moved? Population stability index and Kolmogorov-Smirnov over bins that were cut on other rows.

One arithmetic for the report and for a service. Not here: what is compared (`evaluate/drift.py`), who is told
(`server/drift_watch.py`).

Legend: B bins. A bin of a share 0 on either side counts as half a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, exp, pi, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_BINS = 20
SURE = 1e-6  # chance of a false alarm at one look; looks overlap, and there are many


@dataclass(frozen=True)
class Moved:
    """`psi` after Siddiqi (2006): below 0.1 stable, above 0.2 moved; `ks` the largest distance of the two distribution
    functions at the edges. `chance` is how likely a `psi` so large is by chance alone where nothing moved, `chance_ks` of `ks`."""

    rows: int
    psi: float
    ks: float
    chance: float
    chance_ks: float

    def alarming(self, bound: float) -> bool:
        """Whether the index is above `bound` and chance does not explain it."""
        return self.psi >= bound and self.chance < SURE


@dataclass(frozen=True)
class Reference:
    """How numbers were spread over bins: `edges` [B - 1] rise, `counts` [B]; a value on an edge is above it."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        """Bins of like many rows; fewer where values repeat."""
        quantiles = np.quantile(values.astype(np.float64), np.linspace(0, 1, _BINS + 1)[1:-1])
        edges = tuple(np.unique(quantiles[quantiles > values.min()]).tolist())
        return cls(edges, tuple(cls(edges, ()).counted(values)))

    def state(self) -> dict[str, Any]:
        return {"edges": list(self.edges), "counts": list(self.counts)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(tuple(state["edges"]), tuple(state["counts"]))

    def moved(self, values: NDArray[Any]) -> Moved:
        """How far `values` are from what was seen."""
        return compare(self.counts, self.counted(values))

    def counted(self, values: NDArray[Any]) -> list[int]:
        """How many of `values` fall into each bin, [B]."""
        places = np.searchsorted(np.array(self.edges), values.astype(np.float64), side="right")
        counts: list[int] = np.bincount(places, minlength=len(self.edges) + 1).tolist()
        return counts


def compare(before: Sequence[int], after: Sequence[int]) -> Moved:
    """Two counts over the same bins [B]."""
    expected, found = np.array(before, dtype=np.float64), np.array(after, dtype=np.float64)
    some = expected + found > 0
    expected, found = expected[some], found[some]
    m, n = expected.sum(), found.sum()
    if not m or not n:
        return Moved(int(n), 0.0, 0.0, 1.0, 1.0)
    p, q = np.maximum(expected, 0.5) / m, np.maximum(found, 0.5) / n
    psi = float(((q - p) * np.log(q / p)).sum())
    ks = float(np.abs(np.cumsum(found) / n - np.cumsum(expected) / m).max())
    harmonic = m * n / (m + n)
    # Without a move psi · mn / (m + n) is about chi-squared (Yurdakul, Naranjo 2020).
    return Moved(
        int(n),
        psi,
        ks,
        chi_squared_tail(psi * harmonic, int(some.sum()) - 1),
        min(1.0, 2 * exp(-2 * ks * ks * harmonic)),
    )


def chi_squared_tail(x: float, degrees: int) -> float:
    """The chance of more than `x`: exact for even degrees, by the recurrence from erfc for odd ones."""
    if x <= 0 or degrees < 1:
        return 1.0
    half = x / 2
    # Q(a + 1, h) = Q(a, h) + h^a e^-h / Γ(a + 1), from Q(1/2, h) = erfc √h or Q(1, h) = e^-h.
    if degrees % 2:
        a, tail, term = 0.5, erfc(sqrt(half)), 2 * sqrt(half / pi) * exp(-half)
    else:
        a, tail, term = 1.0, exp(-half), half * exp(-half)
    while a < degrees / 2:
        tail += term
        a += 1
        term *= half / a
    return min(tail, 1.0)
