"""The tokeniser of a corpus: learnt from its training documents, or opened and given a chat template where it has none.

Not here: what a tokeniser is (`features/language.py`), encoding with it (`packing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewind.data.document_records import Document
from tradewind.data.gathering import Gathered
from tradewind.data.portions import Portions, pieces
from tradewind.errors import DataError
from tradewind.features.language import DEFAULT_TEMPLATE, END_OF_TURN, PLAIN_TEMPLATE, START_OF_TURN, LanguageTokenizer
from tradewind.product import Tokenizer

# Pairs are counted in so many characters, drawn evenly; more changes the commonest pairs no more.
_LEARNT_FROM = 32 << 20
# Tokens by bytes of training text: too many for a small text are seen too seldom to be learnt.
_SIZES = ((1 << 20, 2048), (8 << 20, 8192), (64 << 20, 16384))
_LARGEST = 32768


def tokenizer_for(
    settings: Tokenizer, gathered: Gathered, portions: Portions, opened: LanguageTokenizer | None
) -> LanguageTokenizer:
    """Raises DataError vocabulary_too_large or vocabulary_too_small where the corpus has not as many tokens as asked for."""
    if opened is not None:
        return opened if opened.template or gathered.kind == "text" else _with_template(opened)
    if settings.kind == "char":
        return _characters(settings, gathered, portions)
    size = int(gathered.bytes.sum())
    auto = settings.vocabulary == "auto"
    vocabulary = next((one for most, one in _SIZES if size <= most), _LARGEST) if auto else int(settings.vocabulary)
    tokenizer = LanguageTokenizer.train_bpe(_training_texts(gathered, portions), vocabulary=vocabulary)
    if not auto and tokenizer.vocabulary < vocabulary:
        raise DataError(
            f"A vocabulary of {vocabulary:,} is asked for, but the training text has pairs for {tokenizer.vocabulary:,} "
            "tokens only.", code="vocabulary_too_large", where="tokenizer.vocabulary",
            hint=f"Set at most {tokenizer.vocabulary}, or auto, or give more text.",
        )  # fmt: skip
    return tokenizer


def _characters(settings: Tokenizer, gathered: Gathered, portions: Portions) -> LanguageTokenizer:
    tokenizer = LanguageTokenizer.train_char(_training_texts(gathered, portions, all_of_it=True))
    if settings.vocabulary != "auto" and tokenizer.vocabulary > settings.vocabulary:
        raise DataError(
            f"The training text needs {tokenizer.vocabulary:,} tokens for its characters, but vocabulary is "
            f"{settings.vocabulary:,}.", code="vocabulary_too_small", where="tokenizer.vocabulary",
            hint="Leave it out, or set tokenizer.kind to bpe, which knows every text.",
        )  # fmt: skip
    return tokenizer


def _with_template(opened: LanguageTokenizer) -> LanguageTokenizer:
    """A base model's tokeniser learns to talk: in ChatML where it has the tokens for it, else in plain words."""
    has_turns = all(opened.special(word) is not None for word in (START_OF_TURN, END_OF_TURN))
    return opened.with_template(DEFAULT_TEMPLATE if has_turns else PLAIN_TEMPLATE)


def _training_texts(gathered: Gathered, portions: Portions, *, all_of_it: bool = False) -> Iterator[str]:
    """What is trained on, as texts; of a large corpus an even part of its documents."""
    total = int(gathered.characters.sum())
    step = 1 if all_of_it else max(1, int(np.ceil(total / _LEARNT_FROM)))
    for number, (name, document) in enumerate(pieces(gathered, portions)):
        if name == "train" and number % step == 0:
            yield _spoken(document)


def _spoken(document: Document) -> str:
    """What is said; of a conversation also by whom, as the words of roles stand in every prompt."""
    turns = document.content.get("messages")
    return document.text if turns is None else "\n".join([document.text, *(f"{turn['role']}\n" for turn in turns)])
