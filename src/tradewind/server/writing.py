"""`POST /v1/writing`: a text and a job in; its continuation, title or better version out, charged by the token as chat is.

    {"model": "stories", "job": "continue", "text": "The ship left at noon.", "length": "short"}
    {"id", "object": "writing", "model", "job", "text", "finish_reason", "usage": {"prompt_tokens", …}, "tradewind"}

Streamed: events `{"text": …}`, a last one with `finish_reason` and `usage`, `[DONE]`. Not here: the road of a request
(`openai.py`), the words in which a job is put to the model (`features/writing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.engines.generation import Sampling
from tradewind.errors import InputError
from tradewind.features.writing import JOBS, LENGTHS, request
from tradewind.server.answers import About, Answer
from tradewind.server.asking import HARMLESS, read_draw, room
from tradewind.server.chat import prompt_of, usage_of
from tradewind.server.fields import Fields
from tradewind.server.generating import Pieces, Tokens
from tradewind.server.marks import Marking
from tradewind.server.problems import Problem
from tradewind.server.served_language import ServedLanguage
from tradewind.server.settings import Settings
from tradewind.server.stream import DONE, event
from tradewind.server.tools import Tools

ROUTE = "/v1/writing"
_READ = frozenset(
    ["model", "job", "text", "length", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "stream"]
)
_MOST_TOKENS = 1 << 24


@dataclass(frozen=True)
class WritingAsk:
    job: str
    prompts: Sequence[Sequence[int]]
    sampling: Sequence[Sampling]
    stream: bool
    marking: Marking | None
    kept: Mapping[str, Any]
    choices: int = 1

    def writer(self, about: About) -> WritingWriter:
        return WritingWriter(self, about)


def read(fields: Fields, served: ServedLanguage, settings: Settings) -> WritingAsk:
    """Raises InputError (field, model_task, prompt_too_long …)."""
    fields.only(_READ, ignored=HARMLESS)
    job = fields.one_of("job", JOBS) or _missing(fields)
    if job not in served.jobs:
        known = ", ".join(served.jobs)
        raise InputError(
            f"{served.product} has not learnt to {job}{'' if job != 'title' else ' texts'}." + (f" It has: {known}." if known else ""),
            code="model_task", where="job", hint="GET /v1/models says what each model does; data.writing makes a model learn it.",
        )  # fmt: skip
    length = fields.one_of("length", LENGTHS)
    if length is not None and job != "continue":
        raise fields.wrong("length", "is for the job continue", hint="Leave it out.")
    prompt = prompt_of(served, request(job, fields.required("text"), length=length), Tools(), where="text")
    draw = read_draw(fields)
    most = room(served, prompt, fields.integer("max_tokens", 1, _MOST_TOKENS), default=served.max_tokens, where="text")
    return WritingAsk(
        job=job, prompts=(prompt,), sampling=(draw.sampling(most),), stream=fields.flag("stream"),
        marking=served.marking, kept={"job": job, "text": fields.get("text")},
    )  # fmt: skip


def _missing(fields: Fields) -> str:
    raise fields.wrong("job", "is missing", hint=f"Jobs: {', '.join(JOBS)}.")


class WritingWriter:
    """One text, whole or as it is written."""

    def __init__(self, ask: WritingAsk, about: About) -> None:
        self._ask = ask
        self._about = about
        self.answers = [Answer(ask.marking)]

    def reply(self, tokens: Tokens) -> dict[str, Any]:
        return {**self._head(), "text": self.answers[0].text, **self._ending(tokens)}

    def begin(self) -> bytes:
        return event({**self._head(), "text": "", "tradewind": self._about.metadata})

    def pieces(self, found: Pieces) -> bytes:
        texts = [self.answers[number].push(piece).text for number, piece in found]
        return b"".join(event({"text": text}) for text in texts if text)

    def end(self, tokens: Tokens) -> bytes:
        return self._closing() + event({**self._head(), "text": "", **self._ending(tokens)}) + DONE

    def failed(self, problem: Problem, request_id: str) -> bytes:
        return self._closing() + b"data: " + problem.body(request_id) + b"\n\n"

    def _closing(self) -> bytes:
        text = self.answers[0].close()
        return event({"text": text}) if text else b""

    def _ending(self, tokens: Tokens) -> dict[str, Any]:
        return {"finish_reason": self.answers[0].finish, "usage": usage_of(tokens), "tradewind": self._about.metadata}

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"writing-{self._about.id}",
            "object": "writing",
            "model": self._about.model,
            "job": self._ask.job,
        }
