"""`POST /v1/chat/completions`: messages in, the next one out, in OpenAI's shape. Not the road of a request (`openai.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.engines.generation import Sampling
from tradewind.errors import InputError
from tradewind.server.answers import About, Answer, Delta, chat_logprobs
from tradewind.server.asking import DRAWN, HARMLESS, read_bound, read_choices, read_draw, read_format, read_usage, room
from tradewind.server.fields import Fields, kind_of
from tradewind.server.generating import Pieces, Tokens
from tradewind.server.marks import Marking
from tradewind.server.problems import Problem
from tradewind.server.served_language import ServedLanguage
from tradewind.server.settings import Settings
from tradewind.server.stream import DONE, HOLE, event, filled, frame
from tradewind.server.tools import Call, Tools, calls_in, read_tools

ROUTE = "/v1/chat/completions"
_LOGPROBS = 20
_MOST_TOKENS = 1 << 24
_READ = DRAWN | {
    "model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options", "logprobs", "top_logprobs",
    "response_format", "tools", "tool_choice", "parallel_tool_calls",
}  # fmt: skip
_IGNORED = HARMLESS | {"prediction", "modalities", "reasoning_effort", "verbosity", "audio", "functions", "function_call",
                       "web_search_options", "moderation"}  # fmt: skip
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


@dataclass(frozen=True)
class ChatAsk:
    prompts: Sequence[Sequence[int]]
    sampling: Sequence[Sampling]
    choices: int
    stream: bool
    usage: bool
    tools: Tools
    marking: Marking | None
    kept: Mapping[str, Any]

    def writer(self, about: About) -> ChatWriter:
        return ChatWriter(self, about)


def read(fields: Fields, served: ServedLanguage, settings: Settings) -> ChatAsk:
    """Raises InputError (field, unsupported, prompt_too_long, conversation_refused …)."""
    fields.only(_READ, ignored=_IGNORED)
    fields.refuse("modalities", "only text is written", harmless=[["text"]])
    fields.refuse("audio", "no sound is made")
    fields.refuse("reasoning_effort", "the model does not reason apart", harmless=["none"])
    fields.refuse("verbosity", "ask for it in the messages", harmless=["medium"])
    fields.refuse("functions", "use tools")
    fields.refuse("function_call", "use tool_choice", harmless=["none", "auto"])
    fields.refuse("web_search_options", "nothing is searched")
    fields.refuse("moderation", "nothing is moderated here")
    stream = fields.flag("stream")
    tools = read_tools(fields, has_tools=served.has_tools)
    schema = read_format(fields.object("response_format"))
    if schema is not None and tools.names:
        raise fields.wrong(
            "response_format", "and tools exclude each other", hint='Send tool_choice: "none" for an answer in JSON.'
        )
    bound = read_bound(fields, schema=schema, tools=bool(tools.names))
    draw = read_draw(fields, logprobs=_logprobs(fields), schema=tools.schema() if tools.forced else schema, bound=bound)
    marking = served.marking if schema is None and bound is None else None
    prompt = prompt_of(served, read_messages(fields, served.marking), tools, where="messages")
    most = room(served, prompt, _max_tokens(fields), default=served.max_tokens, where="messages")
    return ChatAsk(
        prompts=(prompt,), sampling=(draw.sampling(most),), choices=read_choices(fields, settings), stream=stream,
        usage=read_usage(fields, stream=stream), tools=tools, marking=marking, kept={"messages": fields.get("messages")},
    )  # fmt: skip


def prompt_of(served: ServedLanguage, messages: Sequence[Mapping[str, Any]], tools: Tools, *, where: str) -> list[int]:
    """The conversation in tokens, as the release's template writes it. Raises InputError."""
    if not served.chats:
        raise InputError(
            f"{served.product} has no chat template: it continues text.", code="model_task", where="model", hint="Ask it at /v1/completions.",
        )  # fmt: skip
    try:
        return served.engine.tokenizer.chat(messages, tools=tools.offered or None)
    except InputError as error:
        error.where = where
        raise


def _max_tokens(fields: Fields) -> int | None:
    old, new = (fields.integer(name, 1, _MOST_TOKENS) for name in ("max_tokens", "max_completion_tokens"))
    if old is not None and new is not None and old != new:
        raise fields.wrong("max_completion_tokens", f"is {new}, but max_tokens is {old}", hint="Send one of the two.")
    return old if new is None else new


def _logprobs(fields: Fields) -> int | None:
    wanted, top = fields.flag("logprobs"), fields.integer("top_logprobs", 0, _LOGPROBS)
    if top is not None and not wanted:
        raise fields.wrong("top_logprobs", "needs logprobs", hint="Send logprobs: true with it.")
    return (top or 0) if wanted else None


# ---------------------------------------------------------------- messages


def read_messages(fields: Fields, marking: Marking) -> list[dict[str, Any]]:
    """The conversation in the template's words. Raises InputError with the place of the message."""
    messages = fields.objects("messages")
    if not messages:
        raise fields.wrong("messages", "is missing" if fields.get("messages") is None else "is empty")
    return [_message(message, marking) for message in messages]


def _message(message: Fields, marking: Marking) -> dict[str, Any]:
    role = _ROLES[message.one_of("role", _ROLES) or _missing_role(message)]
    for name in ("audio", "function_call", "refusal"):
        message.refuse(name, "a message is text or tool calls", harmless=[""])
    turn: dict[str, Any] = {"role": role}
    if role == "assistant" and (calls := calls_in(message)):
        turn["tool_calls"] = calls
    content = text_of(message, empty="tool_calls" in turn)
    turn["content"] = marking.without(content) if role == "assistant" else content
    for name in ("name", "tool_call_id"):
        if (value := message.text(name)) is not None:
            turn[name] = value
    return turn


def _missing_role(message: Fields) -> str:
    raise message.wrong("role", "is missing")


def text_of(message: Fields, *, empty: bool = False, kinds: Sequence[str] = ("text",)) -> str:
    """A message's text, whether it stands there whole or in parts. Raises InputError for parts of another kind."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None:
        if empty or message.get("role") == "assistant":
            return ""
        raise message.wrong("content", "is missing")
    if not isinstance(content, list):
        raise message.wrong("content", f"is {kind_of(content)}, but must be text or a list of parts")
    texts = []
    for part in message.objects("content"):
        kind = part.required("type")
        if kind not in kinds:
            part.refuse("type", f"parts of the type {kinds[0]} are, {kind[:40]!r} is not")
        texts.append(part.text("text") or "")
    return "".join(texts)


# ---------------------------------------------------------------- the reply


class ChatWriter:
    """One chat answer, whole or as chunks: the role first, what is added, why it ended, usage, [DONE]."""

    def __init__(self, ask: ChatAsk, about: About) -> None:
        self._ask = ask
        self._about = about
        self.answers = [Answer(ask.marking, ask.tools) for _ in range(ask.choices)]
        self._around = [frame(self._chunk(number, {"content": HOLE})) for number in range(ask.choices)]

    def reply(self, tokens: Tokens) -> dict[str, Any]:
        choices = []
        for number, answer in enumerate(self.answers):
            message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
            if answer.calls:
                message["content"] = answer.text or None
                message["tool_calls"] = [self._call(number, place, call) for place, call in enumerate(answer.calls)]
            figures = {"content": chat_logprobs(answer.logprobs), "refusal": None} if self._figured else None
            choices.append({"index": number, "message": message, "logprobs": figures, "finish_reason": answer.finish})
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": usage_of(tokens),
            "tradewind": self._about.metadata,
        }

    def begin(self) -> bytes:
        role = {"role": "assistant", "content": "", "refusal": None}
        chunks = [self._chunk(number, role, tradewind=self._about.metadata) for number in range(len(self.answers))]
        return b"".join(chunks)

    def pieces(self, found: Pieces) -> bytes:
        return b"".join(self._delta(number, self.answers[number].push(piece)) for number, piece in found)

    def end(self, tokens: Tokens) -> bytes:
        parts = [self._closing()]
        parts += [self._chunk(number, {}, finish=answer.finish) for number, answer in enumerate(self.answers)]
        if self._ask.usage:
            last = {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(tokens)}
            parts.append(event(last | {"tradewind": self._about.metadata}))
        return b"".join((*parts, DONE))

    def failed(self, problem: Problem, request_id: str) -> bytes:
        return self._closing() + b"data: " + problem.body(request_id) + b"\n\n"

    @property
    def _figured(self) -> bool:
        return self._ask.sampling[0].logprobs is not None

    def _closing(self) -> bytes:
        texts = [(number, answer.close()) for number, answer in enumerate(self.answers)]
        return b"".join(self._chunk(number, {"content": text}) for number, text in texts if text)

    def _delta(self, number: int, delta: Delta) -> bytes:
        if not delta:
            return b""
        if not delta.calls and not self._figured:
            return filled(self._around[number], delta.text)
        content: dict[str, Any] = {}
        if delta.text or not delta.calls:
            content["content"] = delta.text
        if delta.calls:
            content["tool_calls"] = [
                {"index": place, **self._call(number, place, call)} for place, call in enumerate(delta.calls, delta.first)
            ]  # fmt: skip
        figures = {"content": chat_logprobs(delta.logprobs), "refusal": None} if self._figured else None
        return self._chunk(number, content, logprobs=figures)

    def _chunk(
        self, number: int, delta: Mapping[str, Any], *, finish: str | None = None, logprobs: object = None, **further: object
    ) -> bytes:  # fmt: skip
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        content = {**self._head("chat.completion.chunk"), "choices": [choice], **further}
        return event(content | {"usage": None} if self._ask.usage else content)

    def _call(self, number: int, place: int, call: Call) -> dict[str, Any]:
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": f"call_{self._about.id}{number}{place}", "type": "function", "function": function}

    def _head(self, kind: str) -> dict[str, Any]:
        about = self._about
        return {
            "id": f"chatcmpl-{about.id}", "object": kind, "created": about.created_s, "model": about.model,
            "system_fingerprint": about.fingerprint,
        }  # fmt: skip


def usage_of(tokens: Tokens) -> dict[str, int]:
    return {"prompt_tokens": tokens.prompt, "completion_tokens": tokens.completion, "total_tokens": tokens.total}
