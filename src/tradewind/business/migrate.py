"""Brings a database up to this code's schema with Alembic, all of it in one transaction.

Not here: whether it is needed, and the lock it is done under (`database.py`, which alone imports this file, and only
when there is something to do).
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from tradewind.business import migrations

# Alembic keeps the migration that runs in a global: one at a time in a process.
_one_at_a_time = Lock()


def config() -> Config:
    """Alembic's configuration without an ini file, from the package's own folder."""
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def upgrade(engine: Engine) -> None:
    """Runs what is missing. A failure leaves the schema as it was: both databases take part of no change."""
    with _one_at_a_time, engine.connect().execution_options(tradewind_write=True) as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:  # a table that SQLite must rebuild is dropped for a moment; it cannot be switched inside
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            made = config()
            made.attributes["connection"] = connection
            command.upgrade(made, "head")
            if sqlite:
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                assert not broken, broken
