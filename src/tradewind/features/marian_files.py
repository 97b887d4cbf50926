"""The tokenisers of a Marian folder: source.spm, target.spm (SentencePiece, Kudo and Richardson 2018) and their joint vocab.json.

Each becomes a tokenizer.json whose numbers are those of vocab.json: the library `tokenizers` computes of it what SentencePiece
does, but that a character without a piece of its own side is unknown even where the other side has one. Not here: what stands around a text (`pair_tokenizer.py`).

An .spm file is a protocol buffer: 1 pieces (1 text, 2 score, 3 kind), 2 training (3 model), 3 normalisation (2 table of characters).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tradewind.errors import DataError
from tradewind.features.language_files import TokenizerFiles
from tradewind.files import read_json

SOURCE, TARGET, VOCABULARY = "source.spm", "target.spm", "vocab.json"
_UNIGRAM = 1
_NORMAL, _DEFINED = 1, 4  # kinds of pieces that texts are made of
_FOREIGN = (
    "\ufdd0"  # before pieces of the other side, which no text of this one is cut into; no text holds this character
)
_WORDS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


@dataclass(frozen=True)
class _Pieces:
    """A SentencePiece model: scores by piece, and its table of characters that are written another way, empty without one."""

    scores: Mapping[str, float]
    characters: bytes


def is_marian(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (SOURCE, TARGET, VOCABULARY))


def read_marian(folder: Path) -> tuple[TokenizerFiles, TokenizerFiles]:
    """Tokenisers of source and target. Raises DataError tokeniser_broken."""
    try:
        vocabulary: dict[str, int] = read_json(folder / VOCABULARY)
        pieces = [word for word, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
        if [vocabulary[word] for word in pieces] != list(range(len(pieces))):
            raise ValueError(f"{VOCABULARY} leaves numbers out")
        if missing := [word for word in _WORDS.values() if word not in vocabulary]:
            raise ValueError(f"{VOCABULARY} has no {missing[0]}")
        source, target = (_read_pieces((folder / name).read_bytes()) for name in (SOURCE, TARGET))
    except (OSError, ValueError, TypeError, AttributeError, IndexError, struct.error) as error:
        raise DataError(
            f"The tokeniser cannot be read ({error}).", code="tokeniser_broken", where=str(folder),
            hint="Copy source.spm, target.spm and vocab.json again from where they came.",
        ) from error  # fmt: skip
    return _files(source, pieces), _files(target, pieces)


def _files(model: _Pieces, vocabulary: list[str]) -> TokenizerFiles:
    """`vocabulary` in the order of its numbers."""
    languages = [word for word in vocabulary if word.startswith(">>") and word.endswith("<<")]
    least = min(model.scores.values())
    kept = {*model.scores, *_WORDS.values(), *languages}
    scored = [(word if word in kept else _FOREIGN + word, model.scores.get(word, least)) for word in vocabulary]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=vocabulary.index(_WORDS["unk_token"]), byte_fallback=False))
    table = [normalizers.Precompiled(model.characters)] if model.characters else []
    # No text can spell a special token: whoever writes one gets a blank in it.
    spelt = [normalizers.Replace(word, f"{word[0]} {word[1:]}") for word in (*_WORDS.values(), *languages)]
    blanks = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence([*table, *spelt, *blanks])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    pieces = decoders.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_FOREIGN, ""), pieces])
    tokenizer.add_special_tokens(
        [AddedToken(word, special=True, normalized=False) for word in (*_WORDS.values(), *languages)]
    )
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **_WORDS}
    return TokenizerFiles(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False), config, None)


# ---------------------------------------------------------------- the protocol buffer


def _read_pieces(content: bytes) -> _Pieces:
    scores: dict[str, float] = {}
    characters = b""
    for number, value in _fields(content):
        if number == 1:
            piece = dict(_fields(value))
            if piece.get(3, _NORMAL) in (_NORMAL, _DEFINED):
                scores[piece[1].decode()] = struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0
        elif number == 2 and dict(_fields(value)).get(3, _UNIGRAM) != _UNIGRAM:
            raise ValueError("it is no unigram model")
        elif number == 3:
            characters = dict(_fields(value)).get(2, b"")
    if not scores:
        raise ValueError("it holds no pieces")
    return _Pieces(scores, characters)


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an integer, or bytes."""
    at = 0
    while at < len(content):
        tag, at = _integer(content, at)
        kind, value = tag & 7, b""
        if kind == 0:
            number, at = _integer(content, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            size, at = _integer(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the kind {kind}")
        value = content[at : at + size]
        if len(value) < size:
            raise ValueError("it ends too soon")
        at += size
        yield tag >> 3, value


def _integer(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where the next field begins."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
