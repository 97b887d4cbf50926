"""A key is shown once, known by its hash, and stops when it should; nobody reaches another account's keys."""

import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from tradewind.business import accounts, audit, keys, plans
from tradewind.business.database import Database
from tradewind.business.tables import metadata
from tradewind.errors import InputError
from tradewind.tariff import Plan

PRO = Plan(monthly="299 CNY", included=1000, overage="0.002 CNY", products=["credit-risk"])


def code_of(caught):
    return caught.value.code.removeprefix("input.")


@pytest.fixture
def account(database):
    return accounts.add(database, "Harbour", actor="operator")


@pytest.fixture
def issued(database, account):
    return keys.issue(database, account.id, name="server", scopes=["predict", "usage"], actor="operator")


def refused(database, secret):
    with pytest.raises(InputError) as caught:
        keys.access(database, secret)
    return code_of(caught)


# ---------------------------------------------------------------- making


def test_a_secret_has_its_kind_its_prefix_and_256_bits(database, issued):
    assert issued.secret.startswith("tw_live_")
    assert issued.secret[:16] == issued.key.prefix
    kind_and_shown, hidden = issued.secret[:16], issued.secret[17:]
    assert kind_and_shown.count("_") == 2
    assert len(hidden) == 43
    operator = keys.issue(database, None, name="ops", scopes=["operator"], actor="operator")
    assert operator.secret.startswith("tw_op_")
    assert operator.secret[:16] == operator.key.prefix


def test_no_table_and_no_message_holds_a_secret(database, issued):
    keys.rotate(database, issued.key.id, actor="operator")
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            assert issued.secret not in repr(connection.execute(select(table)).all())
    assert issued.secret not in repr(issued)
    with pytest.raises(InputError) as caught:
        keys.find(database, issued.secret)
    assert issued.secret not in str(caught.value)


def test_the_hash_is_sha_256_of_the_whole_secret(issued):
    assert keys.hash_secret(issued.secret) == hashlib.sha256(issued.secret.encode()).hexdigest()


def test_secrets_and_prefixes_differ(database, account):
    made = [keys.issue(database, account.id, name="k", scopes=["predict"], actor="operator") for _ in range(30)]
    assert len({issued.secret for issued in made}) == len({issued.key.prefix for issued in made}) == 30


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"name": ""}, "key_name"),
        ({"scopes": []}, "scope"),
        ({"scopes": ["predicts"]}, "scope"),
        ({"scopes": ["predict", "operator"]}, "scope"),
        ({"expires_ms": 0}, "expiry"),
    ],
)
def test_bad_input_is_refused(database, account, values, code):
    with pytest.raises(InputError) as caught:
        keys.issue(database, account.id, actor="operator", **{"name": "k", "scopes": ["predict"], **values})
    assert code_of(caught) == code
    assert keys.keys_of(database, account.id) == ()


def test_the_operators_key_has_the_operators_scope_alone(database):
    with pytest.raises(InputError, match="no scope of the operator's key"):
        keys.issue(database, None, name="ops", scopes=["predict"], actor="operator")


def test_a_misspelt_scope_gets_the_nearest_one(database, account):
    with pytest.raises(InputError, match=r"Did you mean predict\?"):
        keys.issue(database, account.id, name="k", scopes=["predcit"], actor="operator")


def test_no_key_for_an_unknown_or_a_closed_account(database, account):
    with pytest.raises(InputError, match="no account acc_none"):
        keys.issue(database, "acc_none", name="k", scopes=["predict"], actor="operator")
    accounts.close(database, account.id, actor="operator")
    with pytest.raises(InputError, match="is closed"):
        keys.issue(database, account.id, name="k", scopes=["predict"], actor="operator")


def test_every_change_bumps_the_revision_and_is_logged(database, issued):
    before = database.revision()
    renewed = keys.rotate(database, issued.key.id, actor="operator")
    keys.revoke(database, renewed.key.id, actor="operator")
    assert database.revision() == before + 2
    assert [entry.action for entry in audit.entries(database)][-3:] == ["key.issue", "key.rotate", "key.revoke"]


# ---------------------------------------------------------------- access


def test_access_carries_all_that_a_request_needs(database, account, issued):
    subscription = plans.subscribe(database, account.id, plan="pro", terms=PRO, actor="operator")
    access = keys.access(database, issued.secret)
    assert (access.key_id, access.account_id) == (issued.key.id, account.id)
    assert access.scopes == frozenset({"predict", "usage"})
    assert access.operator is False
    assert access.subscription == subscription
    assert access.subscription.terms == PRO


def test_a_customer_without_a_plan_still_has_access(database, issued):
    assert keys.access(database, issued.secret).subscription is None


def test_the_operator_has_no_account(database, account):
    operator = keys.issue(database, None, name="ops", scopes=["operator"], actor="operator")
    plans.subscribe(database, account.id, plan="pro", terms=PRO, actor="operator")
    access = keys.access(database, operator.secret)
    assert (access.account_id, access.operator, access.subscription) == (None, True, None)


def test_access_asks_one_query(database, account, issued):
    plans.subscribe(database, account.id, plan="pro", terms=PRO, actor="operator")
    asked = []

    def note(_connection, _cursor, statement, *_):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        keys.access(database, issued.secret)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len([statement for statement in asked if statement.startswith("SELECT")]) == 1


@pytest.mark.parametrize(
    "secret",
    ["", "x", "tw_live_", "tw_live_aaaaaaaa_" + "a" * 43, "\x00" * 20, "\ud800" * 60, "密" * 60, "a" * 100_000],
)
def test_a_stranger_is_refused_in_one_way(database, issued, secret):
    assert refused(database, secret) == "key_unknown"


def test_a_known_prefix_with_a_wrong_end_is_unknown(database, issued):
    wrong = issued.secret[:-1] + ("a" if issued.secret[-1] != "a" else "b")
    assert refused(database, wrong) == "key_unknown"
    assert refused(database, issued.key.prefix) == "key_unknown"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 59), letter=st.sampled_from("aZ9_-"))
def test_any_other_letter_anywhere_is_unknown(tmp_path, clock, position, letter):
    database = Database.open(f"sqlite:///{tmp_path / 'b.sqlite'}", clock=clock)
    secret = keys.issue(database, None, name="ops", scopes=["operator"], actor="operator").secret
    changed = secret[:position] + letter + secret[position + 1 :]
    if changed != secret:
        assert refused(database, changed) == "key_unknown"
    database.close()


def test_a_key_expires_at_its_moment(database, account, clock):
    now_ms = int(clock.now().timestamp() * 1000)
    issued = keys.issue(database, account.id, name="k", scopes=["predict"], expires_ms=now_ms + 1000, actor="operator")
    clock.advance(0.999)
    assert keys.access(database, issued.secret).until_ms == now_ms + 1000
    clock.advance(0.001)
    assert refused(database, issued.secret) == "key_expired"


def test_a_revoked_key_is_refused_at_once_and_for_good(database, issued, clock):
    revoked = keys.revoke(database, issued.key.id, actor="operator")
    assert refused(database, issued.secret) == "key_revoked"
    clock.advance(60)
    assert keys.revoke(database, issued.key.id, actor="operator") == revoked


def test_the_keys_of_a_closed_account_are_refused(database, account, issued):
    accounts.close(database, account.id, actor="operator")
    assert refused(database, issued.secret) == "account_closed"


def test_a_change_that_comes_due_is_in_the_access(database, account, issued, clock):
    subscription = plans.subscribe(database, account.id, plan="pro", terms=PRO, actor="operator")
    free = Plan(monthly="0 CNY", included=10)
    plans.change(database, account.id, plan="free", terms=free, actor="operator")
    access = keys.access(database, issued.secret)
    assert access.until_ms == subscription.period(subscription.started_ms).end_ms
    clock.advance(40 * 86_400)
    assert keys.access(database, issued.secret).subscription.plan == "free"
    plans.cancel(database, account.id, actor="operator")
    clock.advance(40 * 86_400)
    assert keys.access(database, issued.secret).subscription is None


# ---------------------------------------------------------------- rotation


def test_after_a_rotation_both_keys_work_until_the_grace_ends(database, issued, clock):
    renewed = keys.rotate(database, issued.key.id, grace_s=60, actor="operator")
    assert (renewed.key.name, renewed.key.scopes) == (issued.key.name, issued.key.scopes)
    clock.advance(59)
    assert keys.access(database, issued.secret).key_id == issued.key.id
    clock.advance(1)
    assert refused(database, issued.secret) == "key_expired"
    assert keys.access(database, renewed.secret).key_id == renewed.key.id
    assert keys.find(database, issued.key.prefix).replaced_by == renewed.key.id


def test_without_grace_the_old_key_stops_at_once(database, issued):
    keys.rotate(database, issued.key.id, grace_s=0, actor="operator")
    assert refused(database, issued.secret) == "key_expired"


def test_a_grace_does_not_lengthen_a_life_and_the_new_key_lives_as_long(database, account, clock):
    now_ms = int(clock.now().timestamp() * 1000)
    old = keys.issue(database, account.id, name="k", scopes=["predict"], expires_ms=now_ms + 100_000, actor="operator")
    clock.advance(90)
    renewed = keys.rotate(database, old.key.id, grace_s=3600, actor="operator")
    assert keys.find(database, old.key.id).expires_ms == now_ms + 100_000
    assert renewed.key.expires_ms == now_ms + 190_000


def test_a_dead_or_a_replaced_key_is_not_rotated(database, issued, account):
    keys.rotate(database, issued.key.id, actor="operator")
    with pytest.raises(InputError) as caught:
        keys.rotate(database, issued.key.id, actor="operator")
    assert code_of(caught) == "key_replaced"
    keys.revoke(database, issued.key.id, actor="operator")
    with pytest.raises(InputError) as caught:
        keys.rotate(database, issued.key.id, actor="operator")
    assert code_of(caught) == "key_revoked"


@pytest.mark.parametrize("grace_s", [-1, 91 * 86_400])
def test_a_grace_has_bounds(database, issued, grace_s):
    with pytest.raises(InputError) as caught:
        keys.rotate(database, issued.key.id, grace_s=grace_s, actor="operator")
    assert code_of(caught) == "grace"


# ---------------------------------------------------------------- lists


def test_keys_are_listed_without_a_hash(database, account, issued):
    (key,) = keys.keys_of(database, account.id)
    assert key == issued.key
    assert not hasattr(key, "hash")
    assert keys.keys_of(database, None) == ()
    assert keys.find(database, key.id) == keys.find(database, key.prefix) == key


def test_another_accounts_key_is_unknown(database, issued):
    other = accounts.add(database, "Other", actor="operator")
    for act in (keys.revoke, keys.rotate):
        with pytest.raises(InputError) as caught:
            act(database, issued.key.id, within=other.id, actor="operator")
        assert code_of(caught) == "key_unknown"
    keys.access(database, issued.secret)


def test_scopes_are_stored_as_json(database, issued):
    with database.reading() as connection:
        stored = connection.execute(select(metadata.tables["keys"].c.scopes)).scalar_one()
    assert json.loads(stored) == ["predict", "usage"]
