"""What tests of stored requests begin with: a vault, and a database with two accounts."""

import pytest
from sqlalchemy import insert

from tradewind.business.tables import accounts
from tradewind.clock import milliseconds
from tradewind.privacy.vault import Vault


@pytest.fixture
def vault(tmp_path):
    return Vault.open(tmp_path / "vault")


@pytest.fixture
def filled(database, clock):
    """The database with two accounts."""
    with database.writing() as connection:
        for name in ("acc_1", "acc_2"):
            connection.execute(insert(accounts).values(id=name, name=name, created_ms=milliseconds(clock)))
    return database
