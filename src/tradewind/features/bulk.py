"""Encoding whole corpora: the same numbers as `LanguageTokenizer.encode`, several times as fast.

Byte-level pairs are merged by tiktoken over the tokeniser's own merges, single characters by one look-up. Each tokeniser is
proved to suit before it is used that way; one that does not is encoded by `tokenizers` itself. Nothing here is needed for
serving, and nothing asks the network: the merges are the tokeniser's.

Not here: encoding a prompt (`language.py`), writing tokens (`data/packing.py`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tradewind.features.language import LanguageTokenizer
from tradewind.features.text_stream import byte_alphabet

try:
    import tiktoken
except ModuleNotFoundError:  # `tradewind[serve]` alone
    tiktoken = None  # type: ignore[assignment]

Tokens = NDArray[np.int32]

_PROBES = 200
_PARTS = 8  # of a block, for each thread
_NOWHERE = "\ufdd0\ufdd1\ufdd2\ufdd3"
# GPT-2's own pattern, which ByteLevel(use_regex=True) applies.
_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_STUBBORN = (
    "don't  we'll\n\n\n a\tb\r\n  c1234567", "你好，世界！GPT模型 2024年 3.5万", "Straße Größe — naïve café “quoted”…",
    "   leading and trailing   ", "カタカナとひらがな漢字 한국어 עברית ไทย हिन्दी", "🙂👩‍👩‍👧‍👦🇨🇳 e\u0301 \u200b\u00a0\u3000x", "a" * 300 + "哈" * 300,
    "", " ", "\n", "<|im_end|> <|endoftext|>", "\u1e9b\u0323 \ufb01 \u212b \u0344",
)  # fmt: skip


class BulkEncoder:
    """Encodes many texts. `way` says how: tiktoken, characters or tokenizers."""

    def __init__(self, tokenizer: LanguageTokenizer, *, threads: int = 1, sample: Sequence[str] = ()) -> None:
        self.way = "tokenizers"
        self._tokenizer = tokenizer
        self._threads = threads
        self._table: NDArray[np.int32] | None = None
        self._ranked: Any = None
        self._normal: str | None = None
        self._characters = _character_table(tokenizer.definition)
        # An added token such as <think> is read by `tokenizers` alone.
        self._added = re.compile("|".join(map(re.escape, tokenizer.added))) if tokenizer.added else None
        if self._characters is not None:
            self.way = "characters"
        elif (prepared := _ranked(tokenizer.definition)) is not None:
            self._ranked, self._table, self._normal = prepared
            self.way = "tiktoken"
        if self.way != "tokenizers" and not self._agrees([*_STUBBORN, *sample[:_PROBES]]):
            self.way = "tokenizers"

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, in order."""
        if self.way == "tokenizers":
            return self._tokenizer.encode_batch(texts)
        if self._threads < 2 or len(texts) < 2 * self._threads:
            return [self._one(text) for text in texts]
        size = -(-len(texts) // (_PARTS * self._threads))
        parts = [texts[at : at + size] for at in range(0, len(texts), size)]
        with ThreadPoolExecutor(self._threads) as pool:  # tiktoken lets go of the interpreter's lock
            return [tokens for some in pool.map(lambda part: [*map(self._one, part)], parts) for tokens in some]

    def _one(self, text: str) -> Tokens:
        if self._added is not None and self._added.search(text):
            return np.array(self._tokenizer.encode(text), dtype=np.int32)
        try:
            raw = text.encode("utf-32-le")
        except UnicodeEncodeError:
            return np.array(self._tokenizer.encode(text), dtype=np.int32)
        if self._characters is not None:
            return self._characters[np.frombuffer(raw, dtype=np.uint32)]
        if self._normal is not None and not unicodedata.is_normalized(self._normal, text):  # type: ignore[arg-type]
            text = unicodedata.normalize(self._normal, text)  # type: ignore[arg-type]
        assert self._table is not None
        return self._table[np.frombuffer(self._ranked.encode_to_numpy(text, disallowed_special=()), dtype=np.uint32)]

    def _agrees(self, texts: Sequence[str]) -> bool:
        slow = self._tokenizer.encode_batch(texts)
        return all(np.array_equal(self._one(text), tokens) for text, tokens in zip(texts, slow, strict=True))


def _character_table(definition: Mapping[str, Any]) -> NDArray[np.int32] | None:
    """Token by code point, for a tokeniser of single characters; None for others."""
    model, cut = definition["model"], definition.get("pre_tokenizer") or {}
    if model["type"] != "WordLevel" or cut.get("pattern") != {"Regex": r"[\s\S]"} or definition.get("normalizer"):
        return None
    table = np.full(0x110000, model["vocab"][model["unk_token"]], dtype=np.int32)
    for word, number in model["vocab"].items():
        if len(word) == 1:
            table[ord(word)] = number
    return table


def _ranked(definition: Mapping[str, Any]) -> tuple[Any, NDArray[np.int32], str | None] | None:
    """tiktoken over the merges of a byte-level BPE, the tokeniser's number by rank, and the normal form; None where it
    cannot be proved to merge alike.
    """
    normal = _normal_form(definition.get("normalizer"))
    pattern = _pattern(definition.get("pre_tokenizer"))
    if tiktoken is None or normal == "other" or pattern is None or definition["model"]["type"] != "BPE":
        return None
    ranks = _ranks(definition["model"])
    if ranks is None:
        return None
    alphabet = byte_alphabet()
    spelt = {bytes(map(alphabet.__getitem__, word)): rank for word, rank in ranks.items()}
    try:
        # Without any special token its search for them stops at every character; this one stands in no text.
        encoding = tiktoken.Encoding(
            "ours", pat_str=pattern, mergeable_ranks=spelt, special_tokens={_NOWHERE: len(spelt)}
        )
    except ValueError:  # a pattern that its engine of regular expressions does not know
        return None
    numbers = np.array([definition["model"]["vocab"][word] for word in ranks], dtype=np.int32)
    return encoding, numbers, normal


def _normal_form(normalizer: Mapping[str, Any] | None) -> str | None:
    if normalizer is None:
        return None
    return str(normalizer["type"]) if normalizer["type"] in ("NFC", "NFKC") else "other"


def _pattern(cut: Mapping[str, Any] | None) -> str | None:
    """The regular expression by which text is cut before pairs are merged."""
    steps = list((cut or {}).get("pretokenizers", [cut] if cut else []))
    if not steps or steps[-1]["type"] != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    if steps[-1].get("use_regex", True):
        return _GPT2 if len(steps) == 1 else None
    if len(steps) != 2 or steps[0]["type"] != "Split" or "Regex" not in steps[0]["pattern"]:
        return None
    split = steps[0]
    pattern = str(split["pattern"]["Regex"])
    covers = split["behavior"] == "Isolated" and not split["invert"]
    return pattern if covers or (split["behavior"] == "Removed" and split["invert"]) else None


def _ranks(model: Mapping[str, Any]) -> dict[str, int] | None:
    """Rank by token in the order of the merges, or None where tiktoken could merge otherwise.

    tiktoken joins any two neighbours that spell a token, `tokenizers` only a pair that its list of merges holds. They are the
    same when each token comes from one merge, of parts that come before it, and is what its own bytes are merged to: then no
    other two neighbours can spell it when its turn comes, as parts of a merged text are merged as they are alone.
    """
    if model.get("dropout") or model.get("byte_fallback") or model.get("continuing_subword_prefix"):
        return None
    if model.get("end_of_word_suffix"):
        return None
    alphabet = byte_alphabet()
    vocabulary = model["vocab"]
    if not all(sign in vocabulary for sign in alphabet):
        return None
    ranks = {sign: rank for rank, sign in enumerate(alphabet)}
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        if left not in ranks or right not in ranks or left + right in ranks or left + right not in vocabulary:
            return None
        ranks[left + right] = len(ranks)
    return ranks if _spell_themselves(model, list(ranks)) else None


def _spell_themselves(model: Mapping[str, Any], words: Sequence[str]) -> bool:
    from_merges = Tokenizer.from_str(_bare(model))
    encoded = from_merges.encode_batch_fast(list(words), add_special_tokens=False)
    return all(one.ids == [model["vocab"][word]] for word, one in zip(words, encoded, strict=True))


def _bare(model: Mapping[str, Any]) -> str:
    return json.dumps({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                       "post_processor": None, "decoder": None, "truncation": None, "padding": None,
                       "model": {**model, "ignore_merges": False}})  # fmt: skip
