"""Pairs for a writing model from a team's own documents: how one goes on, what it is called, and a plain version made good.

Each pair stays in its document's split, so that nothing judged was learnt from. Not here: the words of a job
(`features/writing.py`), reading and splitting documents (`documents.py`, `portions.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tradewind.data.document_records import Document
from tradewind.features.writing import LENGTHS, Length, request, sentences
from tradewind.product import Writing

_TITLE_CHARACTERS = 100
_CONTINUATIONS, _REWRITES = 3, 2  # of one document
_REWRITTEN = 3  # sentences of a rewritten part
_DROPPED, _SWAPPED = 0.3, 0.4  # small words left out; parts whose sentences change places
_MARKS = re.compile(r"[,;:!?\"'“”‘’「」《》()（）—…、，；：！？。.]+")
_SMALL = re.compile(r"\b(?:the|a|an|of|very|and|its|was|is|to)\b ?|[的了着过地]", re.IGNORECASE)
_HEADING = re.compile(r"^#+\s*|\s*#+$")
_ENDS = tuple(".!?。！？…,，;；:：")


def pairs(document: Document, writing: Writing) -> Iterator[Document]:
    """The conversations that a document of text gives, drawn by its own words and the seed alone."""
    title, body = parted(document.content["text"])
    seed = int.from_bytes(
        hashlib.blake2b(document.content["text"].encode("utf-8", "replace"), digest_size=8).digest(), "little"
    )
    random = np.random.default_rng([writing.seed, seed])
    for job in writing.jobs:
        for messages in _OF[job](title, body, random):
            yield replace(document, kind="chat", content={"messages": messages})


def parted(text: str) -> tuple[str, str]:
    """Title and body: the first line where it is short, ends no sentence and something follows it; else no title."""
    first, _, rest = text.strip().partition("\n")
    title = _HEADING.sub("", first.strip()).strip()
    if rest.strip() and 0 < len(title) <= _TITLE_CHARACTERS and not title.endswith(_ENDS):
        return title, rest.strip()
    return "", text.strip()


def _titles(title: str, body: str, random: np.random.Generator) -> Iterator[list[dict[str, object]]]:
    if title:
        yield [*request("title", body), {"role": "assistant", "content": title}]


def _continuations(title: str, body: str, random: np.random.Generator) -> Iterator[list[dict[str, object]]]:
    """After sentences drawn without return; the length asked for is that of what follows."""
    every = sentences(body)
    places = random.permutation(np.arange(1, len(every)))[:_CONTINUATIONS]
    lengths: list[Length] = list(LENGTHS)
    for number, at in enumerate(sorted(places.tolist())):
        length = lengths[number % len(lengths)]
        follows = "".join(every[at : at + LENGTHS[length]]).strip()
        begins = "".join(every[:at]).strip()
        if follows and begins:
            yield [*request("continue", begins, length=length), {"role": "assistant", "content": follows}]


def _rewrites(title: str, body: str, random: np.random.Generator) -> Iterator[list[dict[str, object]]]:
    every = sentences(body)
    starts = np.arange(0, len(every), _REWRITTEN)
    for at in sorted(random.permutation(starts)[:_REWRITES].tolist()):
        part = "".join(every[at : at + _REWRITTEN]).strip()
        rough = roughened(part, random)
        if rough and rough != part:
            yield [*request("rewrite", rough), {"role": "assistant", "content": part}]


def roughened(text: str, random: np.random.Generator) -> str:
    """A plain version, as notes are written: no marks, no capitals, fewer small words, sentences perhaps in another order."""
    every = sentences(text)
    if len(every) > 1 and random.random() < _SWAPPED:
        at = int(random.integers(len(every) - 1))
        every[at], every[at + 1] = every[at + 1].strip() + " ", every[at].strip() + " "
    plain = _MARKS.sub(" ", "".join(every)).lower()
    plain = _SMALL.sub(lambda found: "" if random.random() < _DROPPED else found[0], plain)
    return " ".join(plain.split())


_OF = {"title": _titles, "continue": _continuations, "rewrite": _rewrites}
