"""What makes a model fair while it learns: a penalty on differences between groups, or an adversary that looks for them.

Not here: who belongs to which group (`groups.py`), weights of rows and shifts of the threshold (`reweighing.py`, `shifts.py`), how strong it is to be (`frontier.py`).

Legend: B rows of a batch, M members, K classes, C sensitive columns, G groups of all columns one after the other, Q rates that
are to be alike (one a class, or two where rows of the class and the others count apart).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tradewind.model.heads import log_probabilities, values
from tradewind.train.groups import Goal, Groups, trust
from tradewind.train.objectives import Loss
from tradewind.train.tasks import BatchLike, SupervisedTask

_SHARP = 4.0  # times the log-odds: soft rates then move as the decisions do, and not as the certainty of clear cases (LAB.md)
_MEMORY = 0.98  # of the rates: a batch holds too few rows of a small group to say what its rate is


class Term(Protocol):
    """What is added to the loss of a batch. Its state is kept in checkpoints."""

    def __call__(self, logits_BMK: Tensor, target_B: Tensor, weight_B: Tensor | None, codes_BC: Tensor) -> Tensor:
        """0-d, with its graph; per unit of weight, as the loss is after division."""
        ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


@dataclass
class FairTask(SupervisedTask):
    """A supervised task with `term` times `strength` beside its loss. `codes_RC` are the groups of the split's rows."""

    term: Term = field(kw_only=True)
    strength: float = field(kw_only=True)
    codes_RC: Tensor = field(kw_only=True)
    _rows_B: NDArray[np.int64] | None = None
    _last: float = 0.0

    def step(self, batch: BatchLike) -> Loss:
        assert batch.mixup is None
        self._rows_B = batch.rows
        return super().step(batch)

    def _loss(self, encoded_BMD: Tensor, wide_BK: Tensor | None, target_B: Tensor, weight_B: Tensor | None) -> Loss:
        assert self._rows_B is not None
        loss = super()._loss(encoded_BMD, wide_BK, target_B, weight_B)
        codes_BC = self.codes_RC[torch.from_numpy(self._rows_B)].to(self.device)
        added = self.term(self.model.decide(encoded_BMD, wide_BK).float(), target_B, weight_B, codes_BC)
        self._last = float(added.detach())
        return Loss(loss.total + self.strength * added * loss.weight.detach(), loss.weight)

    def rates(self, seconds: float) -> dict[str, float]:
        return {"unfairness": self._last}

    def state(self) -> dict[str, Any]:
        return {"term": self.term.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.term.restore(state["term"])


# ---------------------------------------------------------------- the penalty


class Penalty:
    """The squared distances of the groups' soft rates from those of all rows, summed over groups, columns and rates.

    A soft rate is a mean value, or a mean probability with log-odds made _SHARP times as large around `cut`, the probability from
    which a row will about be decided positive; of more than two classes, around the likeliest. Demographic parity compares them over all rows, equalized odds among the rows
    of a class and among the others apart; of values it compares mean errors. Rates are moving averages over batches, through
    which the gradient of this batch goes (Wang, Fang and Liu, Stochastic compositional gradient descent, 2017); each distance counts as
    far as it is to be believed (`groups.trust`). As a term beside the loss it is that of Zafar et al., Fairness
    constraints, 2017, and Berk et al., A convex framework for fair regression, 2017.
    """

    def __init__(
        self, groups: Groups, goal: Goal, target_R: NDArray[Any], *, asked: Sequence[int], device: torch.device,
        cut: float = 0.5, sharp: float = _SHARP,
    ) -> None:  # fmt: skip
        self.goal, self.asked = goal, list(asked)
        self.cut, self.sharp = math.log(cut / (1 - cut)), sharp
        self.starts = torch.tensor(groups.starts[:-1], device=device)
        self.groups = groups.starts[-1]
        counts_QG, means_Q, variances_Q = self._start(groups, target_R)
        believed = np.stack([trust(counts, variance) for counts, variance in zip(counts_QG, variances_Q, strict=True)])
        self.believed_QG = torch.from_numpy(np.where(counts_QG > 0, believed, 0.0)).float().to(device)
        self.share_QG = torch.from_numpy(counts_QG / max(len(target_R), 1)).to(device)
        self.sum_QG = self.share_QG * torch.from_numpy(means_Q).to(device).unsqueeze(1)
        self.first = len(groups.names[0])  # groups of one column hold every row once

    def __call__(self, logits_BMK: Tensor, target_B: Tensor, weight_B: Tensor | None, codes_BC: Tensor) -> Tensor:
        score_BQ, counted_BQ = self._scores(logits_BMK, target_B)
        if weight_B is not None:
            counted_BQ = counted_BQ * (weight_B / weight_B.mean().clamp_min(1e-12)).unsqueeze(1)
        rows = len(target_B)
        member_BG = score_BQ.new_zeros(rows, self.groups).scatter_(1, codes_BC + self.starts, 1.0)
        share_QG = counted_BQ.t() @ member_BG / rows
        sum_QG = (score_BQ * counted_BQ).t() @ member_BG / rows
        self.share_QG.lerp_(share_QG.detach().double(), 1 - _MEMORY)
        self.sum_QG.lerp_(sum_QG.detach().double(), 1 - _MEMORY)
        known_QG = self.share_QG.float().clamp_min(1e-9)
        all_Q1 = known_QG[:, : self.first].sum(1, keepdim=True)
        apart_QG = self.sum_QG.float() / known_QG - self.sum_QG[:, : self.first].sum(1, keepdim=True).float() / all_Q1
        value = (self.believed_QG * apart_QG.square()).sum()
        moved_QG = sum_QG / known_QG - sum_QG[:, : self.first].sum(1, keepdim=True) / all_Q1
        moved = (2 * self.believed_QG * apart_QG * moved_QG).sum()
        return value + moved - moved.detach()

    def _scores(self, logits_BMK: Tensor, target_B: Tensor) -> tuple[Tensor, Tensor]:
        """What is averaged [B, Q], and where it counts."""
        if target_B.dtype.is_floating_point:
            known_B = ~target_B.isnan()
            value_B = values(logits_BMK)
            seen_B = value_B - target_B.nan_to_num(0.0) if self.goal == "equalized_odds" else value_B
            return seen_B.unsqueeze(1), known_B.to(seen_B.dtype).unsqueeze(1)
        p_BA = self._decided(log_probabilities(logits_BMK))
        known_B1 = (target_B >= 0).to(p_BA.dtype).unsqueeze(1)
        if self.goal == "demographic_parity":
            return p_BA, known_B1.expand_as(p_BA)
        of_BA = (target_B.unsqueeze(1) == torch.tensor(self.asked, device=target_B.device)).to(p_BA.dtype)
        return torch.cat([p_BA, p_BA], 1), torch.cat([of_BA, known_B1 - of_BA], 1)

    def _decided(self, log_p_BK: Tensor) -> Tensor:
        """How far each asked class is decided for [B, A]."""
        if len(self.asked) > 1:
            return (self.sharp * log_p_BK).softmax(1)[:, self.asked]
        (kind,) = self.asked
        margin_B = log_p_BK[:, kind] - log_p_BK[:, 1 - kind] - self.cut
        return torch.sigmoid(self.sharp * margin_B).unsqueeze(1)

    def _start(
        self, groups: Groups, target_R: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Rows behind each rate [Q, G], and a first mean and variance [Q]: as if every row were predicted to be the average one."""
        if target_R.dtype.kind == "f":
            known_RQ = np.isfinite(target_R)[:, None]
            means, variances = np.zeros(1), np.ones(1)
        else:
            known_R1 = (target_R >= 0)[:, None]
            of_RA = target_R[:, None] == np.array(self.asked)
            parity = self.goal == "demographic_parity"
            known_RQ = (
                np.broadcast_to(known_R1, of_RA.shape) if parity else np.concatenate([of_RA, known_R1 & ~of_RA], 1)
            )
            share_A = of_RA.sum(0) / max(known_R1.sum(), 1)
            means = share_A if parity else np.concatenate([share_A, share_A])
            variances = means * (1 - means)
        counts = [
            np.stack([np.bincount(groups.codes_RC[known, at], minlength=len(names)) for known in known_RQ.T])
            for at, names in enumerate(groups.names)
        ]
        return np.concatenate(counts, axis=1).astype(np.float64), means, variances

    def state(self) -> dict[str, Any]:
        return {"share": self.share_QG.tolist(), "sum": self.sum_QG.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for own, kept in ((self.share_QG, state["share"]), (self.sum_QG, state["sum"])):
            own.copy_(torch.tensor(kept, dtype=torch.float64))


# ---------------------------------------------------------------- the adversary


_HIDDEN = 32
_ADVERSARY_RATE = 0.01


class Adversary:
    """A small network that guesses the groups from the score (and, for equalized odds, the class); the model unlearns what
    it goes by.

    Zhang, Lemoine and Mitchell, Mitigating unwanted biases with adversarial learning, 2018; the model gets the adversary's
    gradient reversed, and the adversary learns by an Adam of its own after each batch.
    """

    def __init__(
        self, groups: Groups, goal: Goal, *, inputs: int, classes: int, seed: int, device: torch.device
    ) -> None:
        self.goal, self.classes = goal, classes
        self.bounds = groups.starts
        seen = inputs + (0 if goal == "demographic_parity" else max(classes, 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = nn.Sequential(nn.Linear(seen, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, groups.starts[-1])).to(
                device
            )
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=_ADVERSARY_RATE)

    def __call__(self, logits_BMK: Tensor, target_B: Tensor, weight_B: Tensor | None, codes_BC: Tensor) -> Tensor:
        value = target_B.dtype.is_floating_point
        known_B = ~target_B.isnan() if value else target_B >= 0
        score_BS = values(logits_BMK).unsqueeze(1) if value else log_probabilities(logits_BMK).clamp_min(-20)
        counted_B = known_B.to(score_BS.dtype) if weight_B is None else known_B * weight_B
        seen_BS = score_BS.detach().requires_grad_()
        own = self._guess(seen_BS, target_B, counted_B, codes_BC)
        score_gradient_BS, *gradients = torch.autograd.grad(own, [seen_BS, *self.net.parameters()])
        for parameter, gradient in zip(self.net.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        # Its gradient reversed (Ganin and Lempitsky 2015): what would help it is what the model gives up.
        moved = -(score_gradient_BS * score_BS).sum()
        return -own.detach() + moved - moved.detach()

    def _guess(self, score_BS: Tensor, target_B: Tensor, counted_B: Tensor, codes_BC: Tensor) -> Tensor:
        """Mean cross entropy of the groups, over columns."""
        seen_BS = score_BS
        if self.goal == "equalized_odds":
            value = target_B.dtype.is_floating_point
            truth = target_B.nan_to_num(0.0).unsqueeze(1) if value else F.one_hot(target_B.clamp_min(0), self.classes)
            seen_BS = torch.cat([score_BS, truth.to(score_BS.dtype)], 1)
        guess_BG = self.net(seen_BS)
        total = counted_B.sum().clamp_min(1e-12)
        losses = [
            (F.cross_entropy(guess_BG[:, begin:end], codes_BC[:, at], reduction="none") * counted_B).sum() / total
            for at, (begin, end) in enumerate(zip(self.bounds[:-1], self.bounds[1:], strict=True))
        ]
        return torch.stack(losses).mean()

    def state(self) -> dict[str, Any]:
        moments = self.optimizer.state_dict()["state"]
        return {
            "net": [parameter.tolist() for parameter in self.net.parameters()],
            "moments": [
                {name: value.tolist() if isinstance(value, Tensor) else value for name, value in moments[at].items()}
                for at in sorted(moments)
            ],
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        for parameter, kept in zip(self.net.parameters(), state["net"], strict=True):
            parameter.copy_(torch.tensor(kept))
        groups = self.optimizer.state_dict()["param_groups"]
        moments = {
            at: {name: torch.tensor(value) for name, value in kept.items()} for at, kept in enumerate(state["moments"])
        }
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
