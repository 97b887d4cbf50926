"""How well a knowledge base finds, as a room of trust: recall and mean reciprocal rank on questions whose answer is known.
Not here: asking (`cli/knowledge.py` hands over what was seen), finding (`engines/retrieval.py`).

A question with its answer stands in the knowledge base under its own words; to ask with these would measure nothing. Held-out
ones are indexed by their answer alone, and asked with their question. One half of them settles how words and vectors are weighed
and how sure an answer is; the figures are of the other half.

Legend: n questions of the report, m of the half that settles. Ranks count from 1; 0 is beyond `DEPTH`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import exact_share
from tradewind.evaluate.trust import Context, Examined, TrustPart, Witness

NAME = "retrieval"
DEPTH = 50
LEAST_TO_SETTLE = 40  # questions with answers; with fewer nothing is fitted, and all are asked for the report
LEAST_BOUND, ELSEWHERE_ANSWERED = 0.5, 0.05
LEAST_ELSEWHERE = 20  # messages; of fewer no quantile is taken
_STEPS, _PULL = 50, 1.0  # of Newton; what stays of the default, in questions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sureness:
    """How probable it is that the first passage answers: a logistic in its similarity and coverage."""

    bias: float = -4.0
    similarity: float = 4.0
    coverage: float = 3.0

    def of(self, similarity_n: Floats, coverage_n: Floats) -> Floats:
        logit_n = self.bias + self.similarity * similarity_n + self.coverage * coverage_n
        found: Floats = 1 / (1 + np.exp(-logit_n))
        return found


def settle_sureness(similarity_m: Floats, coverage_m: Floats, right_m: NDArray[np.bool_]) -> Sureness:
    """Fitted by Newton's method, and pulled a little towards the default: few questions do not lead far from it, and weights
    stay finite where right and wrong answers lie apart."""
    start = np.array(list(asdict(Sureness()).values()))
    inputs = np.stack([np.ones_like(similarity_m), similarity_m, coverage_m], 1)
    weights = start.copy()
    for _ in range(_STEPS):
        p_m = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        gradient = inputs.T @ (p_m - right_m) + _PULL * (weights - start)
        curve = (inputs * (p_m * (1 - p_m))[:, None]).T @ inputs + _PULL * np.eye(3)
        step = np.linalg.solve(curve, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return Sureness(*(float(rounded(float(one), 6) or 0.0) for one in weights))


def settle_bound(confidence_e: Floats) -> float:
    """From which confidence on a passage answers, where nobody says so: so that of messages which something else answers, and no
    passage does, one in twenty at most reaches it. `confidence_e` [e] is the largest of the first passages for each of them.

    The quantile of conformal prediction (Vovk, Gammerman, Shafer 2005): it holds for one more such message, whatever their
    distribution. Never below a half, where a passage is more likely wrong than right.
    """
    if len(confidence_e) < LEAST_ELSEWHERE:
        return LEAST_BOUND
    place = min(len(confidence_e), int(np.ceil((len(confidence_e) + 1) * (1 - ELSEWHERE_ANSWERED))))
    return float(np.ceil(max(LEAST_BOUND, float(np.sort(confidence_e)[place - 1])) * 1000) / 1000)


def mean_reciprocal(rank_n: NDArray[np.int64]) -> float:
    """0 for no question."""
    return float(np.where(rank_n > 0, 1 / np.maximum(rank_n, 1), 0).mean()) if len(rank_n) else 0.0


def measure(examined: Examined) -> Witness | None:
    """What the verb saw; None without a knowledge base."""
    return examined.retrieval


def summarise(witness: Witness, context: Context) -> TrustPart:
    """Figures of the held-out questions, or why there are none."""
    rank_n, words_n = witness["rank"], witness["rank_words"]
    figures: dict[str, Figure] = {}
    for suffix, ranks in (("", rank_n), ("_words", words_n)):
        for most in (1, 5):
            figures[f"retrieval_recall@{most}{suffix}"] = _recall(ranks, most)
        figures[f"retrieval_mrr{suffix}"] = _figure(
            mean_reciprocal(ranks), f"mean of 1 / rank of the answer, 0 beyond {DEPTH}", len(ranks)
        )
    sure_n = witness["confidence"]
    section = {
        "passages": int(witness["passages"]),
        "documents": int(witness["documents"]),
        "rejected": int(witness["rejected"]),
        "encoder": str(witness["encoder"]),
        "pairs": int(witness["pairs"]),
        "questions": len(rank_n),
        "settled_on": int(witness["settled_on"]),
        "words": float(witness["words"]),
        "vectors": float(witness["vectors"]),
        "sure": _sure(sure_n, rank_n == 1),
        "bound": float(witness["bound"]),
        "elsewhere": int(witness["elsewhere"]),
        "figures": {name: one.to_json() for name, one in figures.items()},
    }
    return TrustPart(section, figures)


def _recall(rank_n: NDArray[np.int64], most: int) -> Figure:
    hits = int(((rank_n > 0) & (rank_n <= most)).sum())
    low, high = exact_share(hits, len(rank_n)) if len(rank_n) else (None, None)
    how = f"share of held-out questions with their answer among the first {most}; Clopper-Pearson 95 %"
    return _figure(hits / max(1, len(rank_n)), how, len(rank_n), low, high)


def _figure(value: float, how: str, rows: int, low: float | None = None, high: float | None = None) -> Figure:
    if rows == 0:
        return Figure(None, how, "test", 0, "trust/retrieval.npz", absent="no question with its answer was held out")
    return Figure(rounded(value), how, "test", rows, "trust/retrieval.npz", rounded(low), rounded(high))


def _sure(sure_n: Floats, right_n: NDArray[np.bool_]) -> list[Mapping[str, Any]]:
    """From a confidence on: which share of the questions is answered, and which share of the answers is right."""
    found: list[Mapping[str, Any]] = []
    for least in (0.0, 0.3, 0.5, 0.7, 0.9):
        kept_n = sure_n >= least
        right = rounded(float(right_n[kept_n].mean())) if kept_n.any() else None
        answered = rounded(float(kept_n.mean())) if len(kept_n) else None
        found.append({"least": least, "answered": answered, "right": right})
    return found
