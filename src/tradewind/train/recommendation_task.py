"""What a step of a recommender computes: which item came next, against all items or against drawn ones; and its figures.

Not here: the network (`model/recommender.py`), the order of steps (`loop.py`), the report (`evaluate/recommendation.py`).

Legend: B rows, T places, n learnt targets, D width, I items, K drawn items, Q users asked about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tradewind.data.interactions import Asked
from tradewind.data.sessions import NO_TARGET, SessionBatch
from tradewind.model.recommender import Recommender, SessionEncoder
from tradewind.model.recommender_export import item_table
from tradewind.train.device import to_tensor
from tradewind.train.objectives import Loss

LossName: TypeAlias = Literal["cross_entropy", "sampled_softmax", "gbce"]
MONITOR = "ndcg@10"

_UNIFORM = 0.5  # of the drawn items come from all evenly, the others as often as they are met
_CALIBRATION = 0.75  # t of gSASRec: 1 undoes what drawing few does to the size of the scores
_TOP = 10
_ASK = 256  # users scored at once
_FAR = -1e9


@dataclass
class RecommendationTask:
    """`share_I` [I] is how often each item is met in training. `held` are the validation users, None without any."""

    model: Recommender
    loss: LossName
    share_I: Tensor
    negatives: int
    device: torch.device
    held: Asked | None
    again: bool = False
    label_smoothing: float = 0.0
    monitor: str = MONITOR

    def step(self, batch: SessionBatch) -> Loss:
        items, segments, places, users, targets, weights = (
            to_tensor(one, self.device)
            for one in (batch.items, batch.segments, batch.places, batch.users, batch.targets, batch.weights)
        )
        learnt_BT = targets != NO_TARGET
        target_n, weight_n = targets[learnt_BT], weights[learnt_BT]
        count = self.model.config.items
        drawn_K = torch.arange(count, device=self.device) if self.loss == "cross_entropy" else self._draw(target_n)
        # Every item of the step is looked up once: its columns may cost more than its own vector.
        named = torch.cat([items.clamp(max=count - 1).ravel(), target_n, drawn_K])
        chosen, where = torch.unique(named, return_inverse=True)
        vectors, bias = self.model.vectors(chosen)
        read, right, drawn = where.split([items.numel(), len(target_n), len(drawn_K)])
        vectors_BTD = vectors[read.view_as(items)]
        states_nD = self.model.read(vectors_BTD, items == count, segments, places, users)[learnt_BT]
        scores_nK = states_nD @ vectors[drawn].T + bias[drawn]
        if self.loss == "cross_entropy":
            losses_n = F.cross_entropy(scores_nK, target_n, reduction="none", label_smoothing=self.label_smoothing)
        else:
            right_n = (states_nD * vectors[right]).sum(1) + bias[right]
            losses_n = self._drawn(right_n, scores_nK, target_n, drawn_K)
        return Loss((losses_n * weight_n).sum(), weight_n.sum())

    def _drawn(self, right_n: Tensor, wrong_nK: Tensor, target_n: Tensor, drawn_K: Tensor) -> Tensor:
        hit_nK = target_n[:, None] == drawn_K[None]
        if self.loss == "gbce":
            return self._gbce(right_n, wrong_nK.masked_fill(hit_nK, _FAR))
        # Each score less the logarithm of how often it is drawn: the sum is then that over all items in expectation
        # (Bengio and Senécal 2008; logQ, Yi et al. 2019).
        expected_K = self._chance(drawn_K) * len(drawn_K)
        wrong_nK = (wrong_nK - expected_K.log()).masked_fill(hit_nK, _FAR)
        return torch.logsumexp(torch.cat([right_n[:, None], wrong_nK], 1), 1) - right_n

    def _draw(self, target_n: Tensor) -> Tensor:
        items = self.model.config.items
        even = max(1, round(self.negatives * _UNIFORM)) if self.loss == "sampled_softmax" else self.negatives
        drawn = torch.randint(items, (even,), device=self.device)
        if even < self.negatives:
            met = target_n[torch.randint(len(target_n), (self.negatives - even,), device=self.device)]
            drawn = torch.cat([drawn, met])
        return drawn

    def _chance(self, drawn_K: Tensor) -> Tensor:
        """How likely one draw is to give these items."""
        return _UNIFORM / self.model.config.items + (1 - _UNIFORM) * self.share_I[drawn_K]

    def _gbce(self, right_n: Tensor, wrong_nK: Tensor) -> Tensor:
        """Binary cross-entropy whose right scores are calibrated for few drawn items (Petrov and Macdonald, gSASRec, 2023)."""
        rate = self.negatives / (self.model.config.items - 1)
        beta = rate * (_CALIBRATION * (1 - 1 / rate) + 1 / rate)
        return -beta * F.logsigmoid(right_n) - F.logsigmoid(-wrong_nK).sum(1)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Hit rate and NDCG of the first ten among all items."""
        if self.held is None or not len(self.held):
            return {}
        ranks_Q = full_ranks(self.model, self.held, again=self.again)
        hit_Q = ranks_Q < _TOP
        return {
            MONITOR: float(np.where(hit_Q, 1 / np.log2(ranks_Q + 2), 0).mean()),
            "hit@10": float(hit_Q.mean()),
        }


@torch.no_grad()
def full_ranks(model: Recommender, asked: Asked, *, again: bool) -> NDArray[np.float64]:
    """Places [Q] of what came next among all items, from 0; what was met before is left out unless `again`."""
    was_training, device = model.training, model.bias.device
    model.eval()
    vectors_ID, bias_I = (torch.from_numpy(one).to(device) for one in item_table(model))
    found = []
    for begin in range(0, len(asked), _ASK):
        rows = range(begin, min(begin + _ASK, len(asked)))
        scores = states(model, asked, rows) @ vectors_ID.T + bias_I
        target = torch.from_numpy(asked.target[begin : rows.stop].astype(np.int64)).to(device)
        right = scores.gather(1, target[:, None])
        if not again:
            for at, row in enumerate(rows):
                scores[at, torch.from_numpy(asked.history(row).astype(np.int64))] = -math.inf
        above = (scores > right).sum(1).double() + 0.5 * ((scores == right).sum(1) - 1).clamp_min(0)
        found.append(above.cpu().numpy())
    model.train(was_training)
    return np.concatenate(found)


def states(model: Recommender, asked: Asked, rows: range) -> Tensor:
    """The states [B, D] after the histories of some users. In evaluation mode."""
    device, most = model.bias.device, model.config.context - 1
    histories = [asked.history(row)[-most:] for row in rows]
    longest = max(1, *(len(one) for one in histories))
    items = np.zeros((len(histories), longest), np.int64)
    for at, history in enumerate(histories):
        items[at, : len(history)] = history
    chosen = torch.from_numpy(items).to(device)
    some_K, where = torch.unique(chosen, return_inverse=True)
    vectors_BLD = model.vectors(some_K)[0][where]
    lengths = torch.tensor([len(one) for one in histories], device=device)
    users_BD = torch.zeros(len(histories), model.config.width, device=device)
    if model.user_content is not None:
        users_BD = model.user_content.of(torch.from_numpy(asked.user[rows.start : rows.stop]).to(device))
    found: Tensor = SessionEncoder(model)(vectors_BLD, lengths, users_BD)
    return found
