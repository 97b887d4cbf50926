"""Whom the rows are about, while they are read: who agreed, who is to stay out, and whose name is struck from texts.
Not here: finding and erasing somebody in what was made (`people.py`), nor the list of the erased (`privacy/suppression.py`).

Legend: B rows of a chunk. The name itself stays in the source: beside each row of the dataset stands its keyed hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tradewind.data.clean import as_plain
from tradewind.data.dictionary import spell_numbers
from tradewind.data.inference import MISSING
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.rows import SPLITS, Rows
from tradewind.data.sources import Chunk
from tradewind.errors import DataError, writing
from tradewind.privacy.subjects import SubjectKey
from tradewind.privacy.suppression import Suppression, strike
from tradewind.product import Data

FOLDER = "subjects"
_BYTES = 20
_PREFIX = "sub_"
_NOBODY = b"\0" * _BYTES
_YES = frozenset(
    [
        "yes",
        "y",
        "true",
        "t",
        "1",
        "ok",
        "agreed",
        "agree",
        "agrees",
        "consented",
        "consent",
        "granted",
        "given",
        "opt-in",
        "opted-in",
        "是",
        "同意",
        "已同意",
        "是的",
        "有",
        "授权",
        "已授权",
    ]
)


@dataclass(frozen=True)
class Named:
    """The keyed hashes of the subjects of a chunk, void20 [B]; zeros where nobody is named."""

    column: str
    digests: NDArray[np.void]

    def of(self, keep: NDArray[np.bool_]) -> Named:
        return Named(self.column, self.digests[keep])

    def shown(self, row: int) -> str:
        return _spelled(self.digests[row].tobytes()) or ""


class Subjects:
    """Screens the chunks of a source. Rows that may not be used are put aside with a reason and without their content."""

    def __init__(self, data: Data, key: SubjectKey, suppression: Suppression) -> None:
        self._data = data
        self._key = key
        self._suppression = suppression
        self._out = {bytes.fromhex(digest.removeprefix(_PREFIX)) for digest in suppression.digests}
        self._words = suppression.words()

    @classmethod
    def open(cls, data: Data, home: Path) -> Subjects | None:
        """None where the product file names neither subject nor consent and no name is to be struck."""
        suppression = Suppression.open(home)
        struck = any(one.word is not None for one in suppression.subjects.values())
        if data.subject is None and data.consent is None and not struck:
            return None
        return cls(data, SubjectKey.open(home), suppression)

    def state(self) -> dict[str, Any]:
        """What a dataset is made of beside its rows: who is left out of it."""
        return {"format": 1, "without": self._suppression.state()}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that every source must have."""
        return tuple(name for name in (self._data.subject, self._data.consent) if name is not None)

    def admitted(self, chunk: Chunk, ledger: Ledger) -> tuple[Chunk, Named | None]:
        """The rows that may be used, with whom each is about."""
        frame, named, refused = self._screened(chunk.frame)
        keep = np.ones(len(chunk.frame), dtype=np.bool_)
        for mask, code, reason in refused:
            fresh = mask & keep
            ledger.count(code, "", int(fresh.sum()), action="rejected")
            for row in np.flatnonzero(fresh).tolist():
                # Without its text: what may not be used may not be kept either.
                ledger.reject(RejectedRow(chunk.file, int(chunk.lines[row]), code, reason))
            keep &= ~mask
        if named is not None:
            nobody = int((named.digests[keep] == np.void(_NOBODY)).sum())
            ledger.count("subject_missing", named.column, nobody, action="kept")
        if keep.all():
            return Chunk(frame, chunk.lines, chunk.file), named
        kept = frame.filter(pl.Series(keep))
        return Chunk(kept, chunk.lines[keep], chunk.file), None if named is None else named.of(keep)

    def without(self, first: pl.DataFrame) -> pl.DataFrame:
        """The head of a source without the rows that may not be used. Raises DataError where none is left."""
        frame, _, refused = self._screened(first)
        keep = np.ones(len(first), dtype=np.bool_)
        for mask, _, _ in refused:
            keep &= ~mask
        if not keep.any():
            raise DataError(
                f"None of the first {len(first):,} rows may be used: {refused[0][2]}", code="empty", where="data.consent",
                hint="Correct data.consent: a yes is yes, true, 1, 是 or 同意.",
            )  # fmt: skip
        return frame if keep.all() else frame.filter(pl.Series(keep))

    def _screened(
        self, frame: pl.DataFrame
    ) -> tuple[pl.DataFrame, Named | None, list[tuple[NDArray[np.bool_], str, str]]]:
        refused: list[tuple[NDArray[np.bool_], str, str]] = []
        named: Named | None = None
        if self._data.subject is not None and self._data.subject in frame.columns:
            named = Named(self._data.subject, self._digests(frame[self._data.subject]))
            if self._out:
                out = np.array([one.tobytes() in self._out for one in named.digests], dtype=np.bool_)
                if out.any():
                    refused.append((out, "erased", "Its subject was erased and stays out."))
        if self._data.consent is not None and self._data.consent in frame.columns:
            no = ~agreed(frame[self._data.consent])
            if no.any():
                refused.append((no, "consent_missing", f"There is no yes in {self._data.consent}."))
        return self._struck(frame), named, refused

    def _digests(self, series: pl.Series) -> NDArray[np.void]:
        texts = spelled(series)
        distinct = texts.unique().drop_nulls().to_list()
        table = {
            text: bytes.fromhex(self._key.digest(text).removeprefix(_PREFIX))
            for text in distinct
            if text.strip().lower() not in MISSING
        }
        return np.frombuffer(b"".join(table.get(text, _NOBODY) for text in texts.to_list()), dtype=f"V{_BYTES}")

    def _struck(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with the names of the erased taken out of every text about somebody else."""
        for column in frame.columns if self._words else ():
            series = frame[column]
            if series.dtype != pl.String or column in self.columns:
                continue
            texts = series.to_list()
            changed = {row: strike(text, self._words) for row, text in enumerate(texts) if text}
            hits = {row: text for row, text in changed.items() if text != texts[row]}
            if hits:
                rows = pl.Series(list(hits), dtype=pl.UInt32)
                frame = frame.with_columns(series.scatter(rows, pl.Series(list(hits.values()))).alias(column))
        return frame


def spelled(series: pl.Series) -> pl.Series:
    """Names as people write them: the number 7.0 is 7."""
    plain = as_plain(series)
    plain = spell_numbers(plain) if plain.dtype == pl.Float64 else plain
    return plain.cast(pl.String)


def agreed(series: pl.Series) -> NDArray[np.bool_]:
    """Which values [B] are a yes. Everything else, silence too, is a no (GDPR article 4(11): a clear affirmative act)."""
    words = spelled(series).str.strip_chars().str.to_lowercase()
    yes: NDArray[np.bool_] = words.is_in(list(_YES)).fill_null(False).to_numpy()
    return yes


def write_subjects(folder: Path, rows: Rows, sides: NDArray[np.int8], data: Data) -> dict[str, Any]:
    """`subjects/NAME.parquet` of each split, in the order of its rows: subject, consent, purpose, file, line.

    Gives what the profile says of it. Raises EnvironmentFailure.
    """
    assert rows.subject is not None
    place = folder / FOLDER
    with writing(str(place)):
        place.mkdir()
        for number, name in enumerate(SPLITS):
            mine = np.flatnonzero(sides == number)
            files = [rows.files[one] for one in rows.file[mine].tolist()]
            table = pa.table({
                "subject": pa.array([_spelled(one.tobytes()) for one in rows.subject[mine]], pa.string()),
                "consent": pa.array([True if data.consent else None] * len(mine), pa.bool_()),
                "purpose": pa.array([data.purpose or None] * len(mine), pa.string()),
                "file": pa.array(files, pa.string()),
                "line": pa.array(rows.line[mine], pa.int64()),
            })  # fmt: skip
            pq.write_table(table, place / f"{name}.parquet", compression="zstd")
    inside = rows.subject[sides >= 0]
    known = inside[inside != np.void(_NOBODY)]
    return {
        "column": data.subject, "consent": data.consent, "purpose": data.purpose,
        "distinct": len({one.tobytes() for one in known}), "rows_without": len(inside) - len(known),
    }  # fmt: skip


def _spelled(digest: bytes) -> str | None:
    return None if digest == _NOBODY else _PREFIX + digest.hex()
