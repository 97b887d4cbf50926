"""Training that withstands: inputs are changed against the model within a radius, or the worst group of rows counts most.

Not here: how a finished model fares (`evaluate/robustness.py` asks without gradients; `benchmarks/robustness.py` attacks with
them), nor groups that are to be treated alike (`product.Train.fairness`).

Legend: B rows of a batch, R rows of the split, N numbers, T tokens, D width, G groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from tradewind.data.dataset import Split
from tradewind.errors import ModelError
from tradewind.evaluate.slices import labels_of
from tradewind.features.feature_set import FeatureSet
from tradewind.model.text import TokenEmbedding
from tradewind.product import Product, Train
from tradewind.train.objectives import Loss
from tradewind.train.tasks import BatchLike, SupervisedTask

Method: TypeAlias = Literal["fgsm", "pgd", "noise"]
LossOf: TypeAlias = Callable[[Mapping[str, Tensor]], Tensor]

_FULL = 255.0
_FGSM_STEP = (
    1.25  # of the radius, from a random start (Wong, Rice, Kolter 2020): from none it learns to mask its gradient
)
_PGD_TRAVEL = 2.5  # of the radius, over all steps (Madry et al. 2018)
_GROUP_RATE = 0.01  # by which the weights of groups move (Sagawa et al. 2020)
_GROUP_MARGIN = 1.0  # over the square root of its rows is added to a group's loss (Sagawa et al. 2020, 3.3)
_MOST_GROUPS = 32


@dataclass(frozen=True)
class Reach:
    """One input that may be changed: by at most `radius` in its own units, within `low` … `high`. `free_N` marks the
    columns of `numbers` that are numbers of the row and not flags or dates."""

    radius: float
    low: float = -float("inf")
    high: float = float("inf")
    free_N: Tensor | None = None

    def within(self, delta: Tensor, clean: Tensor) -> Tensor:
        """`delta` brought back into the ball around `clean` and into the range of the input."""
        delta = delta.clamp(-self.radius, self.radius)
        delta = (clean + delta).clamp(self.low, self.high) - clean
        return delta if self.free_N is None else delta * self.free_N


@dataclass(frozen=True)
class Adversary:
    """Changes inputs so that the loss grows, or at random. `reaches` by the name of the input; `embeddings` are tables of
    words, whose vectors are changed by `radius` standard deviations of the table."""

    method: Method
    steps: int
    radius: float
    reaches: Mapping[str, Reach]
    embeddings: Sequence[TokenEmbedding] = ()

    @contextmanager
    def against(self, model: nn.Module, inputs: Mapping[str, Tensor], loss_of: LossOf) -> Iterator[dict[str, Tensor]]:
        """Inside: the changed inputs; words are changed while they are looked up. `loss_of` gives the loss, 0-d, of inputs.

        The attack sees the model as it will answer (no dropout, running statistics), and leaves no gradient behind.
        """
        clean = {name: inputs[name].float() for name in self.reaches if name in inputs}
        wordy = _Words(self.embeddings, self.radius)
        was_training = model.training
        model.eval()
        try:
            deltas = self._deltas(inputs, clean, wordy, loss_of)
        finally:
            model.train(was_training)
        with wordy.held():
            yield {**inputs, **{name: clean[name] + deltas[name] for name in clean}}

    def _deltas(
        self, inputs: Mapping[str, Tensor], clean: Mapping[str, Tensor], wordy: _Words, loss_of: LossOf
    ) -> dict[str, Tensor]:
        gaussian = self.method == "noise"
        start = torch.randn_like if gaussian else _uniform
        deltas = {name: self._start(name, tensor, start) for name, tensor in clean.items()}
        wordy.gaussian = gaussian
        if gaussian:
            return deltas
        steps, length = (1, _FGSM_STEP) if self.method == "fgsm" else (self.steps, _PGD_TRAVEL / self.steps)
        for _ in range(steps):
            for delta in deltas.values():
                delta.requires_grad_(True)
            with torch.enable_grad(), wordy.learning() as words:
                loss = loss_of({**inputs, **{name: clean[name] + deltas[name] for name in clean}})
                open_ = [*deltas.values(), *words()]
                slopes = torch.autograd.grad(loss, open_, allow_unused=True)
            for (name, delta), slope in zip(list(deltas.items()), slopes, strict=False):
                reach = self.reaches[name]
                moved = delta.detach() + (0 if slope is None else length * reach.radius * slope.sign())
                deltas[name] = reach.within(moved, clean[name]).detach()
            wordy.move(slopes[len(deltas) :], length)
        return deltas

    def _start(self, name: str, clean: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        reach = self.reaches[name]
        delta = reach.radius * draw(clean)
        if self.method != "noise":
            return reach.within(delta, clean)
        delta = (clean + delta).clamp(reach.low, reach.high) - clean
        return delta if reach.free_N is None else delta * reach.free_N


def _uniform(like: Tensor) -> Tensor:
    return torch.rand_like(like) * 2 - 1


class _Words:
    """Changes of the vectors of words, one tensor a table, added where the table is looked up; nothing at padding."""

    def __init__(self, tables: Sequence[TokenEmbedding], radius: float) -> None:
        self.tables = tables
        self.radii = [radius * float(table.table.weight.detach().std()) for table in tables]
        self.deltas: list[Tensor | None] = [None] * len(tables)
        self.gaussian = False

    @contextmanager
    def held(self) -> Iterator[None]:
        hooks = [table.register_forward_hook(self._adding(at)) for at, table in enumerate(self.tables)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def learning(self) -> Iterator[Callable[[], list[Tensor]]]:
        for delta in self.deltas:
            if delta is not None:
                delta.requires_grad_(True)
        with self.held():
            yield lambda: [delta for delta in self.deltas if delta is not None]

    def move(self, slopes: Sequence[Tensor | None], length: float) -> None:
        met = [(at, delta) for at, delta in enumerate(self.deltas) if delta is not None]
        for (at, delta), slope in zip(met, slopes, strict=True):
            moved = delta.detach() + (0 if slope is None else length * self.radii[at] * slope.sign())
            self.deltas[at] = moved.clamp(-self.radii[at], self.radii[at])

    def _adding(self, at: int) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        def add(module: nn.Module, given: tuple[Tensor], found_BTD: Tensor) -> Tensor:
            delta_BTD = self.deltas[at]
            if delta_BTD is None:
                draw = torch.randn_like if self.gaussian else _uniform
                delta_BTD = self.deltas[at] = (
                    (self.radii[at] * draw(found_BTD)).detach().requires_grad_(not self.gaussian)
                )
            return found_BTD + delta_BTD * (given[0] > 0).unsqueeze(-1)

        return add


# ---------------------------------------------------------------- the worst group


@dataclass(frozen=True)
class RowGroups:
    """The group of each row of a split, [R], and how many rows each has, [G]."""

    codes_R: Tensor
    rows_G: Tensor

    @classmethod
    def of(cls, split: Split, sensitive: Sequence[str], *, classes: bool) -> RowGroups:
        """By the sensitive columns, together with the class where there are classes; beyond the 31 most frequent, one.

        Raises ModelError where all rows are one group.
        """
        labels = [labels_of(split.raw_column(name)) for name in sensitive]
        parts = [found.astype(str) for found in labels if not isinstance(found, str)]
        parts += [np.asarray(split.target).astype(str)] if classes else []
        codes = np.unique(np.stack(parts), axis=1, return_inverse=True)[1].reshape(-1) if parts else np.zeros(1, int)
        counts = np.bincount(codes)
        if len(counts) < 2:
            raise ModelError(
                "group_dro weighs groups of rows, but all rows are one group.", code="robustness_groups",
                where="train.robustness", hint="Name columns under data.sensitive.",
            )  # fmt: skip
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        codes = np.minimum(rank[codes], _MOST_GROUPS - 1)
        return cls(torch.from_numpy(codes), torch.from_numpy(np.bincount(codes).astype(np.float32)))


@dataclass
class WorstGroupTask(SupervisedTask):
    """Rows weigh by their group, and a group by how badly it fares: distributionally robust optimisation over groups,
    Sagawa, Koh, Hashimoto, Liang 2020. The weights move with every batch and are kept in checkpoints."""

    groups: RowGroups = field(kw_only=True)
    _share_G: Tensor = field(init=False)
    _group_B: Tensor | None = None

    def __post_init__(self) -> None:
        assert self.adversary is None
        self._share_G = torch.full((len(self.groups.rows_G),), 1 / len(self.groups.rows_G), dtype=torch.float64)

    def step(self, batch: BatchLike) -> Loss:
        self._group_B = self.groups.codes_R[torch.from_numpy(batch.rows)].to(self.device)
        return super().step(batch)

    def _loss(self, encoded_BMD: Tensor, wide_BK: Tensor | None, target_B: Tensor, weight_B: Tensor | None) -> Loss:
        assert self._group_B is not None
        ones_B = torch.ones(len(target_B), device=self.device) if weight_B is None else weight_B
        losses, at = [], []
        total = encoded_BMD.new_zeros(())
        for group in sorted(set(self._group_B.tolist())):
            weight_own_B = ones_B * (self._group_B == group)
            found = super()._loss(encoded_BMD, wide_BK, target_B, weight_own_B)
            if float(found.weight) > 0:
                losses.append(found.total / found.weight)
                total = total + found.weight
                at.append(group)
        if not losses:
            return super()._loss(encoded_BMD, wide_BK, target_B, weight_B)
        loss_G = torch.stack(losses)
        margin_G = _GROUP_MARGIN / self.groups.rows_G[at].sqrt()
        moved_G = self._share_G.clone()
        moved_G[at] *= torch.exp(_GROUP_RATE * (loss_G.detach().cpu() + margin_G).double())
        self._share_G = moved_G / moved_G.sum()
        share_G = self._share_G[at].to(loss_G)
        return Loss((loss_G * share_G).sum() * total.detach(), total.detach())

    def rates(self, seconds: float) -> dict[str, float]:
        return {"worst_group_share": float(self._share_G.max())}

    def state(self) -> dict[str, Any]:
        return {"shares": self._share_G.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._share_G = torch.tensor(state["shares"], dtype=torch.float64)


# ---------------------------------------------------------------- what the product file asks for


def withstanding(task: SupervisedTask, product: Product, features: FeatureSet, split: Split) -> SupervisedTask:
    """The task with what resolved `train.robustness` asks for.

    Raises ModelError where there is nothing to change, all rows are one group, or another setting weighs rows too.
    """
    settings = product.train
    match settings.robustness:
        case "fgsm" | "pgd" | "noise":
            return replace(task, adversary=adversary_for(settings, task.model, features, task.device))
        case "group_dro":
            _alone(product)
            groups = RowGroups.of(split, product.data.sensitive, classes=task.unit is None)
            plain = {one.name: getattr(task, one.name) for one in fields(SupervisedTask)}
            return WorstGroupTask(**plain, groups=groups)
        case _:
            return task


def _alone(product: Product) -> None:
    other = "train.fairness" if product.train.fairness != "none" else None
    other = "data.augment.mixup" if product.data.augment.mixup else other
    if other is not None:
        raise ModelError(
            f"group_dro and {other} contradict each other: both decide how much a row counts.", code="robustness_unsuited",
            where="train.robustness", hint=f"Leave out one of them, or use fgsm, pgd or noise with {other}.",
        )  # fmt: skip


def adversary_for(settings: Train, model: nn.Module, features: FeatureSet, device: torch.device) -> Adversary:
    """Whoever changes numbers, pictures, recordings and words of this model by resolved `settings`. Raises ModelError for none."""
    assert settings.robustness in ("fgsm", "pgd", "noise")
    assert isinstance(settings.robustness_radius, float)
    method, radius, layout = settings.robustness, settings.robustness_radius, features.layout
    levels = [tensor for tensor in layout.tensors if tensor.role in ("image", "audio")]
    reaches = {tensor.name: Reach(radius * _FULL, 0.0, _FULL) for tensor in levels}
    numbers = {column.name for column in features.columns if column.kind == "number"}
    free = [feature.name == feature.column and feature.name in numbers for feature in layout.numbers]
    if any(free):
        reaches["numbers"] = Reach(radius, free_N=torch.tensor(free, dtype=torch.float32, device=device))
    tables = [module for module in model.modules() if isinstance(module, TokenEmbedding)]
    if not reaches and not tables:
        raise ModelError(
            f"{method} changes numbers, pictures, recordings and words that the model learns itself, but there are none.",
            code="robustness_unsuited", where="train.robustness",
            hint="Leave it out, or use group_dro. The words of a pretrained encoder cannot be changed.",
        )  # fmt: skip
    return Adversary(method, settings.robustness_steps, radius, reaches, tables)
