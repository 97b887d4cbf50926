"""The tokeniser of a translator: source and target text in one vocabulary, with what stands around them.

Ours is a byte-level BPE learnt from both languages (Sennrich et al. 2016), with tokens that stand for terms of a glossary.
Folders of NLLB, M2M100 and Marian that have a tokenizer.json are taken as they are; other ones of Marian have a tokeniser for
each side, over one vocabulary. Not here: the pairs of byte-level BPE itself (`language.py`), which terms there are (`glossary.py`).

    source  before + text + eos           target  start + text + eos       (before: NLLB's source language, Marian's target language)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError, nearest
from tradewind.features.glossary import Found
from tradewind.features.language import LanguageTokenizer
from tradewind.features.language_training import byte_pairs
from tradewind.features.marian_files import is_marian, read_marian
from tradewind.files import digest_json, read_json, write_json

FRAME = "pair.json"
READING = "source"  # the folder of a tokeniser for the source alone
TERMS = ("<|term1|>", "<|term2|>", "<|term3|>", "<|term4|>")

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Frame:
    """Token numbers around a text. `start` is what a decoder is given first; `pad` fills a batch."""

    before: tuple[int, ...]
    start: tuple[int, ...]
    eos: int
    pad: int
    terms: tuple[int, ...]


class PairTokenizer:
    """Safe for threads. `vocabulary` is the number of tokens. `reading` cuts sources into tokens, where that is done in another
    way than `language` does with targets; the numbers of both mean the same."""

    def __init__(self, language: LanguageTokenizer, frame: Frame, *, reading: LanguageTokenizer | None = None) -> None:
        self.language, self.frame = language, frame
        self.reading = language if reading is None else reading
        self.vocabulary = language.vocabulary
        of_source = {} if reading is None else {"source": reading.fingerprint}
        self.fingerprint = digest_json({"tokenizer": language.fingerprint, "frame": asdict(frame), **of_source})

    @classmethod
    def learn(cls, texts: Iterable[str], *, vocabulary: int) -> Self:
        """From texts of both languages. Raises DataError vocabulary_too_small."""
        language = LanguageTokenizer(byte_pairs(texts, vocabulary=vocabulary, further=TERMS, template=None))
        eos, pad = language.specials.eos, language.specials.pad
        terms = tuple(number for word in TERMS if (number := language.special(word)) is not None)
        return cls(language, Frame((), (eos,), eos, pad, terms))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """One that `save` wrote. Raises DataError tokeniser_missing, tokeniser_broken."""
        try:
            content = read_json(folder / FRAME)
            frame = Frame(
                tuple(content["before"]), tuple(content["start"]), int(content["eos"]), int(content["pad"]),
                tuple(content["terms"]),
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"It cannot be read ({error}).", code="tokeniser_broken", where=str(folder / FRAME)
            ) from error
        reading = LanguageTokenizer.open(folder / READING) if (folder / READING).is_dir() else None
        return cls(LanguageTokenizer.open(folder), frame, reading=reading)

    @classmethod
    def pretrained(cls, folder: Path, *, source: str, target: str) -> Self:
        """That of a Hugging Face folder; `source` and `target` are languages as the folder names them. A run of ours, which was
        trained for two languages, keeps its own.

        Raises DataError tokeniser_missing, tokeniser_broken, language_unknown.
        """
        if (folder / FRAME).is_file():
            return cls.open(folder)
        config = _config(folder)
        if is_marian(folder) and not (folder / "tokenizer.json").is_file():
            return cls._marian(folder, config, target=target)
        language = LanguageTokenizer.open(folder)
        eos, pad = language.specials.eos, language.specials.pad
        begin = config.get("decoder_start_token_id", eos)
        begin = int(begin) if isinstance(begin, int) else eos
        if config.get("model_type") == "marian":
            return cls(language, Frame((), (begin,), eos, pad, ()))
        read, written = (_language_token(language, one, folder) for one in (source, target))
        return cls(language, Frame((read,), (begin, written), eos, pad, ()))

    @classmethod
    def _marian(cls, folder: Path, config: Mapping[str, object], *, target: str) -> Self:
        """A model for several targets is told by a token before the source which one is wanted."""
        reading, language = (LanguageTokenizer(files, where=folder) for files in read_marian(folder))
        eos, pad = language.specials.eos, language.specials.pad
        begin = config.get("decoder_start_token_id", pad)
        code = language.special(f">>{target}<<")
        known = sorted(word[2:-2] for word in language.special_words() if word.startswith(">>"))
        if code is None and known:
            raise _unknown_language(target, known, folder)
        before = () if code is None else (code,)
        frame = Frame(before, (begin if isinstance(begin, int) else pad,), eos, pad, ())
        return cls(language, frame, reading=reading)

    def save(self, folder: Path) -> None:
        """Files that `AutoTokenizer` opens, and the frame beside them."""
        self.language.save(folder)
        if self.reading is not self.language:
            self.reading.save(folder / READING)
        write_json(folder / FRAME, asdict(self.frame))

    # ---------------------------------------------------------------- text to tokens

    def sources(self, texts: Sequence[str]) -> list[Ids]:
        """Whole source sequences, on all cores."""
        frame = self.frame
        return [_framed(frame.before, ids, frame.eos) for ids in self.reading.encode_batch(texts)]

    def targets(self, texts: Sequence[str]) -> list[Ids]:
        """Whole target sequences, on all cores."""
        frame = self.frame
        return [_framed(frame.start, ids, frame.eos) for ids in self.language.encode_batch(texts)]

    def source(self, text: str, found: Sequence[Found] = ()) -> list[int]:
        """A source sequence in which the terms of `found` are tokens of their own, as many as there are."""
        return [*self.frame.before, *self.with_terms(text, [(one.start, one.end) for one in found]), self.frame.eos]

    def with_terms(
        self, text: str, places: Sequence[tuple[int, int]], numbers: Sequence[int] | None = None
    ) -> list[int]:
        """Tokens of a target whose `places` are the terms of these numbers, from 0; of a source, in order, where none are given."""
        language = self.reading if numbers is None else self.language
        ids: list[int] = []
        at = 0
        for count, (start, end) in enumerate(places[: len(self.frame.terms)] if numbers is None else places):
            ids += language.encode(text[at:start])
            ids.append(self.frame.terms[count if numbers is None else numbers[count]])
            at = end
        return ids + language.encode(text[at:])

    # ---------------------------------------------------------------- tokens to text

    def decode(self, ids: Sequence[int], translations: Sequence[str] = ()) -> str:
        """The text of target tokens; the term of number n is written as translations[n], and left out where there is none."""
        written: list[str] = []
        run: list[int] = []
        for one in ids:
            if one not in self.frame.terms:
                run.append(one)
                continue
            written.append(self.language.decode(run))
            run = []
            place = self.frame.terms.index(one)
            written += [translations[place]] if place < len(translations) else []
        return "".join([*written, self.language.decode(run)])

    def words(self) -> list[str]:
        """A name for every token number, no two alike: what an engine's vocabulary file lists."""
        return [str(number) for number in range(self.vocabulary)]


def _framed(before: tuple[int, ...], ids: Ids, eos: int) -> Ids:
    return np.concatenate([np.array(before, np.int32), ids, np.array([eos], np.int32)])


def _config(folder: Path) -> dict[str, object]:
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _language_token(language: LanguageTokenizer, code: str, folder: Path) -> int:
    """M2M100 writes a language as __en__, NLLB as eng_Latn."""
    for word in (code, f"__{code}__"):
        number = language.special(word)
        if number is not None:
            return number
    raise _unknown_language(code, sorted(word.strip("_") for word in language.special_words() if "_" in word), folder)


def _unknown_language(code: str, known: Sequence[str], folder: Path) -> DataError:
    return DataError(
        f"The tokeniser has no token for the language {code}.", code="language_unknown", where=str(folder),
        hint=nearest(code, known) or (f"It knows {', '.join(known[:8])} …" if known else "It names no language."),
    )  # fmt: skip
