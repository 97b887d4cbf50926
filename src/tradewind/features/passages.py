"""Documents of a knowledge base cut into passages that can be found and cited: under which heading, in which lines.
Not here: reading files (`data/knowledge.py`), finding (`engines/retrieval.py`). One way of cutting for what a release brings
along and for what customers send.

A passage never crosses a heading. Paragraphs, lists and code are kept whole where they fit; a longer one is cut at the end of
a sentence. The last sentences of a passage stand again at the head of the next one, so that an answer across the cut is found.
Size counts words, and characters where a script has no blanks between words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tradewind.errors import InputError
from tradewind.features.markup import Block, blocks_of_html, blocks_of_markdown, blocks_of_text

Form: TypeAlias = Literal["markdown", "html", "text"]
FORMS: tuple[Form, ...] = ("markdown", "html", "text")
SIZE, OVERLAP = 160, 30
HEADINGS = " › "  # between a heading and the one below it

_UNIT = re.compile(r"[぀-ヿ㐀-䶿一-鿿]|[^\W぀-ヿ㐀-䶿一-鿿]+")
_SENTENCE = re.compile(r"[^。！？!?.；\n]*(?:[。！？；]+|[!?.]+(?=\s|$)|\n+|$)\s*|[^。！？!?.；\n]+[!?.]")
_BREAK = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LETTERS = re.compile(r"[^\W\d_]")
_SCRIPTS = (
    ("ja", re.compile(r"[぀-ヿ]"), 0.1), ("zh", re.compile(r"[㐀-䶿一-鿿]"), 0.2), ("ko", re.compile(r"[가-힯]"), 0.3),
    ("ru", re.compile(r"[Ѐ-ӿ]"), 0.5), ("ar", re.compile(r"[؀-ۿ]"), 0.5),
)  # fmt: skip
_COMMON = {
    "en": frozenset(
        ["the", "and", "is", "of", "to", "you", "your", "for", "in", "on", "with", "can", "how", "what", "my", "are", "this"]
    ),
    "de": frozenset(
        ["der", "die", "das", "und", "ist", "nicht", "ein", "eine", "sie", "für", "mit", "den", "wie", "ich", "auf", "zu"]
    ),
    "fr": frozenset(
        ["le", "la", "les", "et", "est", "des", "une", "vous", "pour", "dans", "que", "votre", "avec", "sur", "pas"]
    ),
    "es": frozenset(
        ["el", "la", "los", "las", "y", "es", "una", "para", "en", "que", "con", "su", "por", "como", "usted", "del"]
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Passage:
    """`line` to `last` are 1-based lines of the source. `question` is what a pair of question and answer asks."""

    text: str
    heading: str = ""
    line: int = 1
    last: int = 1
    question: str = ""

    @property
    def found_by(self) -> str:
        """What words and vectors are taken from."""
        return "\n".join(part for part in (self.question, self.heading, self.text) if part)


@dataclass(frozen=True)
class Document:
    """`name` is what it is replaced and removed by; `source` is what is cited: a path, an address."""

    name: str
    source: str
    passages: tuple[Passage, ...]
    language: str = "en"
    tags: tuple[str, ...] = ()
    title: str = ""


def cut(text: str, form: Form = "markdown", *, size: int = SIZE, overlap: int = OVERLAP) -> tuple[Passage, ...]:
    """The passages of a text, in its order; none for a text of markup alone. Raises InputError `document_binary`."""
    if "\x00" in text:
        raise InputError("It holds NUL characters: this is no text.", code="document_binary")
    read = {"markdown": blocks_of_markdown, "html": blocks_of_html, "text": blocks_of_text}[form]
    found: list[Passage] = []
    waiting: list[Block] = []
    for block in read(_lines(text)):
        if waiting and block.headings != waiting[0].headings:
            found += _packed(waiting, size, overlap)
            waiting = []
        waiting.append(block)
    return (*found, *_packed(waiting, size, overlap))


def pair(question: str, answer: str, *, line: int = 1) -> Passage:
    """A question with its answer, as one passage whatever its length: half an answer is none."""
    return Passage(text=_lines(answer).strip(), question=_lines(question).strip(), line=line, last=line)


def units(text: str) -> int:
    """How long a text is: words, and characters of scripts without blanks."""
    return len(_UNIT.findall(text))


def language_of(text: str) -> str:
    """ISO 639-1, by script, and between four languages in Latin letters by their commonest words."""
    sample = text[:4000]
    letters = len(_LETTERS.findall(sample))
    for name, script, share in _SCRIPTS:
        if letters and len(script.findall(sample)) >= share * letters:
            return name
    words = sample.casefold().split()
    counts = {name: sum(word in common for word in words) for name, common in _COMMON.items()}
    return max(counts, key=lambda name: counts[name])


def _lines(text: str) -> str:
    """One kind of line break, whatever the text has."""
    return _BREAK.sub("\n", text)


# ---------------------------------------------------------------- packing


@dataclass(frozen=True)
class _Piece:
    text: str
    line: int
    last: int
    joint: str  # what parts it from the piece before it


def _packed(blocks: Sequence[Block], size: int, overlap: int) -> Iterator[Passage]:
    """Blocks under one heading as passages of at most `size`, a sentence longer than that alone."""
    if not blocks:
        return
    heading = HEADINGS.join(blocks[0].headings)
    here: list[_Piece] = []
    held = 0
    for block in blocks:
        for piece in _pieces(block, size):
            length = units(piece.text)
            if here and held + length > size:
                yield _passage(here, heading)
                here = _tail(here, overlap) if length + overlap <= size else []
                held = sum(units(one.text) for one in here)
            here.append(piece)
            held += length
    yield _passage(here, heading)


def _pieces(block: Block, size: int) -> Iterator[_Piece]:
    if units(block.text) <= size:
        yield _Piece(block.text, block.line, block.last, "\n\n")
        return
    line, joint = block.line, "\n\n"
    for match in _SENTENCE.finditer(block.text):
        sentence = match[0]
        if sentence.strip():
            first = line + _lines_before(sentence)
            for part in _parts(sentence.strip(), size):
                yield _Piece(part, min(first, block.last), min(first + part.count("\n"), block.last), joint)
                joint = " " if not _is_wide(part[-1:]) else ""
        line += sentence.count("\n")


def _parts(sentence: str, size: int) -> Iterator[str]:
    """A sentence that is longer than a passage, a table or minified code say, in parts that are not."""
    ends = [match.end() for match in _UNIT.finditer(sentence)]
    start = 0
    for place in range(size - 1, len(ends) - 1, size):
        yield sentence[start : ends[place]].strip()
        start = ends[place]
    if rest := sentence[start:].strip():
        yield rest


def _tail(pieces: Sequence[_Piece], overlap: int) -> list[_Piece]:
    """The last sentences, at most `overlap` units of them."""
    kept: list[_Piece] = []
    left = overlap
    for piece in reversed(pieces):
        sentences = [one[0].strip() for one in _SENTENCE.finditer(piece.text) if one[0].strip()]
        for sentence in reversed(sentences):
            left -= units(sentence)
            if left < 0:
                return kept
            kept.insert(0, _Piece(sentence, piece.last, piece.last, " " if not _is_wide(sentence[-1:]) else ""))
    return kept


def _passage(pieces: Sequence[_Piece], heading: str) -> Passage:
    text = pieces[0].text + "".join(piece.joint + piece.text for piece in pieces[1:])
    return Passage(text, heading, min(one.line for one in pieces), max(one.last for one in pieces))


def _lines_before(sentence: str) -> int:
    return sentence[: len(sentence) - len(sentence.lstrip())].count("\n")


def _is_wide(character: str) -> bool:
    return bool(re.match(r"[　-〿぀-ヿ㐀-䶿一-鿿＀-￯]", character))
