"""Excel workbooks (xlsx, xls, xlsb, ods): one sheet each; columns keep their types, the first row names them.

A sheet is read whole: the format cannot be streamed and holds about a million rows at most.
Not here: formulas (their stored results are read), pictures and formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import fastexcel
import numpy as np
import polars as pl

from tradewind.data.sources.contract import Chunk, Reject, Request, check_names, chosen, listed, same_columns
from tradewind.data.sources.detect import looks_like_data
from tradewind.data.sources.digests import digest_of
from tradewind.data.sources.location import File, reading
from tradewind.errors import DataError, nearest

_CHUNK_ROWS = 1 << 16


class ExcelReader:
    """Workbooks with the same columns, read one after another. Lines are the sheet's own row numbers."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._all = [self._header(file) for file in request.files]
        first = request.files[0].name
        for file, names in zip(request.files[1:], self._all[1:], strict=True):
            same_columns(names, self._all[0], where=file.name, first=first)
        self._names = chosen(self._all[0], request, where=first)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"format": "excel", "sheet": self._sheet(self._workbook(self._request.files[0]), "")}

    def fingerprint(self) -> str:
        return digest_of(self._request.files)

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        skipped = 0 if self._request.source.header is not None else 1
        for file, names in zip(self._request.files, self._all, strict=True):
            book = self._workbook(file)
            sheet = book.load_sheet(
                self._sheet(book, file.name), header_row=None, skip_rows=skipped, column_names=list(names)
            )
            frame = pl.DataFrame(sheet).select(self._names)
            lines = np.arange(1 + skipped, 1 + skipped + frame.height, dtype=np.int64)
            filled = ~frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy().astype(bool)
            frame, lines = frame.filter(pl.Series(filled)), lines[filled]
            for start in range(0, frame.height, _CHUNK_ROWS):
                yield Chunk(frame.slice(start, _CHUNK_ROWS), lines[start : start + _CHUNK_ROWS], file.name)

    def _workbook(self, file: File) -> fastexcel.ExcelReader:
        try:
            with reading(file.name):
                return fastexcel.read_excel(file.path)
        except fastexcel.FastExcelError as error:
            secret = "password" in str(error).lower() or "encrypt" in str(error).lower()
            raise DataError(
                "The workbook is protected by a password." if secret else "It is no whole Excel workbook.",
                code="excel_broken", where=file.name, hint="Open it in Excel and save it again, or export it as CSV.",
            ) from error  # fmt: skip

    def _sheet(self, book: fastexcel.ExcelReader, where: str) -> str:
        sheets = list(book.sheet_names)
        wanted = self._request.source.sheet
        if wanted is None:
            return str(sheets[0])
        if wanted not in sheets:
            raise DataError(
                f"There is no sheet {wanted!r}. Sheets: {listed(sheets)}.", code="sheet_unknown", where=where,
                hint=nearest(wanted, sheets) or "Give one of these names.",
            )  # fmt: skip
        return wanted

    def _header(self, file: File) -> tuple[str, ...]:
        book = self._workbook(file)
        name = self._sheet(book, file.name)
        where = f"{file.name}, sheet {name}"
        try:
            sheet = book.load_sheet(name, header_row=None, skip_rows=0, n_rows=50, dtypes="string")
            top = pl.DataFrame(sheet)
        except fastexcel.FastExcelError as error:
            raise DataError("The sheet cannot be read.", code="excel_broken", where=where) from error
        if top.height == 0:
            raise DataError("The sheet is empty.", code="empty", where=where, hint="Choose another with sheet: …")
        rows = [["" if cell is None else str(cell) for cell in row] for row in top.iter_rows()]
        given = self._request.source.header
        if given is not None:
            check_names(given, where=where)
            if len(given) != top.width:
                raise DataError(
                    f"header gives {len(given)} names, but the sheet has {top.width} columns.", code="header_length",
                    where=where, hint="Give one name for each column.",
                )  # fmt: skip
            return tuple(given)
        first = [cell.strip() for cell in rows[0]]
        if looks_like_data(first, rows[1:]):
            raise DataError(
                f"The first row looks like data, not like column names: {', '.join(first[:6])}.",
                code="header_missing", where=where, hint=f"Name its {len(first)} columns with header: [name, …].",
            )  # fmt: skip
        check_names(first, where=where)
        if top.height < 2:
            raise DataError(f"It has a header row ({listed(first)}) and no rows.", code="no_rows", where=where)
        return tuple(first)
