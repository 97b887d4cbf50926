"""Members and consent over HTTP: what each role may do, and that nobody lifts himself above it."""

from __future__ import annotations

import pytest

from tests.server.test_account_routes import ann, ben, call, operator, server, tenant  # noqa: F401
from tradewind.business import accounts, consent, keys, requests

SCOPES = ("predict", "usage", "keys", "invoices")
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def people(database, ann):  # noqa: F811
    """A key of one member of each role, and the members' ids."""
    made = {"owner": ann.member_id}
    for role in ("admin", "member", "billing", "viewer"):
        made[role] = accounts.add_member(database, ann.id, email=f"{role}@example.com", role=role, actor="test").id
    issued = {
        role: keys.issue(database, ann.id, name=role, scopes=SCOPES, member_id=one, actor="test")
        for role, one in made.items()
    }
    return made, {role: one.secret for role, one in issued.items()}, {role: one.key.id for role, one in issued.items()}


def test_each_role_reads_what_is_its_business(call, people):  # noqa: F811
    _, secrets, _ = people
    asked = {"usage": "/v1/usage", "keys": "/v1/keys", "invoices": "/v1/invoices"}
    may = {
        role: {name for name, path in asked.items() if _status(call, secrets[role], "GET", path) == 200}
        for role in secrets
    }
    assert may == {
        "owner": {"usage", "keys", "invoices"},
        "admin": {"usage", "keys", "invoices"},
        "member": {"usage", "keys"},
        "billing": {"usage", "invoices"},
        "viewer": {"usage"},
    }


def _status(call, secret, method, path):  # noqa: F811
    for status in (200, 403):
        try:
            call(secret, method, path, status)
        except AssertionError:
            continue
        return status
    raise AssertionError(path)


def test_the_caller_learns_who_he_is(call, people, ann):  # noqa: F811
    ids, secrets, _ = people
    assert call(secrets["billing"], "GET", "/v1/account")["caller"] == {
        "member": ids["billing"], "role": "billing", "scopes": ["invoices", "usage"],
    }  # fmt: skip
    assert call(ann.secret, "GET", "/v1/account")["caller"]["role"] is None


def test_an_admin_changes_people_but_no_owner(call, people):  # noqa: F811
    ids, secrets, _ = people
    admin = secrets["admin"]
    made = call(admin, "POST", "/v1/members", 201, json={"email": "new@example.com", "role": "viewer"})
    assert call(admin, "PUT", f"/v1/members/{made['id']}", json={"role": "admin"})["role"] == "admin"
    call(admin, "POST", "/v1/members", 403, json={"email": "own@example.com", "role": "owner"})
    call(admin, "PUT", f"/v1/members/{ids['viewer']}", 403, json={"role": "owner"})
    call(admin, "PUT", f"/v1/members/{ids['owner']}", 403, json={"role": "viewer"})
    call(admin, "DELETE", f"/v1/members/{ids['owner']}", 403)
    assert call(secrets["owner"], "PUT", f"/v1/members/{ids['viewer']}", json={"role": "owner"})["role"] == "owner"
    call(admin, "DELETE", f"/v1/members/{made['id']}")


def test_a_developer_changes_nobody_and_sees_his_own_keys(call, people):  # noqa: F811
    ids, secrets, key_ids = people
    member = secrets["member"]
    call(member, "POST", "/v1/members", 403, json={"email": "x@example.com"})
    call(member, "DELETE", f"/v1/members/{ids['viewer']}", 403)
    call(member, "POST", "/v1/consent", 403, json={"purpose": "training", "given": True})
    call(member, "DELETE", f"/v1/keys/{key_ids['viewer']}", 403)
    call(member, "POST", f"/v1/keys/{key_ids['viewer']}/rotate", 403, json={})
    call(member, "POST", "/v1/keys", 403, json={"member": ids["admin"]})
    mine = call(member, "POST", "/v1/keys", 201, json={"name": "laptop"})
    assert (mine["member"], mine["scopes"]) == (ids["member"], ["keys", "predict", "usage"])
    assert {one["member"] for one in call(member, "GET", "/v1/keys")["keys"]} == {ids["member"]}
    call(member, "DELETE", f"/v1/keys/{mine['id']}")


def test_an_admin_revokes_but_takes_nobodys_place(call, people, ann):  # noqa: F811
    _, secrets, key_ids = people
    call(secrets["admin"], "POST", f"/v1/keys/{key_ids['viewer']}/rotate", 403, json={})
    call(secrets["admin"], "DELETE", f"/v1/keys/{key_ids['owner']}", 403)
    call(secrets["admin"], "DELETE", f"/v1/keys/{key_ids['viewer']}")
    call(secrets["viewer"], "GET", "/v1/usage", 401)
    call(secrets["admin"], "POST", f"/v1/keys/{ann.spare_key_id}/rotate", 201, json={})
    call(ann.secret, "DELETE", f"/v1/keys/{key_ids['owner']}", 403)


def test_who_is_removed_is_out_at_once(call, people):  # noqa: F811
    ids, secrets, _ = people
    call(secrets["owner"], "DELETE", f"/v1/members/{ids['admin']}")
    assert call(secrets["admin"], "GET", "/v1/usage", 401)["error"]["code"] == "input.key_revoked"


def test_another_role_counts_with_the_next_request(call, people):  # noqa: F811
    ids, secrets, _ = people
    call(secrets["viewer"], "GET", "/v1/invoices", 403)
    call(secrets["owner"], "PUT", f"/v1/members/{ids['viewer']}", json={"role": "billing"})
    call(secrets["viewer"], "GET", "/v1/invoices")


def test_another_accounts_member_gets_no_key_and_no_role(call, ann, ben):  # noqa: F811
    call(ben.secret, "POST", "/v1/keys", 404, json={"member": ann.member_id})
    call(ben.secret, "PUT", f"/v1/members/{ann.member_id}", 404, json={"role": "viewer"})


def test_consent_is_given_withdrawn_and_erases(call, database, ann, people):  # noqa: F811
    _, secrets, _ = people
    assert call(ann.secret, "GET", "/v1/consent") == {
        "consent": {"store_inputs": None, "training": None},
        "history": [],
    }
    call(secrets["admin"], "POST", "/v1/consent", json={"purpose": "store_inputs", "given": True, "note": "合同第七条"})
    wrong = {"purpose": "training", "given": False, "erase": True}
    call(ann.secret, "POST", "/v1/consent", 400, json=wrong)
    said = call(ann.secret, "POST", "/v1/consent", json={"purpose": "store_inputs", "given": False, "erase": True})
    assert (said["consent"]["store_inputs"], said["erased"]) == (False, requests.count(database))
    assert [(one["given"], one["by"], one["note"]) for one in said["history"]] == [
        (True, people[2]["admin"], "合同第七条"),
        (False, ann.key_id, None),
    ]
    assert consent.answers(database, [ann.id], purpose="store_inputs") == {ann.id: False}


def test_the_operator_writes_consent_roles_and_runs_the_bills(call, operator, ann, people):  # noqa: F811
    ids, secrets, _ = people
    path = f"/admin/v1/accounts/{ann.id}"
    said = call(operator, "POST", f"{path}/consent", json={"purpose": "training", "given": True, "note": "by mail"})
    assert call(operator, "GET", f"{path}/consent") == said
    assert call(operator, "PUT", f"{path}/members/{ids['member']}", json={"role": "viewer"})["role"] == "viewer"
    call(secrets["member"], "GET", "/v1/keys", 403)
    made = call(operator, "POST", f"{path}/keys", 201, json={"member": ids["billing"]})
    assert (made["member"], call(made["key"], "GET", "/v1/account")["caller"]["role"]) == (ids["billing"], "billing")
    assert call(operator, "POST", "/admin/v1/invoices/run")["failed"] == 0


def test_invoices_say_how_they_are_paid(call, ann):  # noqa: F811
    found = {one["id"]: one["payment"] for one in call(ann.secret, "GET", "/v1/invoices")["invoices"]}
    assert found[ann.invoice_id]["state"] in ("open", "nothing_due")
    assert found[ann.draft_id] == {"state": "not_due", "paid_minor": 0, "outstanding_minor": 0}
