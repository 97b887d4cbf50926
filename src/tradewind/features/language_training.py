"""Tokenisers learnt from texts: byte-level pairs, or one token for each character.

Not here: using them (`language.py`), which texts they are learnt from (`data/learning.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from tradewind.errors import DataError
from tradewind.features.language_files import TokenizerFiles
from tradewind.features.template import DEFAULT_TEMPLATE

END, START_OF_TURN, END_OF_TURN, PAD, UNKNOWN = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>", "<|unknown|>"
_OURS = (END, START_OF_TURN, END_OF_TURN, PAD)
LEAST_BPE = 256 + len(_OURS)
_LEAST_COUNT = 2

# Runs of Chinese and Japanese apart from other letters (GPT模型 is two pieces), numbers by three digits, a blank with the word
# after it, line ends apart. No look-ahead: the regex engines then run without going back, twice as fast as GPT-4's pattern.
_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}"
PATTERN = rf" ?[{_CJK}]+| ?[\p{{L}}\p{{M}}&&[^{_CJK}]]+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+|\s*[\r\n]+|\s+"


def byte_pairs(
    texts: Iterable[str], *, vocabulary: int, further: Sequence[str] = (), template: str | None = DEFAULT_TEMPLATE
) -> TokenizerFiles:
    """A byte-level BPE of at most `vocabulary` tokens, with `further` special ones. Raises DataError vocabulary_too_small."""
    if vocabulary < LEAST_BPE + len(further):
        raise DataError(
            f"A vocabulary of {vocabulary:,} has no room for 256 bytes and {len(_OURS) + len(further)} special tokens.",
            code="vocabulary_too_small", where="tokenizer.vocabulary", hint=f"Set at least {LEAST_BPE + len(further)}.",
        )  # fmt: skip
    encoding = Tokenizer(models.BPE())
    encoding.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    encoding.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=_LEAST_COUNT,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[*_OURS, *further],
        show_progress=False,
    )
    encoding.train_from_iterator(texts, trainer)
    return replace(_files(encoding), template=template)


def characters(texts: Iterable[str]) -> TokenizerFiles:
    """One token for each character that occurs, and one for all others."""
    seen: set[str] = set()
    for text in texts:
        seen.update(text)
    vocabulary = {word: number for number, word in enumerate([*_OURS, UNKNOWN, *sorted(seen)])}
    encoding = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    encoding.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    encoding.decoder = decoders.Fuse()
    encoding.add_special_tokens([*_OURS, UNKNOWN])
    return _files(encoding)


def _files(encoding: Tokenizer) -> TokenizerFiles:
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": 1 << 30,
    }
    if encoding.token_to_id(UNKNOWN) is not None:
        config["unk_token"] = UNKNOWN
    return TokenizerFiles(encoding.to_str(), config, DEFAULT_TEMPLATE)
