"""A response as the Responses API writes it: the object, and the events of a stream in their order. Not what was asked
(`responses.py`).

created, in_progress, then for each item: output_item.added … output_item.done, then completed, incomplete or failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.server.answers import About, Answer, Delta, chat_logprobs
from tradewind.server.generating import Pieces, Tokens
from tradewind.server.marks import Marking
from tradewind.server.problems import Problem
from tradewind.server.stream import event
from tradewind.server.tools import Call, Tools


class ResponseWriter:
    """One response. Its text is one message; each call is an item of its own."""

    def __init__(
        self, said: Mapping[str, Any], about: About, *, marking: Marking | None, tools: Tools, figured: bool
    ) -> None:
        self.answers = [Answer(marking, tools)]
        self._said = said
        self._about = about
        self._figured = figured
        self._number = 0  # of the next event
        self._items: list[dict[str, Any]] = []  # finished ones, in order
        self._open: dict[str, Any] | None = None  # the message that is being written

    @property
    def _answer(self) -> Answer:
        return self.answers[0]

    # ------------------------------------------------------------ whole

    def reply(self, tokens: Tokens) -> dict[str, Any]:
        if self._answer.text or not self._answer.calls:
            self._items.append(self._message(self._answer.text, self._figures(), status="completed"))
        self._items += [self._call(place, call) for place, call in enumerate(self._answer.calls)]
        return self._response(tokens)

    # ------------------------------------------------------------ as events

    def begin(self) -> bytes:
        going = self._object("in_progress")
        return self._event("response.created", response=going) + self._event("response.in_progress", response=going)

    def pieces(self, found: Pieces) -> bytes:
        return b"".join(self._delta(self._answer.push(piece)) for _, piece in found)

    def end(self, tokens: Tokens) -> bytes:
        parts = [self._text(self._answer.close(), ())]
        if not self._items and self._open is None:  # nothing was said: an empty message says so
            parts.append(self._open_message())
        parts.append(self._close_message())
        response = self._response(tokens)
        return b"".join((*parts, self._event(f"response.{response['status']}", response=response)))

    def failed(self, problem: Problem, request_id: str) -> bytes:
        parts = [self._text(self._answer.close(), ()), self._close_message(status="incomplete")]
        response = self._object("failed") | {
            "error": {"code": problem.code, "message": problem.message}, "output": self._items,
        }  # fmt: skip
        return b"".join((*parts, self._event("response.failed", response=response)))

    def _delta(self, delta: Delta) -> bytes:
        parts = [self._text(delta.text, chat_logprobs(delta.logprobs) if self._figured else ())]
        for place, call in enumerate(delta.calls, delta.first):
            parts.append(self._close_message())
            parts.append(self._whole_call(place, call))
        return b"".join(parts)

    def _text(self, text: str, figures: Any) -> bytes:
        if not text and not (figures and self._open is not None):
            return b""
        first = b"" if self._open is not None else self._open_message()
        assert self._open is not None
        self._open["content"][0]["text"] += text
        self._open["content"][0]["logprobs"] += figures
        return first + self._of_part("response.output_text.delta", delta=text, logprobs=list(figures))

    def _open_message(self) -> bytes:
        self._open = self._message("", [], status="in_progress")
        added = self._event(
            "response.output_item.added", output_index=len(self._items), item={**self._open, "content": []}
        )
        return added + self._of_part("response.content_part.added", part=_part("", []))

    def _close_message(self, *, status: str = "completed") -> bytes:
        if self._open is None:
            return b""
        part = self._open["content"][0]
        parts = [
            self._of_part("response.output_text.done", text=part["text"], logprobs=part["logprobs"]),
            self._of_part("response.content_part.done", part=part),
        ]
        self._open["status"] = status
        parts.append(self._event("response.output_item.done", output_index=len(self._items), item=self._open))
        self._items.append(self._open)
        self._open = None
        return b"".join(parts)

    def _whole_call(self, place: int, call: Call) -> bytes:
        item, index = self._call(place, call), len(self._items)
        of_item = {"item_id": item["id"], "output_index": index}
        begun = {**item, "arguments": "", "status": "in_progress"}
        self._items.append(item)
        return b"".join((
            self._event("response.output_item.added", output_index=index, item=begun),
            self._event("response.function_call_arguments.delta", **of_item, delta=call.arguments),
            self._event("response.function_call_arguments.done", **of_item, name=call.name, arguments=call.arguments),
            self._event("response.output_item.done", output_index=index, item=item),
        ))  # fmt: skip

    def _of_part(self, kind: str, **further: object) -> bytes:
        assert self._open is not None
        place = {"item_id": self._open["id"], "output_index": len(self._items), "content_index": 0}
        return self._event(kind, **place, **further)

    def _event(self, kind: str, **further: object) -> bytes:
        number, self._number = self._number, self._number + 1
        return event({"type": kind, "sequence_number": number, **further}, kind=kind)

    # ------------------------------------------------------------ objects

    def _response(self, tokens: Tokens) -> dict[str, Any]:
        cut = self._answer.finish == "length"
        if cut and self._items and self._items[-1]["type"] == "message":
            self._items[-1]["status"] = "incomplete"
        usage = {
            "input_tokens": tokens.prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": tokens.completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens.total,
        }
        return self._object("incomplete" if cut else "completed") | {
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None, "output": self._items, "usage": usage,
        }  # fmt: skip

    def _object(self, status: str) -> dict[str, Any]:
        about = self._about
        return {
            "id": f"resp_{about.id}", "object": "response", "created_at": about.created_s, "status": status,
            "background": False, "error": None, "incomplete_details": None, "model": about.model, "output": [],
            "previous_response_id": None, "reasoning": {"effort": None, "summary": None}, "store": False,
            "truncation": "disabled", "usage": None, **self._said, "system_fingerprint": about.fingerprint,
            "tradewind": about.metadata,
        }  # fmt: skip

    def _message(self, text: str, figures: list[Any], *, status: str) -> dict[str, Any]:
        return {
            "id": f"msg_{self._about.id}{len(self._items)}", "type": "message", "status": status, "role": "assistant",
            "content": [_part(text, figures)],
        }  # fmt: skip

    def _call(self, place: int, call: Call) -> dict[str, Any]:
        number = f"{self._about.id}0{place}"
        return {
            "id": f"fc_{number}", "type": "function_call", "status": "completed", "call_id": f"call_{number}",
            "name": call.name, "arguments": call.arguments,
        }  # fmt: skip

    def _figures(self) -> list[Any]:
        return chat_logprobs(self._answer.logprobs) if self._figured else []


def _part(text: str, figures: list[Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": figures}
