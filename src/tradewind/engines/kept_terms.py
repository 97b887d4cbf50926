"""Terms of a glossary in a translation, so many of them as there may be, each in its place.

A model that was taught terms as tokens writes such a token where the term goes, and there the translation is put that the
glossary says. Two tokens at once are mixed up sooner than one is misplaced (LAB.md), so a source with several terms is translated
once for each, and what each round writes differently about its own term is taken over into the first. A term that its round did
not write, or any term of a model that was taught none, takes the place of what the model said for it: of the words that become
unlikely where the term is hidden in the source, with as many around them as makes the sentence likeliest. Where none do, it is
tried at every place.

Not here: the search (`ctranslate.py`), finding terms in a source (`features/glossary.py`). Legend: a unit is a word with the blanks
before it, or a mark, which stands for term n: it is -1 - 2n, and -2 - 2n where a blank stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.ctranslate import TokenTranslator, Written
from tradewind.features.pair_tokenizer import PairTokenizer
from tradewind.features.words import spans

_WIDEST, _WIDEST_UNSPACED = 3, 5  # words that a term may take the place of
_LEAST_FALL = 0.3  # nats
_MOST_TRIED = 400

How: TypeAlias = Literal["written", "placed", "missing"]
Ids: TypeAlias = tuple[int, ...]
Units: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class KeptTerm:
    """A term as the source has it, and its translation: the model wrote it, it was put there, or it could not be."""

    source: str
    translation: str
    how: How

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "translation": self.translation, "kept": self.how != "missing", "how": self.how}


@dataclass(frozen=True)
class Wanted:
    """Terms as the source has them with their translations. Where they are `taught`, term n is a token in round n; else there is
    one round, and none is. `hidden` holds for each term the source of its `other_round` without it; nothing where there is no
    other round."""

    sources: tuple[str, ...] = ()
    translations: tuple[str, ...] = ()
    taught: bool = False
    hidden: tuple[Ids, ...] = ()


def other_round(place: int, *, taught: bool) -> int:
    """A round whose source has this term in its own words: where terms are taught, that of another one."""
    return 1 if taught and place == 0 else 0


class KeptTerms:
    """Safe for threads. `blank` stands between two words of the target language: a blank, or nothing."""

    def __init__(self, translator: TokenTranslator, tokenizer: PairTokenizer, *, blank: str) -> None:
        self._translator, self._tokenizer, self._blank = translator, tokenizer, blank

    def of(
        self, sources: Sequence[Ids], written: Sequence[Written], wanted: Wanted
    ) -> tuple[str, Written, list[KeptTerm]]:
        """The text of a translation with its terms in it, its tokens, and how each term came there; `sources` and `written` are
        those of the rounds."""
        if not wanted.translations:
            return self._tokenizer.decode(written[0].ids), written[0], []
        rounds = [self._units(one.ids, number) for number, one in enumerate(written)]
        units = rounds[0]
        for one in rounds[1:]:
            units = _merged(units, one)
        how: list[How] = []
        for place, translation in enumerate(wanted.translations):
            there = place in _terms(units) or (not wanted.taught and translation in _text(units, wanted))
            how.append("written" if there else "placed")
            if not there:
                number = place if wanted.taught else 0
                trials = self._over(self._traced(sources, written, rounds, wanted, place), units, place)
                if trials and not wanted.taught:
                    units = self._likeliest(wanted.hidden[place], trials, units, wanted, place, is_hidden=True)
                else:
                    trials = trials or [*self._trials(units, place, *_differing(units, rounds[number], place))]
                    units = self._likeliest(sources[number], trials, units, wanted, place)
        text = _text(units, wanted)
        kept = [one if term in text else "missing" for one, term in zip(how, wanted.translations, strict=True)]
        terms = [KeptTerm(*one) for one in zip(wanted.sources, wanted.translations, kept, strict=True)]
        return text, self._scored(sources[0], written[0], units, wanted), terms

    # ---------------------------------------------------------------- its parts

    def _units(self, ids: Ids, number: int) -> Units:
        """What a round wrote, with a mark for the token of its term where it first stands, or for one that it took for it; any
        other such token is nothing."""
        tokens = self._tokenizer.frame.terms
        own = tokens[0] if tokens and tokens[0] in ids else next((one for one in ids if one in tokens), None)
        found: list[str | int] = []
        begin = 0
        for end in [*(place for place, one in enumerate(ids) if one in tokens), len(ids)]:
            text = self._tokenizer.decode(ids[begin:end])
            blank = bool(self._blank) and end < len(ids) and text.endswith(self._blank)
            found += _words(text.removesuffix(self._blank) if blank else text)
            if end < len(ids) and ids[end] == own and not _terms(found):
                found.append(_mark(number, blank=blank))
            begin = end + 1
        return tuple(found)

    def _ids(self, units: Units, wanted: Wanted, term: int) -> Ids:
        """As a target in which the mark of one term is its token, where it is taught, and all others are the words of their
        translations."""
        encode = self._tokenizer.language.encode
        at = next((at for at, one in enumerate(units) if wanted.taught and _place(one) == term), None)
        if at is None:
            return tuple(encode(_text(units, wanted)))
        before = _text(units[:at], wanted) + " " * _has_blank(units[at])
        return (*encode(before), self._tokenizer.frame.terms[0], *encode(_text(units[at + 1 :], wanted)))

    def _scored(self, source: Ids, written: Written, units: Units, wanted: Wanted) -> Written:
        spelled = tuple(self._tokenizer.language.encode(_text(units, wanted)))
        ids = self._ids(units, wanted, 0)
        if ids == written.ids:
            return replace(written, ids=spelled)
        (found,) = self._translator.log_probs([source], [ids])
        return replace(written, ids=spelled, mean=float(found.mean()))

    def _traced(
        self, sources: Sequence[Ids], written: Sequence[Written], rounds: Sequence[Units], wanted: Wanted, place: int
    ) -> tuple[Units, int] | None:
        """The round that had this term in its own words, and which of its units the model owes to them: the one whose
        log-probability falls most where they are hidden (as occlusion finds what a classifier looks at). None where none does."""
        if place >= len(wanted.hidden):
            return None
        number = other_round(place, taught=wanted.taught)
        ids, units = written[number].ids, rounds[number]
        seen, unseen = self._translator.log_probs([sources[number], wanted.hidden[place]], [ids, ids])
        falls = self._by_character(ids, seen - unseen)
        found, at = [], 0
        for one in units:
            size = len(one) if isinstance(one, str) else int(_has_blank(one))
            found.append(sum(falls[at : at + size]) if isinstance(one, str) else 0.0)
            at += size
        best = int(np.argmax(found)) if found else 0
        return (units, best) if found and found[best] >= _LEAST_FALL else None

    def _by_character(self, ids: Ids, values: NDArray[np.float32]) -> list[float]:
        """Values of tokens as values of the characters of their text; those of terms, which have none, go."""
        found: list[float] = []
        held = 0.0
        for count, one in enumerate(ids, 1):
            if one in self._tokenizer.frame.terms:
                continue
            held += float(values[count - 1])
            fresh = len(self._tokenizer.decode(ids[:count]).rstrip("\ufffd")) - len(found)
            if fresh > 0:  # else it is the beginning of a character
                found += [held / fresh] * fresh
                held = 0.0
        return found

    def _over(self, traced: tuple[Units, int] | None, units: Units, place: int) -> list[Units]:
        """A mark in place of up to so many words, among them the one that was traced, as far as it still stands in `units`."""
        if traced is None:
            return []
        said, peak = traced
        at = next(
            (begin + peak - start for tag, begin, _, start, stop in _differences(units, said) if tag == "equal" and start <= peak < stop),
            None,
        )  # fmt: skip
        if at is None:
            return []
        widest = _WIDEST if self._blank else _WIDEST_UNSPACED
        return [
            (*units[:start], _mark(place, blank=bool(self._blank) and str(units[start]).startswith(" ")), *units[end:])
            for start in range(max(0, at - widest + 1), at + 1)
            for end in range(at + 1, min(len(units), start + widest) + 1)
            if not _terms(units[start:end])
        ]

    def _likeliest(
        self, source: Ids, trials: Sequence[Units], units: Units, wanted: Wanted, place: int, *, is_hidden: bool = False
    ) -> Units:
        """Of `trials` the one that the model holds for the likeliest by `source`, in which no term is lost that stood there. Where
        the term is hidden in the source, its mark is in the translation, too."""
        luck = [one for one in wanted.translations[:place] if not wanted.taught and one in _text(units, wanted)]
        texts = {one: _text(one, wanted) for one in trials}
        tried = [one for one, text in texts.items() if all(word in text for word in luck)] or list(texts)
        if self._blank:
            apart = re.compile(rf"(?<!\w){re.escape(wanted.translations[place])}(?!\w)")
            tried = [one for one in tried if apart.search(texts[one])] or tried
        asked = [tuple(unit for unit in one if not (is_hidden and _place(unit) == place)) for one in tried]
        found = self._translator.log_probs([source] * len(tried), [self._ids(one, wanted, place) for one in asked])
        # Sums alone rather leave words out, means rather say them twice (LAB.md).
        return tried[int(np.argmax([one.sum() / len(one) ** 0.5 for one in found]))]

    def _trials(self, units: Units, place: int, begin: int, end: int) -> Iterator[Units]:
        """A mark at every place, in long texts and for later terms at some, and always at the end, where nothing is lost for it;
        in the midst of a language with blanks also behind one. No other mark goes."""
        step = 1 + (end - begin) * (_WIDEST + 1) * (1 + place) // _MOST_TRIED
        for start in [*range(begin, end, step), end]:
            for blank in (False, True) if start and self._blank else (False,):
                for width in range(min(_WIDEST, end - start) + 1):
                    if not _terms(units[start : start + width]):
                        yield (*units[:start], _mark(place, blank=blank), *units[start + width :])


# ---------------------------------------------------------------- units


def _words(text: str) -> list[str]:
    """The words of a text, each with the blanks before it; put together they are the text."""
    ends = [0, *(end for _, end in spans(text)), len(text)]
    return [text[begin:end] for begin, end in pairwise(ends) if begin < end]


def _mark(place: int, *, blank: bool) -> int:
    return -1 - 2 * place - blank


def _place(unit: str | int) -> int | None:
    return None if isinstance(unit, str) else (-1 - unit) // 2


def _has_blank(unit: str | int) -> bool:
    return isinstance(unit, int) and (-1 - unit) % 2 == 1


def _terms(units: Sequence[str | int]) -> set[int]:
    """The terms whose marks stand there."""
    return {place for one in units if (place := _place(one)) is not None}


def _text(units: Sequence[str | int], wanted: Wanted) -> str:
    return "".join(
        one if isinstance(one, str) else " " * _has_blank(one) + wanted.translations[(-1 - one) // 2] for one in units
    )


def _merged(units: Units, other: Units) -> Units:
    """`units` with what `other` says in the stead of as many around its own marks, as far as no mark is lost."""
    found: list[str | int] = []
    for tag, begin, end, start, stop in _differences(units, other):
        brings = tag != "equal" and _terms(other[start:stop]) and not _terms(units[begin:end])
        found += other[start:stop] if brings else units[begin:end]
    return tuple(found)


def _differing(units: Units, other: Units, place: int) -> tuple[int, int]:
    """Where in `units` something else stands than the mark that `other` has; anywhere if it has none."""
    for _, begin, end, start, stop in _differences(units, other):
        if place in _terms(other[start:stop]):
            return begin, end
    return 0, len(units)


def _differences(units: Units, other: Units) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, units, other, autojunk=False).get_opcodes()
