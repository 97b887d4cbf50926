"""BLEU and chrF of translations as sacrebleu computes them (Papineni et al. 2002; Popović 2015; Post 2018), and what goes wrong
in single ones: nothing, the source itself, a run of words again and again, one answer for different sources.

sacrebleu counts what a sentence has in common with its reference; sums of these counts over all sentences, or over those of a
resample, give the score. Not here: which translations (`translation.py`), intervals of other figures (`intervals.py`).

Legend: N sentences, S counts of a sentence, R resamples.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tradewind.evaluate.intervals import resampled
from tradewind.features.words import is_spaced, words

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

BLEU_NAME, CHRF_NAME = "bleu", "chrf"
_CHINESE = frozenset(["zh", "zho", "cmn", "yue"])
_LONGEST_RUN = 4  # words of a run that is looked for again and again
_OFTEN = {1: 4}  # so often on end is too often; of longer runs
_OFTEN_ELSE = 3


def measures(language: str) -> dict[str, Metric]:
    """BLEU and chrF of texts in `language`. Chinese is cut into characters by BLEU, as are others without blanks."""
    code = re.split(r"[-_]", language.lower())[0]
    tokenize = "zh" if code in _CHINESE else "13a" if is_spaced(language) else "char"
    # force: no warning about signs that stand apart, which some references have.
    return {BLEU_NAME: BLEU(tokenize=tokenize, force=True), CHRF_NAME: CHRF()}


def signatures(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """How each score was computed, as sacrebleu says it, with its version."""
    for metric in metrics.values():
        metric.corpus_score(["a"], [["a"]])  # the number of references is known from then on
    return {name: metric.get_signature().format() for name, metric in metrics.items()}


def counts(metric: Metric, said: Sequence[str], references: Sequence[str]) -> Counts:
    """What each sentence has in common with its reference [N, S]."""
    return np.array(metric._extract_corpus_statistics(said, [references]), dtype=np.int64)


def score(metric: Metric, sums_S: Counts) -> float:
    """0 to 100, of counts summed over sentences."""
    return float(metric._compute_score_from_stats(sums_S.tolist()).score)


def drawn_sums(counts_NS: Counts, *, resamples: int, seed: int) -> Counts:
    """The same counts summed over each resample of sentences [R, S]: the same resamples for every predictor."""
    parts = [weights @ counts_NS for weights in resampled(len(counts_NS), resamples=resamples, seed=seed)]
    return np.concatenate(parts).round().astype(np.int64) if parts else np.zeros((0, counts_NS.shape[1]), np.int64)


def lengths(sums: Counts) -> Floats:
    """Words said over words of the references, of summed counts of BLEU [..., S]."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1), dtype=np.float64)


# ---------------------------------------------------------------- what goes wrong in single ones


def copied(source: str, said: str, reference: str) -> bool:
    """Whether the source came back, in any case of letters, though its translation is another text."""
    return bool(said) and said.casefold() == source.casefold() != reference.casefold()


def repeats(said: str, reference: str) -> bool:
    """Whether some run of words comes again and again on end, more often than in the reference."""
    found, usual = words(said.lower()), words(reference.lower())
    for size in range(1, _LONGEST_RUN + 1):
        often = _on_end(found, size)
        if often >= _OFTEN.get(size, _OFTEN_ELSE) and often > _on_end(usual, size):
            return True
    return False


def _on_end(found: Sequence[str], size: int) -> int:
    """How often the most frequent run of `size` words stands on end."""
    most = 1
    for offset in range(size):
        runs = [tuple(found[at : at + size]) for at in range(offset, len(found) - size + 1, size)]
        often = 1
        for one, other in pairwise(runs):
            often = often + 1 if one == other else 1
            most = max(most, often)
    return most


def shared(said: Sequence[str], references: Sequence[str]) -> NDArray[np.bool_]:
    """[N] whether a sentence has the very translation of another one, though their references differ: answers that have
    nothing to do with the source look like this (Raunak, Menezes, Junczys-Dowmunt 2021)."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for one, reference in zip(said, references, strict=True):
        wanted[one].add(reference)
    return np.array([bool(one) and len(wanted[one]) > 1 for one in said], dtype=bool)
