"""What is said next, from what was understood and found: the one place where that is decided. Not here: who understands
(`talk.py`), who puts passages into words (`writing.py`).

In this order: who asks for a person gets one; an intent that is sure and has an answer, unless a passage is surer; a passage
that is good enough, alone or put into words; a question back where two intents are near; else that nothing is known. After so many messages in a row
without an answer a person takes over. Nothing that stands in a passage, and nothing that a model writes, takes part in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tradewind.engines.retrieval import BOUND
from tradewind.product.answers import Language, filled
from tradewind.product.conversation import Conversation, Handoff

Kind: TypeAlias = Literal["intent", "passage", "generated", "clarify", "handoff"]
SURE = 0.9  # an intent that is so sure needs no passage beside it
CHARGED: frozenset[str] = frozenset({"intent", "passage", "generated"})
_CHOICES = 3
_PASSAGE_CHARACTERS = 900
_SENTENCE_END = re.compile(r"[。！？!?.]\s*|\n+")
_ASCII = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Guess:
    """What a message was taken for. `outside`: it is none of the intents. `others` are the next ones with their probabilities."""

    intent: str
    confidence: float
    outside: bool = False
    others: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class Found:
    """A passage with where it stands. `score` says how probable it is that it answers, from 0 to 1."""

    source: str
    heading: str
    line: int
    score: float
    text: str

    def cited(self) -> dict[str, Any]:
        return {"source": self.source, "heading": self.heading, "line": self.line, "score": round(self.score, 4)}

    @property
    def place(self) -> str:
        """As it stands in figures: document and heading."""
        return f"{self.source}#{self.heading}"[:400] if self.heading else self.source[:400]


@dataclass(frozen=True)
class Answer:
    """What is said. `sources` are the passages it rests on; `choices` what the user may have meant, as intent and words."""

    kind: Kind
    text: str
    confidence: float | None = None
    intent: str | None = None
    sources: Sequence[Found] = ()
    choices: Sequence[Mapping[str, str]] = field(default_factory=tuple)

    @property
    def charged(self) -> bool:
        return self.kind in CHARGED

    def beside(self) -> dict[str, Any]:
        """What stands beside the text in the store and in the reply."""
        return {"sources": [one.cited() for one in self.sources], "choices": [dict(one) for one in self.choices]}


@dataclass(frozen=True)
class Step:
    """What is decided before anything is put into words: an answer, or passages from which one is written."""

    answer: Answer
    write_from: Sequence[Found] = ()


@dataclass(frozen=True)
class Understood:
    """Everything that a decision rests on."""

    text: str
    language: Language
    guess: Guess | None = None
    passages: Sequence[Found] = ()
    failures: int = 0
    bound: float = BOUND  # a passage answers from here on
    column: str = "text"  # that the message stands in, as answers may name it


def asks_for_person(text: str, handoff: Handoff) -> bool:
    """Whether one of the words stands in it: Latin ones whole, others anywhere."""
    for word in handoff.words:
        edge = r"\b" if _ASCII.search(word) else ""
        if re.search(f"{edge}{re.escape(word)}{edge}", text, re.IGNORECASE):
            return True
    return False


def decide(seen: Understood, settings: Conversation, answers: Mapping[str, str], *, titles: Mapping[str, str]) -> Step:
    """`answers` and `titles` by intent, in the language of the message."""
    guess, handoff = seen.guess, settings.handoff
    known = guess if guess is not None and not guess.outside else None
    if handoff is not None and asks_for_person(seen.text, handoff):
        return Step(_handed(handoff, seen, known))
    if known is not None and known.confidence >= settings.confidence:
        if handoff is not None and known.intent in handoff.intents:
            return Step(_handed(handoff, seen, known))
        best_score = max((one.score for one in seen.passages), default=0.0)
        if known.intent in answers and known.confidence >= best_score:
            values = {seen.column: seen.text, "label": known.intent, "confidence": f"{100 * known.confidence:.0f} %"}
            return Step(Answer("intent", filled(answers[known.intent], values), known.confidence, known.intent))
    good = [one for one in seen.passages if one.score >= seen.bound][: settings.passages]
    if good:
        intent = known.intent if known is not None and known.confidence >= settings.confidence else None
        best = Answer("passage", shown(good[0].text), good[0].score, intent, [good[0]])
        return Step(best, good)
    if handoff is not None and seen.failures + 1 >= handoff.after_failures:
        return Step(_handed(handoff, seen, known))
    return Step(_asked_back(seen, settings, known, answers, titles))


def shown(text: str) -> str:
    """A passage as far as it is shown, cut at the end of a sentence."""
    if len(text) <= _PASSAGE_CHARACTERS:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, _PASSAGE_CHARACTERS)]
    return (
        text[: ends[-1]].rstrip() if ends and ends[-1] > _PASSAGE_CHARACTERS // 3 else f"{text[:_PASSAGE_CHARACTERS]}…"
    )


def _handed(handoff: Handoff, seen: Understood, known: Guess | None) -> Answer:
    intent, confidence = (known.intent, known.confidence) if known is not None else (None, None)
    return Answer("handoff", handoff.says.within(seen.language), confidence, intent)


def _asked_back(
    seen: Understood, settings: Conversation, known: Guess | None, answers: Mapping[str, str], titles: Mapping[str, str]
) -> Answer:
    fallback = settings.fallback.within(seen.language)
    if known is None or known.confidence < settings.clarify:
        return Answer("clarify", fallback, None if seen.guess is None else seen.guess.confidence)
    near = [(known.intent, known.confidence), *known.others]
    choices = [
        {"intent": intent, "text": titles.get(intent) or intent.replace("_", " ")}
        for intent, _ in near
        if intent in answers
    ][:_CHOICES]
    words = (
        ("您是想问以下哪一项？" if seen.language == "zh" else "Which of these do you mean?") if choices else fallback
    )
    return Answer("clarify", words, known.confidence, known.intent if choices else None, choices=choices)
