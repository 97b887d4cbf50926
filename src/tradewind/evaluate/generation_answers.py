"""Figures of what a language model writes and chooses: tasks, samples, preferences.

Not here: losses and what they are compared with (`generation.py`), what counts as right (`choices.py`).

Legend: U units: questions, samples or pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tradewind.evaluate import choices
from tradewind.evaluate.attacks import KINDS, AttackKind
from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.language_figures import Drawn, drawn_mean, drawn_ratio, figure, share_figure
from tradewind.evaluate.witness import ANSWERS, ATTACKS, PAIRS, SAMPLES, Witness
from tradewind.privacy import pii
from tradewind.product import Evaluate

PREFERENCE = "preference_accuracy"
ATTACK_FIGURES: Mapping[AttackKind, str] = {
    "leak": "secrets_kept", "injection": "injections_withstood", "jailbreak": "jailbreaks_refused",
}  # fmt: skip
_WITHSTOOD: Mapping[AttackKind, str] = {
    "leak": "share of requests for a secret of the system's turn after which the answer does not hold it",
    "injection": "share of orders hidden in quoted data that the answer does not follow",
    "jailbreak": "share of requests to be refused whose answer refuses",
}
_FAILED_SHOWN = 5


@dataclass(frozen=True)
class TaskFigures:
    name: str
    kind: Literal["choices", "written"]
    questions: int
    cut: int
    accuracy: Figure
    chance: float
    guess: str


def task_figures(witness: Witness, settings: Evaluate) -> tuple[TaskFigures, ...]:
    found = []
    for name in dict.fromkeys(one.task for one in witness.answers):
        answers = [one for one in witness.answers if one.task == name]
        right = np.array([float(choices.is_right(one)) for one in answers])
        how = "share of questions whose likeliest choice per character is the right one" if answers[0].choices else (
            "share of prompts after which exactly the answer was written, the likeliest token each time")  # fmt: skip
        accuracy = share_figure(
            right, how, split="test", rows=len(answers), unit="questions", source=f"{ANSWERS}#{name}",
            interval=settings.bootstrap > 0,
        )  # fmt: skip
        chance, guess = choices.chance(answers)
        kind: Literal["choices", "written"] = "choices" if answers[0].choices else "written"
        cut = sum(one.cut for one in answers)
        found.append(TaskFigures(name, kind, len(answers), cut, accuracy, rounded(chance) or 0.0, guess))
    return tuple(found)


def sample_figures(witness: Witness, *, answers: bool, settings: Evaluate) -> dict[str, Figure]:
    """Repetition, personal data, and of samples that are `answers` whether they end by themselves."""
    samples = witness.samples
    if not samples:
        return {}
    options: dict[str, Any] = {"split": "test", "rows": len(samples), "unit": "samples", "source": SAMPLES}
    again = {"resamples": settings.bootstrap, "seed": settings.seed}
    tokens_U = np.array([float(one.tokens) for one in samples])
    verbatim_U = np.array([float(one.verbatim) for one in samples])
    affected_U = np.array([float(bool(pii.find(one.text))) for one in samples])
    longest = float(max(one.longest for one in samples))
    share = drawn_ratio(verbatim_U, tokens_U, **again) if tokens_U.sum() else Drawn(0.0, np.zeros(0))
    found = {
        "verbatim_share": figure(
            share, "share of sample tokens inside a run of 50 characters or more that stands in the training text", **options
        ),
        "longest_verbatim": figure(
            Drawn(longest, np.zeros(0)), "tokens of the longest run of a sample that stands in the training text", **options
        ),
        "pii_share": share_figure(affected_U, "share of samples with personal data in them", **options, interval=settings.bootstrap > 0),
    }  # fmt: skip
    if answers:
        stopped_U = np.array([float(one.finish == "stop") for one in samples])
        how = "share of answers that end by themselves within the tokens they may have"
        found["stops"] = share_figure(stopped_U, how, **options, interval=settings.bootstrap > 0)
    return found


def preference_figures(witness: Witness, settings: Evaluate, beta: float) -> dict[str, Figure]:
    """Accuracy and margin of the implicit reward: beta times what an answer gained over the base model (Rafailov et al.,
    "Direct preference optimization", 2023, section 4)."""
    margins_U = np.array(
        [beta * ((one.chosen - one.base_chosen) - (one.rejected - one.base_rejected)) for one in witness.pairs]
    )
    right_U = np.where(margins_U > 0, 1.0, np.where(margins_U == 0, 0.5, 0.0))
    options: dict[str, Any] = {"split": "test", "rows": len(margins_U), "unit": "pairs", "source": PAIRS}
    again = {"resamples": settings.bootstrap, "seed": settings.seed}
    return {
        PREFERENCE: figure(
            drawn_mean(right_U, **again), "share of pairs whose better answer gained more; an equal one counts half", **options
        ),
        "preference_margin": figure(
            drawn_mean(margins_U, **again), "mean of beta times how much more the better answer gained, in nats", **options
        ),
    }  # fmt: skip


def attack_figures(witness: Witness, settings: Evaluate) -> dict[str, Figure]:
    """Of each kind of attack the share that the model withstood."""
    found = {}
    for kind in KINDS:
        hits = np.array([float(one.withstood) for one in witness.attacked if one.kind == kind])
        if len(hits):
            found[ATTACK_FIGURES[kind]] = share_figure(
                hits, _WITHSTOOD[kind], split="test", rows=len(hits), unit="attacks", source=f"{ATTACKS}#{kind}",
                interval=settings.bootstrap > 0,
            )  # fmt: skip
    return found


def failed_attacks(witness: Witness) -> list[dict[str, str]]:
    """The attacks that the model did not withstand, the first ones of each kind."""
    found = []
    for kind in KINDS:
        failed = [one for one in witness.attacked if one.kind == kind and not one.withstood]
        found += [{"kind": kind, "prompt": one.prompt, "said": one.said} for one in failed[:_FAILED_SHOWN]]
    return found


def repetition_summary(witness: Witness) -> dict[str, Any] | None:
    samples = witness.samples
    if not samples:
        return None
    longest = max(samples, key=lambda one: one.longest)
    return {
        "samples": len(samples),
        "tokens": sum(one.tokens for one in samples),
        "verbatim": sum(one.verbatim for one in samples),
        "affected": sum(one.verbatim > 0 for one in samples),
        "longest": longest.longest,
        "passage": longest.passage,
    }


def personal_data(witness: Witness) -> dict[str, Any] | None:
    if not witness.samples:
        return None
    found = pii.scan(one.text for one in witness.samples)
    return {"samples": found.texts, "affected": found.affected, "findings": dict(found.findings)}
