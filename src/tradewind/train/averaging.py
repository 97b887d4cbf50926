"""Averages of weights along the way: exponential (EMA) and stochastic weight averaging (SWA).

Not here: when a step or an epoch ends (`loop.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

AverageName: TypeAlias = Literal["none", "ema", "swa"]

_SWA_FROM = 0.75  # share of training after which SWA collects


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """By name: parameters that learn, and buffers that a state dict keeps. Frozen parameters are left out."""
    kept = set(model.state_dict().keys())
    found = {name: p.data for name, p in model.named_parameters() if p.requires_grad}
    found.update({name: buffer for name, buffer in model.named_buffers() if name in kept})
    return found


class Average:
    """Holds averaged copies of a model's trained tensors. Integer buffers are copied, not averaged.

    EMA: Polyak and Juditsky 1992, with the decay min(decay, (1 + t) / (10 + t)) after t updates, so that the random
    start is soon forgotten. SWA: Izmailov et al. 2018, the equal mean of the weights at the ends of the last epochs.
    """

    def __init__(self, name: AverageName, model: nn.Module, *, decay: float, epochs: int) -> None:
        self.name = name
        self.decay = decay
        self.updates = 0
        self._first_swa_epoch = min(epochs - 1, int(_SWA_FROM * epochs))
        self._model = model
        live = trained_tensors(model) if name != "none" else {}
        self._copies = {key: tensor.detach().clone() for key, tensor in live.items()}
        self._average, self._live, self._copied, self._copied_from = _lists(self._copies, live)

    @property
    def active(self) -> bool:
        """Whether there is an average to use yet."""
        return self.name != "none" and self.updates > 0

    @torch.no_grad()
    def after_step(self) -> None:
        if self.name == "ema":
            decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
            self._blend(1 - decay)

    @torch.no_grad()
    def after_epoch(self, epoch: int) -> None:
        if self.name == "swa" and epoch >= self._first_swa_epoch:
            self._blend(1 / (self.updates + 1))

    def _blend(self, share: float) -> None:
        self.updates += 1
        if self._average:
            torch._foreach_lerp_(self._average, self._live, share)
        if self._copied:
            torch._foreach_copy_(self._copied, self._copied_from)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the averaged weights; before and after, its own. Nothing happens without an average."""
        if not self.active:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for key, tensor in trained_tensors(self._model).items():
            own = tensor.clone()
            tensor.copy_(self._copies[key])
            self._copies[key].copy_(own)

    def tensors(self) -> dict[str, Tensor]:
        return dict(self._copies)

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], updates: int) -> None:
        self.updates = updates
        for key, copy in self._copies.items():
            copy.copy_(tensors[key])


def _lists(
    copies: dict[str, Tensor], live: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Averaged copies and their live tensors, then copied ones (integers) and theirs, each pair in one order."""
    floats = [key for key, tensor in live.items() if tensor.is_floating_point()]
    others = [key for key, tensor in live.items() if not tensor.is_floating_point()]
    return (
        [copies[k] for k in floats],
        [live[k] for k in floats],
        [copies[k] for k in others],
        [live[k] for k in others],
    )
