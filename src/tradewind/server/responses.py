"""`POST /v1/responses`: OpenAI's newer route. Input items in, output items out, whole or as events. Nothing is stored, so no
answer can be continued by its id. Not the road of a request (`openai.py`), nor the events (`response_events.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.engines.generation import Sampling
from tradewind.server.answers import About
from tradewind.server.asking import BOUND, HARMLESS, read_bound, read_draw, read_format, room
from tradewind.server.chat import prompt_of, text_of
from tradewind.server.fields import Fields
from tradewind.server.marks import Marking
from tradewind.server.response_events import ResponseWriter
from tradewind.server.served_language import ServedLanguage
from tradewind.server.settings import Settings
from tradewind.server.tools import Tools, read_tools

ROUTE = "/v1/responses"
_LOGPROBS = 20
_MOST_TOKENS = 1 << 24
_FIGURES = "message.output_text.logprobs"
_READ = frozenset(
    ["model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "top_k", "seed", "stream", "stream_options", "text",
     "tools", "tool_choice", "parallel_tool_calls", "top_logprobs", "include", BOUND]
)  # fmt: skip
# What has a place in the route and none here, with the values that ask for nothing.
_REFUSED: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "previous_response_id": ("nothing is stored; send the whole conversation in input", ()),
    "conversation": ("nothing is stored; send the whole conversation in input", ()),
    "background": ("an answer is given while the client waits", (False,)),
    "prompt": ("no prompts are kept here", ()),
    "truncation": ("a prompt that is too long is refused, never cut", ("disabled",)),
    "reasoning": ("the model does not reason apart", ({}, {"effort": None}, {"effort": "none"})),
    "context_management": ("a prompt that is too long is refused, never cut", ([],)),
    "moderation": ("nothing is moderated here", ()),
    "image": ("only text is written", ()),
}
_IGNORED = HARMLESS | _REFUSED.keys() | {"max_tool_calls", "access_programs", "background_options"}
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_PARTS = ("input_text", "output_text", "text")


@dataclass(frozen=True)
class ResponseAsk:
    """`said` are the fields that a response repeats."""

    prompts: Sequence[Sequence[int]]
    sampling: Sequence[Sampling]
    stream: bool
    tools: Tools
    marking: Marking | None
    kept: Mapping[str, Any]
    said: Mapping[str, Any]
    choices: int = 1

    def writer(self, about: About) -> ResponseWriter:
        return ResponseWriter(
            self.said, about, marking=self.marking, tools=self.tools, figured=self.sampling[0].logprobs is not None
        )


def read(fields: Fields, served: ServedLanguage, settings: Settings) -> ResponseAsk:
    """Raises InputError (field, unsupported, prompt_too_long, conversation_refused …)."""
    fields.only(_READ, ignored=_IGNORED)
    for name, (reason, harmless) in _REFUSED.items():
        fields.refuse(name, reason, harmless=harmless)
    text = fields.object("text")
    if text is not None:
        text.refuse("verbosity", "ask for it in the instructions", harmless=["medium"])
    schema = read_format(None if text is None else text.object("format"))
    tools = read_tools(fields, has_tools=served.has_tools, flat=True)
    if schema is not None and tools.names:
        raise fields.wrong(
            "text.format", "and tools exclude each other", hint='Send tool_choice: "none" for an answer in JSON.'
        )
    bound = read_bound(fields, schema=schema, tools=bool(tools.names))
    draw = read_draw(fields, logprobs=_logprobs(fields), schema=tools.schema() if tools.forced else schema, bound=bound)
    messages = _input(fields, served.marking)
    if (instructions := fields.text("instructions")) is not None:
        messages.insert(0, {"role": "system", "content": instructions})
    prompt = prompt_of(served, messages, tools, where="input")
    asked = fields.integer("max_output_tokens", 1, _MOST_TOKENS)
    most = room(served, prompt, asked, default=served.max_tokens, where="input")
    kind: object = {"type": "text"} if text is None else text.get("format") or {"type": "text"}
    said = {
        "instructions": instructions, "max_output_tokens": asked, "metadata": fields.get("metadata") or {},
        "parallel_tool_calls": not tools.one_only, "temperature": draw.temperature, "top_p": draw.top_p,
        "text": {"format": kind, "verbosity": "medium"}, "tool_choice": fields.get("tool_choice") or "auto",
        "tools": fields.get("tools") or [], "top_logprobs": draw.logprobs or 0, "user": fields.get("user"),
    }  # fmt: skip
    return ResponseAsk(
        prompts=(prompt,), sampling=(draw.sampling(most),), stream=fields.flag("stream"), tools=tools,
        marking=served.marking if schema is None and bound is None else None,
        kept={"instructions": instructions, "input": fields.get("input")}, said=said,
    )  # fmt: skip


def _logprobs(fields: Fields) -> int | None:
    top = fields.integer("top_logprobs", 0, _LOGPROBS)
    wanted = _FIGURES in (fields.items("include") or [])
    return top or 0 if wanted or top else None


def _input(fields: Fields, marking: Marking) -> list[dict[str, Any]]:
    """Text, or items: messages, calls and their outputs."""
    value = fields.get("input")
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    items = fields.objects("input")
    if not items:
        raise fields.wrong("input", "is missing" if value is None else "is empty")
    turns: list[dict[str, Any]] = []
    for item in items:
        _item(item, turns, marking)
    return turns


def _item(item: Fields, turns: list[dict[str, Any]], marking: Marking) -> None:
    match item.text("type") or "message":
        case "message":
            role = item.one_of("role", _ROLES)
            if role is None:
                raise item.wrong("role", "is missing")
            content = text_of(item, kinds=_PARTS)
            content = marking.without(content) if role == "assistant" else content
            turns.append({"role": _ROLES[role], "content": content})
        case "function_call":
            call = {
                "type": "function", "id": item.text("call_id"),
                "function": {"name": item.required("name"), "arguments": _arguments(item.text("arguments") or "{}")},
            }  # fmt: skip
            # Calls of one turn stand in one message, behind what was said with them.
            if turns and turns[-1]["role"] == "assistant":
                turns[-1].setdefault("tool_calls", []).append(call)
            else:
                turns.append({"role": "assistant", "content": "", "tool_calls": [call]})
        case "function_call_output":
            output = item.text("output") or ""
            turns.append({"role": "tool", "content": output, "tool_call_id": item.text("call_id") or ""})
        case "reasoning":
            return  # of another model: no template has a place for it
        case kind:
            item.refuse("type", f"messages, calls and their outputs are, {kind[:40]!r} is not")


def _arguments(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
