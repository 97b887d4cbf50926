"""OpenAPI of the text routes, where a model for them is live. Not the document (`openapi.py`), nor the routes (`openai.py`).

The schemas hold what this server reads; OpenAI's further fields, which change nothing here, may be sent too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tradewind.features.writing import JOBS, LENGTHS
from tradewind.server.settings import Settings

_JSON = "application/json"
_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_FLAG: dict[str, Any] = {"type": ["boolean", "null"]}


def schemas(writers: Sequence[str], encoders: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Components by name; none for what is not live."""
    found: dict[str, Any] = {}
    if writers:
        drawn = {
            "model": {**_TEXT, "enum": list(writers)},
            "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
            "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            "seed": {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1},
            "stream": _FLAG,
            "structured_outputs": _BOUND,
        }
        one_of_many = {"n": {"type": ["integer", "null"], "minimum": 1, "maximum": settings.choices}, "stop": _STOP}
        found["chat.request"] = _object(
            {**drawn, **one_of_many, "messages": {"type": "array", "items": _MESSAGE, "minItems": 1}, "max_completion_tokens": _most(),
             "max_tokens": _most(), "logprobs": _FLAG, "response_format": _FORMAT, "tools": {"type": "array", "items": _FUNCTION}},
            required=["model", "messages"],
        )  # fmt: skip
        found["completion.request"] = _object(
            {**drawn, **one_of_many, "prompt": {"anyOf": [_LINE, {"type": "array", "items": _LINE, "minItems": 1, "maxItems": 1}]},
             "max_tokens": _most(), "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 5}, "echo": _FLAG},
            required=["model", "prompt"],
        )  # fmt: skip
        found["response.request"] = _object(
            {**drawn, "input": _LINE, "instructions": {"type": ["string", "null"]}, "max_output_tokens": _most()},
            required=["model", "input"],
        )
        found["writing.request"] = _object(
            {"model": drawn["model"], "job": {"enum": list(JOBS)}, "text": _LINE, "length": {"enum": [*LENGTHS, None]},
             "max_tokens": _most(), "temperature": drawn["temperature"], "seed": drawn["seed"], "stream": _FLAG},
            required=["model", "job", "text"],
        )  # fmt: skip
        written = {"id": _TEXT, "object": {"const": "writing"}, "model": _TEXT, "job": {"enum": list(JOBS)}, "text": _TEXT,
                   "finish_reason": {"enum": ["stop", "length"]}, "usage": _USAGE}  # fmt: skip
        found["writing.answer"] = _object(written, required=list(written))
        found["tradewind"] = _MARK
        choice = _object(
            {"index": _WHOLE, "finish_reason": {"enum": ["stop", "length", "tool_calls"]}},
            required=["index", "finish_reason"],
        )
        answer = {"id": _TEXT, "object": _TEXT, "created": _WHOLE, "model": _TEXT, "system_fingerprint": _TEXT, "usage": _USAGE,
                  "choices": {"type": "array", "items": choice}, "tradewind": {"$ref": "#/components/schemas/tradewind"}}  # fmt: skip
        found["text.answer"] = _object(answer, required=list(answer))
        status = {"enum": ["completed", "incomplete"]}
        response = {"id": _TEXT, "object": {"const": "response"}, "status": status, "output": {"type": "array"},
                    "tradewind": {"$ref": "#/components/schemas/tradewind"}}  # fmt: skip
        found["response.answer"] = _object(response, required=list(response))
    if encoders:
        found["embedding.request"] = _object(
            {"model": {**_TEXT, "enum": list(encoders)}, "input": {"anyOf": [_LINE, {"type": "array", "items": _LINE, "minItems": 1}]},
             "encoding_format": {"enum": ["float", "base64"]}},
            required=["model", "input"],
        )  # fmt: skip
        found["embedding.answer"] = _object(
            {"object": {"const": "list"}, "data": {"type": "array"}, "model": _TEXT}, required=["data"]
        )
    return found


def paths(held: Mapping[str, Any], errors: Mapping[str, Any]) -> dict[str, Any]:
    """The routes whose schemas are `held`; `errors` are the replies that every route may give."""
    known = (
        ("/v1/chat/completions", "chat", "chat.request", "text.answer", "Continue a conversation"),
        ("/v1/completions", "complete", "completion.request", "text.answer", "Continue a text"),
        ("/v1/responses", "respond", "response.request", "response.answer", "Answer, as the Responses API"),
        ("/v1/writing", "write", "writing.request", "writing.answer", "Continue, title or rewrite a text"),
        ("/v1/embeddings", "embed", "embedding.request", "embedding.answer", "Vectors of texts"),
    )
    return {
        path: {"post": _operation(name, request, answer, summary, errors)}
        for path, name, request, answer, summary in known
        if request in held
    }


def _operation(name: str, request: str, answer: str, summary: str, errors: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {_JSON: {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
    if name != "embed":
        content["text/event-stream"] = {"schema": _TEXT}
    body = {"required": True, "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{request}"}}}}
    return {
        "summary": summary, "operationId": name, "tags": ["text"], "requestBody": body,
        "description": "OpenAI's API. Prompt and longest answer are reserved in tokens, what was computed is charged.",
        "responses": {"200": {"description": "The answer.", "content": content}, **errors},
    }  # fmt: skip


def _object(properties: Mapping[str, Any], *, required: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _most() -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": 1, "maximum": 1 << 24}


_LINE = {"type": "string", "minLength": 1}
_STOP = {"anyOf": [{"type": "null"}, _LINE, {"type": "array", "items": _LINE, "maxItems": 4}]}
_MESSAGE = _object(
    {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}, "content": _TEXT},
    required=["role", "content"],
)
_FORMAT = _object(
    {"type": {"enum": ["text", "json_object", "json_schema"]}, "json_schema": {"type": "object"}}, required=["type"]
)
_BOUND = {"type": ["object", "null"], "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
          "properties": {"json": {"type": "object"}, "regex": _LINE, "choice": {"type": "array", "items": _LINE, "minItems": 1}}}  # fmt: skip
_FUNCTION = _object(
    {"type": {"const": "function"}, "function": _object({"name": {**_TEXT, "pattern": "^[a-zA-Z0-9_-]{1,64}$"}}, required=["name"])},
    required=["type", "function"],
)  # fmt: skip
_USAGE = _object(
    dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), _WHOLE), required=["total_tokens"]
)
_MARK = _object(
    {"provider": _TEXT, "product": _TEXT, "release": _TEXT, "request_id": _TEXT, "content_label": {"const": "ai-generated"},
     "AIGC": {"type": "object"}, "repeats": {"enum": ["under-load", "alone", "not"]}},
    required=["product", "release", "request_id", "content_label"],
)  # fmt: skip
