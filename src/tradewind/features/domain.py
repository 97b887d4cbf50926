"""What a model's domain is: how likely a row is among those it learnt from, from raw values, as small JSON.

Each column is turned into codes (`domain_views.py`); their joint distribution is a tree of pairs (Chow and Liu 1968): every
code depends on one other, the one that tells most of it. A row's surprise is minus the logarithm of its probability; its
score is the share of held-back rows that surprise at least as much, a conformal p-value (Vovk, Gammerman, Shafer 2005; Bates
et al. 2023): where rows come from the domain, it is uniform.

Not here: answering over HTTP (`engines/domain.py`), how well it tells foreign rows (`evaluate/robustness.py`).

Legend: B rows, V looks (codes of a row), K codes of a look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError
from tradewind.features.column import Values
from tradewind.features.domain_views import Codes, View, fit_view, view_from_state

_FORMAT = 1
_LOOKS_IN_TREE = 128
_PAIR_COST = 4e9  # rows times squared codes that counting all pairs may cost
_FEWEST_ROWS = 500
_KEPT_HELD = 500
_DIGITS = 6


@dataclass(frozen=True)
class Domain:
    """A fitted domain. `parents` [V] is the look that each depends on, -1 for none; `counts` its table: [K], or [parent's
    K, K]. `held` are the surprises in nats of rows held back, increasing: at most 500 of them, evenly."""

    views: tuple[View, ...]
    parents: tuple[int, ...]
    counts: tuple[NDArray[np.int64], ...]
    held: NDArray[np.float64]
    _costs: tuple[NDArray[np.float64], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        priors = [prior for view in self.views for prior in view.priors]
        costs = [_cost(counts, prior) for counts, prior in zip(self.counts, priors, strict=True)]
        object.__setattr__(self, "_costs", tuple(costs))

    @classmethod
    def fit(cls, kinds: Mapping[str, str], train: Mapping[str, Values], held: Mapping[str, Values]) -> Self | None:
        """From raw columns of training and of rows held back, shape [rows] each; `kinds` names the input columns.

        None where no column of a known kind is there, or no row was held back. Depends on nothing but its arguments.
        """
        views = [view for name, kind in kinds.items() if (view := fit_view(name, kind, train[name])) is not None]
        if not views or not len(next(iter(held.values()))):
            return None
        codes_BV = _codes(views, train)
        sizes = [len(prior) for view in views for prior in view.priors]
        parents = _tree(codes_BV, sizes)
        counts = tuple(_counted(codes_BV, at, parent, sizes) for at, parent in enumerate(parents))
        bare = cls(tuple(views), parents, counts, np.zeros(1))
        surprises = np.sort(bare.surprise(held))
        places = np.unique(np.linspace(0, len(surprises) - 1, min(len(surprises), _KEPT_HELD)).round().astype(np.int64))
        return cls(bare.views, parents, counts, np.round(surprises[places], _DIGITS))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(view.column for view in self.views)

    def surprise(self, values: Mapping[str, Values]) -> NDArray[np.float64]:
        """Minus the natural logarithm of each row's probability, [B]; a column left out counts as missing."""
        surprise: NDArray[np.float64] = self.parts(values).sum(axis=1)
        return surprise

    def score(self, values: Mapping[str, Values]) -> NDArray[np.float64]:
        """0 … 1 [B]: the share of held-back rows that surprise at least as much; 1 is at home, near 0 is foreign."""
        return self.score_of(self.surprise(values))

    def score_of(self, surprise_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of what `surprise` gave."""
        above_B = len(self.held) - np.searchsorted(self.held, np.round(surprise_B, _DIGITS), side="left")
        return ((1.0 + above_B) / (1.0 + len(self.held))).astype(np.float64)

    def parts(self, values: Mapping[str, Values]) -> NDArray[np.float64]:
        """What each column adds to the surprise given the column that it depends on, [B, columns], in nats."""
        codes_BV = _codes(self.views, values)
        costs = [
            cost[codes_BV[:, at]] if parent < 0 else cost[codes_BV[:, parent], codes_BV[:, at]]
            for at, (parent, cost) in enumerate(zip(self.parents, self._costs, strict=True))
        ]
        starts = np.cumsum([0, *(len(view.priors) for view in self.views)])[:-1]
        parts: NDArray[np.float64] = np.add.reduceat(np.stack(costs, axis=1), starts, axis=1)
        return parts

    def state(self) -> dict[str, Any]:
        """JSON from which `from_state` makes an equal domain."""
        return {
            "format": _FORMAT,
            "views": [view.state() for view in self.views],
            "parents": list(self.parents),
            "counts": [counts.tolist() for counts in self.counts],
            "held": self.held.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Raises ArtifactError for a state that this version cannot read."""
        try:
            if state["format"] != _FORMAT:
                raise ValueError(f"format {state['format']}")
            views = tuple(view_from_state(view) for view in state["views"])
            counts = tuple(np.array(one, np.int64) for one in state["counts"])
            return cls(views, tuple(state["parents"]), counts, np.array(state["held"], np.float64))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ArtifactError(
                f"The domain of the model cannot be read ({error!r}).",
                code="domain_broken",
                hint="Evaluate and release again with this version.",
            ) from error


def _codes(views: list[View] | tuple[View, ...], values: Mapping[str, Values]) -> Codes:
    rows = len(next(iter(values.values())))
    nothing = np.full(rows, None, dtype=object)
    return np.concatenate([view.codes(values.get(view.column, nothing)) for view in views], axis=1)


def _cost(counts: NDArray[np.int64], prior_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minus the logarithm of the probability of each code. Below a parent that was seldom met it leans on the code's own
    frequency, with the weight of one row."""
    plain_K = (counts if counts.ndim == 1 else counts.sum(axis=0)) + prior_K
    plain_K /= plain_K.sum()
    if counts.ndim == 1:
        cost_K: NDArray[np.float64] = -np.log(plain_K)
        return cost_K
    cost_PK: NDArray[np.float64] = -np.log((counts + plain_K) / (counts.sum(axis=1, keepdims=True) + 1.0))
    return cost_PK


def _counted(codes_BV: Codes, at: int, parent: int, sizes: list[int]) -> NDArray[np.int64]:
    if parent < 0:
        return np.bincount(codes_BV[:, at], minlength=sizes[at])
    pairs = codes_BV[:, parent] * sizes[at] + codes_BV[:, at]
    return np.bincount(pairs, minlength=sizes[parent] * sizes[at]).reshape(sizes[parent], sizes[at])


# ---------------------------------------------------------------- the tree


def _tree(codes_BV: Codes, sizes: list[int]) -> tuple[int, ...]:
    """The parent of each look: the tree of largest mutual information, grown from the first look on (Prim 1957). An edge
    that tells no more than chance would is left out, and so are looks beyond the 128 that vary most."""
    looks = codes_BV.shape[1]
    entropy = [_entropy(np.bincount(codes_BV[:, at], minlength=sizes[at])) for at in range(looks)]
    kept = sorted(sorted(range(looks), key=lambda at: (-entropy[at], at))[:_LOOKS_IN_TREE])
    told = _mutual(codes_BV[:, kept], [sizes[at] for at in kept])
    parents = [-1] * looks
    best, source = np.full(len(kept), 0.0), np.full(len(kept), -1)
    open_ = set(range(len(kept)))
    while open_:
        at = max(open_, key=lambda one: (best[one], -one))
        open_.discard(at)
        parents[kept[at]] = -1 if source[at] < 0 else kept[source[at]]
        nearer = told[at] > best
        best, source = np.where(nearer, told[at], best), np.where(nearer, at, source)
    return tuple(parents)


def _mutual(codes_BV: Codes, sizes: list[int]) -> NDArray[np.float64]:
    """Mutual information of each pair in nats, [V, V]; 0 where a G-test would call it chance."""
    starts = np.cumsum([0, *sizes])
    rows = int(max(_FEWEST_ROWS, _PAIR_COST / starts[-1] ** 2))
    if len(codes_BV) > rows:
        codes_BV = codes_BV[np.linspace(0, len(codes_BV) - 1, rows).astype(np.int64)]
    marked = np.zeros((len(codes_BV), starts[-1]), np.float32)
    for at, start in enumerate(starts[:-1]):
        marked[np.arange(len(codes_BV)), start + codes_BV[:, at]] = 1
    together = (marked.T @ marked).astype(np.float64)
    alone = [np.diag(together)[start:end] for start, end in pairwise(starts)]
    entropy, used = [_entropy(counts) for counts in alone], [int((counts > 0).sum()) for counts in alone]
    told = np.zeros((len(sizes), len(sizes)))
    for a in range(len(sizes)):
        for b in range(a):
            joint = together[starts[a] : starts[a + 1], starts[b] : starts[b + 1]]
            found = entropy[a] + entropy[b] - _entropy(joint.ravel())
            free = (used[a] - 1) * (used[b] - 1)
            if 2 * len(codes_BV) * found > free + 3 * np.sqrt(2 * free):
                told[a, b] = told[b, a] = found
    return told


def _entropy(counts: NDArray[Any]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
