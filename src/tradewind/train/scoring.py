"""What a trained model says of a split, of answers, and after a prompt: the one place that evaluation gets scores from.

Not here: figures (`evaluate/generation.py`), serving (`engines/`), what training looks at on its way (`language_tasks.py`).
Splits are read as training reads them: windows of running text, whole conversations.

Legend: N tokens of a split, B rows, T tokens of a batch, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.data.packed import Packed, Pairs
from tradewind.data.sequences import NO_TARGET, Conversations, Preferences, Windows
from tradewind.model.decoder import Decoder
from tradewind.model.hf_folder import open_folder
from tradewind.train.device import choose_device, reproducible, to_tensor
from tradewind.train.language import LanguageRun

_BATCH_TOKENS = 8192
Told = Callable[[float], None]


@dataclass(frozen=True)
class Continuation:
    """What was written after a prompt: the tokens without the stop, and whether a stop ended them."""

    tokens: tuple[int, ...]
    stopped: bool


@dataclass(frozen=True)
class Scorer:
    """A model that is asked. `context` is how many tokens it sees at once, as in its training."""

    model: Decoder
    context: int
    device: torch.device
    threads: int | None = None

    @classmethod
    def of(cls, run: LanguageRun) -> Scorer:
        """The run's weights, an adapter merged. Raises ArtifactError when the folder is broken."""
        return cls.open(run.hf, run)

    @classmethod
    def open(cls, folder: Path, run: LanguageRun) -> Scorer:
        """Another folder's weights, asked as those of the run: what training began with."""
        settings = run.product.train
        device = choose_device(settings.device)
        model, config = open_folder(folder)
        threads = settings.threads if isinstance(settings.threads, int) else None
        return cls(model.to(device).eval(), min(int(run.summary["context"]), config.context), device, threads)

    def token_losses(self, packed: Packed, *, told: Told | None = None) -> NDArray[np.float32]:
        """Nats of each token of the split given those before it [N]; NaN where a token is not learnt, or where its
        conversation is too long for it to be seen."""
        losses_N = np.full(len(packed), np.nan, dtype=np.float32)
        batches: Any
        if packed.mask is None:
            size = max(1, _BATCH_TOKENS // min(self.context, len(packed)))
            batches = Windows(packed, length=self.context, size=size, shuffle=False)
        else:
            size = max(1, _BATCH_TOKENS // min(self.context, int(np.diff(packed.starts).max())))
            batches = Conversations(packed, length=self.context, size=size, shuffle=False)
        with self._asked():
            for done, batch in enumerate(batches.epoch(0), start=1):
                losses_BT = self._losses(batch)
                learnt_BT = batch.targets != NO_TARGET
                losses_N[_places(packed, batch)[learnt_BT]] = losses_BT[learnt_BT]
                if told is not None:
                    told(done / len(batches))
        return losses_N

    def log_likelihoods(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], *, told: Told | None = None
    ) -> list[float]:
        """The log-likelihood of each continuation after its prompt, in nats. Together they fit into the context."""
        found = [0.0] * len(prompts)
        lengths = [len(prompt) + len(rest) - 1 for prompt, rest in zip(prompts, continuations, strict=True)]
        order = sorted(range(len(prompts)), key=lambda at: lengths[at])
        with self._asked():
            at = 0
            while at < len(order):
                size = max(1, _BATCH_TOKENS // max(1, lengths[order[min(at + 63, len(order) - 1)]]))
                rows = order[at : at + min(size, 64)]
                longest = max(lengths[row] for row in rows)
                tokens_BT = np.zeros((len(rows), longest), dtype=np.int64)
                targets_BT = np.full((len(rows), longest), NO_TARGET, dtype=np.int64)
                for place, row in enumerate(rows):
                    whole = [*prompts[row], *continuations[row]]
                    assert len(whole) - 1 <= self.context, "prompt and continuation fit into the context"
                    tokens_BT[place, : len(whole) - 1] = whole[:-1]
                    targets_BT[place, len(prompts[row]) - 1 : len(whole) - 1] = continuations[row]
                sums_B = -self._nats(tokens_BT, targets_BT).sum(axis=1, dtype=np.float64)
                for place, row in enumerate(rows):
                    found[row] = float(sums_B[place])
                at += len(rows)
                if told is not None:
                    told(at / len(order))
        return found

    def pair_log_likelihoods(self, pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of the better and of the worse answers, each [P] of the pairs that fit into the context."""
        longest = max(int(np.diff(side.starts).max()) for side in (pairs.chosen, pairs.rejected))
        size = max(1, _BATCH_TOKENS // (2 * min(self.context, longest)))
        batches = Preferences(pairs, length=self.context, size=size, shuffle=False)
        sides: tuple[list[Any], list[Any]] = ([], [])
        with self._asked():
            for batch in batches.epoch(0):
                for side, found in zip(batch, sides, strict=True):
                    found.append(-self._losses(side).sum(axis=1, dtype=np.float64))
        return np.concatenate(sides[0]), np.concatenate(sides[1])

    def continuations(
        self, prompts: Sequence[Sequence[int]], *, max_tokens: int | Sequence[int], temperature: float, seed: int,
        stops: Sequence[int], told: Told | None = None,
    ) -> list[Continuation]:  # fmt: skip
        """What the model writes after each prompt, each with a seed of its own. A temperature of 0 takes the likeliest."""
        most = [max_tokens] * len(prompts) if isinstance(max_tokens, int) else list(max_tokens)
        found = []
        with self._asked():
            for at, (prompt, tokens) in enumerate(zip(prompts, most, strict=True)):
                made = self.model.generate(
                    list(prompt), max_tokens=tokens, temperature=temperature, seed=seed + at, stops=stops
                )
                stopped = bool(made) and made[-1] in stops
                found.append(Continuation(tuple(made[:-1] if stopped else made), stopped))
                if told is not None:
                    told((at + 1) / len(prompts))
        return found

    # ---------------------------------------------------------------- its parts

    @contextmanager
    def _asked(self) -> Iterator[None]:
        with torch.inference_mode(), reproducible(seed=0, threads=self.threads, device=self.device):
            yield

    def _losses(self, batch: Any) -> NDArray[np.float32]:
        return self._nats(batch.tokens, batch.targets)

    def _nats(self, tokens_BT: NDArray[np.int64], targets_BT: NDArray[np.int64]) -> NDArray[np.float32]:
        """Nats of each target [B, T], 0 where there is none."""
        found = self.model.token_losses(to_tensor(tokens_BT, self.device), to_tensor(targets_BT, self.device))
        return np.asarray(found.float().cpu().numpy())


def _places(packed: Packed, batch: Any) -> NDArray[np.int64]:
    """Where in the split each target of a batch stands [B, T]; -1 and less where there is none."""
    steps_T = np.arange(batch.targets.shape[1])
    if packed.mask is None:
        return np.asarray(np.minimum(batch.rows[:, None] + steps_T, len(packed) - 1))
    # A conversation is taken up to its last learnt token, which is the last target of its row.
    ends = [
        int(packed.starts[row]) + int(np.flatnonzero(packed.mask[packed.starts[row] : packed.starts[row + 1]])[-1])
        for row in batch.rows.tolist()
    ]
    return np.asarray(np.array(ends)[:, None] - (batch.lengths[:, None] - 1) + steps_T)
