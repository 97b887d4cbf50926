"""From token ids to pieces of text: whole characters only, stop texts found across borders and never let out.

Not here: where the ids come from (`genai.py`, `fake.py`), nor what ends an answer but a stop text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradewind.engines.generation import Finish, Piece, TokenLogprob

if TYPE_CHECKING:
    from tradewind.features.language import LanguageTokenizer


class StopFilter:
    """Lets text through up to the first stop text; keeps back an end that may yet become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._longest = max((len(stop) for stop in self._stops), default=0)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """The text that is safe to show now, and whether a stop text was met (then nothing more may be pushed)."""
        if not self._stops:
            return text, False
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            shown, self._held = self._held[: min(places)], ""
            return shown, True
        keep = self._open_end()
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown, False

    def flush(self) -> str:
        """What was kept back, now that nothing follows."""
        held, self._held = self._held, ""
        return held

    def _open_end(self) -> int:
        """Length of the longest end of the held text that begins a stop text."""
        for length in range(min(self._longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0


class Composer:
    """Collects the tokens of one answer into pieces. A token whose text is not yet whole waits for the next."""

    def __init__(self, tokenizer: LanguageTokenizer, stops: Sequence[str]) -> None:
        self._stream = tokenizer.stream()
        self._filter = StopFilter(stops)
        self._tokens = 0
        self._waiting: list[tuple[int, TokenLogprob]] = []  # where the token's text begins, and its figures
        self._read = 0
        self._shown = 0
        self.total = 0

    def push(self, token: int, logprob: TokenLogprob | None = None) -> Piece | None:
        """A piece as soon as there is text to show; its finish is "stop" when this token completed a stop text."""
        self._count(logprob)
        text = self._stream.push(token)
        self._read += len(text)
        shown, stopped = self._filter.push(text)
        if stopped:
            return self._piece(shown, "stop")
        return self._piece(shown, None) if shown else None

    def end(self, finish: Finish, *, tokens: int = 0) -> Piece:
        """The last piece, with the text still kept back; `tokens` that ended the answer without text count too."""
        self._tokens += tokens
        self.total += tokens
        shown, stopped = self._filter.push(self._stream.flush())
        if stopped:
            return self._piece(shown, "stop")
        return self._piece(shown + self._filter.flush(), finish)

    def _count(self, logprob: TokenLogprob | None) -> None:
        self._tokens += 1
        self.total += 1
        if logprob is not None:
            self._waiting.append((self._read, logprob))

    def _piece(self, shown: str, finish: Finish | None) -> Piece:
        """Figures go out with the piece that shows the token's first character; those of a stop text never do."""
        self._shown += len(shown)
        ready = [one for begin, one in self._waiting if begin < self._shown]
        self._waiting = self._waiting[len(ready) :]
        tokens, self._tokens = self._tokens, 0
        return Piece(shown, tokens, tuple(ready), finish)
