"""What an engine that writes text promises: token ids in, pieces of text and counts out. No runtime (`genai.py`, `vllm.py`).

Legend: a token is one id of the tokeniser; a piece is text that will not change any more, with the tokens it took.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.features.language import LanguageTokenizer

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. `temperature` 0 takes the likeliest token each time and then the rest does not matter.

    `stop`: texts that end the answer and are not part of it. `logprobs`: how many of the likeliest tokens are told
    beside each chosen one; None tells nothing, 0 the chosen token's own. `schema` (JSON Schema) and `regex` bind the
    whole answer and exclude each other. `adapter` is a name that the engine was loaded with.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    schema: Mapping[str, Any] | None = None
    regex: str | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class TokenLogprob:
    """`top` holds (text, id, logprob), likeliest first. Natural logarithms of the model's own distribution."""

    token: str
    id: int
    logprob: float
    top: tuple[tuple[str, int, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """`tokens` were computed for `text`; their sum over an answer is what it cost, the token that ends it included.

    The last piece of an answer, and no other, has `finish`. Text may be empty there.
    """

    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: Finish | None = None


@dataclass(frozen=True)
class Deterministic:
    """Whether the same request at temperature 0, or with a seed, gives the same answer: alone, and beside others."""

    alone: bool
    under_load: bool


class Generation(Protocol):
    """One answer in the making. Iterate it once; it goes on being computed whether or not it is read."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def completion_tokens(self) -> int:
        """Tokens computed so far, read or not: what a caller who leaves has cost."""
        ...

    def __aiter__(self) -> AsyncIterator[Piece]: ...

    def cancel(self) -> None:
        """Frees the slot at once; the iterator then ends with a piece whose finish is "cancelled". Idempotent."""
        ...


class GenerationEngine(Protocol):
    @property
    def tokenizer(self) -> LanguageTokenizer: ...

    @property
    def context(self) -> int:
        """Most tokens of prompt and answer together."""
        ...

    @property
    def deterministic(self) -> Deterministic: ...

    def start(self, prompt: Sequence[int], sampling: Sampling) -> Generation:
        """Begins an answer; call it inside an event loop, which will receive the pieces.

        Raises InputError: prompt_empty, prompt_token, prompt_too_long, sampling, schema_invalid, regex_invalid,
        adapter_unknown, guidance_unsupported, logprobs_unsupported. What an engine cannot do it refuses, it never
        leaves it out in silence. EnvironmentFailure engine_busy when too many wait already.
        """
        ...

    def close(self) -> None:
        """Cancels what runs and gives the model's memory back. Idempotent."""
        ...


_MOST_STOPS = 16
_MOST_LOGPROBS = 20


def check_request(
    prompt: Sequence[int], sampling: Sampling, *, vocabulary: int, context: int, adapters: Sequence[str] = ()
) -> int:
    """What every engine refuses before it computes anything. Gives `max_tokens` cut to what the context leaves."""
    if not prompt:
        raise InputError("The prompt is empty.", code="prompt_empty", hint="Give at least one token.")
    if (low := min(prompt)) < 0 or (high := max(prompt)) >= vocabulary:
        wrong = low if low < 0 else high
        raise InputError(
            f"The prompt holds the token {wrong}; tokens lie from 0 to {vocabulary - 1}.", code="prompt_token"
        )
    if len(prompt) >= context:
        raise InputError(
            f"The prompt has {len(prompt)} tokens, but the model sees at most {context}, answer included.",
            code="prompt_too_long",
            hint="Shorten the prompt, or leave out the oldest messages.",
        )
    _check_sampling(sampling)
    if sampling.adapter is not None and sampling.adapter not in adapters:
        known = f"Adapters: {', '.join(sorted(adapters))}." if adapters else "This release has none."
        raise InputError(f"There is no adapter {sampling.adapter!r}.", code="adapter_unknown", hint=known)
    return min(sampling.max_tokens, context - len(prompt))


def _check_sampling(sampling: Sampling) -> None:
    wrong: str | None = None
    if sampling.max_tokens < 1:
        wrong = f"max_tokens is {sampling.max_tokens}, but must be at least 1"
    elif not 0 <= sampling.temperature <= 2:
        wrong = f"temperature is {sampling.temperature}, but lies from 0 to 2"
    elif not 0 < sampling.top_p <= 1:
        wrong = f"top_p is {sampling.top_p}, but lies above 0 and up to 1"
    elif sampling.top_k < 0:
        wrong = f"top_k is {sampling.top_k}, but is 0 (all tokens) or more"
    elif sampling.logprobs is not None and not 0 <= sampling.logprobs <= _MOST_LOGPROBS:
        wrong = f"logprobs is {sampling.logprobs}, but lies from 0 to {_MOST_LOGPROBS}"
    elif len(sampling.stop) > _MOST_STOPS or "" in sampling.stop:
        wrong = f"stop holds {len(sampling.stop)} texts, but takes at most {_MOST_STOPS} and none that is empty"
    elif sampling.schema is not None and sampling.regex is not None:
        wrong = "schema and regex exclude each other"
    if wrong is not None:
        raise InputError(f"{wrong[0].upper()}{wrong[1:]}.", code="sampling")
