"""What tells people and machines that a text was generated, as GB 45438-2025 and article 50 of the EU's AI Act ask.

Implicit: headers and an object `tradewind` on every reply, with the fields that GB 45438-2025 names for metadata.
Explicit: a sentence at the start or the end of the text, where the product file switches it on. Not here: where in a
stream it stands (`answers.py`). Whether a law asks for one is the seller's to decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tradewind.server.gate import Headers

LABEL = "ai-generated"
# What the International Press Telecommunications Council calls media made by a trained model.
_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_WORDS = {"en": "[AI-generated content]", "zh": "（本内容由人工智能生成）"}
_GAP = "\n\n"


@dataclass(frozen=True)
class Marking:
    """`provider` is who answers for the content (the seller), `producer` its code in the metadata (the tax number, where
    there is one). `explicit`: whether the text itself says it."""

    provider: str = ""
    producer: str = ""
    explicit: bool = False
    at: Literal["start", "end"] = "end"
    language: Literal["en", "zh"] = "en"

    @property
    def opening(self) -> str:
        return _WORDS[self.language] + _GAP if self.explicit and self.at == "start" else ""

    @property
    def closing(self) -> str:
        return _GAP + _WORDS[self.language] if self.explicit and self.at == "end" else ""

    def without(self, text: str) -> str:
        """An earlier answer as the model wrote it: it must not learn from the conversation to write the mark itself."""
        for words in _WORDS.values():
            text = text.removeprefix(words + _GAP).removesuffix(_GAP + words)
        return text

    def headers(self, *, product: str, release: str, request_id: str) -> Headers:
        return (
            (b"x-content-label", LABEL.encode()),
            (b"x-aigc", json.dumps(self._aigc(product, request_id)).encode()),
            (b"x-tradewind-release", f"{product}@{release}".encode()),
        )

    def metadata(self, *, product: str, release: str, request_id: str) -> dict[str, Any]:
        """The object `tradewind` of a reply."""
        return {
            "provider": self.provider or product,
            "product": product,
            "release": release,
            "request_id": request_id,
            "content_label": LABEL,
            "digital_source_type": _SOURCE,
            "AIGC": self._aigc(product, request_id),
        }

    def _aigc(self, product: str, request_id: str) -> Mapping[str, str]:
        """GB 45438-2025: label 1 says that the content is generated; nobody has propagated it yet."""
        return {
            "Label": "1",
            "ContentProducer": self.producer or self.provider or product,
            "ProduceID": request_id,
            "ReservedCode1": "",
            "ContentPropagator": "",
            "PropagateID": "",
            "ReservedCode2": "",
        }
