"""One code path over SQLite and PostgreSQL: transactions, migrations under a lock, and errors that say what to do."""

import shutil
import sqlite3
import stat
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, inspect, make_url, select, text
from sqlalchemy.exc import IntegrityError

from tradewind.business import database as module
from tradewind.business.database import FILE, Database, default_url
from tradewind.business.migrate import config
from tradewind.business.migrations import HEAD, REVISIONS
from tradewind.business.tables import accounts, buckets, metadata, state
from tradewind.errors import EnvironmentFailure, InputError


def bucket(account_id, **values):
    return insert(buckets).values(account_id=account_id, kind="units", millitokens=0, at_ms=0, **values)


def count(database):
    with database.reading() as connection:
        return len(connection.execute(select(buckets)).all())


# ---------------------------------------------------------------- transactions


def test_a_write_is_kept_and_a_failed_one_leaves_nothing(database):
    with database.writing() as connection:
        connection.execute(bucket("a"))
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(bucket("b"))
        raise ZeroDivisionError
    assert count(database) == 1


def test_a_reader_sees_one_moment(database):
    with database.reading() as reader:
        before = reader.execute(select(buckets)).all()
        database.write(lambda connection: connection.execute(bucket("a")))
        assert reader.execute(select(buckets)).all() == before == []
    assert count(database) == 1


def test_a_reader_cannot_write(database):
    with pytest.raises(EnvironmentFailure) as caught, database.reading() as connection:
        connection.execute(bucket("a"))
    assert caught.value.code == "environment.read_only"
    database.write(lambda connection: connection.execute(bucket("a")))
    assert count(database) == 1


def test_twenty_threads_lose_no_increment(database):
    start = Barrier(20)

    def raise_it(_):
        start.wait()
        for _ in range(3):
            database.write(database.bump)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(raise_it, range(20)))
    assert database.revision() == 60


def test_a_deadlock_is_done_again_until_both_are_through(database):
    for name in ("a", "b"):
        with database.writing() as connection:
            connection.execute(bucket(name))
    together = Barrier(2)
    tries = []

    def in_order(first, second):
        def change(connection):
            tries.append(first)
            connection.execute(buckets.update().where(buckets.c.account_id == first).values(at_ms=buckets.c.at_ms + 1))
            if database.dialect == "postgresql" and len(tries) <= 2:
                together.wait(5)
            connection.execute(buckets.update().where(buckets.c.account_id == second).values(at_ms=buckets.c.at_ms + 1))

        return change

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(database.write, [in_order("a", "b"), in_order("b", "a")]))
    with database.reading() as connection:
        assert connection.execute(select(buckets.c.at_ms)).scalars().all() == [2, 2]
    assert len(tries) == (3 if database.dialect == "postgresql" else 2)


def test_a_violated_constraint_is_the_callers_business(database):
    database.write(lambda connection: connection.execute(bucket("a")))
    with pytest.raises(IntegrityError):
        database.write(lambda connection: connection.execute(bucket("a")))


def test_a_row_needs_the_row_it_points_at(database):
    key = {"id": "key_1", "account_id": "acc_none", "name": "n", "prefix": "p", "hash": "h", "scopes": "[]"}
    with pytest.raises(IntegrityError):
        database.write(lambda c: c.execute(insert(metadata.tables["keys"]).values(**key, created_ms=0)))


@pytest.mark.parametrize("values", [{"millitokens": 2**70}, {"account_id": "\ud800"}])
def test_a_value_that_no_column_holds_is_bad_input(database, values):
    row = {"account_id": "a", "kind": "units", "millitokens": 0, "at_ms": 0, **values}
    with pytest.raises(InputError) as caught:
        database.write(lambda connection: connection.execute(insert(buckets).values(**row)))
    assert caught.value.code == "input.value"


def test_a_connection_knows_the_databases_clock(database, clock):
    with database.reading() as connection:
        assert module.now_ms(connection) == int(clock.now().timestamp() * 1000)


# ---------------------------------------------------------------- migrations


def drift(url):
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        changes = compare_metadata(context, metadata)
        checks = {
            (table.name, str(item["name"])): item["sqltext"]
            for table in metadata.sorted_tables
            for item in inspect(connection).get_check_constraints(table.name)
        }
    engine.dispose()
    return changes, checks


def test_the_migrations_make_exactly_the_tables(database_url):
    changes, checks = drift(database_url)
    assert changes == []
    declared = {
        (table.name, str(item.name)): str(item.sqltext)
        for table in metadata.sorted_tables
        for item in table.constraints
        if hasattr(item, "sqltext")
    }
    plain = {"".join(c for c in name[1] + sql if c.isalnum()) for name, sql in declared.items()}
    found = {"".join(c for c in name[1] + sql.removesuffix("::bigint") if c.isalnum()) for name, sql in checks.items()}
    assert found == plain


def test_the_head_that_the_code_names_is_the_last_migration():
    script = ScriptDirectory.from_config(config())
    assert script.get_heads() == [HEAD]
    assert tuple(item.revision for item in reversed(list(script.walk_revisions()))) == REVISIONS


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_of_the_first_schema_is_brought_up_with_all_it_holds(kind, tmp_path, clock, request):
    url = f"sqlite:///{tmp_path / 'b.sqlite'}" if kind == "sqlite" else request.getfixturevalue("empty_postgres")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection, connection.begin():
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, "0001")
        connection.execute(text("INSERT INTO accounts (id, name, created_ms) VALUES ('acc_1', 'Acme', 1)"))
        connection.execute(
            text(
                "INSERT INTO keys (id, account_id, name, prefix, hash, scopes, created_ms)"
                " VALUES ('key_1', 'acc_1', 'k', 'tw_live_12345678', 'h', '[\"predict\"]', 1)"
            )
        )
        connection.execute(text("INSERT INTO state (name, value) VALUES ('invoices-2026', 3)"))
    engine.dispose()
    database = Database.open(url, clock=clock)
    with database.reading() as connection:
        assert connection.execute(select(accounts.c.id, accounts.c.name)).all() == [("acc_1", "Acme")]
        keys = metadata.tables["keys"]
        assert connection.execute(select(keys.c.id, keys.c.member_id)).all() == [("key_1", None)]
        assert connection.execute(select(metadata.tables["consents"])).all() == []
    database.close()
    assert drift(url)[0] == []


def test_many_that_open_an_empty_sqlite_at_once_migrate_it_once(tmp_path, clock):
    open_together(f"sqlite:///{tmp_path / 'made' / '100%' / 'b.sqlite'}", clock)


def test_many_that_open_an_empty_postgresql_at_once_migrate_it_once(empty_postgres, clock):
    open_together(empty_postgres, clock)


def open_together(url, clock):
    start = Barrier(8)

    def opened(_):
        start.wait()
        database = Database.open(url, clock=clock)
        revision = database.revision()
        database.close()
        return revision

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(8))) == [0] * 8


def test_opening_again_does_not_need_alembic(database_url):
    program = (
        "import sys; from tradewind.business.database import Database; from tradewind.clock import SystemClock;"
        f"print(Database.open({database_url!r}, clock=SystemClock()).revision(), 'alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]


def test_a_newer_database_is_refused(database, database_url, clock):
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0999'")))
    with pytest.raises(EnvironmentFailure, match=r"schema 0999.*knows schemas up to") as caught:
        Database.open(database_url, clock=clock)
    assert caught.value.code == "environment.database_newer"


def test_a_migration_that_fails_leaves_nothing_behind(database, database_url, clock):
    """The first migration stumbles over a table that is there already."""
    with database.writing() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        for table in reversed(metadata.sorted_tables):
            if table is not state:
                table.drop(connection)
    with pytest.raises(Exception, match="already exists"):
        Database.open(database_url, clock=clock)
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["state"]


# ---------------------------------------------------------------- what the environment does


def test_a_sqlite_file_is_for_its_owner_alone_and_in_wal_mode(tmp_path, clock):
    path = tmp_path / "b.sqlite"
    database = Database.open(f"sqlite:///{path}", clock=clock)
    with database.reading() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2}
    assert {stat.S_IMODE(item.stat().st_mode) for item in tmp_path.glob("b.sqlite*") if item.suffix != ".lock"} == {
        0o600
    }
    database.close()


def test_a_lock_that_is_not_let_go_is_told(database, database_url, clock):
    hasty = Database.open(database_url, clock=clock, wait_s=0.05)
    with database.writing() as connection:
        database.bump(connection)
        with pytest.raises(EnvironmentFailure) as caught:
            hasty.write(hasty.bump)
    assert caught.value.code == "environment.database_locked"
    hasty.close()


def test_a_full_disk_is_told(tmp_path, clock):
    database = Database.open(f"sqlite:///{tmp_path / 'b.sqlite'}", clock=clock)
    with pytest.raises(EnvironmentFailure) as caught, database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")  # SQLite's own way to say: no room
        for number in range(2000):
            connection.execute(bucket(f"acc_{number:060}"))
    assert caught.value.code == "environment.disk_full"
    assert count(database) == 0
    database.close()


def test_a_file_that_is_no_database_is_told(tmp_path, clock):
    path = tmp_path / "b.sqlite"
    path.write_text("not a database, and long enough to be read as one " * 100)
    with pytest.raises(EnvironmentFailure) as caught:
        Database.open(f"sqlite:///{path}", clock=clock)
    assert caught.value.code == "environment.database_broken"
    assert caught.value.where == str(path)


def test_a_folder_in_place_of_the_file_is_told(tmp_path, clock):
    with pytest.raises(InputError, match="is a folder"):
        Database.open(f"sqlite:///{tmp_path}", clock=clock)


def test_an_unreachable_server_is_told_without_its_password(clock):
    password = "".join(("ge", "heim"))
    with pytest.raises(EnvironmentFailure) as caught:
        Database.open(f"postgresql://user:{password}@127.0.0.1:1/shop", clock=clock)
    assert caught.value.code == "environment.database_unreachable"
    assert password not in "".join(traceback.format_exception(caught.value))


def test_a_database_that_does_not_exist_is_told(postgres, clock):
    url = make_url(postgres).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(EnvironmentFailure, match="nowhere") as caught:
        Database.open(url, clock=clock)
    assert caught.value.code == "environment.database_unreachable"


def test_a_connection_in_use_when_the_database_closes_is_closed_as_it_comes_back(database):
    with database.reading() as connection:
        driver = connection.connection.driver_connection
        database.close()
        assert connection.execute(select(buckets)).all() == []
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        driver.execute("SELECT 1")


def test_a_broken_connection_is_told_and_the_next_one_works(database):
    if database.dialect != "postgresql":
        pytest.skip("SQLite has no server to lose")
    with pytest.raises(EnvironmentFailure) as caught, database.writing() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with database.reading() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        connection.execute(select(state))
    assert caught.value.code == "environment.database_unreachable"
    assert database.revision() == 0


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_another_url_is_refused(url, clock):
    with pytest.raises(InputError) as caught:
        Database.open(url, clock=clock)
    assert caught.value.code == "input.database_url"


def test_the_default_is_a_file_in_the_workspace_or_what_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.delenv(module.VARIABLE, raising=False)
    assert default_url(tmp_path) == f"sqlite:///{tmp_path / FILE}"
    monkeypatch.setenv(module.VARIABLE, "postgresql://host/shop")
    assert default_url(tmp_path) == "postgresql://host/shop"


def test_parameters_of_a_query_stay_out_of_its_error(tmp_path, clock):
    database = Database.open(f"sqlite:///{tmp_path / 'b.sqlite'}", clock=clock)
    with pytest.raises(IntegrityError) as caught, database.writing() as connection:
        connection.execute(insert(accounts).values(id="geheim", name=None, created_ms=0))
    assert "geheim" not in str(caught.value)
    database.close()


def test_a_copy_of_the_file_opens_like_the_file(tmp_path, clock):
    """WAL mode lies in the file itself: a backup made by SQLite needs no further step."""
    first = Database.open(f"sqlite:///{tmp_path / 'a.sqlite'}", clock=clock)
    first.write(first.bump)
    first.close()
    shutil.copyfile(tmp_path / "a.sqlite", tmp_path / "b.sqlite")
    second = Database.open(f"sqlite:///{tmp_path / 'b.sqlite'}", clock=clock)
    assert second.revision() == 1
    second.close()
    assert sqlite3.sqlite_version_info >= (3, 35)  # RETURNING came with it
    assert Path(tmp_path / "b.sqlite.lock").exists() is False
