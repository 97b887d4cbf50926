"""Rows to predict, read and repaired just as preparation repaired those the model learnt from. Fits and drops nothing.

Not here: splits, copies, targets (`steps.py`). A column that the file lacks is left out and counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data.clean import Cleaner
from tradewind.data.encode import raw_values
from tradewind.data.inference import Inferred
from tradewind.data.ledger import Ledger
from tradewind.data.plan import Plan
from tradewind.data.sources import OpenSource, Reject, open_source
from tradewind.errors import DataError
from tradewind.features.column import FileColumn, Values
from tradewind.features.feature_set import FeatureSet
from tradewind.product import Clean, ColumnKind, Source

_SHOWN = 200  # characters of a rejected value that are kept


@dataclass(frozen=True)
class RawChunk:
    """Raw values [B] by column, as a predictor is fed, and the 1-based line, row or record of each."""

    values: Mapping[str, Values]
    lines: NDArray[np.int64]


@dataclass
class RawRows:
    """A source opened for prediction. `rejects` fills while `chunks` is read."""

    source: OpenSource
    features: FeatureSet
    clean: Clean
    missing: tuple[str, ...]
    words: tuple[str, ...] = ()  # columns that only the decision reads, as categories
    rejects: list[Reject] = field(default_factory=list)

    def chunks(self) -> Iterator[RawChunk]:
        kinds: dict[str, ColumnKind] = dict.fromkeys(self.words, "category")
        kinds |= {column.name: cast(ColumnKind, column.kind) for column in self.features.columns}
        names = tuple(name for name in kinds if name in self.source.names)
        inferred = {name: Inferred(kinds[name], "as the model was trained", given=True) for name in names}
        plan = Plan(
            task="classification", target="", inputs=names, sensitive=(), weight=None, group=None, time=None,
            given=None, inferred=inferred,
        )  # fmt: skip
        for chunk in self.source.chunks():
            # A new cleaner for each chunk: its dictionaries must not grow with the file.
            cleaner = Cleaner(plan, self.clean, Ledger(), missing=self.missing)
            typed, _ = cleaner.clean(chunk.frame)
            lines = chunk.lines
            for name in names:
                if kinds[name] not in ("image", "audio"):
                    continue
                typed, kept = self._files(name, kinds[name], typed, chunk.file, lines)
                lines = lines[kept]
            yield RawChunk({name: raw_values(name, typed[name], plan, cleaner.dictionaries) for name in names}, lines)
        self.rejects.extend(self.source.rejects)

    def _files(
        self, name: str, kind: str, typed: pl.DataFrame, file: str, lines: NDArray[np.int64]
    ) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
        """Paths as bytes; rows whose file cannot be opened or is no sound picture or recording are rejected, as the API
        refuses them. A row that names none keeps a missing value."""
        (column,) = (one for one in self.features.columns if one.name == name and isinstance(one, FileColumn))
        contents: list[bytes | None] = []
        kept = np.ones(len(lines), dtype=np.bool_)
        for row, value in enumerate(typed[name].to_list()):
            content = None
            try:
                if value is not None:
                    content = value if isinstance(value, bytes) else Path(self.source.locate(value)).read_bytes()
                    column.received(content)
            except (OSError, DataError) as error:
                code, reason = _told(error, kind)
                self.rejects.append(Reject(file, int(lines[row]), f"{name}: {reason}", code, str(value)[:_SHOWN]))
                kept[row] = False
            contents.append(content)
        series = pl.Series(name, contents, dtype=pl.Binary)
        return typed.with_columns(series).filter(pl.Series(kept)), kept


def _told(error: OSError | DataError, kind: str) -> tuple[str, str]:
    """The code and the reason of a file that cannot be used."""
    if isinstance(error, DataError):
        return error.code.removeprefix(f"{error.family}."), error.message
    return f"{kind}_unreadable", f"the file cannot be read ({error.strerror})."


def raw_rows(
    source: Source, features: FeatureSet, *, clean: Clean, base: Path, memory: int, words: Sequence[str] = ()
) -> RawRows:
    """Opens `source` for prediction; `clean` are the rules of the product, `memory` the bytes of a chunk, `words` columns of
    categories beside those of the model.

    Raises DataError when the source cannot be read or has none of the model's columns.
    """
    opened = open_source(source, base=base, memory=memory)
    wanted = [column.name for column in features.columns]
    if not set(wanted) & set(opened.names):
        raise DataError(
            f"It has none of the model's columns. Found: {', '.join(opened.names[:20])}. Wanted: {', '.join(wanted[:20])}.",
            code="no_model_columns", where=source.path, hint="Give --header if the file has no header row.",
        )  # fmt: skip
    return RawRows(opened, features, clean, tuple(source.missing), tuple(words))
