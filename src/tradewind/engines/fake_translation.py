"""A translator without a model, deterministic, for tests of whatever stands before one. Nothing here is ever sold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradewind.engines.kept_terms import KeptTerm, Wanted
from tradewind.engines.translation import Ask, Piece, Translation
from tradewind.features.glossary import Glossary
from tradewind.release.translation import TranslatorFacts


@dataclass(frozen=True)
class _FakeAsk(Ask):
    words: tuple[str, ...] = ()
    terms: tuple[KeptTerm, ...] = ()


class FakeTranslator:
    """Writes the words of a text in the reverse order, terms of a glossary among them as it says. A word is a token.

    `pace_s` is slept for each batch; `batches` has how many texts were answered together each time.
    """

    def __init__(self, glossary: Mapping[str, str] | None = None, *, pace_s: float = 0.0) -> None:
        self.glossary = Glossary(dict(glossary or {}))
        self.facts = TranslatorFacts("en", "de", 512, 512, 1.0, True, 4, 1.0, "fp32")
        self.batches: list[int] = []
        self._pace_s = pace_s

    def read(
        self, text: str, *, beams: int | None = None, length_penalty: float | None = None,
        glossary: Mapping[str, str] | None = None,
    ) -> Ask:  # fmt: skip
        words: list[str] = []
        terms: list[KeptTerm] = []
        at = 0
        for found in self.glossary.with_terms(glossary or {}).find(text):
            words += [*text[at : found.start].split(), found.translation]
            terms.append(KeptTerm(text[found.start : found.end], found.translation, "written"))
            at = found.end
        words += text[at:].split()
        piece = Piece((tuple(range(len(words))),), Wanted(), "")
        return _FakeAsk((piece,), beams or 4, length_penalty or 1.0, 2 * len(words), tuple(words), tuple(terms))

    def answer(self, asks: Sequence[Ask]) -> list[Translation]:
        time.sleep(self._pace_s)
        self.batches.append(len(asks))
        found = []
        for ask in asks:
            assert isinstance(ask, _FakeAsk)
            count = len(ask.words)
            found.append(Translation(" ".join(reversed(ask.words)), -1.0, count, count, False, ask.terms))
        return found
