"""The jobs of a writing model: continue, title, rewrite; and how each is put to it, word for word the same in training and serving.

Not here: where pairs come from (`data/writing.py`), how well it does them (`evaluate/writing.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Length: TypeAlias = Literal["short", "medium", "long"]

JOBS = ("continue", "title", "rewrite")
# Sentences of a continuation.
LENGTHS: Mapping[Length, int] = {"short": 1, "medium": 3, "long": 8}
# A sentence with the blanks behind it; Chinese marks have none. What no mark ends is one, too.
_SENTENCE = re.compile(r"[^.!?。！？…\n]*[.!?。！？…\n]+[\"'”’」』)）]*\s*|[^.!?。！？…\n]+$")


def sentences(text: str) -> list[str]:
    """The sentences of a text with their blanks: joined again they are the text."""
    return _SENTENCE.findall(text)


def request(job: str, text: str, *, length: str | None = None) -> list[dict[str, Any]]:
    """The turns before the answer: the job, with a continuation's length, and the text it is about.

    Short on purpose: a small model reads few tokens, and learns these words from the pairs alone.
    """
    asked = f"{job} {length}" if length is not None and job == "continue" else job
    return [{"role": "system", "content": asked}, {"role": "user", "content": text}]


def job_of(messages: list[dict[str, Any]]) -> str | None:
    """The job that the turns of a conversation ask for; None for any other conversation."""
    word = str(messages[0].get("content", "")).partition(" ")[0] if messages else ""
    return word if word in JOBS else None
