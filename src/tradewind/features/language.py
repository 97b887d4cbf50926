"""The tokeniser of a language model: one object for corpus, training, evaluation and serving.

Not here: tokenisers of text columns (`tokenizer.py`), the template's language (`template.py`), encoding whole corpora fast
(`bulk.py`), packing (`data/packing.py`).

Special tokens that a user's text spells are text: no message can end a turn. Tokens that are added but not special (the
`<think>` of Qwen3) are read as tokens wherever they stand, as `transformers` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer

from tradewind.errors import DataError, InputError
from tradewind.features.language_files import TokenizerFiles, broken, read_files
from tradewind.features.language_training import (
    END,
    END_OF_TURN,
    LEAST_BPE,
    PATTERN,
    START_OF_TURN,
    byte_pairs,
    characters,
)
from tradewind.features.template import DEFAULT_TEMPLATE, PLAIN_TEMPLATE, ChatTemplate, Rendered
from tradewind.features.text_stream import ByteDecoder, TextStream, WholeDecoder, byte_alphabet

__all__ = [
    "DEFAULT_TEMPLATE", "END_OF_TURN", "LEAST_BPE", "PATTERN", "PLAIN_TEMPLATE", "START_OF_TURN", "LanguageTokenizer", "Specials",
    "TextStream",
]  # fmt: skip


@dataclass(frozen=True)
class Specials:
    """Token numbers. `bos` begins every text, None where the tokeniser puts none; `stops` end an answer."""

    bos: int | None
    eos: int
    pad: int
    stops: tuple[int, ...]


class LanguageTokenizer:
    def __init__(self, files: TokenizerFiles, *, where: Path = Path("tokenizer")) -> None:
        try:
            # Two of them: one reads special tokens, as in what a template wrote; the other one takes them as text.
            self._parsing, self._plain = Tokenizer.from_str(files.tokenizer), Tokenizer.from_str(files.tokenizer)
            definition = json.loads(files.tokenizer)
        except Exception as error:  # the Rust side raises plain Exception
            raise broken(where, str(error)) from error
        for one in (self._parsing, self._plain):
            one.no_padding()
            one.no_truncation()
        self._plain.encode_special_tokens = True
        self._files = files
        self._where = where
        self.definition: Mapping[str, Any] = definition
        added: dict[int, AddedToken] = self._parsing.get_added_tokens_decoder()
        self._special = {number for number, token in added.items() if token.special}
        self.added = tuple(token.content for token in added.values() if not token.special)
        self.vocabulary: int = max(self._parsing.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        self.fingerprint: str = files.fingerprint
        self.template: str | None = files.template
        self.is_byte_level = _is_byte_level(definition)
        self._decoder = self._byte_decoder(added) if self.is_byte_level else self._whole_decoder()
        # None of them may be spelt by a message: what the folder calls special, whatever its flag says.
        words = {added[number].content for number in self._special} | set(files.words.values())
        self._template = None
        if files.template is not None:
            self._template = ChatTemplate(files.template, words=files.words, specials=sorted(words))
        self.specials: Specials = self._find_specials()

    # ---------------------------------------------------------------- where tokenisers come from

    @classmethod
    def train_bpe(cls, texts: Iterable[str], *, vocabulary: int) -> Self:
        """A byte-level BPE (Sennrich et al. 2016; bytes after Radford et al. 2019) of at most `vocabulary` tokens.

        No text is unknown to it, and every text comes back to the byte. It has fewer tokens where the texts have no more
        pairs that occur twice. Raises DataError vocabulary_too_small.
        """
        return cls(byte_pairs(texts, vocabulary=vocabulary))

    @classmethod
    def train_char(cls, texts: Iterable[str]) -> Self:
        """One token for each character that occurs; every other one becomes `<|unknown|>`, which decodes to nothing."""
        return cls(characters(texts))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Any Hugging Face folder with a tokenizer.json. Raises DataError tokeniser_missing, _broken, template_broken."""
        return cls(read_files(folder), where=folder)

    def save(self, folder: Path) -> None:
        """Files that `transformers.AutoTokenizer` opens with equal numbers and an equal template."""
        folder.mkdir(parents=True, exist_ok=True)
        self._files.write(folder)

    def with_template(self, template: str) -> Self:
        """The same tokens with another chat template: a base model's, to which conversations are taught."""
        return type(self)(replace(self._files, template=template), where=self._where)

    # ---------------------------------------------------------------- text

    def encode(self, text: str) -> list[int]:
        """Token numbers of plain text; a special token that it spells is text."""
        numbers: list[int] = self._plain.encode(_whole(text), add_special_tokens=False).ids
        return numbers

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """`encode` of each text, on all cores."""
        encoded = self._plain.encode_batch_fast([_whole(text) for text in texts], add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int32) for one in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """The text, special tokens left out."""
        return self._decoder.decode(ids)

    def stream(self) -> TextStream:
        return self._decoder.stream()

    def special(self, word: str) -> int | None:
        """The number of a special token, None where there is none of that name."""
        number = self._parsing.token_to_id(word)
        return number if number in self._special else None

    def special_words(self) -> list[str]:
        """How the special tokens are written."""
        return [self._parsing.id_to_token(number) or "" for number in sorted(self._special)]

    def token(self, number: int) -> str:
        """How one token is written, special ones too; bytes that are no whole character come as U+FFFD."""
        if number in self._special or self.decode([number]) == "":
            return self._parsing.id_to_token(number) or ""
        return self.decode([number])

    # ---------------------------------------------------------------- conversations

    def chat(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] | None = None,
        continue_: bool = True,
    ) -> list[int]:  # fmt: skip
        """The tokens of a conversation; with `continue_` they end where the assistant is to answer.

        Raises InputError conversation_refused, DataError template_missing.
        """
        return self._tokens(self._chat_template().render(messages, tools=tools, opens_answer=continue_))

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] | None = None,
        continue_: bool = True,
    ) -> str:  # fmt: skip
        """The text of `chat`: that of `transformers.apply_chat_template`."""
        return self._chat_template().render(messages, tools=tools, opens_answer=continue_).plain

    def supervised(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] | None = None
    ) -> tuple[list[int], list[bool]]:
        """The tokens of a conversation and whether each is learnt: what the assistant says after its header, and the
        token that ends its turn. Nothing that a prompt gives is learnt.

        Raises DataError template_unstable where a prompt is not how the whole conversation begins: what would be learnt
        is then not what is asked for later.
        """
        template = self._chat_template()
        whole = template.render(messages, tools=tools, opens_answer=False)
        ids: list[int] = []
        learnt: list[bool] = []
        at = 0
        for place, message in enumerate(messages):
            if message.get("role") != "assistant":
                continue
            begin, end = self._answer(template, whole, messages, place, tools)
            for start, stop, is_learnt in ((at, begin, False), (begin, end, True)):
                some = self._tokens(Rendered(whole.text[start:stop], whole.mark), first=start == 0)
                ids += some
                learnt += [is_learnt] * len(some)
            at = end
        rest = self._tokens(Rendered(whole.text[at:], whole.mark), first=at == 0)
        return ids + rest, learnt + [False] * len(rest)

    # ---------------------------------------------------------------- their parts

    def _chat_template(self) -> ChatTemplate:
        if self._template is None:
            raise DataError("This tokeniser has no chat template.", code="template_missing", where=str(self._where),
                            hint="Put a chat_template.jinja into the folder, or use a model made for conversations.")  # fmt: skip
        return self._template

    def _answer(
        self, template: ChatTemplate, whole: Rendered, messages: Sequence[Mapping[str, Any]], place: int,
        tools: Sequence[Mapping[str, Any]] | None,
    ) -> tuple[int, int]:  # fmt: skip
        """Where in the rendered text the answer `place` begins, and where it ends behind its end of turn."""
        if place == 0:
            raise InputError("The conversation begins with an answer.", code="conversation_refused", where="messages[0]",
                             hint="Let a user or a system message come first.")  # fmt: skip
        prompt = template.render(messages[:place], tools=tools, opens_answer=True)
        text = whole.text
        # With other messages behind it another mark may have been free; they stand for the same.
        prompted = prompt.text.replace(prompt.mark, whole.mark or "") if prompt.mark else prompt.text
        begin = len(prompted)
        stable = text.startswith(prompted)
        end = self._end_of_turn(text, begin) if stable else None
        content = message_text(messages[place]).strip()
        if end is None or content not in whole.without_mark(text[begin:end]):
            raise DataError(
                f"The prompt for answer {place} is not how the template writes the conversation with that answer.",
                code="template_unstable", where=f"messages[{place}]",
                hint="Take a template whose earlier turns do not change when a turn is added, such as ChatML.",
            )  # fmt: skip
        return begin, end

    @cached_property
    def _stop_words(self) -> tuple[str, ...]:
        return tuple(self._parsing.id_to_token(stop) or "" for stop in self.specials.stops)

    def _end_of_turn(self, text: str, begin: int) -> int | None:
        ends = [(at, at + len(word)) for word in self._stop_words if (at := text.find(word, begin)) >= 0]
        return min(ends)[1] if ends else None

    def _tokens(self, rendered: Rendered, *, first: bool = True) -> list[int]:
        """Tokens of rendered text. `first` says that it is the beginning of a text, where SentencePiece adds a space."""
        if rendered.mark is None or rendered.mark not in rendered.text:
            return self._encode_inner(self._parsing, rendered.text, first=first)
        # What a message spells is broken by the mark: special tokens that match now are the template's.
        ids: list[int] = []
        at = 0
        for begin, end, number in self._written_specials(rendered.text):
            ids += self._encode_inner(
                self._plain, rendered.without_mark(rendered.text[at:begin]), first=first and at == 0
            )
            ids.append(number)
            at = end
        return ids + self._encode_inner(self._plain, rendered.without_mark(rendered.text[at:]), first=first and at == 0)

    def _written_specials(self, text: str) -> list[tuple[int, int, int]]:
        encoded = self._parsing.encode(text, add_special_tokens=False)
        return [
            (begin, end, number)
            for number, (begin, end) in zip(encoded.ids, encoded.offsets, strict=True)
            if number in self._special and end > begin
        ]

    def _encode_inner(self, encoding: Tokenizer, text: str, *, first: bool) -> list[int]:
        if not text:
            return []
        text = _whole(text)
        numbers: list[int] = encoding.encode(text, add_special_tokens=False).ids
        if first or self.is_byte_level:
            return numbers
        # SentencePiece puts a space before a text. Behind a line end it does not, and the line end is taken away again.
        line: list[int] = encoding.encode("\n", add_special_tokens=False).ids
        behind: list[int] = encoding.encode("\n" + text, add_special_tokens=False).ids
        return behind[len(line) :] if behind[: len(line)] == line else numbers

    def _find_specials(self) -> Specials:
        words = self._files.words
        number = self._parsing.token_to_id
        eos = number(words["eos_token"]) if "eos_token" in words else None
        if eos is None and self._files.ends:
            eos = self._files.ends[0]
        if eos is None:
            eos = next((one for word in (END, "</s>", "[SEP]") if (one := number(word)) is not None), None)
        if eos is None:
            raise DataError(
                "No token says that a text ends.", code="tokeniser_broken", where=str(self._where),
                hint="Name it as eos_token in tokenizer_config.json.",
            )  # fmt: skip
        pad = number(words["pad_token"]) if "pad_token" in words else None
        bos = number(words["bos_token"]) if "bos_token" in words else None
        probe: list[int] = self._parsing.encode("a", add_special_tokens=True).ids
        begins = bos is not None and probe[:1] == [bos]
        stops = [eos, *self._files.ends]
        if (turn := self._turn_end()) is not None:
            stops.append(turn)
        known = tuple(dict.fromkeys(one for one in stops if 0 <= one < self.vocabulary))
        return Specials(bos if begins else None, eos, eos if pad is None else pad, known)

    def _turn_end(self) -> int | None:
        """The special token that the template writes behind an answer."""
        if self._template is None:
            return None
        turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
        try:
            text = self._template.render(turns, tools=None, opens_answer=False).text
        except InputError:
            return None
        answer = text.rfind("y")
        written = [number for begin, _, number in self._written_specials(text) if begin > answer]
        return written[0] if written else None

    def _byte_decoder(self, added: Mapping[int, AddedToken]) -> ByteDecoder:
        alphabet = byte_alphabet()
        spelt: list[bytes | None] = [None] * self.vocabulary
        for word, number in self._parsing.get_vocab(with_added_tokens=True).items():
            if number in self._special:
                continue
            try:
                spelt[number] = bytes(map(alphabet.__getitem__, word))
            except KeyError:  # an added token with a blank or a Chinese character stands for itself
                spelt[number] = word.encode()
        return ByteDecoder(spelt)

    def _whole_decoder(self) -> WholeDecoder:
        encoding, vocabulary = self._parsing, self.vocabulary

        def whole(ids: list[int]) -> str:
            known = [one for one in ids if 0 <= one < vocabulary]
            text: str = encoding.decode(known, skip_special_tokens=True)
            return text

        return WholeDecoder(whole, frozenset(self._special))


def message_text(message: Mapping[str, Any]) -> str:
    """What a message says: its content, or that of its parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text", "") for part in parts if isinstance(part, Mapping))


def _whole(text: str) -> str:
    """Half a surrogate pair, which JSON may carry, is no character and becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_byte_level(definition: Mapping[str, Any]) -> bool:
    decoder = definition.get("decoder") or {}
    return decoder.get("type") == "ByteLevel"
