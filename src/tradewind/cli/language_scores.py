"""From a model that can be asked to what a report is computed from: losses by unit, samples, answers to tasks.

Not here: the story (`evaluate_language.py`), the asking (`train/scoring.py`), any figure (`evaluate/generation.py`).

Legend: N tokens of a split, n scored ones, U units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.data.packed import Packed
from tradewind.errors import InputError
from tradewind.evaluate.attacks import Attack, Attacked, messages
from tradewind.evaluate.choices import Task, answer_of, asks
from tradewind.evaluate.harness import Asked
from tradewind.evaluate.language_figures import blocks
from tradewind.evaluate.ngram import ORDER, KneserNey
from tradewind.evaluate.repetition import Passage, repetition
from tradewind.evaluate.witness import Answer, Sample, SplitLosses, Written
from tradewind.features.language import LanguageTokenizer
from tradewind.features.writing import job_of
from tradewind.product import Evaluate
from tradewind.train.language_samples import prompts_of
from tradewind.train.scoring import Scorer, Told

_COUNTED = 4_000_000  # training tokens that n-grams are counted over: some twenty seconds
_COMPARED = 50_000_000  # training tokens that samples are looked for in
_TEMPERATURE = 0.8
_PROMPT = 32
_WRITTEN_MOST = 48  # pairs of each job
_ATTACK_TOKENS = 48  # a secret or an order shows in the first words


def within(packed: Packed, most: int) -> Packed:
    """The first documents of a split with at most `most` tokens; of one long text its beginning."""
    if len(packed) <= most:
        return packed
    documents = int(np.searchsorted(packed.starts, most, side="right")) - 1
    starts = packed.starts[: documents + 1]
    if documents == 0:  # conversations stay whole
        starts = packed.starts[:2] if packed.mask is not None else np.array([0, most], dtype=np.int64)
    end = int(starts[-1])
    mask = None if packed.mask is None else packed.mask[:end]
    return Packed(packed.name, packed.tokens[:end], starts, mask, 0)


def baselines(train: Packed, *, vocabulary: int) -> tuple[dict[str, KneserNey], dict[str, dict[str, str]]]:
    """The n-gram model and the one of single tokens, and how each was fitted."""
    tokens = np.asarray(train.tokens[:_COUNTED])
    seen = f"{len(tokens):,}" if len(tokens) == len(train) else f"the first {len(tokens):,} of {len(train):,}"
    fitted = {
        "kneser_ney": KneserNey.fit(tokens, vocabulary=vocabulary, order=ORDER),
        "unigram": KneserNey.fit(tokens, vocabulary=vocabulary, order=1),
    }
    notes = {
        "kneser_ney": f"interpolated modified Kneser-Ney of order {ORDER}, counted over {seen} training tokens",
        "unigram": f"how often each token stands in {len(tokens):,} training tokens, whatever stands before it",
    }
    return fitted, {name: {"how": how, "skipped": ""} for name, how in notes.items()}


def split_losses(
    packed: Packed, found: Mapping[str, NDArray[np.float32]], tokenizer: LanguageTokenizer
) -> tuple[SplitLosses, str]:
    """The losses of the tokens that every predictor answered for, by document or block, and which of the two."""
    scored_N = np.logical_and.reduce([~np.isnan(one) for one in found.values()])
    document_N = np.repeat(np.arange(packed.documents), np.diff(packed.starts))
    unit_n, unit = blocks(document_N[scored_N])
    bytes_U = _bytes(np.asarray(packed.tokens)[scored_N], unit_n, tokenizer)
    if bytes_U.sum() and packed.bytes and int(scored_N.sum()) == packed.learnt:
        # Blocks end within characters, and a character may be unknown: the sum is what the corpus counted.
        bytes_U = bytes_U * (packed.bytes / bytes_U.sum())
    return SplitLosses(unit_n, bytes_U, {name: one[scored_N] for name, one in found.items()}), unit


def _bytes(tokens_n: NDArray[Any], unit_n: NDArray[np.int64], tokenizer: LanguageTokenizer) -> NDArray[np.float64]:
    """UTF-8 bytes of the text of each unit [U]."""
    units = int(unit_n[-1]) + 1 if len(unit_n) else 0
    ends = np.searchsorted(unit_n, np.arange(units + 1))
    texts = (tokenizer.decode(tokens_n[a:b].tolist()) for a, b in pairwise(ends.tolist()))
    return np.array([len(text.encode()) for text in texts], dtype=np.float64)


# ---------------------------------------------------------------- samples


@dataclass(frozen=True)
class Samples:
    """What the model wrote, and how it was asked."""

    samples: list[Sample]
    how: dict[str, Any]


def samples(
    scorer: Scorer, test: Packed, train_N: NDArray[Any], tokenizer: LanguageTokenizer, *, settings: Evaluate,
    told: Told | None = None,
) -> Samples:  # fmt: skip
    """Texts after the beginnings of test documents, or answers to the prompts of test conversations."""
    tokens = max(1, min(settings.sample_tokens, scorer.context // 2))
    room = max(1, scorer.context - tokens)
    most = min(_PROMPT, room) if test.mask is None else max(1, room // 4)
    prompts = prompts_of(test, count=settings.samples, most=most) if settings.samples else []
    prompts = [prompt[-room:] for prompt in prompts]
    wrote = scorer.continuations(
        prompts,
        max_tokens=tokens,
        temperature=_TEMPERATURE,
        seed=settings.seed,
        stops=tokenizer.specials.stops,
        told=told,
    )
    passages = [Passage(np.array(one.tokens, dtype=np.int64), _characters(one.tokens, tokenizer)) for one in wrote]
    copied = repetition(passages, train_N[:_COMPARED])
    found = [
        Sample(
            prompt=tokenizer.decode(prompt),
            text=tokenizer.decode(one.tokens),
            finish="stop" if one.stopped else "length",
            tokens=again.tokens,
            verbatim=again.verbatim,
            longest=again.longest,
            passage=tokenizer.decode(one.tokens[again.start : again.start + again.longest]),
        )
        for prompt, one, again in zip(prompts, wrote, copied, strict=True)
    ]
    how = {
        "temperature": _TEMPERATURE, "max_tokens": tokens, "seed": settings.seed,
        "compared_tokens": min(len(train_N), _COMPARED),
    }  # fmt: skip
    return Samples(found, how)


def _characters(tokens: Sequence[int], tokenizer: LanguageTokenizer) -> NDArray[np.int64]:
    """Characters that each token adds to the text."""
    stream = tokenizer.stream()
    counts = [len(stream.push(token)) for token in tokens]
    if counts:
        counts[-1] += len(stream.flush())
    return np.array(counts, dtype=np.int64)


# ---------------------------------------------------------------- tasks


def task_answers(
    task: Task, scorer: Scorer, tokenizer: LanguageTokenizer, *, settings: Evaluate, conversation: bool,
    told: Told | None = None,
) -> list[Answer]:  # fmt: skip
    """What the model says to each question of a task."""
    asked = asks(
        task, tokenizer, shots=settings.shots, seed=settings.seed, context=scorer.context, conversation=conversation
    )
    if task.has_choices:
        prompts = [ask.prompt for ask in asked for _ in ask.continuations]
        likely = iter(scorer.log_likelihoods(prompts, [one for ask in asked for one in ask.continuations], told=told))
        return [
            answer_of(task, at, ask, log_likelihoods=[next(likely) for _ in ask.continuations])
            for at, ask in enumerate(asked)
        ]
    wrote = scorer.continuations(
        [ask.prompt for ask in asked], max_tokens=[ask.max_tokens for ask in asked], temperature=0.0, seed=settings.seed,
        stops=tokenizer.specials.stops, told=told,
    )  # fmt: skip
    return [
        answer_of(task, at, ask, said=tokenizer.decode(one.tokens))
        for at, (ask, one) in enumerate(zip(asked, wrote, strict=True))
    ]


def attacked(
    attacks: Sequence[Attack], scorer: Scorer, tokenizer: LanguageTokenizer, *, told: Told | None = None
) -> list[Attacked]:
    """What the model says to each attack that fits into its context, the likeliest token each time."""
    tokens = min(_ATTACK_TOKENS, scorer.context // 4)
    prompts = [_conversation(attack, tokenizer) for attack in attacks]
    fitting = [at for at, prompt in enumerate(prompts) if len(prompt) + tokens <= scorer.context]
    wrote = scorer.continuations(
        [prompts[at] for at in fitting], max_tokens=tokens, temperature=0.0, seed=0, stops=tokenizer.specials.stops,
        told=told,
    )  # fmt: skip
    said = [tokenizer.decode(one.tokens) for one in wrote]
    return [
        Attacked(attacks[at].kind, attacks[at].prompt, attacks[at].never, text)
        for at, text in zip(fitting, said, strict=True)
    ]


def jobs_done(
    documents: Sequence[Mapping[str, Any]], packed: Packed, found: Mapping[str, NDArray[np.float32]], scorer: Scorer,
    tokenizer: LanguageTokenizer, *, told: Told | None = None,
) -> list[Written]:  # fmt: skip
    """The jobs of writing on held-out documents: titles and rewritten texts as the model writes them, the likeliest token
    each time; of continuations the losses of what really followed. `found` are losses [N] of model and baselines."""
    pairs: list[Written] = []
    prompts: list[list[int]] = []
    rooms: list[int] = []
    for document, begin, end in zip(documents, packed.starts[:-1].tolist(), packed.starts[1:].tolist(), strict=False):
        *before, answer = document["messages"]
        job = job_of(before)
        assert job is not None
        if sum(one.job == job for one in pairs) >= _WRITTEN_MOST:
            continue
        nats, theirs = (
            float(np.nansum(found[name][begin:end])) if name in found else 0.0 for name in ("model", "kneser_ney")
        )
        prompt, room = tokenizer.chat(before), 2 * len(tokenizer.encode(answer["content"])) + 8
        if job != "continue":
            if len(prompt) + room > scorer.context:
                continue
            prompts.append(prompt)
            rooms.append(room)
        pairs.append(Written(job, before[-1]["content"], answer["content"], nats=nats, baseline_nats=theirs))
    wrote = scorer.continuations(
        prompts, max_tokens=rooms, temperature=0.0, seed=0, stops=tokenizer.specials.stops, told=told
    )
    said = iter([tokenizer.decode(one.tokens).strip() for one in wrote])
    return [one if one.job == "continue" else replace(one, said=next(said)) for one in pairs]


def _conversation(attack: Attack, tokenizer: LanguageTokenizer) -> list[int]:
    try:
        return tokenizer.chat(messages(attack, folded=False))
    except InputError:  # the template knows no turn of the system
        return tokenizer.chat(messages(attack, folded=True))


def asked_by_harness(scorer: Scorer, tokenizer: LanguageTokenizer) -> Asked:
    return _ForHarness(scorer, tokenizer)


@dataclass(frozen=True)
class _ForHarness:
    """A scorer as `evaluate/harness.py` asks it."""

    scorer: Scorer
    tokenizer: LanguageTokenizer

    @property
    def context(self) -> int:
        return self.scorer.context

    def log_likelihoods(self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]) -> list[float]:
        return self.scorer.log_likelihoods(prompts, continuations)

    def likeliest(self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]) -> list[bool]:
        wrote = self.scorer.continuations(
            prompts, max_tokens=[len(one) for one in continuations], temperature=0.0, seed=0, stops=()
        )
        return [one.tokens == tuple(rest) for one, rest in zip(wrote, continuations, strict=True)]

    def write(self, prompts: Sequence[Sequence[int]], *, max_tokens: Sequence[int]) -> list[list[int]]:
        wrote = self.scorer.continuations(
            prompts, max_tokens=max_tokens, temperature=0.0, seed=0, stops=self.tokenizer.specials.stops
        )
        return [list(one.tokens) for one in wrote]
