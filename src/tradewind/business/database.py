"""The business database: one door to SQLite and PostgreSQL, with transactions, migrations and the house's errors.

Not here: tables (`tables.py`), how a schema changes (`migrate.py`), queries (the other files of the room).
"""

from __future__ import annotations

import fcntl
import importlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, TimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from tradewind.business.migrations import HEAD, REVISIONS
from tradewind.business.tables import state
from tradewind.clock import Clock, milliseconds
from tradewind.errors import EnvironmentFailure, InputError, writing

T = TypeVar("T")

VARIABLE = "TRADEWIND_DATABASE"
FILE = "business.sqlite"

# Names this house's migrations among the advisory locks of a PostgreSQL server: "tradewin" in ASCII.
_ADVISORY_LOCK = int.from_bytes(b"tradewin", "big")
_MIGRATION_WAIT_S = 60
_ATTEMPTS = 10
_WRITE = "tradewind_write"
_CLOCK = "tradewind_clock"


def default_url(workspace_home: Path) -> str:
    """What TRADEWIND_DATABASE says, or a SQLite file in the workspace."""
    return os.environ.get(VARIABLE) or f"sqlite:///{workspace_home.resolve() / FILE}"


class Database:
    """An open database whose schema is this code's. Safe to share between threads, not between processes after a fork.

    Reads see one moment from their first query to their last; writes of one SQLite file come one after another. A
    commit that returned survives a power cut (WAL with synchronous=FULL; PostgreSQL's own setting there).
    """

    def __init__(self, engine: Engine, *, clock: Clock) -> None:
        self.clock = clock
        self.dialect: str = engine.dialect.name
        self.place = _place(engine.url)
        self._engine = engine
        self._closed = False
        event.listen(engine, "checkin", self._came_back)
        self._write_options: dict[str, Any] = {_WRITE: True, _CLOCK: clock}
        self._read_options: dict[str, Any] = {_WRITE: False, _CLOCK: clock}
        if self.dialect == "postgresql":
            self._read_options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    @classmethod
    def open(cls, url: str, *, clock: Clock, wait_s: float = 10.0) -> Database:
        """Opens `sqlite:///PATH` or `postgresql://…`, made or brought up to this code's schema under a lock.

        `wait_s` is how long a transaction waits for another's lock. Raises InputError (`input.database_url`) for any
        other URL, EnvironmentFailure `database_unreachable`, `database_locked`, `database_newer` (a later version of
        Tradewind wrote it), `database_broken`, `disk_full`, `read_only`, `package_missing`.
        """
        engine = _engine(_parsed(url), wait_s=wait_s)
        try:
            with _failures(_place(engine.url)):
                _bring_up(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock=clock)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, over one snapshot. It never waits for a writer."""
        with _failures(self.place), self._engine.connect().execution_options(**self._read_options) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block and rolls back on any error (BEGIN IMMEDIATE on SQLite).

        On PostgreSQL writers run side by side (READ COMMITTED): lock a row that is read to be changed
        (`with_for_update`), and prefer `write`, which tries again after a deadlock.
        """
        with (
            _failures(self.place),
            self._engine.connect().execution_options(**self._write_options) as connection,
            connection.begin(),
        ):
            yield connection

    def write(self, change: Callable[[Connection], T]) -> T:
        """Runs `change` in a write transaction and gives back what it returns; after a deadlock or a serialization
        failure it runs again from the start, so `change` keeps no state of its own.

        A connection that breaks is not tried again: whether the commit arrived is not known then.
        """
        for attempt in range(1, _ATTEMPTS):
            try:
                with self.writing() as connection:
                    return change(connection)
            except _TransientFailure:
                time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))
        with self.writing() as connection:
            return change(connection)

    def revision(self) -> int:
        """Counts the changes of keys, subscriptions and accounts; a worker that has seen this number is up to date."""
        with self.reading() as connection:
            return int(connection.execute(select(state.c.value).where(state.c.name == "revision")).scalar_one())

    def bump(self, connection: Connection) -> None:
        """Raises the revision in the caller's transaction."""
        connection.execute(update(state).where(state.c.name == "revision").values(value=state.c.value + 1))

    def rewrite(self, *, wait_s: float = 2.0) -> bool:
        """Gives deleted rows no place to live on in: the file is written anew without freed pages and the write-ahead
        log emptied (SQLite), dead rows are vacuumed (PostgreSQL). False where another process held the log for `wait_s`.
        """
        with _failures(self.place):
            raw = self._engine.raw_connection()
            try:
                driver: Any = raw.driver_connection
                if self.dialect != "sqlite":
                    driver.rollback()
                    driver.autocommit = True
                    driver.execute("VACUUM")
                    driver.autocommit = False
                    return True
                with closing(driver.cursor()) as cursor:
                    before_ms = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
                    cursor.execute("PRAGMA query_only=OFF")
                    cursor.execute(f"PRAGMA busy_timeout={int(1000 * wait_s)}")
                    try:
                        cursor.execute("VACUUM")
                        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                    finally:
                        cursor.execute(f"PRAGMA busy_timeout={before_ms}")
                return not busy
            finally:
                raw.close()

    def close(self) -> None:
        """Closes every connection: those at rest at once, one that a thread still uses as soon as it comes back."""
        self._closed = True
        self._engine.dispose()

    def _came_back(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        if self._closed:  # its pool is gone: nobody else would close it
            entry.invalidate()


def now_ms(connection: Connection) -> int:
    """Now by the clock of the database that `connection` is of, in milliseconds since 1970 in UTC."""
    clock: Clock = connection.get_execution_options()[_CLOCK]
    return milliseconds(clock)


# ---------------------------------------------------------------- opening


def _parsed(url: str) -> URL:
    known = "Write sqlite:///PATH or postgresql://USER@HOST/NAME."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError("The database URL cannot be read.", code="database_url", hint=known) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise InputError(f"{parsed.drivername} is no database of the house.", code="database_url", hint=known)
    if not parsed.database or parsed.database == ":memory:":
        raise InputError("A database in memory would lose what was used.", code="database_url", hint=known)
    if Path(parsed.database).is_dir():
        raise InputError(f"{parsed.database} is a folder.", code="database_url", hint="Name a file in it.")
    return parsed


def _place(url: URL) -> str:
    return str(url.database) if url.drivername == "sqlite" else url.render_as_string(hide_password=True)


def _engine(url: URL, *, wait_s: float) -> Engine:
    pool = {"pool_size": 5, "max_overflow": 15, "pool_timeout": wait_s, "hide_parameters": True}
    if url.drivername == "sqlite":
        engine = create_engine(url, connect_args={"timeout": wait_s}, **pool)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    connecting: dict[str, Any] = {
        "connect_timeout": 5,
        "application_name": "tradewind",
        # A server that vanished is noticed in seconds, not after the operating system's two hours.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "options": f"-c lock_timeout={int(wait_s * 1000)} {url.query.get('options', '')}".strip(),
    }
    plain = url.difference_update_query(["options"])
    try:
        return create_engine(plain, connect_args=connecting, pool_pre_ping=True, use_native_hstore=False, **pool)
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"PostgreSQL needs the package {error.name}, which is not installed.",
            code="package_missing",
            hint="Install it: pip install 'tradewind[postgres]'.",
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver opens no transaction of its own; _begin_sqlite does
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _bring_up(engine: Engine) -> None:
    """Migrates where the schema is not this code's. The common case is one query."""
    path = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
    if (path is None or path.exists()) and _stamped(engine) == HEAD:
        return
    # Alembic costs a third of a second to import: only a start that migrates pays for it.
    migrate = importlib.import_module("tradewind.business.migrate")
    with _file_lock(path) if path else _advisory_lock(engine):
        if _stamped(engine) != HEAD:
            migrate.upgrade(engine)
    engine.dispose()  # connections of the migration have their own settings


def _stamped(engine: Engine) -> str | None:
    """The revision that the database says it has. Raises EnvironmentFailure for one that this code does not know."""
    with engine.connect() as connection:
        try:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except DBAPIError as error:
            if _is_missing_table(error):
                return None
            raise
    if found is not None and found not in REVISIONS:
        raise EnvironmentFailure(
            f"The database has the schema {found}; this version of Tradewind knows schemas up to {HEAD}.",
            code="database_newer",
            where=_place(engine.url),
            hint="A newer Tradewind wrote it: install that version, or restore the backup made before its upgrade.",
        )
    return str(found) if found is not None else None


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with writing(str(path)):  # personal data lies in it: for its owner alone; WAL files take the mode after it
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        yield


@contextmanager
def _advisory_lock(engine: Engine) -> Iterator[None]:
    with engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{_MIGRATION_WAIT_S}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _ADVISORY_LOCK})
            connection.commit()


# ---------------------------------------------------------------- errors


class _TransientFailure(EnvironmentFailure):
    """The same work may succeed when it is done again from its start."""


_UNREACHABLE = ("database_unreachable", "Check that it runs, and its URL (TRADEWIND_DATABASE).")
_LOCKED = ("database_locked", "Another process holds a lock on it: wait for that to end, then try again.")
_FULL = ("disk_full", "Free some space on the database's disk.")
_READ_ONLY = ("read_only", "The database must be writable: check its mode, its folder and its disk.")
_BROKEN = ("database_broken", "Restore it from a backup; `tradewind verify` says what holds.")

# https://www.sqlite.org/rescode.html: primary codes, then the extended ones that mean something else.
_SQLITE = {5: _LOCKED, 6: _LOCKED, 8: _READ_ONLY, 10: _BROKEN, 11: _BROKEN, 13: _FULL, 14: _UNREACHABLE, 26: _BROKEN}
_SQLITE_EXTENDED = {4874: _FULL, 778: _FULL}  # IOERR_SHMSIZE, IOERR_WRITE: no room for the WAL

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = {
    "53100": _FULL,
    "55P03": _LOCKED,
    "25006": _READ_ONLY,
    "40001": _LOCKED,
    "40P01": _LOCKED,
    "57014": _LOCKED,
}
_POSTGRESQL_CLASSES = {
    "08": _UNREACHABLE,
    "28": _UNREACHABLE,
    "3D": _UNREACHABLE,
    "53": _UNREACHABLE,
    "57": _UNREACHABLE,
}


@contextmanager
def _failures(place: str) -> Iterator[None]:
    """Turns what the environment does to a database into EnvironmentFailure, and a value that no column can hold into
    InputError (`input.value`). A violated constraint passes unchanged."""
    try:
        yield
    except (DataError, UnicodeEncodeError, OverflowError) as error:
        if isinstance(error, UnicodeEncodeError) and error.reason != "surrogates not allowed":
            raise
        # NUL and half characters in a text, a number beyond 64 bits, a text beyond its column.
        raise InputError("A value cannot be stored as it is.", code="value", where=place) from error
    except TimeoutError as error:
        raise EnvironmentFailure("All connections are in use.", code="database_locked", where=place) from error
    except (DBAPIError, sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        origin = error.orig if isinstance(error, DBAPIError) else error
        reason = _reason(error, origin)
        if reason is None:
            raise
        code, hint = reason
        again = getattr(origin, "sqlstate", None) in ("40001", "40P01")
        kind = _TransientFailure if again else EnvironmentFailure
        lines = str(origin).strip().splitlines() or ["no reason was given"]
        raise kind(f"The database said: {lines[0]}.", code=code, where=place, hint=hint) from error


def _reason(error: BaseException, origin: BaseException | None) -> tuple[str, str] | None:
    sqlite = getattr(origin, "sqlite_errorcode", None)
    if sqlite is not None:
        return _SQLITE_EXTENDED.get(sqlite) or _SQLITE.get(sqlite & 0xFF)
    sqlstate = getattr(origin, "sqlstate", None)
    if sqlstate is not None:
        return _POSTGRESQL.get(sqlstate) or _POSTGRESQL_CLASSES.get(sqlstate[:2])
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return _UNREACHABLE if lost or type(origin).__name__ in ("OperationalError", "ConnectionTimeout") else None


def _is_missing_table(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)
