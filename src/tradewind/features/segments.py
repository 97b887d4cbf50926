"""Stretches of the log-mel levels of a recording that can be silenced one by one: of equal length, over its whole time.

On this floor because both who serves (`engines/`) and who measures (`evaluate/`) need the same stretches and neither may
import the other. Not here: what silencing them does to an answer (`engines/occlusion.py`).

Legend: T frames, M mel bands, U stretches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 24
_FEWEST_FRAMES = 4
_BACKGROUND = 0.1  # the quantile of each band that counts as its background

Stretch = tuple[int, int]  # first frame and the one behind the last


def stretches(levels_TM: NDArray[Any], *, most: int = MOST) -> list[Stretch]:
    """At most `most` stretches over the frames in which anything is heard; the padding around them is none."""
    heard = np.flatnonzero(levels_TM.any(axis=1))
    if not len(heard):
        return []
    first, behind = int(heard[0]), int(heard[-1]) + 1
    count = max(1, min(most, (behind - first) // _FEWEST_FRAMES))
    edges = np.linspace(first, behind, count + 1).round().astype(np.int64).tolist()
    return list(pairwise(edges))


def silenced(levels_TM: NDArray[np.uint8], cuts: Sequence[Iterable[Stretch]]) -> NDArray[np.uint8]:
    """The levels once for each cut, [cuts, T, M], its stretches at the background of each band: the level that a tenth of
    the heard frames stay below. What is left out sounds like a pause in this very recording."""
    heard = levels_TM[levels_TM.any(axis=1)]
    quiet_M = np.quantile(heard if len(heard) else levels_TM, _BACKGROUND, axis=0).round().astype(levels_TM.dtype)
    found = np.repeat(levels_TM[None], len(cuts), axis=0)
    for one, cut in zip(found, cuts, strict=True):
        for start, end in cut:
            one[start:end] = np.minimum(one[start:end], quiet_M)
    return found
