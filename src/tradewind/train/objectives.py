"""Losses: what training makes small. Each gives a weighted sum and its weight, so that sums over batches stay exact.

Not here: what a step feeds them (`tasks.py`), nor penalties on weights (`loop.py` for L1, the optimizer for L2).

Legend: B rows, M members of an ensemble, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

LossName: TypeAlias = Literal["cross_entropy", "focal", "mse", "mae", "huber"]


class Loss(NamedTuple):
    """Both 0-d. The loss of the rows is `total / weight`; over several batches it is the ratio of the two sums."""

    total: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Objective:
    """One loss with its settings. Members share the target: their losses are averaged, not their predictions.

    A row without a label (class -1, value NaN) counts nothing. `class_weights` multiplies the weight of a row of
    that class, and the loss is divided by the weights' sum, as torch does. `offsets` are added to the logits of classes of which
    training sees fewer rows than there are (`undersampling.py`).
    """

    name: LossName
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    huber_delta: float = 1.0
    class_weights: tuple[float, ...] | None = None
    offsets: tuple[float, ...] | None = None

    def __call__(self, logits_BMK: Tensor, target_B: Tensor, weight_B: Tensor | None = None) -> Loss:
        """`target_B` is int64 (classes) or float32 (values; K is 1); `weight_B` float32 or None for ones."""
        logits_BMK = logits_BMK.float()  # under autocast the loss itself stays in single precision
        if self.name in ("cross_entropy", "focal"):
            if self.offsets is not None:
                logits_BMK = logits_BMK + logits_BMK.new_tensor(self.offsets)
            return self._classes(logits_BMK, target_B, weight_B)
        return self._values(logits_BMK.squeeze(-1), target_B, weight_B)

    def _classes(self, logits_BMK: Tensor, target_B: Tensor, weight_B: Tensor | None) -> Loss:
        rows, members, classes = logits_BMK.shape
        target_R = target_B if members == 1 else target_B.repeat_interleave(members)
        loss_R = F.cross_entropy(
            logits_BMK.reshape(rows * members, classes),
            target_R,
            ignore_index=-1,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )  # 0 where the label is missing
        if self.name == "focal":
            # Lin et al., Focal Loss for Dense Object Detection, 2017: (1 - p_t)^gamma times the cross entropy.
            log_p_RK = logits_BMK.reshape(rows * members, classes).log_softmax(-1)
            log_pt_R = log_p_RK.gather(1, target_R.clamp_min(0).unsqueeze(1)).squeeze(1)
            loss_R = (-torch.expm1(log_pt_R)).clamp_min(0).pow(self.focal_gamma) * loss_R
        loss_B = loss_R.view(rows, members).mean(1)
        counts_B = (target_B >= 0).to(loss_B.dtype)
        if weight_B is not None:
            counts_B = counts_B * weight_B
        if self.class_weights is not None:
            counts_B = counts_B * loss_B.new_tensor(self.class_weights)[target_B.clamp_min(0)]
        return Loss((loss_B * counts_B).sum(), counts_B.sum())

    def _values(self, values_BM: Tensor, target_B: Tensor, weight_B: Tensor | None) -> Loss:
        known_B = ~target_B.isnan()
        expected_BM = target_B.nan_to_num(0.0).to(values_BM.dtype).unsqueeze(1).expand_as(values_BM)
        match self.name:
            case "mse":
                loss_BM = F.mse_loss(values_BM, expected_BM, reduction="none")
            case "mae":
                loss_BM = F.l1_loss(values_BM, expected_BM, reduction="none")
            case _:  # Huber, Robust Estimation of a Location Parameter, 1964
                loss_BM = F.huber_loss(values_BM, expected_BM, reduction="none", delta=self.huber_delta)
        counts_B = known_B.to(values_BM.dtype)
        if weight_B is not None:
            counts_B = counts_B * weight_B
        return Loss((loss_BM.mean(1) * counts_B).sum(), counts_B.sum())


def balanced_weights(counts_K: Tensor) -> tuple[float, ...]:
    """Weights by which every class weighs the same in all: rows / (classes present * rows of the class); 0 if absent."""
    present = counts_K > 0
    rows, classes = counts_K.sum(), present.sum()
    weights = torch.where(
        present, rows / (classes * counts_K.clamp_min(1)), torch.zeros_like(counts_K, dtype=torch.float)
    )
    return tuple(float(weight) for weight in weights)
