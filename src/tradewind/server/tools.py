"""Functions that a model may call: read from the request, found again in what it wrote. Not the template that shows them.

Qwen's and Hermes' templates have calls written as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`. What is no whole
call of a function that was offered stays text: nothing is invented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tradewind.server.fields import Fields

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_MOST = 128


@dataclass(frozen=True)
class Call:
    """`arguments` is JSON text, as OpenAI's API has it."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Tools:
    """`offered` is what the template shows, in chat's shape; `shown` what the request said. `forced`: the whole answer is
    a call, of one of `names`."""

    offered: tuple[Mapping[str, Any], ...] = ()
    forced: bool = False
    one_only: bool = False
    names: frozenset[str] = frozenset()

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a forced answer."""
        calls = [
            {
                "type": "object",
                "properties": {
                    "name": {"const": tool["function"]["name"]},
                    "arguments": tool["function"].get("parameters") or {"type": "object"},
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for tool in self.offered
            if tool["function"]["name"] in self.names
        ]
        return calls[0] if len(calls) == 1 else {"anyOf": calls}


def read_tools(fields: Fields, *, has_tools: bool, flat: bool = False) -> Tools:
    """`tools`, `tool_choice` and `parallel_tool_calls`; `flat` as the Responses API writes a function.

    Raises InputError (field, unsupported).
    """
    tools = fields.objects("tools")
    offered = [_function(tool, flat=flat) for tool in tools]
    if len(offered) > _MOST:
        raise fields.wrong("tools", f"holds {len(offered)} functions, but at most {_MOST} are taken")
    one_only = fields.get("parallel_tool_calls") is not None and not fields.flag("parallel_tool_calls")
    choice, named = _choice(fields, flat=flat)
    if not offered:
        if choice in ("required", "named"):
            raise fields.wrong("tool_choice", "asks for a call, but tools names no function")
        return Tools()
    if not has_tools:
        fields.refuse("tools", "the chat template of this release has no place for functions")
    known = frozenset(tool["function"]["name"] for tool in offered)
    if choice == "none":
        return Tools()
    if choice == "named" and named not in known:
        raise fields.wrong("tool_choice", f"names {named!r}, which tools does not hold")
    names = frozenset([named]) if choice == "named" and named else known
    return Tools(tuple(offered), choice in ("required", "named"), one_only, names)


def _function(tool: Fields, *, flat: bool) -> dict[str, Any]:
    if tool.get("type") != "function":
        tool.refuse("type", "tools of the type function are")
    inner = tool if flat else tool.object("function")
    if inner is None:
        raise tool.wrong("function", "is missing")
    name = inner.required("name")
    if not _NAME.match(name):
        raise inner.wrong("name", "holds letters, digits, _ and -, at most 64")
    function: dict[str, Any] = {"name": name}
    if (description := inner.text("description")) is not None:
        function["description"] = description
    parameters = inner.object("parameters")
    function["parameters"] = {"type": "object", "properties": {}} if parameters is None else parameters.content
    return {"type": "function", "function": function}


def _choice(fields: Fields, *, flat: bool) -> tuple[str, str | None]:
    """auto, none, required or named, with the name."""
    choice = fields.get("tool_choice")
    if choice is None or isinstance(choice, str):
        return fields.one_of("tool_choice", ("auto", "none", "required")) or "auto", None
    inner = fields.object("tool_choice")
    assert inner is not None
    if inner.get("type") != "function":
        inner.refuse("type", "a choice of the type function is")
    holder = inner if flat else inner.object("function")
    if holder is None:
        raise inner.wrong("function", "is missing")
    return "named", holder.required("name")


@dataclass
class CallReader:
    """Takes calls out of text as it comes. Text that may yet become a call waits."""

    tools: Tools
    _held: str = ""
    _found: int = 0
    _begun: bool = field(default=False)  # text was let out since the last call

    def push(self, text: str) -> tuple[str, list[Call]]:
        """The text that is none of a call, and the calls that are whole."""
        self._held += text
        calls: list[Call] = []
        shown: list[str] = []
        if self.tools.forced:
            return "", calls
        while True:
            start = self._held.find(OPEN)
            if start < 0:
                shown.append(self._let(len(self._held) - _open_end(self._held, OPEN)))
                break
            end = self._held.find(CLOSE, start)
            if end < 0:
                shown.append(self._let(start))
                break
            call = self._call(self._held[start + len(OPEN) : end])
            if call is None:
                shown.append(self._let(end + len(CLOSE)))
                continue
            shown.append(self._let(start))
            self._held, self._begun = self._held[self._held.find(CLOSE) + len(CLOSE) :], False
            if not (self.tools.one_only and self._found):
                calls.append(call)
            self._found += 1
        return "".join(shown), calls

    def flush(self) -> tuple[str, list[Call]]:
        """What is left when nothing follows."""
        held, self._held = self._held, ""
        if self.tools.forced and (call := self._call(held)) is not None:
            return "", [call]
        return ("" if self._found and not self._begun and not held.strip() else held), []

    def _let(self, length: int) -> str:
        """The first characters of what is held; white space alone, before a call or between two, waits."""
        text = self._held[:length]
        if not self._begun and not text.strip():
            return ""
        self._begun = True
        self._held = self._held[length:]
        return text

    def _call(self, text: str) -> Call | None:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict) or content.get("name") not in self.tools.names:
            return None
        arguments = content.get("arguments", {})
        if isinstance(arguments, str):
            return Call(content["name"], arguments)
        return Call(content["name"], json.dumps(arguments, ensure_ascii=False)) if isinstance(arguments, dict) else None


def _open_end(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if tag.startswith(text[-length:]):
            return length
    return 0


def calls_in(message: Fields) -> Sequence[dict[str, Any]]:
    """The calls of an earlier turn, their arguments as objects: templates write them as JSON themselves."""
    found = []
    for call in message.objects("tool_calls"):
        function = call.object("function")
        if function is None:
            raise call.wrong("function", "is missing")
        text = function.text("arguments") or "{}"
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError):
            arguments = text
        called = {"name": function.required("name"), "arguments": arguments}
        found.append({"type": "function", "id": call.text("id"), "function": called})
    return found
