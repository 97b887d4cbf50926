"""Which documents are good enough to learn from: length, repetition, signs, language. Each rule is counted.

Rules after Gopher (Rae et al. 2021, appendix A.1.1), with bounds under `data.clean.quality` that honest small corpora pass.
Not here: copies of whole documents (`duplicates.py`), personal data (`privacy/pii.py`). Legend: D texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradewind.data import shingles
from tradewind.data.shingles import Units
from tradewind.product import Quality

# Below so many units repetition is style: a chorus, a list of answers, a greeting.
_FEWEST_UNITS = 50
# Where lines or runs repeat enough for any bound, so many of all runs of five do; below it nothing is looked at twice.
_WORTH_A_LOOK = 0.25
_BITS = 20
_SAMPLE = 1000
_COMMON = {
    "en": frozenset(
        [
            "the",
            "of",
            "and",
            "to",
            "in",
            "is",
            "you",
            "that",
            "it",
            "he",
            "was",
            "for",
            "on",
            "are",
            "with",
            "as",
            "his",
            "they",
            "at",
            "be",
            "this",
            "have",
            "from",
        ]
    ),
    "de": frozenset(
        [
            "der",
            "die",
            "und",
            "in",
            "den",
            "von",
            "zu",
            "das",
            "mit",
            "sich",
            "des",
            "auf",
            "für",
            "ist",
            "im",
            "dem",
            "nicht",
            "ein",
            "eine",
            "als",
            "auch",
            "es",
            "an",
        ]
    ),
    "fr": frozenset(
        [
            "de",
            "la",
            "le",
            "et",
            "les",
            "des",
            "en",
            "un",
            "du",
            "une",
            "que",
            "est",
            "pour",
            "qui",
            "dans",
            "par",
            "sur",
            "au",
            "avec",
            "pas",
            "ne",
            "ce",
            "il",
        ]
    ),
    "es": frozenset(
        [
            "de",
            "la",
            "que",
            "el",
            "en",
            "y",
            "a",
            "los",
            "se",
            "del",
            "las",
            "un",
            "por",
            "con",
            "no",
            "una",
            "su",
            "para",
            "es",
            "al",
            "lo",
            "como",
            "más",
        ]
    ),
}
# An ideograph says as much as a few letters, so a fifth of them makes a mixed text Chinese.
_SCRIPTS = (
    ("zh", shingles.HAN, 0.2), ("ko", shingles.HANGUL, 0.3), ("ru", shingles.CYRILLIC, 0.5), ("ar", shingles.ARABIC, 0.5),
)  # fmt: skip
_LETTERS = (shingles.LETTER, shingles.HAN, shingles.KANA, shingles.HANGUL, shingles.CYRILLIC, shingles.ARABIC)
_SHIFT, _OWN = np.uint64(64 - _BITS), np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Verdict:
    """`rule` that a document fails first, or None; `found` is the figure that failed it. `language` as ISO 639-1 or other."""

    language: str
    rule: str | None = None
    found: str = ""


def judge(texts: Sequence[str], units: Units, rules: Quality) -> list[Verdict]:
    """A verdict for each text [D]; `units` are those of the same texts."""
    kinds = units.kinds
    total = kinds.sum(axis=1)
    visible = (total - kinds[:, shingles.SPACE]).tolist()
    signs = (kinds[:, shingles.OTHER] + kinds[:, shingles.CONTROL]).tolist()
    repeats = (_suspected(units) >= _WORTH_A_LOOK * np.diff(units.fives[1])).tolist()
    counts = np.diff(units.offsets).tolist()
    verdicts = []
    for place, (text, kind) in enumerate(zip(texts, kinds.tolist(), strict=True)):
        spoken = language(text, kind)
        sign_share = signs[place] / max(visible[place], 1)
        fault: tuple[str, str] | None = None
        if visible[place] < rules.least_characters:
            fault = "too_short", f"{visible[place]} characters"
        elif rules.most_characters is not None and total[place] > rules.most_characters:
            fault = "too_long", f"{total[place]:,} characters"
        elif rules.languages and spoken not in rules.languages:
            fault = "language", spoken
        elif sign_share > rules.symbols and visible[place] >= _FEWEST_UNITS:
            fault = "symbols", f"{sign_share:.0%} signs"
        elif repeats[place] and counts[place] >= _FEWEST_UNITS:
            fault = _repetition(text, units, place, rules)
        verdicts.append(Verdict(spoken, *fault) if fault else Verdict(spoken))
    return verdicts


def _suspected(units: Units) -> shingles.Index:
    """At least how many runs of five of each text [D] stand in it twice, and seldom more: equal first bits count as equal."""
    runs, offsets = units.fives
    texts = len(offsets) - 1
    owner = np.repeat(np.arange(texts, dtype=np.uint64), np.diff(offsets))
    keys = runs ^ (owner * _OWN)
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice) == 0:
        return np.zeros(texts, dtype=np.int64)
    seen = np.zeros(1 << _BITS, dtype=np.bool_)
    seen[twice >> _SHIFT] = True
    return np.bincount(owner[seen[keys >> _SHIFT]].astype(np.int64), minlength=texts)


def _repetition(text: str, units: Units, place: int, rules: Quality) -> tuple[str, str] | None:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    length = sum(map(len, lines))
    seen: set[str] = set()
    again = 0
    for line in lines:
        if line in seen:
            again += len(line)
        seen.add(line)
    if again > rules.repeated_lines * length:
        return "repeated_lines", f"{again / length:.0%} of its characters in lines that stood before"
    runs, offsets = units.fives
    own = runs[offsets[place] : offsets[place + 1]]
    share = 1 - len(np.unique(own)) / len(own)
    if share > rules.repeated_runs:
        return "repeated_runs", f"{share:.0%} of its runs of {shingles.RUN} words stood before"
    return None


def language(text: str, kinds: Sequence[int]) -> str:
    """By script, and for Latin letters by the commonest words of its beginning. `kinds` [10] counts characters."""
    letters = sum(kinds[kind] for kind in _LETTERS)
    if letters == 0:
        return "other"
    if kinds[shingles.KANA] > 0.1 * letters:
        return "ja"
    for name, kind, share in _SCRIPTS:
        if kinds[kind] > share * letters:
            return name
    words = set(text[:_SAMPLE].lower().split())
    found = {name: len(words & common) for name, common in _COMMON.items()}
    best = max(found, key=found.__getitem__)
    return best if found[best] >= max(1, 0.05 * len(words)) else "other"
