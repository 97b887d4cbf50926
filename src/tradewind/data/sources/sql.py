"""A table or a query of a database (SQLite, PostgreSQL), streamed; columns keep the types that they have there.

Not here: writing to a database, and Tradewind's own one (`business/database.py`). No password leaves this file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from tradewind.data.sources.contract import Chunk, Reject, Request, check_names, chosen, listed
from tradewind.data.sources.location import shown
from tradewind.errors import DataError, EnvironmentFailure, nearest

# Of the bytes that may be held: a chunk of rows as Python objects, by this guess of a value's size.
_SHARE, _VALUE_BYTES = 32, 100
_MOST_ROWS, _FEWEST_ROWS = 20_000, 50


class SqlReader:
    """One SELECT, executed anew for each pass. Lines are 1-based rows of its result; `file` is the URL's safe form."""

    def __init__(self, request: Request) -> None:
        source = request.source
        self._where = shown(source.path)
        self._url = _url(source.path, request.base, self._where)
        if (source.query is None) == (source.table is None):
            raise DataError(
                "A database needs either table or query." if source.query is None else "Give table or query, not both.",
                code="sql_what", where=self._where, hint="source: {path: …, table: NAME} or {path: …, query: SELECT …}.",
            )  # fmt: skip
        self._engine = self._connectable()
        self._kind = self._url.get_backend_name()
        with self._asking() as connection:
            self._select = self._statement(connection, source.table, source.query)
            result = connection.execution_options(stream_results=True).execute(self._select)
            found = [str(name) for name in tuple(result.keys())] if result.returns_rows else []
            result.close()
        if not found:
            raise DataError("The query gives no rows.", code="sql_query", where=self._where, hint="Write a SELECT.")
        check_names(found, where=self._where)
        self._all = tuple(found)
        self._names = chosen(found, request, where=self._where)
        rows = request.memory // _SHARE // _VALUE_BYTES // len(found)
        self._rows = max(_FEWEST_ROWS, min(_MOST_ROWS, rows))
        self._schema: dict[str, Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"format": "sql", "database": self._kind}

    def fingerprint(self) -> str:
        """Digest of the rows as they come: a query with ORDER BY, or a table with a primary key, gives one order."""
        sha = hashlib.sha256(repr(self._names).encode())
        for rows in self._batches():
            for row in rows:
                sha.update(repr(row).encode("utf-8", errors="surrogatepass"))
        return "sha256:" + sha.hexdigest()

    def chunks(self, rejects: list[Reject]) -> Iterator[Chunk]:
        number = 1
        if self._schema is None:
            self._schema = self._types()
        for rows in self._batches():
            columns = list(zip(*rows, strict=True))
            frame = pl.DataFrame(
                [_series(name, column, self._schema[name]) for name, column in zip(self._names, columns, strict=True)]
            )
            yield Chunk(frame, np.arange(number, number + len(rows), dtype=np.int64), self._where)
            number += len(rows)

    def _types(self) -> dict[str, Any]:
        """Each column's one type over all rows: number where every value is one, else text."""
        found: dict[str, set[type]] = {name: set() for name in self._names}
        for rows in self._batches():
            for name, column in zip(self._names, zip(*rows, strict=True), strict=True):
                found[name].update({type(value) for value in column})
        return {name: _dtype(kinds - {type(None)}) for name, kinds in found.items()}

    def _batches(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        places = [self._all.index(name) for name in self._names]
        with self._asking() as connection:
            result = connection.execution_options(yield_per=self._rows).execute(self._select)
            for part in result.partitions():
                yield [tuple(row[place] for place in places) for row in part]

    def _connectable(self) -> sa.Engine:
        try:
            return sa.create_engine(self._url, poolclass=sa.pool.NullPool)
        except ModuleNotFoundError as error:
            raise EnvironmentFailure(
                f"Reading it needs the package {error.name}, which is not installed.", code="package_missing",
                where=self._where, hint="Install it with: pip install 'tradewind[postgres]'.",
            ) from error  # fmt: skip
        except sa.exc.ArgumentError as error:
            raise DataError("It is no database URL.", code="sql_url", where=self._where) from error

    def _statement(self, connection: sa.Connection, table: str | None, query: str | None) -> Any:
        if query is not None:
            return sa.text(query.replace(":", "\\:"))
        schema, _, name = str(table).rpartition(".")
        inspector = sa.inspect(connection)
        known = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        if name not in known:
            raise DataError(
                f"There is no table {table!r}. Tables: {listed(known) or 'none'}.", code="sql_table",
                where=self._where, hint=nearest(name, known) or "Give one of these names.",
            )  # fmt: skip
        reflected = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)
        columns: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in reflected.columns]
        keys: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in reflected.primary_key.columns]
        return sa.select(*columns).select_from(sa.table(name, schema=schema or None)).order_by(*keys)

    @contextmanager
    def _asking(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise self._failure(error) from None
        except sa.exc.DBAPIError as error:
            raise DataError(
                f"The database does not take the query: {_said(error)}", code="sql_query", where=self._where,
                hint="Try the query in the database's own client.",
            ) from None  # fmt: skip

    def _failure(self, error: sa.exc.OperationalError) -> Exception:
        said = _said(error)
        if self._kind == "sqlite" and not any(word in said for word in ("unable to open", "locked", "disk I/O")):
            return DataError(
                f"The database does not take the query: {said}.", code="sql_query", where=self._where,
                hint="Write a SELECT over its tables; the database is opened for reading only.",
            )  # fmt: skip
        return EnvironmentFailure(
            f"The database cannot be reached: {self._without_password(said)}", code="database", where=self._where,
            hint="Check host, port, name and password in the URL, and that the server runs.",
        )  # fmt: skip

    def _without_password(self, text: str) -> str:
        secret = str(self._url.password) if self._url.password else ""
        return text.replace(secret, "***") if secret else text


def _url(path: str, base: Path, where: str) -> sa.URL:
    """The URL with a driver that is installed with Tradewind; a relative SQLite file is taken from `base`."""
    try:
        url = sa.make_url(path)
    except sa.exc.ArgumentError:
        raise DataError(
            "It is no database URL.", code="sql_url", where=where,
            hint="Write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
        ) from None  # fmt: skip
    if url.get_backend_name() in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        raise DataError(
            f"{url.get_backend_name()} databases are not read.", code="sql_url", where=where,
            hint="SQLite and PostgreSQL are; export the table as Parquet or CSV.",
        )  # fmt: skip
    file = base / Path(url.database or "")
    if not file.is_file():
        raise DataError(
            "There is no such SQLite file.",
            code="missing",
            where=where,
            hint=f"It was looked for at {file.absolute()}.",
        )
    with file.open("rb") as stream:
        if stream.read(16) not in (b"SQLite format 3\0", b""):
            raise DataError("It is no SQLite database.", code="format_wrong", where=where)
    # Read-only: a source is never changed, and a slip in the path makes no empty database.
    return url.set(database=f"file:{file.absolute()}", query={"mode": "ro", "uri": "true"})


def _said(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split())[:300]


def _dtype(kinds: set[type]) -> Any:
    if not kinds:
        return pl.String
    names = {kind.__name__ for kind in kinds}
    for known, dtype in (
        ({"bool"}, pl.Boolean), ({"int"}, pl.Int64), ({"int", "float", "Decimal"}, pl.Float64),
        ({"date"}, pl.Date), ({"bytes"}, pl.Binary),
    ):  # fmt: skip
        if names <= known:
            return dtype
    return pl.String


def _series(name: str, column: Sequence[Any], dtype: Any) -> pl.Series:
    if dtype == pl.Float64:
        return pl.Series(name, [None if value is None else float(value) for value in column], dtype=dtype)
    if dtype == pl.String:
        return pl.Series(name, [None if value is None else _text(value) for value in column], dtype=dtype)
    return pl.Series(name, list(column), dtype=dtype, strict=False)


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
