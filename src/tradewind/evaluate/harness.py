"""EleutherAI's lm-evaluation-harness over a model of ours, where it is installed: `lm_eval:TASK` under evaluate.tasks.

Not here: our own tasks (`choices.py`). The harness is no dependency of Tradewind; its tasks may fetch data from where they
are published, which happens only because the product file names them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from tradewind.errors import DataError, EnvironmentFailure
from tradewind.evaluate.generation import HarnessFigure
from tradewind.features.language import LanguageTokenizer

PREFIX = "lm_eval:"
_WRITTEN = 256  # tokens of an answer where a task does not say how many


class Asked(Protocol):
    """What the harness asks of a model: token lists in, nats, whether each token was the likeliest, and texts out."""

    @property
    def context(self) -> int: ...

    def log_likelihoods(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
    ) -> list[float]: ...

    def likeliest(self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]) -> list[bool]: ...

    def write(self, prompts: Sequence[Sequence[int]], *, max_tokens: Sequence[int]) -> list[list[int]]: ...


def check_installed() -> None:
    """Raises EnvironmentFailure package_missing where the harness is not there."""
    _module("lm_eval")


def run_harness(names: Sequence[str], asked: Asked, tokenizer: LanguageTokenizer, *, shots: int) -> list[HarnessFigure]:
    """Each task's figures under the harness's own names. Raises DataError where it does not know a task."""
    harness = _module("lm_eval")
    model = language_model(asked, tokenizer)
    try:
        found = harness.simple_evaluate(model=model, tasks=list(names), num_fewshot=shots, bootstrap_iters=0)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"lm-evaluation-harness does not do {', '.join(names)} ({error}).", code="task_unknown", where="evaluate.tasks",
            hint="`lm_eval --tasks list` names what it has.",
        ) from error  # fmt: skip
    return [
        HarnessFigure(task, figure.partition(",")[0], float(value))
        for task, figures in sorted(found["results"].items())
        for figure, value in sorted(figures.items())
        if isinstance(value, int | float) and not isinstance(value, bool) and "stderr" not in figure
    ]


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            "evaluate.tasks names a task of lm-evaluation-harness, which is not installed.", code="package_missing",
            where="evaluate.tasks", hint="Install it with: pip install lm-eval, or leave the task out.",
        ) from error  # fmt: skip


def language_model(asked: Asked, tokenizer: LanguageTokenizer) -> Any:
    """Our model as the harness's `LM`."""
    base: Any = _module("lm_eval.api.model").LM

    class Ours(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def loglikelihood(self, requests: Sequence[Any], **_: Any) -> list[tuple[float, bool]]:
            pairs = [_pair(one.args[0], one.args[1]) for one in requests]
            prompts, rests = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            return list(zip(asked.log_likelihoods(prompts, rests), asked.likeliest(prompts, rests), strict=True))

        def loglikelihood_rolling(self, requests: Sequence[Any], **_: Any) -> list[float]:
            return [sum(asked.log_likelihoods(*_windows(one.args[0]))) for one in requests]

        def generate_until(self, requests: Sequence[Any], **_: Any) -> list[str]:
            options = [dict(one.args[1]) for one in requests]
            most = [min(int(one.get("max_gen_toks", _WRITTEN)), asked.context // 2) for one in options]
            prompts = [
                _begin(tokenizer.encode(one.args[0]))[-(asked.context - tokens) :]
                for one, tokens in zip(requests, most, strict=True)
            ]
            texts = [tokenizer.decode(ids) for ids in asked.write(prompts, max_tokens=most)]
            return [_until(text, one.get("until", ())) for text, one in zip(texts, options, strict=True)]

    def _begin(ids: list[int]) -> list[int]:
        specials = tokenizer.specials
        return [specials.bos if specials.bos is not None else specials.eos, *ids]

    def _pair(prompt: str, rest: str) -> tuple[list[int], list[int]]:
        """Prompt and continuation, cut from the left. A blank between them belongs to the continuation."""
        blank = len(prompt) - len(prompt.rstrip())
        if blank:
            prompt, rest = prompt[:-blank], prompt[-blank:] + rest
        ids = tokenizer.encode(rest)[-(asked.context - 1) :]
        return _begin(tokenizer.encode(prompt))[-(asked.context - len(ids)) :], ids

    def _windows(text: str) -> tuple[list[list[int]], list[list[int]]]:
        """The whole text, every token asked for once, in windows that each begin with one token that is known."""
        ids = _begin(tokenizer.encode(text))
        size = asked.context - 1
        places = range(1, len(ids), size)
        return [[ids[at - 1]] for at in places], [ids[at : at + size] for at in places]

    return Ours()


def _until(text: str, stops: str | Sequence[str]) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        if stop:
            text = text.partition(stop)[0]
    return text
