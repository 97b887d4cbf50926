"""Text: token numbers for a network, and a bag of word and character n-grams with TF-IDF weights for a linear part.

Not here: the tokeniser (`tokenizer.py`), dropping or swapping tokens (`data/augment.py`), networks (`model/text.py`).

Legend: B rows, T tokens, G n-grams. Number 0 is padding in both.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from tradewind.features.column import Block, ColumnSpec, Layout, TensorFeature, Values
from tradewind.features.tokenizer import VOCABULARY, Tokenizer

Bag: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]

# Up to 256 tokens always; longer only where more than one training text in a hundred is.
_TOKENS, _MOST_TOKENS, _LONG_SHARE = 256, 512, 0.99
_NGRAMS, _LEAST_COUNT, _LONGEST_NGRAM = 50_000, 2, 5
# Fitting counts every n-gram in Python: about a second for a million characters.
_FIT_CHARACTERS = 20_000_000
_MOST_CHARACTERS = 8_000
_CACHED, _CACHED_CHARACTERS = 50_000, 24

_IDEOGRAPHS = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")


@dataclass(frozen=True)
class Ngrams:
    """A vocabulary of n-grams: `words` (one and two words; an ideograph is a word), then `characters` (two to five of a
    stretch without spaces, its ends marked by a space), numbered from 1 on in that order.

    `word_rows` and `character_rows` say in how many of the `rows` fitted texts each occurs.
    """

    words: tuple[str, ...]
    characters: tuple[str, ...]
    word_rows: tuple[int, ...]
    character_rows: tuple[int, ...]
    rows: int
    _words: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _characters: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _idf: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _stretches: dict[str, list[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first = len(self.words) + 1
        idf = [math.log((1 + self.rows) / (1 + n)) + 1 for n in (*self.word_rows, *self.character_rows)]
        object.__setattr__(self, "_words", {gram: n for n, gram in enumerate(self.words, start=1)})
        object.__setattr__(self, "_characters", {gram: n for n, gram in enumerate(self.characters, start=first)})
        object.__setattr__(self, "_idf", np.array([0.0, *idf]))
        object.__setattr__(self, "_stretches", {})

    @classmethod
    def fit(cls, texts: Iterable[str], *, most: int = _NGRAMS) -> Self:
        """The `most` n-grams that occur in the most texts, and in two at least; ties by spelling."""
        words: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        rows = 0
        for text in texts:
            plain = _plain(text)
            rows += 1
            words.update(set(_word_ngrams(plain)))
            characters.update({gram for stretch in plain.split() for gram in _character_ngrams(stretch)})
        ranked = [(-n, 0, gram) for gram, n in words.items() if n >= _LEAST_COUNT]
        ranked += [(-n, 1, gram) for gram, n in characters.items() if n >= _LEAST_COUNT]
        ranked = sorted(ranked)[:most]
        return cls(
            words=tuple(gram for _, kind, gram in ranked if kind == 0),
            characters=tuple(gram for _, kind, gram in ranked if kind == 1),
            word_rows=tuple(-n for n, kind, _ in ranked if kind == 0),
            character_rows=tuple(-n for n, kind, _ in ranked if kind == 1),
            rows=rows,
        )

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(
            words=tuple(state["words"]),
            characters=tuple(state["characters"]),
            word_rows=tuple(state["word_rows"]),
            character_rows=tuple(state["character_rows"]),
            rows=state["rows"],
        )

    def state(self) -> dict[str, Any]:
        return {
            "words": list(self.words),
            "characters": list(self.characters),
            "word_rows": list(self.word_rows),
            "character_rows": list(self.character_rows),
            "rows": self.rows,
        }

    @property
    def vocabulary(self) -> int:
        """One more than the largest number, padding included."""
        return len(self.words) + len(self.characters) + 1

    def encode(self, text: str) -> Bag:
        """The distinct known n-grams of a text in increasing order, [G], and their weights, [G], of length 1.

        A weight is (1 + ln tf) · (1 + ln((1 + N) / (1 + df))), after Salton and Buckley (1988).
        """
        plain = _plain(text)
        found = [number for number in map(self._words.get, _word_ngrams(plain)) if number]
        for stretch in plain.split():
            found += self._of_stretch(stretch)
        if not found:
            return _NOTHING
        # What np.unique does with counts, without its overhead: this is the path of every served row.
        ids = np.array(found, dtype=np.int64)
        ids.sort()
        first = np.empty(len(ids), dtype=np.bool_)
        first[0] = True
        np.not_equal(ids[1:], ids[:-1], out=first[1:])
        starts_G = first.nonzero()[0]
        ids_G = ids[starts_G]
        weights_G = self._idf[ids_G]
        if len(ids_G) < len(ids):
            weights_G *= 1 + np.log(np.diff(starts_G, append=len(ids)))
        weights_G /= math.sqrt(np.square(weights_G).sum())
        return ids_G, weights_G.astype(np.float32)

    def _of_stretch(self, stretch: str) -> list[int]:
        """Numbers of the known character n-grams. Most stretches of a spaced script come again: those are kept."""
        found = self._stretches.get(stretch)
        if found is None:
            found = [number for number in map(self._characters.get, _character_ngrams(stretch)) if number]
            if len(stretch) <= _CACHED_CHARACTERS:
                if len(self._stretches) >= _CACHED:
                    self._stretches.clear()
                self._stretches[stretch] = found
        return found


@dataclass(frozen=True)
class TextColumn:
    """A fitted column of text: tensors tokens [B, T], ngrams [B, G] and ngram_weights [B, G].

    A missing value is an empty text. T and G are the longest of the batch, and 1 at least.
    """

    kind: ClassVar[str] = "text"

    name: str
    tokenizer: Tokenizer
    ngrams: Ngrams
    _names: tuple[str, str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = (f"tokens:{self.name}", f"ngrams:{self.name}", f"ngram_weights:{self.name}")
        object.__setattr__(self, "_names", names)

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training values, shape [B]; `seed` is not needed.

        Options: `tokeniser` (a folder or file; otherwise one is fitted), `max_tokens` (256 by default, up to 512 where
        training texts are longer), `vocabulary` (8,000) and `most_ngrams` (50,000). Of more than 20 million characters
        as many are taken, evenly. Raises DataError for a tokeniser that cannot be read.
        """
        options = spec.options
        texts = _evenly([as_text(value)[:_MOST_CHARACTERS] for value in values.tolist()], _FIT_CHARACTERS)
        wanted = options.get("max_tokens")
        if path := options.get("tokeniser"):
            tokenizer = Tokenizer.from_file(Path(path), max_tokens=int(wanted or _TOKENS))
        else:
            vocabulary = int(options.get("vocabulary") or VOCABULARY)
            tokenizer = Tokenizer.fit(texts, max_tokens=int(wanted or _MOST_TOKENS), vocabulary=vocabulary)
            if not wanted:
                tokenizer = Tokenizer(tokenizer.definition, _length(tokenizer, texts), offset=tokenizer.offset)
        ngrams = Ngrams.fit(texts, most=int(options.get("most_ngrams") or _NGRAMS))
        return cls(name=spec.name, tokenizer=tokenizer, ngrams=ngrams)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        tokenizer, ngrams = Tokenizer.from_state(state["tokenizer"]), Ngrams.from_state(state["ngrams"])
        return cls(name=state["name"], tokenizer=tokenizer, ngrams=ngrams)

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "tokenizer": self.tokenizer.state(), "ngrams": self.ngrams.state()}

    @property
    def layout(self) -> Layout:
        """`meta` of tokens: `vocabulary`, `offset` and `source` of the tokeniser and `max_tokens`; of ngrams: `vocabulary`."""
        tokens, ngrams, weights = self._names
        coding = self.tokenizer
        meta = {
            "vocabulary": coding.vocabulary,
            "offset": coding.offset,
            "source": coding.source,
            "max_tokens": coding.max_tokens,
        }
        bag = {"vocabulary": self.ngrams.vocabulary}
        return Layout(
            tensors=(
                TensorFeature(tokens, self.name, "tokens", "int64", (None,), meta),
                TensorFeature(ngrams, self.name, "ngrams", "int64", (None,), bag),
                TensorFeature(weights, self.name, "ngram_weights", "float32", (None,), bag),
            )
        )

    def apply(self, values: Values) -> Block:
        """Tensors tokens int64 [B, T], ngrams int64 [B, G] and ngram_weights float32 [B, G], padded with 0."""
        texts = [as_text(value) for value in values.tolist()]
        tokens = self.tokenizer.encode_batch(texts)
        bags = [self.ngrams.encode(text) for text in texts]
        names = self._names
        return Block(
            tensors={
                names[0]: _padded(tokens, np.int64),
                names[1]: _padded([ids for ids, _ in bags], np.int64),
                names[2]: _padded([weights for _, weights in bags], np.float32),
            }
        )

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        text = value if type(value) is str and value.isascii() else as_text(value)
        ids_G, weights_G = self.ngrams.encode(text)
        names = self._names
        return {
            names[0]: np.array([self.tokenizer.encode(text) or [0]], dtype=np.int64),
            names[1]: ids_G[None] if ids_G.size else np.zeros((1, 1), dtype=np.int64),
            names[2]: weights_G[None] if ids_G.size else np.zeros((1, 1), dtype=np.float32),
        }


def as_text(value: object) -> str:
    """The text of a raw value: empty for a missing one. Half of a surrogate pair becomes a question mark."""
    if value is None or value != value:
        return ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


_NOTHING: Bag = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


def _plain(text: str) -> str:
    """What n-grams are taken from. NFKC makes full-width letters and digits plain ones."""
    text = text[:_MOST_CHARACTERS]
    return text.lower() if text.isascii() else normalize("NFKC", text).lower()


def _word_ngrams(plain: str) -> list[str]:
    """One and two words. A space stands inside the pairs only, so the two cannot be mistaken for each other."""
    words = WORD.findall(plain)
    return [*words, *map(" ".join, pairwise(words))]


def _character_ngrams(stretch: str) -> list[str]:
    """Two to five characters of a stretch without spaces, whose ends count as one character each."""
    marked = f" {stretch} "
    size = len(marked)
    return [marked[at : at + n] for n in range(2, min(_LONGEST_NGRAM, size) + 1) for at in range(size - n + 1)]


def _evenly(texts: list[str], most: int) -> list[str]:
    """All texts, or every n-th so that about `most` characters are left."""
    return texts[:: -(-sum(map(len, texts)) // most) or 1]


def _length(tokenizer: Tokenizer, texts: Sequence[str]) -> int:
    """256 tokens, or what 99 of 100 texts need, up to 512."""
    lengths = sorted(len(tokens) for tokens in tokenizer.encode_batch(texts))
    needed = lengths[int(_LONG_SHARE * (len(lengths) - 1))] if lengths else 0
    return min(_MOST_TOKENS, max(_TOKENS, needed))


def _padded(rows: Sequence[Sequence[Any] | NDArray[Any]], dtype: type[np.int64] | type[np.float32]) -> NDArray[Any]:
    """[B, longest] with zeros behind; one place at least."""
    longest = max((len(row) for row in rows), default=0)
    padded = np.zeros((len(rows), max(1, longest)), dtype=dtype)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = row
    return padded
