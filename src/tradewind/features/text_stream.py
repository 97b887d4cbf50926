"""From tokens to text, whole at once or one by one as they are generated: whole characters only.

Not here: the tokeniser (`language.py`). A token may end in the middle of a character; the bytes wait for the next one.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

_REPLACEMENT = "\ufffd"
_MOST_OPEN = 16  # tokens held back at most where only the tokeniser's own decoder knows what they spell


class TextStream(Protocol):
    """Text of one answer, token by token. What all pushes and the flush gave, together, is `decode` of all tokens."""

    def push(self, token: int) -> str:
        """The whole characters that this token completes; "" while bytes are open or for a special token."""
        ...

    def flush(self) -> str:
        """What is still open, at the end; bytes that are no character come as U+FFFD."""
        ...


def byte_alphabet() -> dict[str, int]:
    """The character by which byte-level tokenisers (Radford et al. 2019) write each byte, and that byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


@dataclass(frozen=True)
class ByteDecoder:
    """Knows the bytes of each token. `spelt` by token; None for special tokens and numbers that are no token."""

    spelt: Sequence[bytes | None]

    def decode(self, tokens: Sequence[int]) -> str:
        stream = self.stream()
        return "".join([*map(stream.push, tokens), stream.flush()])

    def stream(self) -> TextStream:
        return _ByteStream(self.spelt)


class _ByteStream:
    def __init__(self, spelt: Sequence[bytes | None]) -> None:
        self._spelt = spelt
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        spelt = self._spelt[token] if 0 <= token < len(self._spelt) else None
        return self._decoder.decode(spelt) if spelt else ""

    def flush(self) -> str:
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


@dataclass(frozen=True)
class WholeDecoder:
    """Asks the tokeniser's own decoder, which may look at neighbours (SentencePiece takes away the first space)."""

    whole: Callable[[list[int]], str]
    unspoken: Collection[int]

    def decode(self, tokens: Sequence[int]) -> str:
        return self.whole(list(tokens))

    def stream(self) -> TextStream:
        return _WindowStream(self)


class _WindowStream:
    """Decodes the last tokens with and without the new one; the difference is new text."""

    def __init__(self, decoder: WholeDecoder) -> None:
        self._decoder = decoder
        self._before: list[int] = []
        self._open: list[int] = []

    def push(self, token: int) -> str:
        if token in self._decoder.unspoken:
            return ""
        self._open.append(token)
        return self._difference(final=len(self._open) >= _MOST_OPEN)

    def flush(self) -> str:
        return self._difference(final=True) if self._open else ""

    def _difference(self, *, final: bool) -> str:
        known = self._decoder.whole(self._before)
        text = self._decoder.whole(self._before + self._open)
        if text.endswith(_REPLACEMENT) and not final:
            return ""
        self._before, self._open = self._open, []
        return text[len(known) :]
