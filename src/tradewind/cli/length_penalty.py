"""Which length penalty a translator is served with: the one that gives the best BLEU on validation pairs, found in one search.

The penalty does not change what a search finds, only which of its translations is taken (`engines/ctranslate.py`), so every
one is weighed over the same translations. Not here: what the others make of it (`translator.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tradewind.engines.ctranslate import Hypothesis
from tradewind.engines.translation import TranslationEngine
from tradewind.evaluate import translation_scores as scores
from tradewind.evaluate.translation_scores import BLEU_NAME

USUAL = 1.0
PENALTIES = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
_MOST_PAIRS = 1000
_FEWEST_PAIRS = 30
_RESAMPLES = 200


@dataclass(frozen=True)
class ChosenPenalty:
    """`bleu` is that of each penalty on `pairs` pairs of validation; empty where there were too few, or one beam leaves no
    choice."""

    value: float
    pairs: int
    bleu: Mapping[float, float]


def choose_penalty(
    engine: TranslationEngine, pairs: Sequence[tuple[str, str]], *, beams: int, seed: int
) -> ChosenPenalty:
    """The usual one is left only for a lead of more than one standard error over it, on the same resamples of sentences."""
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(_MOST_PAIRS, len(pairs))).round().astype(int)).tolist()
    pairs = [pairs[row] for row in chosen if engine.is_one_piece(pairs[row][0])]
    if beams == 1 or len(pairs) < _FEWEST_PAIRS:
        return ChosenPenalty(USUAL, 0, {})
    found = engine.hypotheses([source for source, _ in pairs], beams=beams)
    references = [reference for _, reference in pairs]
    metric = scores.measures(engine.facts.target)[BLEU_NAME]
    counts = {
        penalty: scores.counts(metric, [_best(engine, one, penalty) for one in found], references)
        for penalty in PENALTIES
    }
    bleu = {penalty: scores.score(metric, one.sum(0)) for penalty, one in counts.items()}
    best = max(PENALTIES, key=lambda penalty: (round(bleu[penalty], 6), -abs(penalty - USUAL)))
    drawn = {
        penalty: np.array([
            scores.score(metric, sums) for sums in scores.drawn_sums(counts[penalty], resamples=_RESAMPLES, seed=seed)
        ])
        for penalty in {best, USUAL}
    }  # fmt: skip
    error = float((drawn[best] - drawn[USUAL]).std())
    value = best if bleu[best] - bleu[USUAL] > error else USUAL
    return ChosenPenalty(value, len(pairs), {penalty: round(one, 4) for penalty, one in bleu.items()})


def _best(engine: TranslationEngine, found: Sequence[Hypothesis], penalty: float) -> str:
    best = max(found, key=lambda one: one.total / max(1, one.tokens) ** penalty, default=None)
    return "" if best is None else engine.tokenizer.decode(best.ids)
