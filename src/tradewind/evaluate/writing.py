"""How well a writing model does its jobs on held-out documents, each beside something anybody could do.

    title      ROUGE-L and chrF against the document's own title; beside it the first sentence of the text
    rewrite    edit distance to the original; beside it the plain version as it was given
    continue   bits per byte of what really followed; beside it the n-gram model

Not here: asking the model (`cli/language_scores.py`), figures of the whole split (`language_figures.py`).
Legend: U pairs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tradewind.evaluate.figures import Figure
from tradewind.evaluate.language_figures import drawn_mean, drawn_ratio, figure
from tradewind.evaluate.metrics import Floats
from tradewind.evaluate.witness import WRITTEN, Written
from tradewind.features.writing import sentences
from tradewind.product import Evaluate

_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|\w+")
_CHRF_ORDER, _CHRF_BETA = 6, 2.0
_SHOWN = 4  # of each job


def writing_figures(written: Sequence[Written], settings: Evaluate) -> dict[str, Figure]:
    """The figures of every job that has pairs. Gates may name them."""
    found: dict[str, Figure] = {}
    for job, judge in (("title", _titles), ("rewrite", _rewrites), ("continue", _continuations)):
        some = [one for one in written if one.job == job]
        if some:
            found |= judge(some, settings)
    return found


def examples(written: Sequence[Written]) -> list[dict[str, str]]:
    """The first pairs of each job that the model answered, for the page."""
    shown = []
    for job in ("title", "rewrite"):
        some = [one for one in written if one.job == job][:_SHOWN]
        shown += [{"job": job, "prompt": one.prompt, "said": one.said, "reference": one.reference} for one in some]
    return shown


def _titles(some: Sequence[Written], settings: Evaluate) -> dict[str, Figure]:
    rouge_U = np.array([rouge_l(one.said, one.reference) for one in some])
    first_U = np.array([rouge_l(first_sentence(one.prompt), one.reference) for one in some])
    chrf_U = np.array([chrf(one.said, one.reference) for one in some])
    return {
        "title_rouge_l": _mean(rouge_U, "title", "ROUGE-L of the written title and the document's own", settings),
        "title_rouge_l_lead": _mean(
            rouge_U - first_U, "title", "the same less that of the text's first sentence", settings
        ),
        "title_chrf": _mean(chrf_U, "title", "chrF of the written title and the document's own", settings),
    }


def _rewrites(some: Sequence[Written], settings: Evaluate) -> dict[str, Figure]:
    ours_U = np.array([distance(one.said, one.reference) for one in some])
    copied_U = np.array([distance(one.prompt, one.reference) for one in some])
    return {
        "rewrite_distance": _mean(
            ours_U, "rewrite", "characters to change until it is the original, per character of it", settings
        ),
        "rewrite_gain": _mean(
            copied_U - ours_U, "rewrite", "distance of the plain version less that of the rewritten one", settings
        ),
    }


def _continuations(some: Sequence[Written], settings: Evaluate) -> dict[str, Figure]:
    bytes_U = np.array([float(len(one.reference.encode())) for one in some])
    ours_U = np.array([one.nats for one in some]) / math.log(2)
    theirs_U = np.array([one.baseline_nats for one in some]) / math.log(2)
    figures = {"continue_bits_per_byte": _ratio(ours_U, bytes_U, "bits per byte of what really followed", settings)}
    if theirs_U.any():
        figures["continue_lead"] = _ratio(
            theirs_U - ours_U, bytes_U, "the n-gram model's bits per byte less the model's", settings
        )
    return figures


def _mean(values_U: Floats, job: str, how: str, settings: Evaluate) -> Figure:
    drawn = drawn_mean(values_U, resamples=settings.bootstrap, seed=settings.seed)
    return figure(
        drawn,
        f"mean over held-out documents: {how}",
        split="test",
        rows=len(values_U),
        unit="pairs",
        source=f"{WRITTEN}#{job}",
    )


def _ratio(upper_U: Floats, lower_U: Floats, how: str, settings: Evaluate) -> Figure:
    drawn = drawn_ratio(upper_U, lower_U, resamples=settings.bootstrap, seed=settings.seed)
    return figure(drawn, how, split="test", rows=len(upper_U), unit="pairs", source=f"{WRITTEN}#continue")


# ---------------------------------------------------------------- measures of two texts


def first_sentence(text: str) -> str:
    return (sentences(text) or [""])[0].strip()


def rouge_l(said: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, of Chinese of characters (Lin 2004). 0 to 1."""
    ours, theirs = _WORD.findall(said.lower()), _WORD.findall(reference.lower())
    if not ours or not theirs:
        return 0.0
    row = [0] * (len(theirs) + 1)
    for word in ours:
        before = 0
        for at, other in enumerate(theirs, 1):
            before, row[at] = row[at], before + 1 if word == other else max(row[at], row[at - 1])
    return 2 * row[-1] / (len(ours) + len(theirs))


def chrf(said: str, reference: str) -> float:
    """F2 of runs of one to six characters, blanks aside (Popović 2015). 0 to 1; an order that neither text reaches is left out."""
    ours, theirs = "".join(said.split()), "".join(reference.split())
    precisions, recalls = [], []
    for order in range(1, _CHRF_ORDER + 1):
        one, other = _runs(ours, order), _runs(theirs, order)
        if one and other:
            common = sum((one & other).values())
            precisions.append(common / one.total())
            recalls.append(common / other.total())
    if not precisions:
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    weighed = _CHRF_BETA**2 * precision + recall
    return (1 + _CHRF_BETA**2) * precision * recall / weighed if weighed else 0.0


def _runs(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))


def distance(said: str, reference: str) -> float:
    """Characters to put in, take out or change (Levenshtein 1966), per character of the reference."""
    row = list(range(len(reference) + 1))
    for number, letter in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(reference, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (letter != other))
    return row[-1] / max(len(reference), 1)
