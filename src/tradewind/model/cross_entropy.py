"""The loss of next tokens without the logits of all of them: computed in chunks, whose gradients are made at once.

For 8 rows of 1024 tokens and 32 000 words the logits alone are 1 GB, and their gradient another. Here a chunk of them
lives at a time, and what remains is the gradient of the states and of the matrix (the idea of Hsu et al., Liger Kernel,
2024). It saves the time of the memory, too.

Not here: what a step does with it (`train/language_tasks.py`).

Legend: N tokens of all rows, D width, V vocabulary, C tokens of a chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

IGNORED = -100
# Logits of a chunk, in numbers: 16 MB, so that they stay in the processor's cache for the second look at them.
_CHUNK_LOGITS = 1 << 22


class LossSum(NamedTuple):
    """Both 0-d: nats summed over the learnt tokens, and how many these are. The fields are those of `train`'s Loss."""

    total: Tensor
    weight: Tensor


def summed_cross_entropy(hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, *, smoothing: float = 0.0) -> LossSum:
    """Of states and the matrix that makes logits. Targets of -100 count nothing, and cost nothing.

    `smoothing` spreads so much of each target evenly over the vocabulary (Szegedy et al. 2016).
    """
    learnt_N = targets_N != IGNORED
    weight = learnt_N.sum()
    if int(weight) < len(targets_N):
        hidden_ND, targets_N = hidden_ND[learnt_N], targets_N[learnt_N]
    total: Tensor = _Summed.apply(hidden_ND, head_VD, targets_N, _precision(hidden_ND), smoothing)  # type: ignore[no-untyped-call]
    return LossSum(total, weight.to(torch.float32))


def token_cross_entropy(hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor) -> Tensor:
    """The loss of each token, float32 [N], 0 where the target is -100. Its gradient computes the logits again."""
    size = _chunk(head_VD.shape[0])
    needs = torch.is_grad_enabled() and (hidden_ND.requires_grad or head_VD.requires_grad)
    parts = []
    for start in range(0, len(targets_N), size):
        arguments = (hidden_ND[start : start + size], head_VD, targets_N[start : start + size])
        parts.append(checkpoint(_losses, *arguments, use_reentrant=False) if needs else _losses(*arguments))
    return torch.cat(parts) if parts else hidden_ND.new_zeros(0, dtype=torch.float32)


def _losses(hidden_CD: Tensor, head_VD: Tensor, targets_C: Tensor) -> Tensor:
    logits_CV = F.linear(hidden_CD, head_VD).float()
    return F.cross_entropy(logits_CV, targets_C, ignore_index=IGNORED, reduction="none")


class _Summed(torch.autograd.Function):
    """The sum over tokens; forward makes the gradients too, chunk by chunk, and backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, dtype: torch.dtype, smoothing: float
    ) -> Tensor:
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        size = _chunk(head_VD.shape[0])
        matrix_VD = head_VD.to(dtype)
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        hidden_grad_ND = torch.empty_like(hidden_ND) if wants_hidden else None
        head_grad_VD = torch.zeros_like(head_VD) if wants_head else None
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for start in range(0, len(targets_N), size):
                there = slice(start, start + size)
                hidden_CD, targets_C1 = hidden_ND[there].to(dtype), targets_N[there].unsqueeze(1)
                logs_CV = (hidden_CD @ matrix_VD.T).float().log_softmax(1)
                total -= (1 - smoothing) * logs_CV.gather(1, targets_C1).sum()
                if smoothing:
                    total -= smoothing / head_VD.shape[0] * logs_CV.sum()
                if not (wants_hidden or wants_head):
                    continue
                # d loss / d logits is the probabilities, less those that were to be: 1 at the target, but for smoothing.
                grad_CV = logs_CV.exp_()
                if smoothing:
                    grad_CV -= smoothing / head_VD.shape[0]
                wanted = torch.full_like(targets_C1, smoothing - 1, dtype=torch.float32)
                grad_CV.scatter_add_(1, targets_C1, wanted)
                grad_CV = grad_CV.to(dtype)
                if hidden_grad_ND is not None:
                    hidden_grad_ND[there] = grad_CV @ matrix_VD
                if head_grad_VD is not None:
                    if dtype == head_grad_VD.dtype:
                        head_grad_VD.addmm_(grad_CV.T, hidden_CD)
                    else:
                        head_grad_VD += grad_CV.T @ hidden_CD
        ctx.save_for_backward(*(grad for grad in (hidden_grad_ND, head_grad_VD) if grad is not None))
        ctx.wants = (wants_hidden, wants_head)
        return total

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        grads = iter(ctx.saved_tensors)
        hidden, head = (next(grads) * scale if wanted else None for wanted in ctx.wants)
        return hidden, head, None, None, None


def _precision(hidden_ND: Tensor) -> torch.dtype:
    """What matrix products run in: autocast's choice where it is on."""
    device = hidden_ND.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_ND.dtype


def chunk_logits(vocabulary: int) -> int:
    """How many logits stand in memory at once."""
    return _chunk(vocabulary) * vocabulary


def _chunk(vocabulary: int) -> int:
    return max(16, _CHUNK_LOGITS // vocabulary)
