"""What the text routes have in common of a request: how the answer is drawn, how long it may be, what it must look like.

Not here: messages and prompts (`chat.py`, `completions.py`, `responses.py`), functions (`tools.py`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.engines.generation import Sampling
from tradewind.errors import InputError
from tradewind.server.desk import Desk, Work
from tradewind.server.fields import Fields, decode_object, kind_of
from tradewind.server.served_language import ServedLanguage
from tradewind.server.settings import Settings

ASIDE_BYTES = 1 << 15  # from here on reading a request would hold up others
_STOPS = 4
_META = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~]")  # what has a meaning of its own in an expression
_LEAST_SEED, _MOST_SEED = -(2**63), 2**63 - 1
_MOST_K = 1 << 20
# Said beside the request for others' books; it changes no answer.
HARMLESS = frozenset(
    ["user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "store"]
)  # fmt: skip
BOUND = "structured_outputs"
DRAWN = frozenset(
    [BOUND, "temperature", "top_p", "top_k", "seed", "stop", "frequency_penalty", "presence_penalty", "logit_bias"]
)


@dataclass(frozen=True)
class Draw:
    """How every answer of a request is drawn; the length is each prompt's own."""

    temperature: float
    top_p: float
    top_k: int
    seed: int | None
    stop: tuple[str, ...]
    logprobs: int | None = None
    schema: Mapping[str, Any] | None = None
    regex: str | None = None

    def sampling(self, max_tokens: int) -> Sampling:
        return Sampling(
            max_tokens, temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=self.seed, stop=self.stop,
            logprobs=self.logprobs, schema=self.schema, regex=self.regex,
        )  # fmt: skip


def read_draw(
    fields: Fields, *, logprobs: int | None = None, schema: Mapping[str, Any] | None = None, bound: Bound | None = None
) -> Draw:
    """`schema` binds the answer, else `bound` does. Raises InputError (field, unsupported)."""
    for name in ("frequency_penalty", "presence_penalty"):
        fields.refuse(name, "no engine of this server weighs repeated tokens", harmless=[0])
    fields.refuse("logit_bias", "no engine of this server shifts single tokens", harmless=[{}])
    temperature = fields.number("temperature", 0, 2)
    top_p = fields.number("top_p", 0, 1)
    seed = fields.integer("seed", _LEAST_SEED, _MOST_SEED)
    return Draw(
        temperature=1.0 if temperature is None else temperature,
        # The likeliest token is always among those that are drawn from.
        top_p=1.0 if top_p is None else max(top_p, 1e-6),
        top_k=fields.integer("top_k", 0, _MOST_K) or 0,
        seed=None if seed is None else seed % (1 << 31),
        stop=_stop(fields),
        logprobs=logprobs,
        schema=schema if schema is not None or bound is None else bound.schema,
        regex=None if schema is not None or bound is None else bound.regex,
    )


@dataclass(frozen=True)
class Bound:
    """What the whole answer must look like: a JSON Schema or a regular expression."""

    schema: Mapping[str, Any] | None = None
    regex: str | None = None


def read_bound(fields: Fields, *, schema: Mapping[str, Any] | None = None, tools: bool = False) -> Bound | None:
    """`structured_outputs`, as vLLM's API has it beside OpenAI's fields: one of `json`, `regex`, `choice`.

    `schema` and `tools` are what the request binds the answer by already. Raises InputError (field, schema_invalid).
    """
    form = fields.object(BOUND)
    if form is None:
        return None
    kinds = ("json", "regex", "choice")
    form.only(kinds)
    given = [name for name in kinds if form.get(name) is not None]
    if len(given) != 1:
        raise fields.wrong(BOUND, f"holds {' and '.join(given) or 'nothing'}, but takes one of {', '.join(kinds)}")
    if schema is not None or tools:
        raise fields.wrong(BOUND, "and a JSON answer or tools exclude each other", hint="Send one of them.")
    if given == ["json"]:
        wanted = form.object("json")
        assert wanted is not None
        check_schema(wanted.content, where=wanted.where)
        return Bound(schema=wanted.content)
    if given == ["regex"]:
        return Bound(regex=form.required("regex"))
    texts = form.items("choice") or []
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise form.wrong("choice", "must be a list of texts, none of them empty")
    return Bound(regex="|".join(_META.sub(r"\\\g<0>", text) for text in texts))


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.get("stop")
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else fields.items("stop") or []
    if len(stops) > _STOPS:
        raise fields.wrong("stop", f"holds {len(stops)} texts, but at most {_STOPS} are taken")
    for stop in stops:
        if not isinstance(stop, str) or not stop:
            raise fields.wrong("stop", "holds an empty text" if stop == "" else f"holds {kind_of(stop)}, not text")
    return tuple(dict.fromkeys(stops))


def read_choices(fields: Fields, settings: Settings) -> int:
    return fields.integer("n", 1, settings.choices) or 1


def read_usage(fields: Fields, *, stream: bool) -> bool:
    """`stream_options.include_usage`."""
    options = fields.object("stream_options")
    if options is None:
        return False
    if not stream:
        raise fields.wrong("stream_options", "is for streams", hint="Send stream: true with it.")
    options.only(("include_usage",), ignored=("include_obfuscation",))
    return options.flag("include_usage")


def read_format(form: Fields | None) -> Mapping[str, Any] | None:
    """The JSON Schema that `response_format` (or the Responses API's `text.format`) binds the answer to; None for text.

    Raises InputError (field, schema_invalid, unsupported).
    """
    if form is None:
        return None
    kind = form.one_of("type", ("text", "json_object", "json_schema"))
    if kind is None:
        raise form.wrong("type", "is missing")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    holder = form.object("json_schema") or form
    schema = holder.object("schema")
    if schema is None:
        raise holder.wrong("schema", "is missing")
    check_schema(schema.content, where=schema.where)
    return schema.content


_TYPES = frozenset(["object", "array", "string", "number", "integer", "boolean", "null"])
_WITHIN = {"properties": dict, "$defs": dict, "definitions": dict, "anyOf": list, "oneOf": list, "allOf": list}
_DEEPEST = 64


def check_schema(schema: object, *, where: str, depth: int = 0) -> None:
    """What no engine could read, found before any work is reserved. Raises InputError schema_invalid with the place."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise _bad_schema(where, f"is {kind_of(schema)}, but must be an object")
    if depth > _DEEPEST:
        raise _bad_schema(where, f"is nested deeper than {_DEEPEST}")
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            raise _bad_schema(f"{where}.type", f"is {str(kind)[:40]!r}, but must be one of {', '.join(sorted(_TYPES))}")
    for name, kind in _WITHIN.items():
        if name not in schema:
            continue
        inner = schema[name]
        if not isinstance(inner, kind):
            raise _bad_schema(f"{where}.{name}", f"is {kind_of(inner)}, but must be {kind_of(kind())}")
        parts = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for part, one in parts:
            check_schema(one, where=f"{where}.{name}.{part}", depth=depth + 1)
    if "items" in schema:
        check_schema(schema["items"], where=f"{where}.items", depth=depth + 1)
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _bad_schema(f"{where}.required", "must be a list of names")
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        raise _bad_schema(f"{where}.enum", "must be a list with at least one value")


def _bad_schema(where: str, message: str) -> InputError:
    return InputError(
        f"{where} {message}.", code="schema_invalid", where=where, hint="See json-schema.org for what a schema holds."
    )


async def read_request(desk: Desk, work: Work) -> tuple[Fields, int]:
    """The fields of a POST and its size, once the key is known. Raises InputError, Disconnected."""
    try:
        async with asyncio.timeout(desk.settings.seconds):
            body = work.body = await desk.body(work)
    except InputError:
        await desk.known(work)
        raise
    await desk.known(work)
    if work.method != "POST":
        raise InputError(f"{work.path} takes POST.", code="method_not_allowed")
    kind = work.asked.content_type
    if kind and not kind.lower().startswith((b"application/json", b"text/json")):
        raise InputError(
            "The body must be JSON.", code="content_type", where="content-type", hint="Send Content-Type: application/json."
        )  # fmt: skip
    if len(body) > ASIDE_BYTES:
        return await desk.aside(work, decode_object, body), len(body)
    return decode_object(body), len(body)


async def read_rows(desk: Desk, work: Work, name: str) -> tuple[Fields, list[dict[str, Any]]]:
    """The fields of a POST with `model` and a list of objects called `name`, and that list. Raises InputError, Disconnected."""
    fields, _ = await read_request(desk, work)
    fields.only(frozenset(["model", name]))
    rows: list[Any] = fields.items(name) or []
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise fields.wrong(name, "must be a list of objects, at least one")
    if len(rows) > desk.settings.rows:
        raise InputError(
            f"{len(rows)} {name} are more than the {desk.settings.rows} that one request may hold.", code="too_many_rows",
            where=name,
        )  # fmt: skip
    return fields, rows


def room(served: ServedLanguage, prompt: Sequence[int], asked: int | None, *, default: int, where: str) -> int:
    """The most tokens of an answer to a prompt: what was asked for, or the default, as far as the context reaches.

    Raises InputError prompt_too_long, prompt_empty.
    """
    context = served.engine.context
    if not prompt:
        raise InputError(f"{where} is empty.", code="prompt_empty", where=where, hint="Send some text.")
    if len(prompt) >= context:
        raise InputError(
            f"The prompt has {len(prompt)} tokens, but {served.product} sees at most {context}, answer included.",
            code="prompt_too_long", where=where, hint="Shorten it, or leave out the oldest messages.",
        )  # fmt: skip
    return min(default if asked is None else asked, context - len(prompt))
