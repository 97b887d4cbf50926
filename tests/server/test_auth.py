"""Keys are asked for once, remembered, and forgotten when something changes."""

import pytest

from tests.server.test_metering import customer
from tradewind.business import keys
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.server.auth import Authenticator, bearer


@pytest.mark.parametrize(("header", "secret"), [
    (b"Bearer abc", "abc"), (b"bearer  abc ", "abc"), (b"Basic abc", None), (b"Bearer ", None), (b"abc", None), (None, None),
])  # fmt: skip
def test_the_secret_of_a_bearer_header(header, secret):
    assert bearer(header) == secret


def test_a_key_is_remembered_once_it_was_found(database):
    account, header, _ = customer(database)
    authenticator = Authenticator(database)
    assert authenticator.recall(header) is None
    assert authenticator.find(header).access.account_id == account
    assert authenticator.recall(header) is authenticator.find(header)


def test_after_a_change_it_is_asked_for_again(database):
    _, header, key = customer(database)
    authenticator = Authenticator(database)
    authenticator.find(header)
    keys.revoke(database, key.id, actor="test")
    authenticator.forget()
    with pytest.raises(InputError) as refused:
        authenticator.find(header)
    assert refused.value.code == "input.key_revoked"


@pytest.mark.parametrize("header", [None, b"Basic x", b"Bearer tw_live_aaaaaaaa_" + b"b" * 43])
def test_a_stranger_is_refused(database, header):
    with pytest.raises(InputError) as refused:
        Authenticator(database).find(header)
    assert refused.value.code in ("input.key_missing", "input.key_unknown")


def test_a_known_key_lives_on_while_the_database_cannot_be_asked(database_url, clock, monkeypatch):
    from tradewind.business.database import Database

    database = Database.open(database_url, clock=clock)
    _, header, _ = customer(database)
    authenticator = Authenticator(database)
    found = authenticator.find(header)
    found.until_s = 0.0  # as after a minute
    database.close()
    gone = Database(_dead_engine(), clock=clock)
    authenticator._database = gone
    assert authenticator.find(header) is found
    found.last_s = 0.0  # as after ten
    with pytest.raises(EnvironmentFailure):
        authenticator.find(header)
    gone.close()


def _dead_engine():
    from sqlalchemy import create_engine

    return create_engine("sqlite:////nowhere/at/all.sqlite")
