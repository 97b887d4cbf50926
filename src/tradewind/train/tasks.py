"""What a step computes: from a batch to a loss, and from the validation split to figures.

Not here: the order of steps (`loop.py`), nor the figures of a report (`evaluate/metrics.py`), which has no torch. The
figures here only choose weights; they are few and quick.

Legend: B rows of a batch, R rows of a split, M members, K classes, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradewind.errors import ModelError, nearest
from tradewind.model.heads import log_probabilities, values
from tradewind.model.trunk import TradewindModel
from tradewind.train.device import to_tensor
from tradewind.train.objectives import Loss, Objective


class MixupLike(Protocol):
    """Blend each row with row `partner` [B] of its batch: share of the row, 1 - share of the partner."""

    @property
    def share(self) -> float: ...

    @property
    def partner(self) -> NDArray[np.int64]: ...


class BatchLike(Protocol):
    """Encoded rows: `target` int64 [B] (-1 missing) or float32 [B] (NaN missing), `weight` float32 [B] or None."""

    @property
    def inputs(self) -> Mapping[str, Any]: ...

    @property
    def target(self) -> NDArray[Any]: ...

    @property
    def weight(self) -> NDArray[Any] | None: ...

    @property
    def mixup(self) -> MixupLike | None: ...

    @property
    def rows(self) -> NDArray[np.int64]:
        """Places [B] in the split."""
        ...


class AdversaryLike(Protocol):
    """Changes inputs before the model learns from them."""

    def against(
        self, model: torch.nn.Module, inputs: Mapping[str, Tensor], loss_of: Callable[[Mapping[str, Tensor]], Tensor]
    ) -> AbstractContextManager[dict[str, Tensor]]:
        """Inside: the changed inputs. `loss_of` gives the loss, 0-d, of inputs."""
        ...


class BatchSource(Protocol):
    """Batches of a split. The order of epoch `n` depends on the seed and `n` alone, so that a resume repeats it."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, n: int, start: int = 0) -> Iterator[BatchLike]:
        """Batches `start` … of epoch `n`."""
        ...


class Task(Protocol):
    """What the loop asks of a task, whatever the model is."""

    @property
    def monitor(self) -> str:
        """The validation figure that chooses the best weights."""
        ...

    def step(self, batch: Any) -> Loss:
        """The loss of one batch, with its graph."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on the validation split, in evaluation mode; empty when there is none."""
        ...


@runtime_checkable
class LongTask(Protocol):
    """What a task may have besides: figures of its own pace for the log, and a state that a checkpoint keeps."""

    def rates(self, seconds: float) -> dict[str, float]:
        """`seconds` since this attempt began."""
        ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


_LOWER = frozenset({"loss", "log_loss", "rmse", "mae", "error", "validation_loss", "perplexity", "bits_per_byte"})
CLASSIFICATION_FIGURES = ("log_loss", "accuracy", "f1_macro", "roc_auc")
REGRESSION_FIGURES = ("rmse", "mae", "r2")


def lower_is_better(figure: str) -> bool:
    return figure in _LOWER


@dataclass
class SupervisedTask:
    """Classification or regression over any assembled model. `unit` is the mean and scale of a normalised target."""

    model: TradewindModel
    objective: Objective
    device: torch.device
    validation: BatchSource | None
    monitor: str
    unit: tuple[float, float] | None = None
    adversary: AdversaryLike | None = None

    def step(self, batch: BatchLike) -> Loss:
        inputs, target_B, weight_B = self.tensors(batch)
        with self._changed(inputs, target_B, weight_B) as inputs:
            if batch.mixup is not None:
                partner_B = to_tensor(batch.mixup.partner, self.device)
                return self._mixed(inputs, target_B, weight_B, partner_B, batch.mixup.share)
            return self.loss(inputs, target_B, weight_B)

    def loss(self, inputs: Mapping[str, Tensor], target_B: Tensor, weight_B: Tensor | None) -> Loss:
        """Of rows as they are."""
        encoded_BMD, wide_BK = self.model.encode(inputs)
        return self._loss(encoded_BMD, wide_BK, target_B, weight_B)

    def _changed(
        self, inputs: dict[str, Tensor], target_B: Tensor, weight_B: Tensor | None
    ) -> AbstractContextManager[dict[str, Tensor]]:
        """The inputs as the adversary leaves them, who is after the loss of the plain task."""
        if self.adversary is None:
            return nullcontext(inputs)

        def loss_of(changed: Mapping[str, Tensor]) -> Tensor:
            return SupervisedTask._loss(self, *self.model.encode(changed), target_B, weight_B).total

        return self.adversary.against(self.model, inputs, loss_of)

    def _loss(self, encoded_BMD: Tensor, wide_BK: Tensor | None, target_B: Tensor, weight_B: Tensor | None) -> Loss:
        """Of the sum of deep and wide logits, and of each alone where there are both: neither may lean on the other.

        The deep part of a jointly trained sum learns what the wide one leaves over; measured on banking77, the two
        further losses raise the accuracy of the sum from 0.9185 to 0.927, on chest X-rays from 0.847 to 0.867 (`LAB.md`).
        """
        if wide_BK is None:
            return self.objective(self.model.decide(encoded_BMD, None), target_B, weight_B)
        deep_BMK, wide_B1K = self.model.decide(encoded_BMD, None), wide_BK.unsqueeze(1)
        parts = [self.objective(part, target_B, weight_B) for part in (deep_BMK + wide_B1K, deep_BMK, wide_B1K)]
        return Loss(parts[0].total + parts[1].total + parts[2].total, parts[0].weight)

    def _mixed(
        self, inputs: dict[str, Tensor], target_B: Tensor, weight_B: Tensor | None, partner_B: Tensor, share: float
    ) -> Loss:
        """Zhang et al., mixup, 2018, as the mean of two losses.

        Numbers and pixels are mixed as they are, and a category is taken from either row. Words cannot be mixed, so
        with text it is the encoded vectors (Guo et al. 2019; Verma et al., Manifold Mixup, 2019).
        """
        if any(name.startswith(("tokens", "ngrams")) for name in inputs):
            encoded_BMD, wide_BK = self.model.encode(inputs)
            encoded_BMD = torch.lerp(encoded_BMD[partner_B], encoded_BMD, share)
            wide_BK = None if wide_BK is None else torch.lerp(wide_BK[partner_B], wide_BK, share)
        else:
            mixed = {name: _mix(tensor, partner_B, share) for name, tensor in inputs.items()}
            encoded_BMD, wide_BK = self.model.encode(mixed)
        own = self._loss(encoded_BMD, wide_BK, target_B, weight_B)
        other_weight_B = None if weight_B is None else weight_B[partner_B]
        other = self._loss(encoded_BMD, wide_BK, target_B[partner_B], other_weight_B)
        return Loss(share * own.total + (1 - share) * other.total, share * own.weight + (1 - share) * other.weight)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        was_training = self.model.training
        self.model.eval()
        outputs: list[Tensor] = []
        targets: list[NDArray[Any]] = []
        weights: list[NDArray[Any]] = []
        for batch in self.validation.epoch(0):
            inputs, _, _ = self.tensors(batch)
            logits_BMK = self.model(inputs).float()
            outputs.append(log_probabilities(logits_BMK) if self.unit is None else values(logits_BMK))
            targets.append(batch.target)
            weights.append(np.ones(len(batch.target)) if batch.weight is None else batch.weight)
        self.model.train(was_training)
        output = torch.cat(outputs).cpu().double().numpy()
        target_R, weight_R = np.concatenate(targets), np.concatenate(weights).astype(np.float64)
        if self.unit is None:
            return classification_figures(output, target_R, weight_R)
        return regression_figures(output, target_R.astype(np.float64), weight_R, scale=self.unit[1])

    def tensors(self, batch: BatchLike) -> tuple[dict[str, Tensor], Tensor, Tensor | None]:
        inputs = {name: to_tensor(array, self.device) for name, array in batch.inputs.items()}
        weight_B = None if batch.weight is None else to_tensor(batch.weight, self.device)
        return inputs, to_tensor(batch.target, self.device), weight_B


def _mix(tensor: Tensor, partner_B: Tensor, share: float) -> Tensor:
    if tensor.dtype == torch.int64:
        keep = torch.rand(tensor.shape, device=tensor.device) < share
        return torch.where(keep, tensor, tensor[partner_B])
    tensor = tensor.float()
    return torch.lerp(tensor[partner_B], tensor, share)


def choose_monitor(wanted: str, *, classes: int | None) -> str:
    """`wanted` if the task has that figure. Raises ModelError otherwise. `auto`: log_loss, or rmse."""
    known = REGRESSION_FIGURES if classes is None else CLASSIFICATION_FIGURES
    if wanted == "auto":
        return known[0]
    if wanted == "roc_auc" and classes is not None and classes != 2:
        raise ModelError(
            f"roc_auc chooses between 2 classes, but there are {classes}.", code="monitor", where="train.monitor"
        )
    if wanted not in known:
        raise ModelError(
            f"{wanted} is no figure that can be monitored here. Figures: {', '.join(known)}.",
            code="monitor",
            where="train.monitor",
            hint=nearest(wanted, known) or None,
        )
    return wanted


def classification_figures(
    log_p_RK: NDArray[np.float64], target_R: NDArray[Any], weight_R: NDArray[np.float64]
) -> dict[str, float]:
    """Rows without a label are left out; none left gives no figure. Weights count in all but roc_auc and f1_macro."""
    known = target_R >= 0
    log_p_RK, target_R, weight_R = log_p_RK[known], target_R[known], weight_R[known]
    total = weight_R.sum()
    if total <= 0:
        return {}
    found_R = log_p_RK.argmax(1)
    picked_R = np.take_along_axis(log_p_RK, target_R[:, None], 1)[:, 0]
    figures = {
        "log_loss": float(-(np.maximum(picked_R, np.log(1e-15)) * weight_R).sum() / total),
        "accuracy": float(((found_R == target_R) * weight_R).sum() / total),
        "f1_macro": f1_macro(found_R, target_R),
    }
    if log_p_RK.shape[1] == 2 and 0 < (positive := int((target_R == 1).sum())) < len(target_R):
        figures["roc_auc"] = roc_auc(log_p_RK[:, 1] - log_p_RK[:, 0], target_R == 1, positive)
    return figures


def regression_figures(
    value_R: NDArray[np.float64], target_R: NDArray[np.float64], weight_R: NDArray[np.float64], *, scale: float
) -> dict[str, float]:
    """Errors in the target's own units, from normalised values. Rows without a target are left out."""
    known = np.isfinite(target_R)
    error_R, target_R, weight_R = (value_R - target_R)[known] * scale, target_R[known] * scale, weight_R[known]
    total = weight_R.sum()
    if total <= 0:
        return {}
    square = float((error_R**2 * weight_R).sum() / total)
    mean = (target_R * weight_R).sum() / total
    variance = float(((target_R - mean) ** 2 * weight_R).sum() / total)
    return {
        "rmse": square**0.5,
        "mae": float((np.abs(error_R) * weight_R).sum() / total),
        "r2": 1 - square / variance if variance > 0 else 0.0,
    }


def roc_auc(score_R: NDArray[np.float64], positive_R: NDArray[np.bool_], positive: int) -> float:
    """The Mann-Whitney statistic with ties at their mean rank (Hanley and McNeil 1982)."""
    _, inverse_R, counts = np.unique(score_R, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_rank[inverse_R][positive_R].sum())
    return (rank_sum - positive * (positive + 1) / 2) / (positive * (len(score_R) - positive))


def f1_macro(found_R: NDArray[np.int64], target_R: NDArray[np.int64]) -> float:
    """Mean over the classes that occur, in truth or prediction."""
    classes = int(max(found_R.max(), target_R.max())) + 1
    hits = np.bincount(target_R[found_R == target_R], minlength=classes)
    said, true = np.bincount(found_R, minlength=classes), np.bincount(target_R, minlength=classes)
    occurs = said + true > 0
    return float((2 * hits[occurs] / (said + true)[occurs]).mean())
