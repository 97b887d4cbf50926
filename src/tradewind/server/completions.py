"""`POST /v1/completions`: text in, its continuation out, in the shape of OpenAI's older API. Not the road of a request
(`openai.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.engines.generation import Sampling, TokenLogprob
from tradewind.server.answers import About, Answer
from tradewind.server.asking import DRAWN, HARMLESS, read_bound, read_choices, read_draw, read_usage, room
from tradewind.server.chat import usage_of
from tradewind.server.fields import Fields, kind_of
from tradewind.server.generating import Pieces, Tokens
from tradewind.server.marks import Marking
from tradewind.server.problems import Problem
from tradewind.server.served_language import ServedLanguage
from tradewind.server.settings import Settings
from tradewind.server.stream import DONE, HOLE, event, filled, frame

ROUTE = "/v1/completions"
_LOGPROBS = 5
_DEFAULT_TOKENS = 16  # OpenAI's own, of this route
_MOST_TOKENS = 1 << 24
_READ = DRAWN | {
    "model",
    "prompt",
    "max_tokens",
    "n",
    "stream",
    "stream_options",
    "logprobs",
    "echo",
    "best_of",
    "suffix",
}


@dataclass(frozen=True)
class CompletionAsk:
    prompts: Sequence[Sequence[int]]
    echoes: Sequence[str]
    sampling: Sequence[Sampling]
    choices: int
    stream: bool
    usage: bool
    marking: Marking | None
    kept: Mapping[str, Any]

    def writer(self, about: About) -> CompletionWriter:
        return CompletionWriter(self, about)


def read(fields: Fields, served: ServedLanguage, settings: Settings) -> CompletionAsk:
    """Raises InputError (field, unsupported, prompt_too_long …)."""
    fields.only(_READ, ignored=HARMLESS)
    fields.refuse("suffix", "the model writes on, it does not fill in", harmless=[""])
    stream, choices = fields.flag("stream"), read_choices(fields, settings)
    if (best := fields.integer("best_of", 1, settings.choices)) is not None and best != choices:
        fields.refuse("best_of", "as many answers are written as n says")
    logprobs, echo = fields.integer("logprobs", 0, _LOGPROBS), fields.flag("echo")
    if echo and logprobs is not None:
        fields.refuse("echo", "figures are told of what is written, not of the prompt")
    bound = read_bound(fields)
    draw = read_draw(fields, logprobs=logprobs, bound=bound)
    prompts = _prompts(fields, served, most=settings.choices // choices)
    asked = fields.integer("max_tokens", 1, _MOST_TOKENS)
    lengths = [room(served, prompt, asked, default=_DEFAULT_TOKENS, where="prompt") for prompt in prompts]
    decode = served.engine.tokenizer.decode
    return CompletionAsk(
        prompts=prompts, echoes=[decode(prompt) if echo else "" for prompt in prompts],
        sampling=[draw.sampling(length) for length in lengths], choices=choices, stream=stream,
        usage=read_usage(fields, stream=stream), marking=served.marking if bound is None else None, kept={"prompt": fields.get("prompt")},
    )  # fmt: skip


def _prompts(fields: Fields, served: ServedLanguage, *, most: int) -> list[list[int]]:
    """Text, tokens, or a list of either."""
    value = fields.get("prompt")
    if isinstance(value, str) or (isinstance(value, list) and value and _is_token(value[0])):
        value = [value]
    if not isinstance(value, list) or not value:
        found = "is missing" if value is None else "is empty" if value == [] else f"is {kind_of(value)}"
        raise fields.wrong("prompt", f"{found}, but must be text, a list of texts, or tokens")
    if len(value) > most:
        raise fields.wrong("prompt", f"holds {len(value)} prompts, but with this n at most {most} are taken")
    return [tokens_of(fields, f"prompt[{place}]", one, served) for place, one in enumerate(value)]


def tokens_of(fields: Fields, place: str, value: object, served: ServedLanguage) -> list[int]:
    """One prompt in tokens. Raises InputError with its place."""
    if isinstance(value, str):
        bos = served.engine.tokenizer.specials.bos
        return [*([] if bos is None else [bos]), *served.engine.tokenizer.encode(value)]
    vocabulary = served.engine.tokenizer.vocabulary
    if not isinstance(value, list) or not all(_is_token(one) and 0 <= one < vocabulary for one in value):
        raise fields.wrong(place, f"must be text, or tokens from 0 to {vocabulary - 1}")
    return value


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class CompletionWriter:
    """One completion, whole or as chunks."""

    def __init__(self, ask: CompletionAsk, about: About) -> None:
        self._ask = ask
        self._about = about
        self.answers = [Answer(ask.marking, echo=echo) for echo in ask.echoes for _ in range(ask.choices)]
        self._around = [frame(self._chunk(number, HOLE)) for number in range(len(self.answers))]
        self._start = len(ask.marking.opening) if ask.marking else 0
        self._written = [self._start] * len(self.answers)  # characters told so far, where the next token's text begins

    def reply(self, tokens: Tokens) -> dict[str, Any]:
        choices = [
            {
                "index": number, "text": answer.text, "finish_reason": answer.finish,
                "logprobs": _figures(answer.logprobs, self._start) if self._figured else None,
            }
            for number, answer in enumerate(self.answers)
        ]  # fmt: skip
        return {**self._head(), "choices": choices, "usage": usage_of(tokens), "tradewind": self._about.metadata}

    def begin(self) -> bytes:
        return b"".join(self._chunk(number, "", tradewind=self._about.metadata) for number in range(len(self.answers)))

    def pieces(self, found: Pieces) -> bytes:
        parts = []
        for number, piece in found:
            delta = self.answers[number].push(piece)
            if delta and not self._figured:
                parts.append(filled(self._around[number], delta.text))
            elif delta:
                figures = _figures(delta.logprobs, self._written[number]) if self._figured else None
                self._written[number] += sum(len(one.token) for one in delta.logprobs)
                parts.append(self._chunk(number, delta.text, logprobs=figures))
        return b"".join(parts)

    def end(self, tokens: Tokens) -> bytes:
        parts = [self._closing()]
        parts += [self._chunk(number, "", finish=answer.finish) for number, answer in enumerate(self.answers)]
        if self._ask.usage:
            last = {**self._head(), "choices": [], "usage": usage_of(tokens), "tradewind": self._about.metadata}
            parts.append(event(last))
        return b"".join((*parts, DONE))

    def failed(self, problem: Problem, request_id: str) -> bytes:
        return self._closing() + b"data: " + problem.body(request_id) + b"\n\n"

    @property
    def _figured(self) -> bool:
        return self._ask.sampling[0].logprobs is not None

    def _closing(self) -> bytes:
        texts = [(number, answer.close()) for number, answer in enumerate(self.answers)]
        return b"".join(self._chunk(number, text) for number, text in texts if text)

    def _chunk(
        self, number: int, text: str, *, finish: str | None = None, logprobs: object = None, **further: object
    ) -> bytes:
        choice = {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}
        content = {**self._head(), "choices": [choice], **further}
        return event(content | {"usage": None} if self._ask.usage else content)

    def _head(self) -> dict[str, Any]:
        about = self._about
        return {
            "id": f"cmpl-{about.id}", "object": "text_completion", "created": about.created_s, "model": about.model,
            "system_fingerprint": about.fingerprint,
        }  # fmt: skip


def _figures(found: Sequence[TokenLogprob], start: int) -> dict[str, Any]:
    """Figures as this older route has them; `start` is where the first token's text begins."""
    offsets = [start + sum(len(one.token) for one in found[:place]) for place in range(len(found))]
    return {
        "tokens": [one.token for one in found],
        "token_logprobs": [one.logprob for one in found],
        "top_logprobs": [{text: value for text, _, value in one.top} for one in found],
        "text_offset": offsets,
    }
