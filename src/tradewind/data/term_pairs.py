"""Training pairs in which a word and its translation are tokens of a glossary: from them a translator learns to keep terms.

A word and what stands for it are found by two tables of words, one for each direction; the tokens are the same on both sides,
so that what is learnt is where a term goes, whatever it is (Dinu et al. 2019 teach the same with the terms themselves).
Not here: the tables (`features/word_table.py`), the tokens (`features/pair_tokenizer.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tradewind.features.word_table import WordTable
from tradewind.features.words import spans, words

_SURE = 0.5
_LONGEST = 4  # words of one side of a term
_MOST = 2  # terms in one pair

Place = tuple[int, int]


@dataclass(frozen=True)
class TermPair:
    """Where in source and target each term stands, in the order of the source; `numbers` are those of the target's places."""

    source: str
    target: str
    in_source: tuple[Place, ...]
    in_target: tuple[Place, ...]
    numbers: tuple[int, ...]


def term_pairs(
    pairs: Iterable[tuple[str, str]], there: WordTable, back: WordTable, *, share: float, seed: int
) -> Iterator[TermPair]:
    """For about `share` of the pairs, as far as words in them are sure of each other."""
    random = np.random.default_rng([seed, 31])
    for source, target in pairs:
        if random.random() >= share:
            continue
        found = _sure(source, target, there, back)
        if not found:
            continue
        count = min(len(found), 1 + int(random.integers(_MOST)))
        chosen = [found[place] for place in random.choice(len(found), count, replace=False)]
        chosen.sort()
        order = sorted(range(count), key=lambda place: chosen[place][1])
        yield TermPair(
            source, target, tuple(one for one, _ in chosen), tuple(chosen[place][1] for place in order), tuple(order)
        )


def _sure(source: str, target: str, there: WordTable, back: WordTable) -> list[tuple[Place, Place]]:
    """Runs of words that stand for each other and for nothing else: parts of the graph of sure links."""
    read, written = words(source), words(target)
    links = {
        (i, j)
        for i, word in enumerate(read)
        for j, other in enumerate(written)
        if there.sure(word, other, least=_SURE) or back.sure(other, word, least=_SURE)
    }
    in_source, in_target = spans(source), spans(target)
    found = []
    while links:
        rows, columns = _part(links)
        if not (_runs(rows) and _runs(columns)) or not _is_term([read[i] for i in rows], [written[j] for j in columns]):
            continue
        found.append(
            ((in_source[rows[0]][0], in_source[rows[-1]][1]), (in_target[columns[0]][0], in_target[columns[-1]][1]))
        )
    return found


def _part(links: set[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Takes one connected part out of the links."""
    first = min(links)
    rows, columns = {first[0]}, {first[1]}
    while True:
        more = {link for link in links if link[0] in rows or link[1] in columns}
        if not more:
            return sorted(rows), sorted(columns)
        links -= more
        rows |= {i for i, _ in more}
        columns |= {j for _, j in more}


def _runs(places: Sequence[int]) -> bool:
    return len(places) <= _LONGEST and places[-1] - places[0] == len(places) - 1


def _is_term(read: Sequence[str], written: Sequence[str]) -> bool:
    """Words, not signs, numbers or particles."""
    return all(
        any(word.isalpha() and (len(word) > 2 or not word.isascii()) for word in side) for side in (read, written)
    )
