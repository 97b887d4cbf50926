"""From text to token numbers: a byte-level BPE fitted on training texts, or a pretrained `tokenizer.json`.

Not here: n-grams and the column (`text.py`), documents packed for a language model (`data/corpus.py`).

Legend: T tokens of one text. Token 0 is padding and never stands in an encoded text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Encoding

from tradewind.errors import ArtifactError, DataError
from tradewind.files import digest_bytes

VOCABULARY = 8000
_LEAST_COUNT = 2
# Nothing behind so many characters per token can be within the first `max_tokens` of a real text.
_CHARACTERS_PER_TOKEN = 32
# Chinese and Japanese have no word breaks. A character of its own beats pieces merged across characters: on waimai
# 0.8966 against 0.8932 (LAB.md). Every other script is cut at spaces, digits and punctuation.
_IDEOGRAPH = Regex(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_PIECE = Regex(r"\s?[\p{L}\p{M}]+|\s?\p{N}{1,3}|\s?[^\s\p{L}\p{N}]+|\s+")
_PAD_WORDS = ("[PAD]", "<pad>", "<|pad|>", "<PAD>")


@dataclass(frozen=True)
class Tokenizer:
    """Encodes text as numbers in 1 … `vocabulary` - 1.

    `offset` is what was added to the numbers of the underlying tokeniser so that 0 is free for padding: 1 for our own, 0
    for a pretrained one whose padding is 0 already. `source` is the digest of a pretrained `tokenizer.json`, or None.
    """

    definition: Mapping[str, Any] = field(repr=False)
    max_tokens: int
    offset: int
    source: str | None = None
    _encoding: Encoding = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        encoding = Encoding.from_str(json.dumps(self.definition))
        encoding.no_padding()
        encoding.enable_truncation(self.max_tokens)
        object.__setattr__(self, "_encoding", encoding)

    @classmethod
    def fit(cls, texts: Iterable[str], *, max_tokens: int, vocabulary: int = VOCABULARY) -> Self:
        """A byte-level BPE (Sennrich et al. 2016; bytes after Radford et al. 2019): no text holds an unknown token.

        NFKC and lower case first. Depends on the texts alone, not on their order.
        """
        encoding = Encoding(models.BPE())
        encoding.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        encoding.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(_IDEOGRAPH, "isolated"),
                pre_tokenizers.Split(_PIECE, "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary - 1,
            min_frequency=_LEAST_COUNT,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        encoding.train_from_iterator(texts, trainer)
        return cls(definition=json.loads(encoding.to_str()), max_tokens=max_tokens, offset=1)

    @classmethod
    def from_file(cls, path: Path, *, max_tokens: int) -> Self:
        """The tokeniser of a Hugging Face folder, or a `tokenizer.json` itself; its own special tokens are kept.

        Raises DataError when there is none or it cannot be read.
        """
        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            data = file.read_bytes()
            definition = json.loads(data)
            encoding = Encoding.from_str(data.decode())
        except OSError as error:
            raise DataError(
                f"There is no tokeniser ({error.strerror or error}).",
                code="tokeniser_missing",
                where=str(file),
                hint="Name a Hugging Face folder with a tokenizer.json, or that file.",
            ) from error
        except Exception as error:  # the Rust side raises plain Exception
            raise DataError(
                f"This is no tokeniser that can be read ({error}).", code="tokeniser_broken", where=str(file)
            ) from error
        least = encoding.num_special_tokens_to_add(is_pair=False) + 1
        if max_tokens < least:
            raise DataError(
                f"max_tokens is {max_tokens}, but this tokeniser needs at least {least}.",
                code="max_tokens",
                where="data.columns",
            )
        padding = encoding.padding["pad_id"] if encoding.padding else _padding(encoding)
        return cls(definition, max_tokens, offset=0 if padding == 0 else 1, source=digest_bytes(data))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Raises ArtifactError for a state that cannot be read."""
        try:
            return cls(state["definition"], state["max_tokens"], offset=state["offset"], source=state["source"])
        except (KeyError, TypeError):
            raise
        except Exception as error:  # the Rust side raises plain Exception
            raise ArtifactError(f"The tokeniser cannot be read ({error}).", code="tokeniser_broken") from error

    def state(self) -> dict[str, Any]:
        return {
            "definition": dict(self.definition),
            "max_tokens": self.max_tokens,
            "offset": self.offset,
            "source": self.source,
        }

    @property
    def vocabulary(self) -> int:
        """One more than the largest token number: the rows of an embedding, padding included."""
        return max(self._encoding.get_vocab(with_added_tokens=True).values(), default=-1) + 1 + self.offset

    def encode(self, text: str) -> list[int]:
        """Token numbers [T], T ≤ `max_tokens`; none for an empty text of our own tokeniser."""
        return self._numbers(self._encoding.encode(self._cut(text)).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Like `encode` for each text, on all cores."""
        cut = [self._cut(text) for text in texts]
        return [self._numbers(one.ids) for one in self._encoding.encode_batch_fast(cut)]

    def _cut(self, text: str) -> str:
        return text[: self.max_tokens * _CHARACTERS_PER_TOKEN]

    def _numbers(self, ids: list[int]) -> list[int]:
        if self.offset:
            return [one + 1 for one in ids]
        # A text may spell out the padding token; nothing but padding is 0.
        return [one for one in ids if one] if 0 in ids else ids


def _padding(encoding: Encoding) -> int | None:
    """The number of the padding token where the file does not say."""
    found = (encoding.token_to_id(word) for word in _PAD_WORDS)
    return next((number for number in found if number is not None), None)
