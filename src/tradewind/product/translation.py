"""`translation`: from which language to which, in which columns, and how a translation is searched and charged.

Not here: where the pairs come from (`data.source`), what learns (`model`, `train`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.product.section import Section

_CODE = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"


class Translation(Section):
    source: str = Field(alias="from", pattern=_CODE, description="Language of what is read: en, de, zh …")
    target: str = Field(alias="to", pattern=_CODE, description="Language of what is written")
    source_column: str | None = Field(
        None, description="Column of the pairs' source; named like the language by default"
    )
    target_column: str | None = Field(None, description="Column of the pairs' target")
    terms: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="Share of training pairs seen once more with terms of a glossary in them"
    )

    glossary: str | None = Field(
        None, description="File of terms and the translations that they must have: two columns, CSV or TSV, no header"
    )
    beams: Annotated[int, Field(ge=1, le=16)] = Field(
        4, description="Translations that are followed at once; a request may say another number"
    )
    length_penalty: Annotated[float, Field(ge=0, le=2)] | Literal["auto"] = Field(
        "auto",
        description="Power of the length that a sum of log-probabilities is divided by: more for longer translations; auto is "
        "the best on validation",
    )
    unit: Literal["text", "character", "token"] = Field(
        "text", description="What a unit of a plan is: a text, a character of it, or a token read or written"
    )

    @model_validator(mode="after")
    def _differ(self) -> Translation:
        if self.source == self.target:
            raise ValueError(f"from and to are both {self.source}")
        if self.source_column is not None and self.source_column == self.target_column:
            raise ValueError(f"source and target are one column, {self.source_column}")
        return self

    @property
    def columns(self) -> tuple[str, str]:
        """The columns of source and target in a table of pairs, as written in the product file or named like the languages."""
        return self.source_column or self.source, self.target_column or self.target
