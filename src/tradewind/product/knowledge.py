"""`knowledge`: documents that a product answers from, beside what it learns. Not here: how they are read (`data/knowledge.py`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from tradewind.product.section import Positive, Section, Share


def _sources(value: object) -> object:
    return [value] if isinstance(value, str) else value


class KnowledgeBase(Section):
    """A knowledge base is searched by words and by meaning; every passage is cited with its source."""

    source: Annotated[list[str], BeforeValidator(_sources, json_schema_input_type=str | list[str])] = Field(
        min_length=1, description="Folders or files: Markdown, HTML, text, CSV or JSONL with question and answer"
    )
    encoder: str = Field(
        "auto",
        description="What vectors are made with: a folder of a Hugging Face text encoder or of the release of one; by default "
        "model.pretrained, else the passages' own words (lsa); none searches by words alone",
    )
    size: Positive = Field(160, description="Most words of a passage, or characters of Chinese and Japanese")
    overlap: Annotated[int, Field(ge=0)] = Field(30, description="How much of a passage stands again in the next one")
    held_out: Share = Field(
        0.2, description="Share of the questions with answers that the report asks without their own text"
    )

    @model_validator(mode="after")
    def _fits(self) -> KnowledgeBase:
        if self.overlap >= self.size:
            raise ValueError(f"overlap is {self.overlap}, but a passage has at most {self.size}: give less than half")
        return self
