"""DICOM in a source: columns from the headers of pictures, where the product file asks for them, and what warns of names.

Not here: reading a header or its pixels (`features/dicom.py`). A header gives no other column, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tradewind.data.ledger import Ledger
from tradewind.data.sources import Chunk, OpenSource, Reject
from tradewind.errors import DataError, nearest
from tradewind.features.dicom_terms import is_dicom
from tradewind.features.picture import dicom_reader

BURNED_IN = "burned_in"
_NUMBERS = ("pixel_spacing",)


def with_headers(sources: Sequence[OpenSource], asked: Mapping[str, Sequence[str]]) -> None:
    """From now on the sources also have columns `COLUMN.FACT` for each fact that is asked for of a column of pictures.

    Raises DataError for a column that is not there, or whose new name is taken.
    """
    for source in sources:
        for column in asked:
            if column not in source.names:
                raise DataError(
                    f"{column}: no such column in {source.source.path}. Columns: {', '.join(source.names[:20])}.",
                    code="column_missing", where=f"data.dicom.{column}", hint=nearest(column, source.names) or "Correct the name.",
                )  # fmt: skip
        names = [f"{column}.{fact}" for column, facts in asked.items() for fact in facts]
        for name in names:
            if name in source.names:
                raise DataError(
                    f"{source.source.path} has a column {name} already.", code="dicom_name", where="data.dicom",
                    hint="Drop that column, or leave the fact out.",
                )  # fmt: skip
        source.extend(names, _Headers(source, asked))


@dataclass(frozen=True)
class _Headers:
    """Adds to a chunk what the headers of its pictures say; null for a picture that is no DICOM or cannot be read."""

    source: OpenSource
    asked: Mapping[str, Sequence[str]]

    def __call__(self, chunk: Chunk, before: int, rejects: list[Reject]) -> Chunk:
        series = []
        for column, facts in self.asked.items():
            found = [self._facts(value) for value in chunk.frame[column].to_list()]
            for fact in facts:
                kind = pl.Float64 if fact in _NUMBERS else pl.String
                series.append(pl.Series(f"{column}.{fact}", [one.get(fact) for one in found], dtype=kind))
        return Chunk(chunk.frame.with_columns(series), chunk.lines, chunk.file)

    def _facts(self, value: str | bytes | None) -> Mapping[str, Any]:
        if value is None:
            return {}
        try:
            content = value if isinstance(value, bytes) else Path(self.source.locate(value)).read_bytes()
            return _read(content) if is_dicom(content) else {}
        except (OSError, ValueError, DataError):  # the first pass refuses the row, and says why
            return {}


def _read(content: bytes) -> Mapping[str, Any]:
    facts: Callable[[bytes], Mapping[str, Any]] = dicom_reader().facts
    return facts(content)


def burned_in(content: bytes) -> bool:
    """Whether it is a DICOM file whose header says that text is burned into the pixels. Raises DataError."""
    return is_dicom(content) and dicom_reader().burned_in(content) is True


def warn_of_burned_in(ledger: Ledger) -> None:
    """A finding for each column in which such pictures were counted."""
    for (rule, column), tally in ledger.tallies.items():
        if rule == BURNED_IN:
            ledger.find(
                BURNED_IN, column,
                f"{tally.count} pictures say that text is burned into their pixels: names may be read in them. Look at them, "
                "and leave them out or cover the text.",
            )  # fmt: skip
