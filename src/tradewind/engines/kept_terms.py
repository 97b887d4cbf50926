"""Terms of a glossary in a translation: where the model did not write one, it is put where the model finds it likeliest.

A term that has a token of its own in the source was taught to come back as that token, and is then written as the glossary
says. Of any other, and of one that the search left out, every place of the translation is tried, in place of up to three tokens
and between them, and the sentence that the model itself holds for the likeliest is taken. Not here: the search
(`ctranslate.py`), finding terms in a source (`features/glossary.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from tradewind.engines.ctranslate import TokenTranslator, Written
from tradewind.features.pair_tokenizer import PairTokenizer

_WIDEST = 3  # tokens that a term may take the place of
_MOST_TRIED = 400


@dataclass(frozen=True)
class KeptTerm:
    """A term as the source has it, and its translation: the model wrote it, it was put there, or it could not be."""

    source: str
    translation: str
    how: Literal["written", "placed", "missing"]

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "translation": self.translation, "kept": self.how != "missing", "how": self.how}


@dataclass(frozen=True)
class Wanted:
    """Terms as the source has them with their translations; the first `tokens` of them have tokens of their own there."""

    sources: tuple[str, ...]
    translations: tuple[str, ...]
    tokens: int = 0


class KeptTerms:
    """Safe for threads. `blank` stands between two words of the target language: a blank, or nothing."""

    def __init__(self, translator: TokenTranslator, tokenizer: PairTokenizer, *, blank: str) -> None:
        self._translator, self._tokenizer, self._blank = translator, tokenizer, blank

    def of(self, source: Sequence[int], written: Written, wanted: Wanted) -> tuple[str, Written, list[KeptTerm]]:
        """The text of a translation with its terms in it, its tokens, and how each term came there."""
        written = self._once(source, written)
        kept: list[KeptTerm] = []
        places: list[int] = []
        for place, (term, translation) in enumerate(zip(wanted.sources, wanted.translations, strict=True)):
            how: Literal["written", "placed", "missing"] = "written"
            if not self._has(written.ids, wanted, place):
                better = self._placed(source, written, wanted, place, places)
                how = "missing" if better is None else "placed"
                written = better or written
            if how != "missing":
                places.append(place)
            kept.append(KeptTerm(term, translation, how))
        return self._text(written.ids, wanted), written, kept

    def _once(self, source: Sequence[int], written: Written) -> Written:
        """A term that stands once in the source stands once in the translation: where it first was written."""
        terms = self._tokenizer.frame.terms
        ids = tuple(one for place, one in enumerate(written.ids) if one not in terms or one not in written.ids[:place])
        if len(ids) == len(written.ids):
            return written
        (found,) = self._translator.log_probs([source], [ids])
        return replace(written, ids=ids, mean=float(found.mean()))

    def _text(self, ids: Sequence[int], wanted: Wanted) -> str:
        return self._tokenizer.decode(ids, wanted.translations[: wanted.tokens])

    def _has(self, ids: Sequence[int], wanted: Wanted, place: int) -> bool:
        if place < wanted.tokens:
            return self._tokenizer.frame.terms[place] in ids
        return wanted.translations[place] in self._text(ids, wanted)

    def _placed(
        self, source: Sequence[int], written: Written, wanted: Wanted, place: int, places: Sequence[int]
    ) -> Written | None:
        """The likeliest translation with this term in it in which the `places` before it still stand."""
        tried = [
            ids for ids in self._trials(written.ids, wanted, place, most=_MOST_TRIED // (1 + len(places)))
            if all(self._has(ids, wanted, one) for one in (*places, place))
        ]  # fmt: skip
        if not tried:
            return None
        found = self._translator.log_probs([source] * len(tried), tried)
        means = [float(one.mean()) for one in found]
        best = int(np.argmax(means))
        return replace(written, ids=tried[best], mean=means[best])

    def _trials(self, ids: tuple[int, ...], wanted: Wanted, place: int, *, most: int) -> Iterator[tuple[int, ...]]:
        """The term at every place, in long texts at some, and always at the end, where nothing is lost for it."""
        step = 1 + len(ids) * (_WIDEST + 1) // most
        for start in [*range(0, len(ids), step), len(ids)]:
            for term in self._spellings(wanted, place, begins=start == 0):
                for width in range(min(_WIDEST, len(ids) - start) + 1):
                    yield ids[:start] + term + ids[start + width :]

    def _spellings(self, wanted: Wanted, place: int, *, begins: bool) -> list[tuple[int, ...]]:
        """The term's tokens; in the midst of a language with blanks also behind one."""
        blanks = [""] if begins or not self._blank else ["", self._blank]
        encode = self._tokenizer.language.encode
        if place < wanted.tokens:
            token = self._tokenizer.frame.terms[place]
            return [(*encode(blank), token) for blank in blanks]
        return [tuple(encode(blank + wanted.translations[place])) for blank in blanks]
