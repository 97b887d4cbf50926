"""Token shards of a split as they lie on disk, memory-mapped: one flat row of tokens and where each document begins.

Not here: writing them (`packing.py`), batches (`sequences.py`). Legend: N tokens, D documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.data.arrays import open_array
from tradewind.files import read_json

SUMMARY = "split.json"


@dataclass(frozen=True)
class Packed:
    """`tokens` uint16 or uint32 [N], each document ending with its end token; `starts` int64 [D + 1]; `mask` uint8 [N], 1
    where a token is learnt, or None where all are. `bytes` are the UTF-8 bytes of the text that the targets cover.
    """

    name: str
    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    mask: NDArray[np.uint8] | None
    bytes: int

    @property
    def documents(self) -> int:
        return len(self.starts) - 1

    @property
    def learnt(self) -> int:
        """Tokens that are learnt."""
        return len(self.tokens) if self.mask is None else int(np.count_nonzero(self.mask))

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Pairs:
    """Preferences: document i of `chosen` is the better answer to the prompt whose worse answer is document i of `rejected`."""

    chosen: Packed
    rejected: Packed

    def __len__(self) -> int:
        return self.chosen.documents


def open_packed(folder: Path, *, name: str) -> Packed:
    mask = open_array(folder / "mask.npy") if (folder / "mask.npy").exists() else None
    size: int = read_json(folder / SUMMARY)["bytes"]
    return Packed(name, open_array(folder / "tokens.npy"), np.asarray(open_array(folder / "starts.npy")), mask, size)
