"""Billing, collecting, people, consent and the vault by verbs: what programs read, and what is refused."""

from __future__ import annotations

import pytest

from tests.business.test_stripe import SECRET, double  # noqa: F401  a local server that keeps Stripe's rules
from tests.cli.test_business_verbs import opened, say, serve, shop, tell  # noqa: F401
from tradewind.artifacts import Workspace
from tradewind.business import accounts, keys, requests
from tradewind.business.requests import RequestRecord
from tradewind.clock import SystemClock, milliseconds
from tradewind.privacy.retention import Retention
from tradewind.privacy.vault import Vault


@pytest.fixture
def over(shop, tell):  # noqa: F811
    """Two closed accounts, whose last periods are over by that; one has 4 units beyond the included ones."""
    ids = [tell("account", "add", name, "--plan", "pro")["account"] for name in ("Acme", "Bolt")]
    serve(shop, ids[0], [14])
    for one in ids:
        tell("account", "close", one)
    return ids


def test_a_run_finalizes_and_a_second_one_finds_nothing(tell, say, over):  # noqa: F811
    first = tell("invoice", "run")
    assert (first["finalized"], first["failed"]) == (2, 0)
    assert [one["account"] for one in first["accounts"]] == over
    assert first["accounts"][0]["invoices"][0]["status"] == "final"
    assert tell("invoice", "run")["finalized"] == 0
    assert say("invoice", "run").splitlines() == [f"Acme ({over[0]}): nothing due", f"Bolt ({over[1]}): nothing due"]


def test_one_account_that_fails_is_named_and_the_exit_status_says_so(shop, tell, capsys, over):  # noqa: F811
    database = opened(shop)
    with database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO workers (id, host, pid, journal, heartbeat_ms, ended_ms) VALUES ('wrk_x', 'elsewhere', 1, '/x', 0, 1)"
        )
        start = connection.exec_driver_sql("SELECT anchor_ms FROM subscriptions LIMIT 1").scalar()
        connection.exec_driver_sql(
            "INSERT INTO leases (worker_id, account_id, period_start_ms, meter, units, expires_ms) "
            f"VALUES ('wrk_x', '{over[0]}', {start}, 'rows', 3, 9000000000000)"
        )
    database.close()
    done = tell("invoice", "run", code=1)
    assert (done["finalized"], done["failed"]) == (1, 1)
    assert done["accounts"][0]["error"]["code"] == "input.usage_unsettled"


def test_collecting_needs_somebody_who_is_named(tell, over):  # noqa: F811
    assert tell("invoice", "collect", code=2)["error"]["code"] == "input.payment_provider"
    error = tell("invoice", "collect", "--provider", "strip", code=2)["error"]
    assert "Did you mean stripe?" in error["message"]


def test_everything_that_is_due_is_collected_once(shop, tell, say, over):  # noqa: F811
    (shop / "tradewind.yaml").write_text((shop / "tradewind.yaml").read_text() + "  payments: fake\n")
    tell("invoice", "run")
    owing = tell("invoice", "list", "--unpaid")["invoices"]
    assert owing
    assert {one["payment"]["state"] for one in owing} == {"open"}
    done = tell("invoice", "collect")
    assert (done["provider"], done["failed"]) == ("fake", 0)
    assert {one["payment"]["status"] for one in done["invoices"]} == {"succeeded"}
    assert tell("invoice", "collect")["invoices"] == []
    assert tell("invoice", "list", "--unpaid")["invoices"] == []
    shown = tell("invoice", "show", owing[0]["number"])
    assert (shown["payment"]["state"], len(shown["payments"])) == ("paid", 1)
    assert "paid, 0.00 CNY outstanding" in say("invoice", "show", owing[0]["number"])
    assert tell("invoice", "refund", owing[0]["number"])["status"] == "refunded"
    assert tell("invoice", "show", owing[0]["number"])["payment"]["state"] == "refunded"


def test_stripe_is_asked_with_the_card_of_the_account(tell, capsys, over, double, monkeypatch):  # noqa: F811
    tell("invoice", "run")
    (made, *_) = tell("invoice", "list", "Acme")["invoices"]
    assert tell("invoice", "collect", "--provider", "stripe", code=3)["error"]["code"] == "environment.payment_key"
    monkeypatch.setenv("STRIPE_SECRET_KEY", SECRET)
    monkeypatch.setenv("TRADEWIND_STRIPE_URL", double.base)
    tell_card = ("account", "card", "Acme", "--customer", "cus_1", "--method")
    assert tell(*tell_card, "4242424242424242", code=2)["error"]["code"] == "input.payment_method"
    assert "closed" in tell(*tell_card, "pm_card_visa", code=2)["error"]["message"]
    done = tell("invoice", "collect", made["id"], "--provider", "stripe")
    assert done["invoices"][0]["payment"]["status"] == "pending"  # no card is kept: the customer pays at Stripe
    assert SECRET not in str(done)
    double.intents["pi_1"] |= {"status": "succeeded", "latest_charge": {"id": "ch_1", "refunded": False}}
    assert (
        tell("invoice", "collect", made["id"], "--provider", "stripe")["invoices"][0]["payment"]["status"]
        == "succeeded"
    )
    assert len(double.intents) == 1


def test_a_draft_is_not_collected(tell):  # noqa: F811
    account = tell("account", "add", "Acme", "--plan", "pro")["account"]
    draft = tell("invoice", "draft", account)["id"]
    done = tell("invoice", "collect", draft, "--provider", "fake", code=1)
    assert done["invoices"][0]["error"]["code"] == "input.invoice_status"
    assert tell("invoice", "refund", draft, code=2)["error"]["code"] == "input.payment_status"


# ---------------------------------------------------------------- people and consent


def test_a_members_key_follows_the_members_role_and_ends_with_it(shop, tell):  # noqa: F811
    tell("account", "add", "Acme", "--plan", "pro")
    tell("account", "member", "add", "Acme", "boss@example.com", "--role", "owner")
    tell("account", "member", "add", "Acme", "li@example.com", "--role", "billing")
    secret = tell("key", "add", "Acme", "--member", "li@example.com")["key"]

    def scopes():
        database = opened(shop)
        try:
            return keys.access(database, secret).scopes
        finally:
            database.close()

    assert scopes() == {"usage", "invoices"}
    assert tell("account", "member", "role", "Acme", "li@example.com", "viewer")["role"] == "viewer"
    assert scopes() == {"usage"}
    tell("account", "member", "remove", "Acme", "li@example.com")
    assert tell("key", "list", "Acme")["keys"][0]["state"] == "revoked"
    assert tell("key", "add", "Acme", "--member", "li@example.com", code=2)["error"]["code"] == "input.member_unknown"


def test_consent_is_written_down_and_shown(shop, tell, say):  # noqa: F811
    account = tell("account", "add", "Acme")["account"]
    store(shop, account, 3)
    tell("account", "consent", "Acme", "--give", "store_inputs", "--note", "contract 7")
    gone = tell("account", "consent", "Acme", "--withdraw", "store_inputs", "--erase")
    assert (gone["consent"], gone["erased"]) == ({"store_inputs": False, "training": None}, 3)
    assert [(one["given"], one["note"]) for one in gone["history"]] == [(True, "contract 7"), (False, None)]
    assert "withdrawn" in say("account", "consent", "Acme")
    for wrong in (["--give", "training", "--withdraw", "training"], ["--erase"], ["--note", "x"]):
        assert tell("account", "consent", "Acme", *wrong, code=2)["error"]["code"] == "input.consent_option"


# ---------------------------------------------------------------- the vault


def store(shop, account, count):  # noqa: F811
    """So many sealed records of an account."""
    database, vault = opened(shop), Vault.open(Workspace.of(shop).home / "vault")
    now = milliseconds(SystemClock())
    records = [
        RequestRecord(f"req_{account}_{at}", account, "churn", "v1", now, [{"x": at}], []) for at in range(count)
    ]
    requests.put(database, vault, records=records, retention=Retention.of({"inputs": "1d"}))
    database.close()


def read(shop, account, count):  # noqa: F811
    database, vault = opened(shop), Vault.open(Workspace.of(shop).home / "vault")
    try:
        return [requests.get(database, vault, request_id=f"req_{account}_{at}").inputs for at in range(count)]
    finally:
        database.close()


def test_a_new_key_seals_and_the_old_ones_open_until_they_are_dropped(shop, tell, say):  # noqa: F811
    account = tell("account", "add", "Acme")["account"]
    store(shop, account, 1201)
    (old,) = tell("key", "vault")["keys"]
    assert old["newest"]
    turned = tell("key", "rotate-vault")
    assert (turned["resealed"], turned["dropped"], len(turned["keys"])) == (None, [], 2)
    assert tell("key", "rotate-vault", "--reseal")["resealed"] == 1201
    assert read(shop, account, 2) == [[{"x": 0}], [{"x": 1}]]
    last = tell("key", "rotate-vault", "--drop-old")
    assert last["resealed"] == 1201
    assert [one["key"] for one in last["keys"]] == [last["key"]]
    assert old["key"] in last["dropped"]
    assert read(shop, account, 2) == [[{"x": 0}], [{"x": 1}]]
    assert last["key"] in say("key", "vault")


def test_where_nothing_was_sealed_there_is_nothing_to_rotate(shop, tell):  # noqa: F811
    assert tell("key", "vault") == {"keys": []}
    assert tell("key", "rotate-vault", code=2)["error"]["code"] == "input.vault_missing"
    assert not (Workspace.of(shop).home / "vault").exists()


def test_members_are_found_by_address_whatever_its_case(shop, tell):  # noqa: F811
    account = tell("account", "add", "Acme")["account"]
    tell("account", "member", "add", "Acme", "Li@Example.com")
    database = opened(shop)
    assert accounts.find_member(database, account, "LI@example.com").email == "li@example.com"
    database.close()
