"""Parquet files, streamed batch by batch; columns keep their types, structs are flattened with dots.

Not here: choosing files (`location.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.data.sources.contract import Chunk, Reject, Request, check_names, chosen, same_columns
from tradewind.data.sources.digests import digest_of
from tradewind.data.sources.location import File, reading
from tradewind.errors import DataError

# Of the bytes that may be held: one batch, as stored and as built upon.
_SHARE = 32
_MOST_ROWS, _FEWEST_ROWS = 1 << 17, 16


class ParquetReader:
    """Parquet files with the same columns, read one after another. Lines are 1-based records."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._schema: pa.Schema | None = None
        names: tuple[str, ...] = ()
        for file in request.files:
            with _parquet(file) as table:
                schema = _flat(table.schema_arrow.empty_table()).schema
                found = tuple(schema.names)
            check_names(found, where=file.name)
            if self._schema is None:
                self._schema, names = schema, found
            else:
                same_columns(found, names, where=file.name, first=request.files[0].name)
        self._names = chosen(names, request, where=request.files[0].name)
        assert self._schema is not None
        _check_types(self._schema, self._names, request.files[0].name)
        self._target = pl.Schema(
            (name, dtype)
            for name, dtype in cast(pl.DataFrame, pl.from_arrow(_plain(self._schema.empty_table()))).schema.items()
            if name in self._names
        )

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"format": "parquet"}

    def fingerprint(self) -> str:
        return digest_of(self._request.files)

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        tops = sorted({name.partition(".")[0] for name in self._names} | set(self._names))
        for file in self._request.files:
            record = 1
            with _parquet(file) as table:
                columns = [name for name in table.schema_arrow.names if name in tops]
                for batch in table.iter_batches(_batch_rows(table, self._request.memory), columns=columns):
                    flat = _plain(_flat(pa.Table.from_batches([batch])).select(list(self._names)))
                    frame = self._fitted(cast(pl.DataFrame, pl.from_arrow(flat)), file)
                    lines = np.arange(record, record + frame.height, dtype=np.int64)
                    record += frame.height
                    if frame.height:
                        yield Chunk(frame, lines, file.name)

    def _fitted(self, frame: pl.DataFrame, file: File) -> pl.DataFrame:
        """The frame in the first file's types."""
        if frame.schema == self._target:
            return frame
        try:
            return frame.cast(self._target)
        except pl.exceptions.PolarsError as error:
            differing = [name for name, dtype in self._target.items() if frame.schema[name] != dtype]
            name = differing[0]
            raise DataError(
                f"Column {name!r} is {frame.schema[name]} here, but {self._target[name]} in "
                f"{self._request.files[0].name}.", code="types_differ", where=file.name,
                hint="Write all files with the same types.",
            ) from error  # fmt: skip


@contextmanager
def _parquet(file: File) -> Iterator[pq.ParquetFile]:
    try:
        with reading(file.name), pq.ParquetFile(file.path) as table:
            yield table
    except pa.ArrowException as error:
        raise DataError(
            f"It is no whole Parquet file ({str(error).partition(chr(10))[0][:120]}).", code="parquet_broken",
            where=file.name, hint="Write or fetch the file again.",
        ) from error  # fmt: skip


def _batch_rows(table: pq.ParquetFile, memory: int) -> int:
    """Rows that take a share of `memory`, by the uncompressed size of the row groups."""
    metadata = table.metadata
    size = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    per_row = max(8, size // max(1, metadata.num_rows)) + 8 * metadata.num_columns
    return int(max(_FEWEST_ROWS, min(_MOST_ROWS, memory // _SHARE // per_row)))


def _flat(table: pa.Table) -> pa.Table:
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table


def _plain(table: pa.Table) -> pa.Table:
    """Dictionary-encoded columns become plain ones: their categories differ from file to file."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    return table


def _check_types(schema: pa.Schema, names: tuple[str, ...], where: str) -> None:
    for name in names:
        kind = schema.field(name).type
        if pa.types.is_nested(kind):
            raise DataError(
                f"Column {name!r} holds lists or maps ({kind}), not one value a row.", code="column_nested",
                where=where, hint=f"Leave it out with drop: [{name}], or write it as text.",
            )  # fmt: skip
