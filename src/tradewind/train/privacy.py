"""Differentially private training (DP-SGD): the gradient of each row is cut, noise hides what is left of any one.

Not here: the loop (`loop.py`), which moves the weights as ever, nor what a budget of steps costs (`accountant.py`).

Abadi et al. 2016. Rows are drawn by a coin each (Poisson), gradients per row come from `torch.func`, so any network
without norms over the batch can be trained. What the budget covers is the weights as a function of the training rows, and
nothing else; `NOT_COVERED` says what is not.

Legend: B rows of a batch, q the chance of a row to be in it, P parameters.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from tradewind.errors import ModelError
from tradewind.files import read_json, write_json
from tradewind.product import Product, Train
from tradewind.train.accountant import epsilon_of, noise_for
from tradewind.train.objectives import Loss
from tradewind.train.tasks import BatchLike, SupervisedTask

SECRET_FILE = "privacy.json"
NOT_COVERED = (
    "columns: vocabularies, means and bins are fitted on the training rows without noise",
    "calibration: temperature, threshold and conformal quantiles are fitted on the validation rows without noise",
    "golden examples: no row of the data, but each column follows that of the validation rows",
    "the training curve: losses in the report are computed without noise",
)
_SMALLEST_BATCH, _LARGEST_BATCH, _STEPS_PER_EPOCH = 64, 1024, 30
_MOST_NUMBERS = 30_000_000  # gradient entries held at once


def settled(product: Product, *, rows: int) -> Product:
    """The product with what privacy asks for in place of `auto`. Raises ModelError for a setting that would break it.

    Nothing is chosen by validation rows, which no noise hides: the last weights are kept, and there is no refit.
    """
    train = product.train
    if train.privacy is None:
        return product
    augment = product.data.augment
    for broken, where, why, step in (
        (isinstance(train.stop_early, int), "train.stop_early", "it chooses by validation rows", "Leave it out."),
        (train.keep == "best", "train.keep", "it chooses by validation rows", "Leave it out: the last weights are kept."),
        (train.schedule == "plateau", "train.schedule", "it follows validation rows", "Use cosine."),
        (train.refit is True, "train.refit", "a second training would spend the budget twice", "Leave it out."),
        (train.accumulate != 1, "train.accumulate", "a step is one draw of rows", "Raise train.batch instead."),
        (train.class_weights == "balanced", "train.class_weights", "they count labels without noise", "Write weights."),
        (train.fairness != "none", "train.fairness", "it looks at groups of rows together", "Choose one of the two."),
        (train.robustness != "none", "train.robustness", "it changes rows by gradients of all", "Choose one of the two."),
        (train.precision == "bfloat16", "train.precision", "clipping needs single precision", "Use float32."),
        (augment.mixup not in ("auto", 0, 0.0), "data.augment.mixup", "it blends rows", "Leave it out."),
        (train.undersample != "none", "train.undersample", "every row must be as likely as the next", "Leave it out."),
        (augment.oversample, "data.augment.oversample", "every row must be as likely as the next", "Leave it out."),
    ):  # fmt: skip
        if broken:
            raise _refused(where, why, step)
    delta = delta_of(train, rows)
    if delta * rows >= 1:
        raise ModelError(
            f"delta is {delta:g}, but with {rows:,} rows it must be far below {1 / rows:.2g}: a mechanism that gives away "
            "one row whole would pass.",
            code="delta", where="train.privacy.delta", hint=f"Leave it out for {1 / (10 * rows):.2g}.",
        )  # fmt: skip
    fitting = 1 << round(math.log2(max(1, rows / _STEPS_PER_EPOCH)))
    batch = min(rows, _LARGEST_BATCH, max(_SMALLEST_BATCH, fitting)) if train.batch == "auto" else train.batch
    update = {
        "stop_early": "never", "keep": "last", "refit": False, "clip": "none", "precision": "float32", "batch": batch,
        "privacy": train.privacy.model_copy(update={"delta": delta}),
    }  # fmt: skip
    return product.model_copy(update={"train": train.model_copy(update=update)})


def _refused(where: str, why: str, step: str) -> ModelError:
    return ModelError(f"Private training cannot go with this setting: {why}.", code="privacy", where=where, hint=step)


def delta_of(train: Train, rows: int) -> float:
    assert train.privacy is not None
    return 1 / (10 * rows) if train.privacy.delta == "auto" else train.privacy.delta


@dataclass(frozen=True)
class Budget:
    """What is planned: `steps` draws of rows with chance `q`, gradients cut to `clip`, noise `sigma` × `clip`."""

    epsilon: float
    delta: float
    clip: float
    q: float
    steps: int
    sigma: float

    @classmethod
    def of(cls, train: Train, *, rows: int) -> Budget:
        """For resolved settings. Raises ModelError when no noise keeps within the budget."""
        assert train.privacy is not None
        assert isinstance(train.batch, int)
        assert isinstance(train.epochs, int)
        q, steps, delta = train.batch / rows, math.ceil(rows / train.batch) * train.epochs, delta_of(train, rows)
        sigma = noise_for(epsilon=train.privacy.epsilon, q=q, steps=steps, delta=delta)
        return cls(train.privacy.epsilon, delta, train.privacy.clip, q, steps, sigma)

    def spent(self, steps: int) -> float:
        return epsilon_of(sigma=self.sigma, q=self.q, steps=steps, delta=self.delta)


@dataclass(frozen=True)
class Private:
    """What a run trains privately by: its budget, and the secret that seeds noise and lots.

    The secret is drawn by chance once a run and kept in its folder while it may have to go on; it is never the seed of
    the product file, for whoever knows it can take the noise off again.
    """

    budget: Budget
    secret: int
    path: Path

    @classmethod
    def of(cls, train: Train, *, rows: int, folder: Path) -> Private | None:
        """None where training is not private. Raises ModelError when no noise keeps within the budget."""
        if train.privacy is None:
            return None
        budget, path = Budget.of(train, rows=rows), folder / SECRET_FILE
        if not path.exists():
            write_json(path, {"seed": str(secrets.randbits(128))})
        return cls(budget, int(read_json(path)["seed"]), path)

    def task(self, task: SupervisedTask, *, rows: int) -> PrivateTask:
        return PrivateTask(task, self.budget, secret=self.secret, rows=rows)

    def end(self, steps: int) -> dict[str, Any]:
        """What the run says of its budget. The secret is gone after it."""
        self.path.unlink(missing_ok=True)
        budget = self.budget
        return {
            "epsilon": budget.spent(steps), "delta": budget.delta, "asked": budget.epsilon, "clip": budget.clip,
            "sigma": budget.sigma, "q": budget.q, "steps": steps, "accountant": "rdp", "not_covered": list(NOT_COVERED),
        }  # fmt: skip


class _RowLoss(nn.Module):
    """The loss of one row as a module over the model's parameters."""

    def __init__(self, task: SupervisedTask) -> None:
        super().__init__()
        self.model = task.model
        self._task = (task,)

    def forward(self, inputs: Mapping[str, Tensor], target_1: Tensor, weight_1: Tensor | None) -> Tensor:
        total: Tensor = self._task[0].loss(inputs, target_1, weight_1).total
        return total


class PrivateTask:
    """A task whose step gives the loop a noisy sum of cut gradients over the expected number of rows.

    Raises ModelError for a model whose layers mix the rows of a batch or cannot be taken row by row.
    """

    def __init__(self, task: SupervisedTask, budget: Budget, *, secret: int, rows: int) -> None:
        self.task, self.budget, self.secret = task, budget, secret
        self.steps = 0
        self._expected = budget.q * rows
        self._loss = _RowLoss(task)
        self._learning = {name: p for name, p in self._loss.named_parameters() if p.requires_grad}
        check_model(task.model)
        self._chunk = max(1, _MOST_NUMBERS // max(1, sum(p.numel() for p in self._learning.values())))

    # ------------------------------------------------------------ what the loop asks

    @property
    def monitor(self) -> str:
        return self.task.monitor

    def validate(self) -> dict[str, float]:
        return self.task.validate()

    def step(self, batch: BatchLike) -> Loss:
        """A loss whose gradient is the noisy one: its value is the mean loss of the rows, for the log."""
        sums, loss = self.cut(batch)
        found = self.noisy(sums)
        self.steps += 1
        lever = torch.stack([(self._learning[name] * one).sum() for name, one in found.items()]).sum()
        return Loss(loss + lever - lever.detach(), torch.ones((), device=lever.device))

    def rates(self, seconds: float) -> dict[str, float]:
        return {"epsilon": self.budget.spent(self.steps)}

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.steps = int(state["steps"])

    # ------------------------------------------------------------ the mechanism

    def cut(self, batch: BatchLike) -> tuple[dict[str, Tensor], Tensor]:
        """The sum over rows of gradients cut to norm `clip`, by parameter, and the mean loss of the rows."""
        inputs, target_B, weight_B = self.task.tensors(batch)
        sums = {name: torch.zeros_like(p) for name, p in self._learning.items()}
        rows, total = len(target_B), torch.zeros((), device=target_B.device)
        learning = {name: p.detach() for name, p in self._learning.items()}
        for at in range(0, rows, self._chunk):
            part = slice(at, at + self._chunk)
            weights = None if weight_B is None else weight_B[part].unsqueeze(1)
            rows_in = {name: tensor[part].unsqueeze(1) for name, tensor in inputs.items()}
            grads, losses = self._by_row(learning, rows_in, target_B[part].unsqueeze(1), weights)
            norm_B = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads.values()]).norm(dim=0)
            share_B = (self.budget.clip / norm_B.clamp_min(1e-12)).clamp_max(1.0)
            share_B = torch.where(norm_B.isfinite(), share_B, 0.0)  # a row that overflows tells nothing
            for name, grad in grads.items():
                sums[name] += torch.einsum("b,b...->...", share_B, grad.nan_to_num(0.0, 0.0, 0.0))
            total = total + losses.detach().nan_to_num(0.0).sum()
        return sums, total / max(1, rows)

    def _by_row(
        self, learning: dict[str, Tensor], inputs: dict[str, Tensor], target_B1: Tensor, weight_B1: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        def loss(
            learning: dict[str, Tensor], inputs: dict[str, Tensor], target_1: Tensor, weight_1: Tensor | None
        ) -> Tensor:
            found: Tensor = functional_call(self._loss, learning, (inputs, target_1, weight_1))
            return found

        by_row = vmap(
            grad_and_value(loss), in_dims=(None, 0, 0, None if weight_B1 is None else 0), randomness="different"
        )
        try:
            with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention know no rows of their own
                grads, losses = by_row(learning, inputs, target_B1, weight_B1)
        except RuntimeError as error:
            raise ModelError(
                f"The gradient of single rows cannot be taken through this network ({str(error).splitlines()[0][:120]}).",
                code="privacy_network", where="model.kind", hint="Use mlp, tabm or transformer for tables, cnn or transformer for text.",
            ) from error  # fmt: skip
        return grads, losses

    def noisy(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums with noise of standard deviation `sigma` × `clip`, over the expected number of rows.

        The noise of a step follows from the secret and its number alone, so that a resumed run repeats it.
        """
        seed = (self.secret ^ (self.steps * 0x9E3779B97F4A7C15)) % (1 << 64)
        generator = torch.Generator().manual_seed(seed - (1 << 63))
        spread = self.budget.sigma * self.budget.clip
        return {
            name: (one + spread * torch.randn(one.shape, generator=generator).to(one.device)) / self._expected
            for name, one in sums.items()
        }


def check_model(model: nn.Module) -> None:
    """Raises ModelError where a layer mixes the rows of a batch: no gradient belongs to one row then."""
    mixing = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    if mixing:
        raise ModelError(
            f"{mixing[0]} normalises over the rows of a batch, so no gradient belongs to one row.",
            code="privacy_network", where="model.kind", hint="Use mlp, tabm or transformer for tables, cnn or transformer for text; pictures and recordings cannot be learnt privately yet.",
        )  # fmt: skip
