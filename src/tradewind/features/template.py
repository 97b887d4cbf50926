"""The chat template: from messages to one text, and which part of it an assistant said. Sandboxed Jinja, as `transformers` has it.

Not here: tokens (`language.py`). A template is a program that came with a model: it sees plain data, no clock and no files.

A customer may write `<|im_end|>` in a message. Where a message spells a special token, a mark (a noncharacter of Unicode that
stands nowhere in the input) is put into it before rendering, so that afterwards only what the template wrote still matches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tradewind.errors import DataError, InputError

# ChatML. Tools stand in the system turn, calls and their results in the form that Qwen and Hermes models are trained on.
DEFAULT_TEMPLATE = """\
{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}
{{- messages[0].content + '\\n\\n' }}
{%- endif %}
{{- '# Tools\\n\\nYou may call these functions:\\n<tools>' }}
{%- for tool in tools %}
{{- '\\n' + (tool | tojson) }}
{%- endfor %}
{{- '\\n</tools>\\n\\nFor a call write JSON with name and arguments:\\n<tool_call>\\n{"name": NAME, "arguments": ARGUMENTS}\\n</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if not (tools and loop.first and message.role == 'system') %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content is string %}
{{- message.content }}
{%- elif message.content %}
{%- for part in message.content %}
{{- part.text }}
{%- endfor %}
{%- endif %}
{%- for call in message.tool_calls or [] %}
{%- set called = call.function or call %}
{{- '\\n<tool_call>\\n{"name": ' + (called.name | tojson) + ', "arguments": ' }}
{{- called.arguments if called.arguments is string else (called.arguments | tojson) }}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# For a base model whose tokeniser has no tokens for turns: an answer ends with the token that ends a text.
PLAIN_TEMPLATE = """\
{%- for message in messages %}
{{- '### ' + message.role + ':\\n' }}
{{- message.content }}
{{- eos_token if message.role == 'assistant' else '' }}
{{- '\\n\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '### assistant:\\n' }}
{%- endif %}
"""

# Noncharacters: no text has a reason to hold one, and one that does gets another of the 32.
_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]


@dataclass(frozen=True)
class Rendered:
    """A rendered conversation. `text` may hold `mark`s; `plain` is what `transformers` would give."""

    text: str
    mark: str | None

    @property
    def plain(self) -> str:
        return self.without_mark(self.text)

    def without_mark(self, text: str) -> str:
        return text.replace(self.mark, "") if self.mark else text


@dataclass(frozen=True)
class ChatTemplate:
    """A compiled template. `words` are the special tokens by role (`eos_token` …), `specials` all of them.

    Raises DataError template_broken where the source is no template.
    """

    source: str
    words: Mapping[str, str] = field(default_factory=dict)
    specials: Sequence[str] = ()
    _compiled: jinja2.Template = field(init=False, repr=False, compare=False)
    _spelt: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            compiled = _environment().from_string(self.source)
        except jinja2.TemplateSyntaxError as error:
            raise DataError(
                f"The chat template cannot be read: {error.message} in its line {error.lineno}.",
                code="template_broken", where="chat_template", hint="Correct the template, or take the folder as published.",
            ) from error  # fmt: skip
        object.__setattr__(self, "_compiled", compiled)
        spelt = "|".join(re.escape(one) for one in sorted(self.specials, key=len, reverse=True) if one)
        object.__setattr__(self, "_spelt", re.compile(spelt) if spelt else None)

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] | None, opens_answer: bool
    ) -> Rendered:
        """The text of a conversation; with `opens_answer` it ends where the assistant is to speak.

        Raises InputError conversation_empty, and conversation_refused where the template says no.
        """
        if not messages:
            raise InputError("The conversation has no messages.", code="conversation_empty", where="messages",
                             hint="Send at least one message.")  # fmt: skip
        turns: list[Any] = [{key: value for key, value in turn.items() if value is not None} for turn in messages]
        calls: list[Any] | None = [dict(tool) for tool in tools] if tools else None
        mark = self._mark_for((turns, calls))
        if mark is not None:
            turns, calls = _marked(turns, self._broken_by(mark)), _marked(calls, self._broken_by(mark))
        try:
            text = self._compiled.render(
                messages=turns, tools=calls, documents=None, add_generation_prompt=opens_answer, **self.words
            )
        except jinja2.TemplateError as error:
            raise _refused(error.message or type(error).__name__) from error
        except (
            TypeError,
            ValueError,
            KeyError,
            ArithmeticError,
            RecursionError,
        ) as error:  # what a template's own code does
            raise _refused(str(error)) from error
        return Rendered(text.replace(_escaped(mark), mark) if mark else text, mark)

    def _mark_for(self, content: Any) -> str | None:
        """A character that stands nowhere in the content, where the content spells a special token; else None."""
        texts = list(_strings(content))
        if self._spelt is None or not any(map(self._spelt.search, texts)):
            return None
        taken = "\n".join(texts)
        free = (mark for mark in _MARKS if mark not in taken and _escaped(mark) not in taken)
        mark = next(free, None)
        if mark is None:
            raise InputError(
                "The conversation holds all 32 noncharacters U+FDD0 to U+FDEF and spells a special token.",
                code="conversation_refused", where="messages", hint="Send text without noncharacters.",
            )  # fmt: skip
        return mark

    def _broken_by(self, mark: str) -> Callable[[str], str]:
        pattern = self._spelt
        assert pattern is not None
        return lambda text: pattern.sub(lambda match: match[0][0] + mark + match[0][1:], text)


def _refused(reason: str) -> InputError:
    return InputError(
        f"The chat template does not take this conversation: {reason}.".replace("..", "."), code="conversation_refused",
        where="messages", hint="Messages have a role (system, user, assistant, tool) and a content that is text.",
    )  # fmt: skip


def _escaped(mark: str) -> str:
    return json.dumps(mark)[1:-1]


def _strings(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _marked(value: Any, broken: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return broken(value)
    if isinstance(value, Mapping):
        return {_marked(key, broken): _marked(item, broken) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item, broken) for item in value]
    return value


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`, which some templates put around answers: what is inside, unchanged."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return list(parser.parse_statements(("name:endgeneration",), drop_needle=True))


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON without the escapes of HTML that Jinja's own filter writes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    return environment
