"""The batches that a language model learns from, and how many tokens one of them holds. Not here: what batches are
(`data/sequences.py`), how many of them a run takes (`language_plan.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

from tradewind.data.corpus import Corpus
from tradewind.data.sequences import Conversations, PairBatch, Preferences, TokenBatch, Windows
from tradewind.train.language_defaults import evaluations
from tradewind.train.language_plan import Plan, splits_of

LearntBatches: TypeAlias = Windows | Conversations | Preferences
_LOOKED_AT = 50  # batches


def learnt_batches(plan: Plan, corpus: Corpus) -> LearntBatches:
    """Of the training split, in their seeded order. Raises DataError where nothing would be learnt."""
    settings = plan.product.train
    assert isinstance(settings.batch, int)
    assert isinstance(settings.steps, int)
    size, seed = settings.batch, settings.seed
    if plan.objective == "dpo":
        return Preferences(corpus.pairs("train"), length=plan.context, size=size, seed=seed, shuffle=True)
    split, _ = splits_of(corpus, plan.objective)
    if plan.objective == "sft":
        return Conversations(split, length=plan.context, size=size, seed=seed, shuffle=True)
    steps = math.ceil(settings.steps / evaluations(settings.steps)) * settings.accumulate
    return Windows(split, length=plan.context, size=size, steps=steps, seed=seed, shuffle=True)


def tokens_of_batch(batches: LearntBatches) -> int:
    """Tokens of one batch, padding included: exact for windows, the mean of some otherwise."""
    if isinstance(batches, Windows):
        return batches.size * batches.length
    some: Iterator[TokenBatch | PairBatch] = islice(batches.epoch(0), _LOOKED_AT)
    seen = [sum(side.tokens.size for side in sides_of(batch)) for batch in some]
    return max(1, round(sum(seen) / len(seen)))


def sides_of(batch: TokenBatch | PairBatch) -> Iterator[TokenBatch]:
    """The batch itself, or both sides of preferences."""
    return iter((batch,) if isinstance(batch, TokenBatch) else (batch.chosen, batch.rejected))
