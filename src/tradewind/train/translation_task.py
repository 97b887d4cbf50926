"""What a step of a translator computes: the next target token from the source and those before it, and its figures.

Not here: the order of steps (`loop.py`), settings (`translation_defaults.py`), batches (`data/pair_batches.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from tradewind.model.seq2seq import Seq2Seq
from tradewind.train.device import Precision, autocast, to_tensor
from tradewind.train.objectives import Loss


class Pairs(Protocol):
    """A batch as `data/pair_batches.py` makes it."""

    @property
    def source(self) -> NDArray[Any]: ...
    @property
    def there(self) -> NDArray[Any]: ...
    @property
    def target(self) -> NDArray[Any]: ...
    @property
    def next(self) -> NDArray[Any]: ...
    @property
    def tokens(self) -> int: ...


class PairSource(Protocol):
    def __len__(self) -> int: ...
    def epoch(self, n: int, start: int = 0) -> Iterator[Any]: ...


@dataclass
class TranslationTask:
    """`smoothing` is for training alone: validation is in plain nats per target token. Tokens are source and target ones."""

    model: Seq2Seq
    device: torch.device
    precision: Precision
    held: PairSource
    smoothing: float
    monitor: str = "validation_loss"
    tokens: int = 0
    seen: int = 0  # of this attempt
    paused_s: float = 0.0  # by validation, of this attempt

    def step(self, batch: Pairs) -> Loss:
        self.tokens, self.seen = self.tokens + batch.tokens, self.seen + batch.tokens
        return self._loss(batch, self.smoothing)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss per target token in nats and perplexity on the validation split, in evaluation mode."""
        started = time.perf_counter()
        was_training = self.model.training
        self.model.eval()
        total = weight = 0.0
        for batch in self.held.epoch(0):
            with autocast(self.precision, self.device):
                loss = self._loss(batch, 0.0)
            total, weight = total + float(loss.total), weight + float(loss.weight)
        self.model.train(was_training)
        self.paused_s += time.perf_counter() - started
        mean = total / max(weight, 1.0)
        return {"validation_loss": mean, "perplexity": math.exp(min(mean, 700.0))}

    def _loss(self, batch: Pairs, smoothing: float) -> Loss:
        source, there, target, following = (
            to_tensor(one, self.device) for one in (batch.source, batch.there, batch.target, batch.next)
        )
        found = self.model.loss(source, there, target, following, smoothing=smoothing)
        return Loss(found.total, found.weight)

    # ---- what the loop asks of a task that counts its own pace
    def rates(self, seconds: float) -> dict[str, float]:
        return {"tokens_per_s": round(self.seen / max(seconds - self.paused_s, 1e-9), 1)}

    def state(self) -> dict[str, Any]:
        return {"tokens": self.tokens}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.tokens = int(state["tokens"])
