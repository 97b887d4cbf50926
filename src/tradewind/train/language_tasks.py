"""What a step of a language model computes: next tokens, answers, masked words, preferences; and their figures.

Not here: the order of steps (`loop.py`), settings (`language_defaults.py`), batches (`data/sequences.py`). Losses are sums
of nats with the number of tokens (or pairs) behind them, so that they come out the same whatever `accumulate` is.

Legend: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.model.masked import mask_tokens
from tradewind.train.device import Precision, autocast, to_tensor
from tradewind.train.language_model import uncompiled
from tradewind.train.objectives import Loss

IGNORED = -100  # a place whose token is not learnt


class Tokens(Protocol):
    """`tokens` int64 [B, T]; `targets` int64 [B, T], shifted by one, -100 where nothing is learnt; `lengths` and `rows`
    int64 [B]: tokens without padding, and places in the split."""

    @property
    def tokens(self) -> NDArray[Any]: ...

    @property
    def targets(self) -> NDArray[Any]: ...

    @property
    def lengths(self) -> NDArray[Any]: ...

    @property
    def rows(self) -> NDArray[Any]: ...


class Source(Protocol):
    """Batches of one split, as `data/sequences.py` gives them: the order depends on the seed and the epoch alone."""

    def __len__(self) -> int: ...

    def epoch(self, n: int, start: int = 0) -> Iterator[Any]: ...


@dataclass(frozen=True)
class Held:
    """Validation batches, and the bytes of text behind one of their targets (0 where bits per byte say nothing)."""

    batches: Source
    bytes_per_token: float


@dataclass
class Pace:
    """Tokens that were trained on, and the share of the machine that they took. Kept over an interruption."""

    operations_per_token: float
    peak_per_s: float
    tokens: int = 0
    learnt: int = 0
    paused_s: float = 0.0  # by validation and samples
    seen: int = 0  # tokens of this attempt
    seen_paused_s: float = 0.0

    def count(self, tokens: int, learnt: int) -> None:
        self.tokens, self.learnt, self.seen = self.tokens + tokens, self.learnt + learnt, self.seen + tokens

    def pause(self, seconds: float) -> None:
        self.paused_s, self.seen_paused_s = self.paused_s + seconds, self.seen_paused_s + seconds

    def rates(self, seconds: float) -> dict[str, float]:
        """`seconds` is the time since this attempt began; validation and samples do not count."""
        return self._rates(self.seen / max(seconds - self.seen_paused_s, 1e-9))

    def whole(self, seconds: float) -> dict[str, float]:
        """The same over all attempts, which took `seconds`."""
        return self._rates(self.tokens / max(seconds - self.paused_s, 1e-9))

    def _rates(self, per_s: float) -> dict[str, float]:
        found = {"tokens_per_s": round(per_s, 1)}
        if self.peak_per_s > 0:
            found["matmul_share"] = round(per_s * self.operations_per_token / self.peak_per_s, 4)
        return found

    def state(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "learnt": self.learnt, "paused_s": self.paused_s}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.tokens, self.learnt = int(state["tokens"]), int(state["learnt"])
        self.paused_s = float(state["paused_s"])


class Sampler(Protocol):
    """Writes what the model says at an evaluation; can be cut back to what it had written before."""

    def write(self, tokens: int) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


@dataclass
class LanguageTask:
    """What every objective of a language model shares: pace, samples, evaluation with the figures by their usual names."""

    model: Any
    device: torch.device
    precision: Precision
    held: Held
    pace: Pace
    sampler: Sampler | None = None
    monitor: str = "bits_per_byte"

    def step(self, batch: Any) -> Loss:
        raise NotImplementedError  # each objective says what a step is

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Figures on the batches that are looked at while training."""
        started = time.perf_counter()
        with uncompiled(self.model):
            figures = self.figures(self.held)
        if self.sampler is not None:
            self.sampler.write(self.pace.tokens)
        self.pace.pause(time.perf_counter() - started)
        return figures

    @torch.no_grad()
    def figures(self, held: Held) -> dict[str, float]:
        """Loss per token in nats, perplexity and bits per byte over `held`, in evaluation mode."""
        was_training = self.model.training
        self.model.eval()
        total, weight = 0.0, 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for batch in held.batches.epoch(0):
                with autocast(self.precision, self.device):
                    loss = self.loss(batch)
                total += float(loss.total)
                weight += float(loss.weight)
        self.model.train(was_training)
        return self.named(total / max(weight, 1.0), held) if weight > 0 else {}

    def loss(self, batch: Any) -> Loss:
        """Of one batch, without counting it."""
        tokens_BT, targets_BT = to_tensor(batch.tokens, self.device), to_tensor(batch.targets, self.device)
        found = self.model.loss(tokens_BT, targets_BT)
        return Loss(found.total, found.weight)

    def named(self, loss: float, held: Held) -> dict[str, float]:
        figures = {"validation_loss": loss, "perplexity": math.exp(min(loss, 700.0))}
        if held.bytes_per_token > 0:
            figures["bits_per_byte"] = loss / (math.log(2) * held.bytes_per_token)
        return figures

    # ---- what the loop asks of a task that counts its own pace and keeps a state
    def rates(self, seconds: float) -> dict[str, float]:
        return self.pace.rates(seconds)

    def state(self) -> dict[str, Any]:
        return {"pace": self.pace.state(), "samples": None if self.sampler is None else self.sampler.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.pace.restore(state["pace"])
        if self.sampler is not None and state["samples"] is not None:
            self.sampler.restore(state["samples"])


@dataclass
class NextTokenTask(LanguageTask):
    """Pretraining and fine-tuning alike: each target is the next token; those that are not learnt stand at -100."""

    def step(self, batch: Tokens) -> Loss:
        self.pace.count(int(batch.lengths.sum()), int((batch.targets != IGNORED).sum()))
        return self.loss(batch)


@dataclass
class MaskedTask(LanguageTask):
    """Masked words of an encoder, drawn anew each time (Devlin et al., BERT, 2019; Liu et al., RoBERTa, 2019); never
    `special` tokens."""

    special: tuple[int, ...] = ()
    monitor: str = "validation_loss"

    def step(self, batch: Tokens) -> Loss:
        loss = self.loss(batch)
        self.pace.count(int(batch.lengths.sum()), int(loss.weight))
        return loss

    def loss(self, batch: Tokens) -> Loss:
        config = self.model.config
        tokens_BT = to_tensor(batch.tokens, self.device)
        place_T = torch.arange(tokens_BT.shape[1], device=self.device)
        there_BT = place_T < to_tensor(batch.lengths, self.device).unsqueeze(1)
        read_BT, targets_BT = mask_tokens(
            tokens_BT, mask=config.mask, vocabulary=config.vocabulary, there_BT=there_BT, special=self.special
        )
        found = self.model.loss(read_BT, targets_BT, there_BT=there_BT)
        return Loss(found.total, found.weight)


@dataclass
class PreferenceTask(LanguageTask):
    """Direct preference optimisation (Rafailov et al. 2023): the better answer gains on the worse one, measured against
    the weights that training began with. Their log-probabilities were computed once: `reference` and `held_reference`
    are float64 [R, 2], by row of the training and the validation split, of the better and of the worse answer."""

    beta: float = 0.1
    reference: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    held_reference: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    monitor: str = "validation_loss"

    def step(self, batch: Any) -> Loss:
        for side in (batch.chosen, batch.rejected):
            self.pace.count(int(side.lengths.sum()), int((side.targets != IGNORED).sum()))
        margin_B = self.margins(batch, self.reference)
        return Loss(-F.logsigmoid(margin_B).sum(), margin_B.new_tensor(float(len(margin_B))))

    def margins(self, batch: Any, reference: NDArray[np.float64]) -> Tensor:
        """beta times how much more the better answer gained than the worse one, [B]."""
        known_B2 = torch.from_numpy(reference[batch.chosen.rows]).to(self.device, torch.float32)
        chosen_B = answer_log_probabilities(self.model, batch.chosen, self.device)
        rejected_B = answer_log_probabilities(self.model, batch.rejected, self.device)
        return self.beta * ((chosen_B - known_B2[:, 0]) - (rejected_B - known_B2[:, 1]))

    @torch.no_grad()
    def figures(self, held: Held) -> dict[str, float]:
        """`validation_loss` per pair, the mean `margin`, and how often the better answer is ahead (`accuracy`)."""
        was_training = self.model.training
        self.model.eval()
        parts = []
        for batch in held.batches.epoch(0):
            with autocast(self.precision, self.device):
                parts.append(self.margins(batch, self.held_reference).float().cpu())
        self.model.train(was_training)
        margins = torch.cat(parts)
        return {
            "validation_loss": float(-F.logsigmoid(margins).mean()),
            "margin": float(margins.mean()),
            "accuracy": float((margins > 0).float().mean()),
        }


def answer_log_probabilities(model: Any, side: Tokens, device: torch.device) -> Tensor:
    """The log-probability of each row's learnt tokens, summed, [B]."""
    losses_BT: Tensor = model.token_losses(to_tensor(side.tokens, device), to_tensor(side.targets, device))
    return -losses_BT.sum(1)


@torch.no_grad()
def reference_of(model: nn.Module, pairs: Source, *, rows: int, device: torch.device) -> NDArray[np.float64]:
    """Log-probabilities [rows, 2] of the better and the worse answer of every pair under the weights as they are now."""
    was_training = model.training
    model.eval()
    found = np.zeros((rows, 2))
    for batch in pairs.epoch(0):
        for place, side in enumerate((batch.chosen, batch.rejected)):
            found[batch.chosen.rows, place] = answer_log_probabilities(model, side, device).double().cpu().numpy()
    model.train(was_training)
    return found
