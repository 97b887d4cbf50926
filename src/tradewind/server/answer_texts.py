"""The text that is said beside an answer, as `serve.answers` writes it: for its class, or the fallback. Costs nothing.

Not here: the setting (`product/answers.py`), conversations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradewind.product import Answers
from tradewind.product.answers import Language, filled


@dataclass(frozen=True)
class AnswerTexts:
    """`language` is spoken where a request asks for none."""

    answers: Answers
    language: Language = "en"

    def beside(
        self, output: Mapping[str, Any], row: Mapping[str, Any], *, language: Language | None = None
    ) -> dict[str, Any]:
        """`answer`, and `fallback: true` where it is the fallback; nothing where no text is written for it.

        `output` is one of `/v1/predict`: with `label` and `probabilities`, or abstained. The fallback is said of an
        abstained row, below `answers.below`, and for a class that has no text.
        """
        label = output.get("label")
        confidence = max(output["probabilities"].values()) if label is not None else output.get("confidence")
        if confidence is None:
            return {}
        said = self.answers.texts.get(label) if label is not None and confidence >= self.answers.below else None
        text = said or self.answers.fallback
        if text is None:
            return {}
        values = {**row, "label": label, "confidence": f"{100 * confidence:.0f} %"}
        answer = {"answer": filled(text.within(language or self.language), values)}
        return answer if said else {**answer, "fallback": True}
