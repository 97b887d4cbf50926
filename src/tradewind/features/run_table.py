"""A dictionary between a language with blanks and one without: which run of characters a word is most often written as.

A character belongs to the word that it stands for most surely, by two tables of words (one for each direction); what a word is
written as is the commonest run of its characters, which may be nothing. It is the baseline of a translator where `word_table.py`
would write one character for a word. Not here: languages that both have blanks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tradewind.features.word_table import WordTable
from tradewind.features.words import is_spaced, joined, words

_LONGEST = 8  # characters of a run that is looked for in a text
_ALIGNED = 20_000  # pairs whose characters are given to words
_Likely = dict[str, dict[str, float]]


@dataclass(frozen=True)
class RunTable:
    """`table[word or run]` is what stands for it in `language`. `by_runs`: the texts to be translated are those without blanks."""

    table: Mapping[str, str]
    language: str
    by_runs: bool

    @classmethod
    def fit(cls, pairs: Sequence[tuple[str, str]], *, source: str, target: str) -> RunTable:
        """From pairs of texts; one of the two languages has no blanks."""
        assert is_spaced(source) != is_spaced(target)
        by_runs = is_spaced(target)
        sides = [(words(read), words(written)) for read, written in pairs]
        counted = [(written, read) for read, written in sides] if by_runs else sides
        there = _likely(WordTable.fit(counted))
        back = _likely(WordTable.fit([(runs, spaced) for spaced, runs in counted]))
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for spaced, runs in counted[:_ALIGNED]:
            for word, run in _runs(spaced, runs, there, back):
                if by_runs and run:
                    found[run][word] += 1
                elif not by_runs:
                    found[word][run] += 1
        return cls({key: _commonest(of) for key, of in found.items()}, target, by_runs)

    def translate(self, text: str) -> str:
        """Word by word, or run by run, in the order of the source; what is unknown as it is."""
        found = words(text)
        if not self.by_runs:
            written = [self.table.get(word, self.table.get(word.lower(), word)) for word in found]
            return joined([one for one in written if one], language=self.language)
        written, at = [], 0
        while at < len(found):
            size = next((n for n in range(_LONGEST, 1, -1) if "".join(found[at : at + n]) in self.table), 1)
            run = "".join(found[at : at + size])
            written.append(self.table.get(run, run))
            at += size
        return joined(written, language=self.language)


def _likely(table: WordTable) -> _Likely:
    return {word: dict(others) for word, others in table.likely.items()}


def _runs(spaced: Sequence[str], runs: Sequence[str], there: _Likely, back: _Likely) -> Iterator[tuple[str, str]]:
    """Words with their runs; of characters that stand apart the surest stretch."""
    own: list[dict[int, float]] = [{} for _ in spaced]
    for at, character in enumerate(runs):
        sure = [there.get(word, {}).get(character, 0.0) * back.get(character, {}).get(word, 0.0) for word in spaced]
        best = max(range(len(spaced)), key=sure.__getitem__, default=0)
        if sure and sure[best] > 0:
            own[best][at] = sure[best]
    for word, places in zip(spaced, own, strict=True):
        yield word, "".join(runs[at] for at in _surest(places))


def _surest(places: Mapping[int, float]) -> Sequence[int]:
    """The stretch of neighbours that is surest in sum, the first of several."""
    stretches: list[list[int]] = [[]]
    for at in sorted(places):
        if stretches[-1] and at != stretches[-1][-1] + 1:
            stretches.append([])
        stretches[-1].append(at)
    return max(stretches, key=lambda stretch: sum(places[at] for at in stretch))


def _commonest(counts: Counter[str]) -> str:
    return min(counts, key=lambda run: (-counts[run], run))
