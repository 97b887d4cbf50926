"""`serve.answers`: the text that is said for each answer of a classification, in the languages of its customers.

Not here: when it is said (`server/answering.py`), texts that a language model writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from tradewind.product.section import Section

Language: TypeAlias = Literal["en", "zh"]

_PLACE = re.compile(r"\{([^{}]*)\}")
_OWN = ("label", "confidence")


class Variants(Section):
    """One text in several languages; a plain string is said in each."""

    en: str | None = None
    zh: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Variants:
        if not self.en and not self.zh:
            raise ValueError("there is no text: write en, zh or both")
        return self

    def within(self, language: Language) -> str:
        """The text in `language`, or in the one that there is."""
        first, second = (self.zh, self.en) if language == "zh" else (self.en, self.zh)
        return first or second or ""


def _variants(value: object) -> object:
    return {"en": value, "zh": value} if isinstance(value, str) else value


VariantsField = Annotated[Variants, BeforeValidator(_variants, json_schema_input_type=str | Variants)]


class Answers(Section):
    """A text for each class. `{label}`, `{confidence}` and `{COLUMN}` in it become the class, its probability in per cent
    and the value of the row's column."""

    texts: dict[str, VariantsField] = Field(default_factory=dict, description="Class → text, or {en: …, zh: …}")
    file: str | None = Field(None, description="YAML file with texts, in place of texts")
    below: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="Below this confidence the fallback is said")
    fallback: VariantsField | None = Field(
        None, description="Said below that confidence, where there is no answer, and for a class without a text"
    )

    @model_validator(mode="after")
    def _together(self) -> Answers:
        if self.file is not None and self.texts:
            raise ValueError("texts and file exclude each other")
        if self.below and self.fallback is None:
            raise ValueError("below needs a fallback, the text that is said then")
        return self

    def places(self) -> dict[str, set[str]]:
        """For each class, and "" for the fallback, the names in braces that are columns of a row."""
        every: Mapping[str, Variants] = self.texts | ({"": self.fallback} if self.fallback else {})
        return {
            name: {found for text in (one.en, one.zh) if text for found in _PLACE.findall(text)} - set(_OWN)
            for name, one in every.items()
        }


def filled(text: str, values: Mapping[str, object]) -> str:
    """The text with `{NAME}` replaced by its value, nothing where there is none; values are never read as templates."""
    return _PLACE.sub(lambda place: _shown(values.get(place.group(1))), text)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
