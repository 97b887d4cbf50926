"""`translation`: from which language to which, and in which columns.

Not here: where the pairs come from (`data.source`), what learns (`model`, `train`).
"""

from __future__ import annotations

from typing import Annotated

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
