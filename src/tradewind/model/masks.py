"""Dropout whose random numbers are made once a step: on a CPU drawing them anew for each layer costs more than the layer.

Not here: where it is applied (`seq2seq.py`). Every layer multiplies by another piece of one pool of masks, at a place that
is drawn; the pool and the places come from torch's own generator, so that a resumed run repeats them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST, _MOST = 1 << 14, 1 << 22  # masks in the pool; a layer that needs more repeats them


class Masks:
    """`drop` sets about `share` of its input to 0 and makes up for it in the rest; nothing where it does not learn.

    On a CPU the share is rounded to 256ths. Elsewhere it is torch's own dropout.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._pool: dict[torch.dtype, Tensor] = {}
        self._places: list[int] = []
        self._learning = False

    def renew(self, device: torch.device, *, largest: int, learning: bool) -> None:
        """Before each forward pass. `largest` is the size of the largest input of `drop` that will come."""
        self._learning = learning and self.share > 0
        self._pool.clear()
        if not self._learning or device.type != "cpu":
            return
        dropped = max(1, round(self.share * 256))
        self._size = min(_MOST, max(_LEAST, 2 * (largest + 7) // 8 * 8))
        bits = torch.empty(self._size // 8, dtype=torch.int64).random_(-(1 << 63), None).view(torch.uint8)
        self._kept = bits >= dropped
        self._scale = 256 / (256 - dropped)
        self._places = torch.randint(self._size, (256,)).tolist()

    def drop(self, x: Tensor) -> Tensor:
        if not self._learning:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.share)
        if x.dtype not in self._pool:
            self._pool[x.dtype] = (self._kept.to(x.dtype) * self._scale).repeat(2)
        pool, place, count = self._pool[x.dtype], self._places.pop(), x.numel()
        if count > self._size:
            pool = pool.repeat(-(-count // self._size))
        return x * pool[place : place + count].view(x.shape)
