"""Translations from a released translator: texts in, texts out, with the terms of a glossary in them. Torch-free.

A text is repaired as those of training were, cut into lines and, where it is longer than any source that training saw, behind
sentences; each piece is translated alone and put back where it stood. Texts of like length are computed together. The answer
to a text does not depend on its neighbours beyond rounding.

Not here: the search (`ctranslate.py`), how a term comes to stand in a translation (`kept_terms.py`), who pays (`server/`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from tradewind.engines.ctranslate import Hypothesis, TokenTranslator, Written
from tradewind.engines.kept_terms import KeptTerm, KeptTerms, Wanted, other_round
from tradewind.errors import ArtifactError, InputError
from tradewind.features.glossary import Found, Glossary
from tradewind.features.pair_text import pieces
from tradewind.features.pair_tokenizer import PairTokenizer
from tradewind.features.words import is_spaced
from tradewind.release.translation import TOKENIZER, TranslatorFacts, read_facts

MOST_BEAMS = 16
_LEAST_PIECE = 16  # tokens: training on single words is no reason to cut every sentence
_GLOSSARIES = 64
_MOST_TERMS = 32  # of one piece
_SLACK, _TIMES = (
    16,
    2.5,
)  # a translation may have so many tokens, and so many times those that are usual, before it is cut off

_Place: TypeAlias = tuple[int, int, int]  # which text, which piece of it, which round


@dataclass(frozen=True)
class Translation:
    """`score` is the mean log-probability of its tokens in nats, 0 where there was nothing to translate. Tokens count what stands
    around a text. `cut` says that a piece was longer than it may be and was broken off. `terms` are those of the glossary that
    stand in the source, in its order."""

    text: str
    score: float = 0.0
    source_tokens: int = 0
    target_tokens: int = 0
    cut: bool = False
    terms: tuple[KeptTerm, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "text": self.text, "score": round(self.score, 6), "source_tokens": self.source_tokens,
            "target_tokens": self.target_tokens, "cut": self.cut,
            "terms": [one.to_json() for one in self.terms],
        }  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A piece of a text in tokens, once for each of its terms that is a token there, and what of a glossary is wanted in it;
    `behind` stands between it and the next."""

    rounds: tuple[tuple[int, ...], ...]
    wanted: Wanted
    behind: str


@dataclass(frozen=True)
class Ask:
    """A text that was read, and how it is to be translated. `most` tokens can come of it, ends included; terms that are put in
    come on top."""

    pieces: tuple[Piece, ...]
    beams: int
    length_penalty: float
    most: int

    @property
    def source_tokens(self) -> int:
        return sum(len(one.rounds[0]) for one in self.pieces if one.rounds)


class TranslationEngine:
    """Safe for threads. `threads` 0 lets the runtime use all cores."""

    def __init__(
        self, translator: TokenTranslator, tokenizer: PairTokenizer, facts: TranslatorFacts, glossary: Glossary
    ) -> None:
        self.translator, self.tokenizer, self.facts, self.glossary = translator, tokenizer, facts, glossary
        self._longest = min(max(facts.longest, _LEAST_PIECE), facts.context)
        self._room = facts.context - len(tokenizer.frame.start)
        self._blank = " " if is_spaced(facts.target) else ""
        self._kept = KeptTerms(translator, tokenizer, blank=self._blank)
        # The texts of a request have one glossary, and finding its terms begins with an expression of them all.
        self._glossary_with = lru_cache(_GLOSSARIES)(lambda terms: glossary.with_terms(dict(terms)))

    @classmethod
    def open(cls, folder: Path, *, precision: str | None = None, threads: int = 1) -> TranslationEngine:
        """A `translator/` folder; `precision` is the one that answers by default. Raises ArtifactError, DataError."""
        facts, glossary = read_facts(folder)
        tokenizer = PairTokenizer.open(folder / TOKENIZER)
        place = folder / (precision or facts.precision)
        if not place.is_dir():
            raise ArtifactError(
                f"The translator has no precision {place.name}.", code="precision_missing", where=str(folder),
                hint="release.precisions says which are made: fp32, int8.",
            )  # fmt: skip
        return cls(TokenTranslator(place, tokenizer.frame, threads=threads), tokenizer, facts, glossary)

    # ---------------------------------------------------------------- asking

    def translate(
        self, texts: Sequence[str], *, beams: int | None = None, length_penalty: float | None = None,
        glossary: Mapping[str, str] | Glossary | None = None,
    ) -> list[Translation]:  # fmt: skip
        """One a text, in order. Terms of `glossary` go before those that the release brings along.

        Raises InputError (beams_range, length_penalty_range).
        """
        return self.answer(
            [self.read(text, beams=beams, length_penalty=length_penalty, glossary=glossary) for text in texts]
        )

    def read(
        self, text: str, *, beams: int | None = None, length_penalty: float | None = None,
        glossary: Mapping[str, str] | Glossary | None = None,
    ) -> Ask:  # fmt: skip
        """A text as tokens, without translating it. Raises InputError (beams_range, length_penalty_range)."""
        beams = self.facts.beams if beams is None else beams
        length_penalty = self.facts.length_penalty if length_penalty is None else length_penalty
        if not 1 <= beams <= MOST_BEAMS:
            raise InputError(f"beams lies between 1 and {MOST_BEAMS}.", code="beams_range", where="beams")
        if not 0 <= length_penalty <= 2:
            raise InputError(
                "length_penalty lies between 0 and 2.", code="length_penalty_range", where="length_penalty"
            )
        terms = glossary.terms if isinstance(glossary, Glossary) else glossary
        known = self._glossary_with(tuple((terms or {}).items()))
        read = tuple(
            self._piece(one.text, one.behind, known) for one in pieces(text, size=self._size, most=self._longest)
        )
        most = sum(self._most(len(one.rounds[0])) + 1 for one in read if one.rounds)
        return Ask(read, beams, length_penalty, most)

    def answer(self, asks: Sequence[Ask]) -> list[Translation]:
        """Translations of texts that were read, in order; whatever their settings, in as few batches as can be."""
        written: dict[_Place, Written] = {}
        groups: dict[tuple[int, float, int], list[_Place]] = defaultdict(list)
        for row, ask in enumerate(asks):
            for place, piece in enumerate(ask.pieces):
                for number, source in enumerate(piece.rounds):
                    groups[ask.beams, ask.length_penalty, self._most(len(source))].append((row, place, number))
        for (beams, penalty, most), places in groups.items():
            sources = [asks[row].pieces[place].rounds[number] for row, place, number in places]
            found = self.translator.translate(sources, beams=beams, length_penalty=penalty, most=most)
            written |= dict(zip(places, found, strict=True))
        return [self._whole(ask, row, written) for row, ask in enumerate(asks)]

    def is_one_piece(self, text: str) -> bool:
        """Whether a text is translated as it is, neither cut nor put together."""
        return [one.text for one in pieces(text, size=self._size, most=self._longest)] == [text]

    def hypotheses(self, texts: Sequence[str], *, beams: int) -> list[list[Hypothesis]]:
        """What the search comes to for texts of one piece, terms left out of sight: as many translations as beams for each."""
        sources = [self._source(text) for text in texts]
        found: dict[int, list[Hypothesis]] = {}
        groups: dict[int, list[int]] = defaultdict(list)
        for row, source in enumerate(sources):
            groups[self._most(len(source))].append(row)
        for most, rows in groups.items():
            heard = self.translator.hypotheses([sources[row] for row in rows], beams=beams, most=most)
            found |= dict(zip(rows, heard, strict=True))
        return [found[row] for row in range(len(texts))]

    # ---------------------------------------------------------------- its parts

    def _source(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.source(text))

    def _size(self, text: str) -> int:
        return len(self._source(text))

    def _piece(self, text: str, behind: str, glossary: Glossary) -> Piece:
        if not text:
            return Piece((), Wanted(), behind)
        found, taught = glossary.find(text)[:_MOST_TERMS], self.facts.terms_taught
        rounds = [tuple(self.tokenizer.source(text, [one])) for one in found if taught] or [self._source(text)]
        wanted = Wanted(
            tuple(text[one.start : one.end] for one in found), tuple(one.translation for one in found), taught,
            self._hidden(text, found, taught=taught),
        )  # fmt: skip
        return Piece(tuple(rounds), wanted, behind)

    def _hidden(self, text: str, found: Sequence[Found], *, taught: bool) -> tuple[tuple[int, ...], ...]:
        """For each term the source of its other round in which it is not to be seen: a token of another term, or nothing."""
        if not taught:
            return tuple(self._source(text[: one.start].rstrip() + text[one.end :]) for one in found)
        if len(found) < 2:
            return ()
        frame = self.tokenizer.frame
        hidden = []
        for place, one in enumerate(found):
            base = found[other_round(place, taught=True)]
            pair = sorted([(base.start, base.end, 0), (one.start, one.end, 1)])
            ids = self.tokenizer.with_terms(
                text, [(start, end) for start, end, _ in pair], [number for *_, number in pair]
            )
            hidden.append((*frame.before, *ids, frame.eos))
        return tuple(hidden)

    def _most(self, source: int) -> int:
        """Target tokens that may come of so many source tokens: alike for sources of like length, so that they share a batch."""
        step = 1 << max(4, (source - 1).bit_length())
        return max(1, min(self._room, round(_TIMES * max(1.0, self.facts.growth) * step) + _SLACK))

    def _whole(self, ask: Ask, row: int, written: Mapping[_Place, Written]) -> Translation:
        texts: list[str] = []
        terms: list[KeptTerm] = []
        total, count, cut = 0.0, 0, False
        for place, piece in enumerate(ask.pieces):
            if piece.rounds:
                said = [written[row, place, number] for number in range(len(piece.rounds))]
                text, found, kept = self._kept.of(piece.rounds, said, piece.wanted)
                texts.append(text)
                terms += kept
                tokens = len(found.ids) + 1
                total, count, cut = total + found.mean * tokens, count + tokens, cut or not found.ended
            texts.append(self._blank if piece.behind == " " else piece.behind)
        return Translation("".join(texts), total / count if count else 0.0, ask.source_tokens, count, cut, tuple(terms))
