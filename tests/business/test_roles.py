"""A member's key may what both its scopes and the member's role allow, at each moment; it ends with the membership."""

import pytest

from tests.business.billing import customer
from tradewind.business import accounts, keys
from tradewind.business.roles import ROLES, SCOPES_OF, bounded, rank, require_over
from tradewind.errors import InputError

EVERY = ("predict", "converse", "usage", "keys", "invoices")


@pytest.fixture
def who(database):
    made = customer(database)
    accounts.add_member(database, made.id, email="boss@example.com", role="owner", actor="test")
    return made


def member(database, who, role, name="li"):
    return accounts.add_member(database, who.id, email=f"{name}@example.com", role=role, actor="test")


def issue(database, who, one, scopes=EVERY):
    return keys.issue(database, who.id, name="k", scopes=scopes, member_id=one.id, actor="test")


@pytest.mark.parametrize("role", ROLES)
def test_a_key_may_what_the_role_allows_and_no_more(database, who, role):
    access = keys.access(database, issue(database, who, member(database, who, role)).secret)
    assert access.scopes == SCOPES_OF[role]
    assert (access.role, access.member_id is None) == (role, False)


def test_a_key_of_the_account_itself_has_no_role(database, who):
    access = keys.access(database, keys.issue(database, who.id, name="k", scopes=EVERY, actor="test").secret)
    assert (access.scopes, access.role, access.member_id) == (frozenset(EVERY), None, None)


def test_another_role_counts_at_once_and_both_ways(database, who):
    one = member(database, who, "viewer")
    secret = issue(database, who, one).secret
    before = database.revision()
    accounts.set_role(database, one.id, role="billing", actor="test")
    assert keys.access(database, secret).scopes == {"usage", "invoices"}
    assert database.revision() > before  # so that every worker asks again
    accounts.set_role(database, one.id, role="viewer", actor="test")
    assert keys.access(database, secret).scopes == {"usage"}


def test_the_keys_of_one_who_leaves_are_revoked_and_nobody_elses(database, who):
    one, other = member(database, who, "member"), member(database, who, "admin", "wu")
    mine, theirs = issue(database, who, one), issue(database, who, other)
    turned = keys.rotate(database, issue(database, who, one).key.id, actor="test")
    accounts.remove_member(database, one.id, actor="test")
    for gone in (mine.secret, turned.secret):
        with pytest.raises(InputError) as caught:
            keys.access(database, gone)
        assert caught.value.code == "input.key_revoked"
    assert keys.access(database, theirs.secret).role == "admin"
    with pytest.raises(InputError, match="no member"):
        issue(database, who, one)


def test_a_rotated_key_stays_its_members(database, who):
    one = member(database, who, "billing")
    assert keys.rotate(database, issue(database, who, one).key.id, actor="test").key.member_id == one.id


def test_a_key_that_could_do_nothing_is_not_made(database, who):
    with pytest.raises(InputError, match="role viewer may usage, and none of predict") as caught:
        issue(database, who, member(database, who, "viewer"), ["predict"])
    assert caught.value.code == "input.role_scope"


def test_another_accounts_member_is_unknown(database, who):
    stranger = member(database, customer(database), "owner")
    with pytest.raises(InputError, match="no member"):
        issue(database, who, stranger)


def test_the_last_owner_stays_owner(database, who):
    member(database, who, "admin")
    (boss,) = [one for one in accounts.members(database, who.id) if one.role == "owner"]
    with pytest.raises(InputError) as caught:
        accounts.set_role(database, boss.id, role="viewer", actor="test")
    assert caught.value.code == "input.last_owner"


def test_an_unknown_role_is_answered_with_the_nearest(database, who):
    with pytest.raises(InputError, match="Did you mean viewer"):
        accounts.set_role(database, member(database, who, "admin").id, role="viewr", actor="test")


def test_nobody_grants_what_he_has_not():
    for role in (None, *ROLES):
        for other in ROLES:
            if rank(role) < 1 or rank(other) > rank(role):
                with pytest.raises(InputError, match="may not do this"):
                    require_over(role, other)
            else:
                require_over(role, other)
    assert [role for role in (None, *ROLES) if rank(role) > 1] == ["owner"]
    assert bounded(frozenset({"predict"}), "billing") == frozenset()
