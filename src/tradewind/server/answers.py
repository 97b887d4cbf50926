"""One answer as it comes out of the engine: its text, marked where asked, its calls, its figures, why it ended.

Not here: how an answer is written down (`chat.py`, `completions.py`, `responses.py`), nor what it costs (`generating.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tradewind.engines.generation import Piece, TokenLogprob
from tradewind.server.marks import Marking
from tradewind.server.tools import Call, CallReader, Tools

Reason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True)
class About:
    """What a reply says of itself. `id` is the request's, without its prefix."""

    id: str
    created_s: int
    model: str
    fingerprint: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Delta:
    """What one piece adds to an answer. `first` is the number of the first of `calls`."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    calls: tuple[Call, ...] = ()
    first: int = 0

    def __bool__(self) -> bool:
        return bool(self.text or self.logprobs or self.calls)


@dataclass
class Answer:
    """`marking` is None where the text must stay as it is: JSON, say."""

    marking: Marking | None = None
    tools: Tools = field(default_factory=Tools)
    echo: str = ""
    calls: list[Call] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: Reason | None = None
    _parts: list[str] = field(default_factory=list)
    _reader: CallReader | None = None

    def __post_init__(self) -> None:
        if self.tools.names:
            self._reader = CallReader(self.tools)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def push(self, piece: Piece) -> Delta:
        text, calls = piece.text, list[Call]()
        if self._reader is not None:
            text, calls = self._reader.push(text)
            if piece.finish is not None:
                rest, last = self._reader.flush()
                text, calls = text + rest, calls + last
        first = len(self.calls)
        self.calls += calls
        self.logprobs += piece.logprobs
        if piece.finish is not None:
            assert piece.finish != "cancelled"
            self.finish = "tool_calls" if self.calls and piece.finish == "stop" else piece.finish
        return Delta(self._shown(text), piece.logprobs, tuple(calls), first)

    def close(self) -> str:
        """The mark at the end: also of an answer that broke off, once something of it was shown."""
        if self.echo and not self._parts:
            self._parts.append(self.echo)
            return self.echo
        if self.marking is None or not self._parts:
            return ""
        closing = self.marking.closing
        if closing:
            self._parts.append(closing)
        return closing

    def _shown(self, text: str) -> str:
        """With the mark before the first text there is, and the prompt before it where it was asked for."""
        if text and not self._parts:
            text = self.echo + (self.marking.opening if self.marking is not None else "") + text
        if text:
            self._parts.append(text)
        return text


def chat_logprobs(found: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Figures as chat and responses have them."""
    return [
        {
            "token": one.token, "logprob": one.logprob, "bytes": list(one.token.encode("utf-8", "replace")),
            "top_logprobs": [
                {"token": text, "logprob": value, "bytes": list(text.encode("utf-8", "replace"))} for text, _, value in one.top
            ],
        }
        for one in found
    ]  # fmt: skip
