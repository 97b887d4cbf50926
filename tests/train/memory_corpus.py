"""A corpus in memory for tests of language runs, with a real tokeniser. Not the real one (`data/corpus.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.data.packed import Packed, Pairs
from tradewind.features.language import LanguageTokenizer

VERSE = "the wind blows west, the sails are white, the sea is wide and the night is bright. "
QUESTIONS = [("what is the colour of the sea?", "blue"), ("what is the colour of the sun?", "gold"),
             ("where is my parcel?", "on its way"), ("can i send it back?", "yes, for 30 days")]  # fmt: skip


@dataclass(frozen=True)
class MemoryArtifact:
    folder: Path
    digest: str


@dataclass(frozen=True)
class MemoryCorpus:
    artifact: MemoryArtifact
    tokenizer: LanguageTokenizer
    kind: str
    splits: dict[str, Any]

    def split(self, name: str) -> Packed:
        return self.splits[name]

    def pairs(self, name: str) -> Pairs:
        return self.splits[name]


def packed(name: str, rows: list[list[int]], masks: list[list[bool]] | None = None, *, size: int = 0) -> Packed:
    starts = np.cumsum([0, *map(len, rows)])
    flat = np.concatenate([np.array(row, dtype=np.uint16) for row in rows]) if rows else np.zeros(0, np.uint16)
    mask = None if masks is None else np.concatenate([np.array(mask, dtype=np.uint8) for mask in masks])
    return Packed(name, flat, starts, mask, size or len(flat))


def tokenizer() -> LanguageTokenizer:
    words = "".join(question + answer for question, answer in QUESTIONS)
    return LanguageTokenizer.train_char([VERSE + words + 'usersystemassistant\n"{}[]ABC'])


def text_corpus(folder: Path, *, repeats: int = 60, held: str = VERSE * 4) -> MemoryCorpus:
    reads = tokenizer()
    rows = [[*reads.encode(VERSE * repeats), reads.specials.eos]]
    held_rows = [[*reads.encode(held), reads.specials.eos]] if held else []
    return _corpus(folder, reads, "text", {
        "train": packed("train", rows, size=len(VERSE) * repeats), "validation": packed("validation", held_rows, size=len(held)),
    })  # fmt: skip


def chat_corpus(folder: Path, *, repeats: int = 8) -> MemoryCorpus:
    reads = tokenizer()
    found = [reads.supervised(_asked(question, answer)) for question, answer in QUESTIONS]
    split = packed("train", [ids for ids, _ in found] * repeats, [mask for _, mask in found] * repeats)
    held = packed("validation", [ids for ids, _ in found], [mask for _, mask in found])
    return _corpus(folder, reads, "chat", {"train": split, "validation": held})


def preference_corpus(folder: Path) -> MemoryCorpus:
    reads = tokenizer()
    sides = []
    for shift in (0, 1):  # the worse answer is that to another question
        answers = [QUESTIONS[(place + shift) % len(QUESTIONS)][1] for place in range(len(QUESTIONS))]
        found = [reads.supervised(_asked(q, a)) for (q, _), a in zip(QUESTIONS, answers, strict=True)]
        sides.append(([ids for ids, _ in found] * 4, [mask for _, mask in found] * 4))
    splits = {name: Pairs(*(packed(name, ids, masks) for ids, masks in sides)) for name in ("train", "validation")}
    return _corpus(folder, reads, "preferences", splits)


def _asked(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _corpus(folder: Path, reads: LanguageTokenizer, kind: str, splits: dict[str, Any]) -> MemoryCorpus:
    reads.save(folder / "tokenizer")
    return MemoryCorpus(MemoryArtifact(folder, "sha256:" + kind), reads, kind, splits)
