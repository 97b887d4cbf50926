"""What a person reads who takes a conversation over: what it is about, what was tried, how the customer sounds. Taken from
the messages themselves, nothing is made up. Not here: the messages (`business/conversations.py`).

Sentences are chosen as Luhn did (1958): by how many words they share with the rest of what the user wrote. Mood is a count
of plain words in two languages: a hint for sorting, no measurement.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.business.conversations import Message
from tradewind.privacy import pii

SENTENCES = 3
_SENTENCE = re.compile(r"[^。！？!?.\n]+[。！？!?.]*")
_LATIN = re.compile(r"[^\W\d_㐀-䶿一-鿿]{3,}")
_HAN_PAIR = re.compile(r"(?=([㐀-䶿一-鿿]{2}))")
_DULL = frozenset(
    ["about", "and", "are", "but", "can", "could", "does", "for", "from", "have", "hello", "how", "just", "not", "please",
     "thank", "thanks", "that", "the", "their", "them", "they", "this", "want", "was", "were", "what", "when", "where",
     "with", "would", "you", "your"]
)  # fmt: skip
_BAD = re.compile(
    r"\b(angry|annoy\w*|awful|bad|broken|complain\w*|disappoint\w*|fraud|furious|late|lost|never|ridiculous|rude|scam|"
    r"terrible|unacceptable|useless|worst|wrong)\b|差评|投诉|生气|气死|垃圾|骗|失望|太慢|坏了|错了|不满|糟糕|烦|离谱",
    re.IGNORECASE,
)
_GOOD = re.compile(
    r"\b(appreciate\w*|excellent|glad|good|great|happy|love|nice|perfect|thank\w*|wonderful)\b|谢谢|感谢|很好|满意|不错|太好了|好评",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Summary:
    """`mood` lies between -1 and 1. `tried` are answers that were given, newest last: their kind, intent, source and text."""

    intent: str | None
    confidence: float | None
    said: Sequence[str]
    last: str
    slots: Mapping[str, Sequence[str]]
    mood: float
    tried: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "intent": self.intent, "confidence": self.confidence, "said": list(self.said), "last": self.last,
            "slots": {name: list(found) for name, found in self.slots.items()}, "mood": self.mood,
            "tried": [dict(one) for one in self.tried],
        }  # fmt: skip


def summarise(messages: Sequence[Message], slots: Mapping[str, str]) -> Summary:
    """Of a whole conversation; `slots` are expressions by name."""
    said = [one.content.text for one in messages if one.content.author == "user"]
    answers = [one.content for one in messages if one.content.author == "assistant" and one.content.kind != "greeting"]
    understood = [one for one in answers if one.intent is not None]
    tried = [
        {"kind": one.kind, "intent": one.intent, "source": one.source, "text": one.text[:300]}
        for one in answers if one.kind in ("intent", "passage", "generated")
    ]  # fmt: skip
    return Summary(
        intent=understood[-1].intent if understood else None,
        confidence=understood[-1].confidence if understood else None,
        said=salient(said),
        last=said[-1] if said else "",
        slots=noted(said, slots),
        mood=mood(said),
        tried=tried[-SENTENCES:],
    )


def salient(texts: Sequence[str], *, most: int = SENTENCES) -> list[str]:
    """The sentences that say most of what all of them say, in their order."""
    sentences = [found.strip() for text in texts for found in _SENTENCE.findall(text) if found.strip()]
    sentences = list(dict.fromkeys(sentences))
    counts = Counter(word for one in sentences for word in set(_words(one)))
    scored = []
    for place, one in enumerate(sentences):
        words = set(_words(one))
        if words:
            # Longer ones share more words: the root keeps them from always winning.
            scored.append((sum(counts[word] for word in words) / len(words) ** 0.5, place))
    chosen = sorted(place for _, place in sorted(scored, key=lambda one: (-one[0], one[1]))[:most])
    return [sentences[place] for place in chosen] or sentences[:most]


def noted(texts: Sequence[str], slots: Mapping[str, str]) -> dict[str, list[str]]:
    """What the expressions find, and addresses and numbers that can be answered to; each once, in their order."""
    found: dict[str, list[str]] = {}
    for text in texts:
        for name, pattern in slots.items():
            found.setdefault(name, []).extend(match.group(0) for match in re.finditer(pattern, text))
        for one in pii.find(text):
            if one.kind in ("email", "phone"):
                found.setdefault(one.kind, []).append(text[one.start : one.end])
    return {name: list(dict.fromkeys(values)) for name, values in found.items() if values}


def mood(texts: Sequence[str]) -> float:
    """From -1, only bad words, to 1, only good ones; 0 where there are neither."""
    bad = sum(len(_BAD.findall(text)) for text in texts)
    good = sum(len(_GOOD.findall(text)) for text in texts)
    return round((good - bad) / (good + bad), 3) if good + bad else 0.0


def _words(text: str) -> list[str]:
    """Latin words that say something, and pairs of Han characters."""
    latin = [word for word in map(str.lower, _LATIN.findall(text)) if word not in _DULL]
    return latin + [match.group(1) for match in _HAN_PAIR.finditer(text)]
