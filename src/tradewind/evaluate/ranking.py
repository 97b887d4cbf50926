"""Figures of recommended lists: whether what came next stands in the first k, how far up, and what the lists are like.

Each user has one right item, so that recall equals the hit rate; both names are known. Not here: asking predictors
(`recommendation.py`), what is stored (`ranking_witness.py`).

Legend: Q users asked about, I items, K length of the stored lists, k length that is judged, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import bounds, resampled

Floats = NDArray[np.float64]

FULL, SAMPLED = "", "sampled_"
BY_USER = ("ndcg", "hit", "recall", "mrr")
OF_LISTS = ("coverage", "novelty", "popularity", "gini")


@dataclass(frozen=True)
class Lists:
    """What one predictor said. `full_Q` and `sampled_Q` are places of the right item, from 0, ties at their middle, among all
    items and among drawn ones; `top_QK` int32 are the items it put first, -1 where there were no more."""

    full_Q: Floats
    sampled_Q: Floats
    top_QK: NDArray[np.int32]


def by_user(ranks_Q: Floats, k: int) -> dict[str, Floats]:
    """Each figure as one number a user [Q]; their mean is the figure. NDCG after Järvelin and Kekäläinen 2002, of one right item."""
    hit_Q = ranks_Q < k
    return {
        "ndcg": np.where(hit_Q, 1 / np.log2(ranks_Q + 2), 0.0),
        "hit": hit_Q.astype(np.float64),
        "recall": hit_Q.astype(np.float64),
        "mrr": np.where(hit_Q, 1 / (ranks_Q + 1), 0.0),
    }


def of_lists(top_QK: NDArray[np.int32], k: int, counts_I: NDArray[np.int64]) -> dict[str, float]:
    """Of the first k: the share of all items that anybody is shown; the mean information of an item in bits, by how often
    training met it (Zhou et al. 2010); the mean of those counts against that of the items met; and how unevenly items are
    shown, 0 to 1 (Gini)."""
    shown = top_QK[:, :k]
    shown = shown[shown >= 0]
    if not len(shown):
        return dict.fromkeys(OF_LISTS, float("nan"))
    total = float(counts_I.sum())
    share_I = (counts_I + 1) / (total + len(counts_I))
    times_I = np.sort(np.bincount(shown, minlength=len(counts_I))).astype(np.float64)
    places = np.arange(1, len(times_I) + 1)
    typical = float((counts_I.astype(np.float64) ** 2).sum()) / max(total, 1.0)
    return {
        "coverage": float(np.count_nonzero(times_I)) / len(counts_I),
        "novelty": float(-np.log2(share_I[shown]).mean()),
        "popularity": float(counts_I[shown].mean()) / max(typical, 1e-12),
        "gini": float((2 * places - len(times_I) - 1) @ times_I / (len(times_I) * times_I.sum())),
    }


def names(at: Sequence[int]) -> list[str]:
    """All figures, in the order of the report."""
    found = [f"{protocol}{name}@{k}" for protocol in (FULL, SAMPLED) for k in at for name in BY_USER]
    return found + [f"{name}@{k}" for k in at for name in OF_LISTS]


def columns(lists: Lists, at: Sequence[int]) -> dict[str, Floats]:
    """Every figure that is a mean over users, as its numbers [Q]."""
    return {
        f"{protocol}{name}@{k}": values
        for protocol, ranks in ((FULL, lists.full_Q), (SAMPLED, lists.sampled_Q))
        for k in at
        for name, values in by_user(ranks, k).items()
    }


def drawn(columns_by: Mapping[str, Mapping[str, Floats]], *, resamples: int, seed: int) -> dict[str, dict[str, Floats]]:
    """Each mean on the same resamples of users, [R] by predictor and figure."""
    predictors = list(columns_by)
    order = [(one, name) for one in predictors for name in columns_by[one]]
    table = np.stack([columns_by[one][name] for one, name in order], 1)
    parts = [weights @ table / len(table) for weights in resampled(len(table), resamples=resamples, seed=seed)]
    means = np.concatenate(parts) if parts else np.zeros((0, len(order)))
    found: dict[str, dict[str, Floats]] = {one: {} for one in predictors}
    for at, (one, name) in enumerate(order):
        found[one][name] = means[:, at]
    return found


def figures(
    lists: Lists, drawn_by: Mapping[str, Floats], *, at: Sequence[int], counts_I: NDArray[np.int64], predictor: str, candidates: int
) -> dict[str, Figure]:  # fmt: skip
    """Every figure of one predictor; means over users with their intervals."""
    users = len(lists.full_Q)
    found: dict[str, Figure] = {}
    for name, values in columns(lists, at).items():
        point = float(values.mean())
        among = f"{candidates} drawn items" if name.startswith(SAMPLED) else "all items"
        how = f"mean over {users} users of {name.removeprefix(SAMPLED)} of what came next among {among}"
        low, high, behind = bounds(drawn_by[name], point)
        how += f"; 95 % percentile bootstrap over {behind} resamples of users" if low is not None else ""
        found[name] = Figure(rounded(point), how, "test", users, f"ranks:{predictor}", rounded(low), rounded(high))
    for k in at:
        for name, value in of_lists(lists.top_QK, k, counts_I).items():
            how = f"{name} of the first {k} items of {users} users"
            missing = None if np.isfinite(value) else "no item was recommended"
            found[f"{name}@{k}"] = Figure(rounded(value), how, "test", users, f"lists:{predictor}", absent=missing)
    return found


def difference(
    ours: Floats, theirs: Floats, ours_R: Floats, theirs_R: Floats, name: str, *, over: str
) -> Figure:  # fmt: skip
    """Our figure less theirs, on the same users and the same resamples."""
    point = float(ours.mean() - theirs.mean())
    low, high, behind = bounds(ours_R - theirs_R, point)
    how = f"{name} of the model minus {name} of {over}, on the same users"
    how += f"; 95 % paired percentile bootstrap over {behind} resamples of users" if low is not None else ""
    return Figure(rounded(point), how, "test", len(ours), f"ranks:model, ranks:{over}", rounded(low), rounded(high))
