"""Accounts and members: added, found, closed; what is wrong is said; nobody reaches another account's members."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tradewind.business import accounts, audit
from tradewind.errors import InputError


def code_of(caught):
    return caught.value.code.removeprefix("input.")


@pytest.fixture
def account(database):
    return accounts.add(database, "Harbour Ltd", email="Pay@Harbour.example", language="zh", actor="operator")


def test_an_account_is_read_back_as_it_was_added(database, account, clock):
    assert accounts.get(database, account.id) == account
    assert (account.name, account.email, account.language) == ("Harbour Ltd", "pay@harbour.example", "zh")
    assert account.created_ms == int(clock.now().timestamp() * 1000)
    assert account.closed_ms is None


def test_adding_bumps_the_revision_and_is_logged(database, account):
    assert database.revision() == 1
    (entry,) = audit.entries(database)
    assert (entry.actor, entry.action, entry.subject) == ("operator", "account.add", account.id)


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("", {}, "account_name"),
        ("   ", {}, "account_name"),
        ("a\nb", {}, "account_name"),
        ("a\x00", {}, "account_name"),
        ("x" * 201, {}, "account_name"),
        ("x", {"email": "nobody"}, "email"),
        ("x", {"email": "a b@c.d"}, "email"),
        ("x", {"language": "fr"}, "language"),
    ],
)
def test_bad_input_is_refused(database, name, values, code):
    with pytest.raises(InputError) as caught:
        accounts.add(database, name, actor="operator", **values)
    assert code_of(caught) == code
    assert accounts.all_accounts(database) == ()


def test_an_account_is_found_by_id_and_by_name(database, account):
    assert accounts.find(database, account.id) == account
    assert accounts.find(database, "Harbour Ltd") == account


def test_an_unknown_account_gets_the_nearest_name(database, account):
    with pytest.raises(InputError, match=r"Did you mean Harbour Ltd\?") as caught:
        accounts.find(database, "Harbor Ltd")
    assert code_of(caught) == "account_unknown"
    with pytest.raises(InputError, match="no account acc_none"):
        accounts.get(database, "acc_none")


@pytest.mark.parametrize("name", ["a\x00b", "\ud800", ""])
def test_a_name_that_cannot_be_stored_is_bad_input(database, name):
    with pytest.raises(InputError):
        accounts.find(database, name)
    with pytest.raises(InputError):
        accounts.get(database, name)


def test_two_of_one_name_must_be_told_apart_until_one_is_closed(database, account):
    other = accounts.add(database, "Harbour Ltd", actor="operator")
    with pytest.raises(InputError, match=f"Say which: {account.id}, {other.id}|Say which: {other.id}, {account.id}"):
        accounts.find(database, "Harbour Ltd")
    accounts.close(database, other.id, actor="operator")
    assert accounts.find(database, "Harbour Ltd") == account


def test_closing_keeps_the_account_and_the_first_moment(database, account, clock):
    closed = accounts.close(database, account.id, actor="operator")
    clock.advance(60)
    assert accounts.close(database, account.id, actor="operator") == closed == accounts.get(database, account.id)
    assert [entry.action for entry in audit.entries(database)] == ["account.add", "account.close"]


def test_members_come_and_go(database, account, clock):
    owner = accounts.add_member(database, account.id, email="Li@Harbour.example", role="owner", actor="operator")
    clock.advance(1)
    member = accounts.add_member(database, account.id, email="wu@harbour.example", actor="operator")
    assert accounts.members(database, account.id) == (owner, member)
    accounts.remove_member(database, member.id, within=account.id, actor="operator")
    assert accounts.members(database, account.id) == (owner,)


def test_an_address_is_a_member_once_and_may_come_back(database, account):
    member = accounts.add_member(database, account.id, email="li@harbour.example", actor="operator")
    with pytest.raises(InputError) as caught:
        accounts.add_member(database, account.id, email=" LI@harbour.example", actor="operator")
    assert code_of(caught) == "member_exists"
    accounts.remove_member(database, member.id, actor="operator")
    accounts.add_member(database, account.id, email="li@harbour.example", actor="operator")


def test_of_many_who_add_one_address_at_once_one_succeeds(database, account):
    def add(_):
        try:
            return accounts.add_member(database, account.id, email="li@harbour.example", actor="operator")
        except InputError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [member for member in pool.map(add, range(8)) if member]
    assert tuple(made) == accounts.members(database, account.id)
    assert len(made) == 1


def test_the_last_owner_stays_while_others_do(database, account):
    owner = accounts.add_member(database, account.id, email="li@harbour.example", role="owner", actor="operator")
    member = accounts.add_member(database, account.id, email="wu@harbour.example", actor="operator")
    with pytest.raises(InputError) as caught:
        accounts.remove_member(database, owner.id, actor="operator")
    assert code_of(caught) == "last_owner"
    accounts.remove_member(database, member.id, actor="operator")
    accounts.remove_member(database, owner.id, actor="operator")


def test_another_accounts_member_is_unknown(database, account):
    other = accounts.add(database, "Other", actor="operator")
    member = accounts.add_member(database, account.id, email="li@harbour.example", actor="operator")
    with pytest.raises(InputError) as caught:
        accounts.remove_member(database, member.id, within=other.id, actor="operator")
    assert code_of(caught) == "member_unknown"
    assert accounts.members(database, account.id) == (member,)


def test_a_closed_account_takes_no_member(database, account):
    accounts.close(database, account.id, actor="operator")
    with pytest.raises(InputError) as caught:
        accounts.add_member(database, account.id, email="li@harbour.example", actor="operator")
    assert code_of(caught) == "account_closed"


@pytest.mark.parametrize(("values", "code"), [({"role": "boss"}, "role"), ({"email": "x"}, "email")])
def test_a_bad_member_is_refused(database, account, values, code):
    with pytest.raises(InputError) as caught:
        accounts.add_member(database, account.id, actor="operator", **{"email": "a@b.example", **values})
    assert code_of(caught) == code


def test_the_log_holds_no_address(database, account):
    accounts.add_member(database, account.id, email="li@harbour.example", actor="operator")
    assert "li@harbour" not in repr(audit.entries(database))
