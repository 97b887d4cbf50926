"""The verbs that sell: what they print for programs, what they refuse, and that money and usage come out exact."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import typer
from sqlalchemy import text

from tests.cli.conftest import PRODUCT, write_product
from tradewind.artifacts import Workspace
from tradewind.business import keys, plans
from tradewind.business.database import Database, default_url
from tradewind.business.journal import Event
from tradewind.business.ledger import enlist
from tradewind.cli import verify_books
from tradewind.cli.app import main
from tradewind.clock import SystemClock, milliseconds
from tradewind.errors import EnvironmentFailure

PLANS = """\
serve:
  seller: {name: 北京示例公司, tax_id: "91110000"}
  plans:
    free: {monthly: 0 CNY, included: 1000}
    pro: {monthly: 299 CNY, included: 10, overage: 0.5 CNY}
    yuan: {monthly: 99 CNY, included: 10, overage: 0.5 CNY, prepaid: true}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A product's folder with plans; nobody has bought yet."""
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    monkeypatch.delenv("TRADEWIND_DATABASE", raising=False)
    return write_product(tmp_path / "churn", PRODUCT + PLANS)


@pytest.fixture
def tell(shop, capsys):
    """Runs a verb with --json and gives its one object; `code` is the exit status that is expected."""

    def run(*words, code=0):
        got = main([*words, "-C", str(shop), "--json"])
        out = capsys.readouterr()
        assert got == code, out.err
        assert out.out.count("\n") == 1
        return json.loads(out.out)

    return run


@pytest.fixture
def say(shop, capsys):
    """Runs a verb for people and gives what stood on stdout."""

    def run(*words, code=0):
        got = main([*words, "-C", str(shop)])
        out = capsys.readouterr()
        assert got == code, out.err
        return out.out

    return run


def opened(shop):
    return Database.open(default_url(Workspace.of(shop).home), clock=SystemClock())


def serve(shop, account_id, units):
    """A worker served requests of so many units each, wrote them to its journal and died."""
    database = opened(shop)
    subscription = plans.current(database, account_id)
    worker, journal = enlist(database, Workspace.of(shop).home / "journals")
    now = milliseconds(database.clock)
    for number, one in enumerate(units):
        event = Event(
            request_id=f"{worker}_{number}",
            account_id=account_id,
            key_id="key_1",
            subscription_id=subscription.id,
            period_start_ms=subscription.period(now).start_ms,
            meter="rows",
            units=one,
            product="churn",
            release="v1",
            price_version=subscription.price_version,
            outcome="complete",
            at_ms=now,
        )
        journal.append((event,))
    journal.close()
    database.close()


# ---------------------------------------------------------------- the contract


def test_an_account_a_key_usage_and_a_draft_as_programs_see_them(shop, tell):
    account = tell("account", "add", "Acme 公司", "--plan", "pro")["account"]
    key = tell("key", "add", account)
    assert key["key"].startswith(key["prefix"])
    assert tell("usage", "--account", account) == {
        "account": account, "month": None, "units": 0, "requests": 0, "by_meter": {},
    }  # fmt: skip
    invoice = tell("invoice", "draft", account)
    assert (invoice["status"], invoice["currency"], invoice["total_minor"]) == ("draft", "CNY", 29900)
    assert invoice["id"]
    assert invoice["lines"]


def test_a_key_from_the_command_line_opens_its_account(shop, tell):
    account = tell("account", "add", "Acme", "--plan", "pro")["account"]
    secret = tell("key", "add", "Acme", "--name", "production")["key"]
    database = opened(shop)
    access = keys.access(database, secret)
    database.close()
    assert access.account_id == account
    assert access.scopes == {"predict", "usage", "keys", "invoices"}


def test_what_a_dead_worker_had_served_is_counted_once(shop, tell):
    account = tell("account", "add", "Acme", "--plan", "pro")["account"]
    serve(shop, account, [1, 2, 30])
    serve(shop, account, [4])
    for _ in range(2):
        used = tell("usage", "--account", "Acme")
        assert (used["units"], used["requests"], used["by_meter"]) == (37, 4, {"rows": 37})


def test_units_beyond_the_included_ones_stand_on_the_draft(shop, tell):
    account = tell("account", "add", "Acme", "--plan", "pro")["account"]
    serve(shop, account, [14])
    invoice = tell("invoice", "draft", account)
    assert invoice["total_minor"] == 29900 + 4 * 50
    assert {line["kind"]: line["quantity"] for line in invoice["lines"]}["overage"] == 4


def test_the_secret_stands_in_no_file(shop, tell):
    tell("account", "add", "Acme", "--plan", "pro")
    secret = tell("key", "add", "Acme")["key"]
    for path in Workspace.of(shop).home.rglob("*"):
        if path.is_file():
            assert secret[20:].encode() not in path.read_bytes()


def test_the_same_on_postgresql(shop, tell, empty_postgres, monkeypatch):
    monkeypatch.setenv("TRADEWIND_DATABASE", empty_postgres)
    account = tell("account", "add", "Acme", "--plan", "pro")["account"]
    tell("key", "add", account)
    serve(shop, account, [14])
    assert tell("usage", "--account", account)["units"] == 14
    assert tell("invoice", "draft", account)["total_minor"] == 29900 + 4 * 50
    assert tell("verify")["verified"]
    assert not list(Workspace.of(shop).home.glob("*.sqlite"))


# ---------------------------------------------------------------- accounts and plans


def test_an_unknown_plan_is_answered_with_the_nearest_and_nobody_is_added(shop, tell):
    error = tell("account", "add", "Acme", "--plan", "por", code=2)["error"]
    assert error["code"] == "input.plan_unknown"
    assert "Did you mean pro?" in error["message"]
    assert tell("account", "list")["accounts"] == []


def test_an_unknown_account_is_answered_with_the_nearest(tell):
    tell("account", "add", "Acme")
    assert "Did you mean Acme?" in tell("key", "add", "Acmee", code=2)["error"]["message"]


def test_two_accounts_of_one_name_are_told_apart_by_their_ids(tell):
    first, second = (tell("account", "add", "Acme")["account"] for _ in range(2))
    error = tell("account", "show", "Acme", code=2)["error"]
    assert first in error["message"]
    assert second in error["message"]
    assert tell("account", "show", second)["account"] == second


def test_an_upgrade_is_at_once_and_a_downgrade_waits(tell):
    tell("account", "add", "Acme", "--plan", "free")
    assert tell("account", "subscribe", "Acme", "--plan", "pro")["subscription"]["plan"] == "pro"
    down = tell("account", "subscribe", "Acme", "--plan", "free")["subscription"]
    assert (down["plan"], down["next_plan"]) == ("pro", "free")
    assert tell("account", "resume", "Acme")["subscription"]["next_plan"] is None
    assert tell("account", "cancel", "Acme")["subscription"]["ends"] is not None


def test_the_terms_stay_as_they_were_agreed(shop, tell):
    tell("account", "add", "Acme", "--plan", "pro")
    file = shop / "tradewind.yaml"
    file.write_text(file.read_text().replace("299 CNY", "399 CNY"))
    assert tell("account", "show", "Acme")["subscription"]["terms"]["monthly"] == "299.00 CNY"
    assert tell("plan", "show", "pro")["terms"]["monthly"] == "399.00 CNY"


def test_members_come_and_go(tell):
    tell("account", "add", "Acme")
    tell("account", "member", "add", "Acme", "li@example.com", "--role", "owner")
    assert [one["role"] for one in tell("account", "member", "list", "Acme")["members"]] == ["owner"]
    tell("account", "member", "remove", "Acme", "li@example.com")
    assert tell("account", "member", "list", "Acme")["members"] == []


def test_a_closed_account_gets_no_key(tell):
    tell("account", "add", "Acme", "--plan", "pro")
    assert tell("account", "close", "Acme")["closed"]
    assert tell("key", "add", "Acme", code=2)["error"]["code"] == "input.account_closed"


def test_credit_is_granted_and_shown(tell):
    tell("account", "add", "Acme", "--plan", "pro")
    tell("account", "grant", "Acme", "100 CNY", "--reference", "welcome")
    assert tell("account", "grant", "Acme", "100 CNY", "--reference", "welcome", code=2)
    assert tell("account", "show", "Acme")["credit"]["amount_minor"] == 10000


# ---------------------------------------------------------------- keys


def test_keys_are_listed_rotated_and_revoked(shop, tell):
    tell("account", "add", "Acme", "--plan", "pro")
    first = tell("key", "add", "Acme", "--scope", "predict", "--expires", "90d")
    second = tell("key", "rotate", first["prefix"], "--grace", "none")
    tell("key", "revoke", second["id"])
    listed = tell("key", "list", "Acme")["keys"]
    assert [one["state"] for one in listed] == ["expired", "revoked"]
    assert listed[0]["scopes"] == ["predict"]
    assert not {"hash", "secret", "key"} & set(listed[0])


def test_the_operators_key_is_no_customers(shop, tell):
    secret = tell("key", "operator")["key"]
    database = opened(shop)
    access = keys.access(database, secret)
    database.close()
    assert access.operator
    assert access.account_id is None
    assert len(tell("key", "list")["keys"]) == 1


@pytest.mark.parametrize("scope", ["operator", "everything"])
def test_no_customer_gets_a_scope_that_is_not_his(tell, scope):
    tell("account", "add", "Acme")
    assert tell("key", "add", "Acme", "--scope", scope, code=2)["error"]["code"] == "input.scope"


def test_a_whole_secret_given_in_the_place_of_a_prefix_is_not_repeated(tell):
    tell("account", "add", "Acme")
    secret = tell("key", "add", "Acme")["key"]
    assert secret not in json.dumps(tell("key", "revoke", secret, code=2))


# ---------------------------------------------------------------- plans, usage, invoices


def test_a_month_is_billed_again_under_changed_plans(shop, tell):
    for name, units in (("Acme", [20]), ("Bode", [5])):
        serve(shop, tell("account", "add", name, "--plan", "pro")["account"], units)
    month = datetime.now(UTC).strftime("%Y-%m")
    change = "serve.plans.pro.overage=1 CNY"
    found = tell("plan", "dry-run", "--month", month, "--set", change)
    differences = {one["name"]: one["difference_minor"] for one in found["customers"]}
    assert differences["Bode"] == 0
    assert differences["Acme"] == found["totals"][0]["difference_minor"] > 0
    assert all(one["difference_minor"] == 0 for one in tell("plan", "dry-run", "--month", month)["customers"])


def test_a_plan_that_does_not_hold_together_is_refused_before_any_bill(tell):
    assert tell("plan", "dry-run", "--set", "serve.plans.pro.overage=1 EUR", code=2)["error"]["code"] == "product.value"


def test_codes_are_as_many_as_were_asked_for_and_differ(tell):
    made = tell("plan", "codes", "100 CNY", "--count", "5", "--expires", "90d")
    assert len(set(made["codes"])) == 5
    assert made["amount"]["amount_minor"] == 10000


def test_usage_leaves_as_cloud_events_and_goes_on_where_it_stopped(shop, tell):
    account = tell("account", "add", "Acme", "--plan", "pro")["account"]
    serve(shop, account, [1, 2, 3])
    target = shop / "events.jsonl"
    done = tell("usage", "--events", str(target))
    events = [json.loads(line) for line in target.read_text().splitlines()]
    assert sum(event["data"]["units"] for event in events) == 6
    assert {event["specversion"] for event in events} == {"1.0"}
    assert done["events"] == 3
    assert tell("usage", "--events", str(target), "--after", done["last"])["events"] == 0


def test_a_month_that_is_none_is_refused(tell):
    tell("account", "add", "Acme", "--plan", "pro")
    assert tell("usage", "--month", "2026-13", code=2)["error"]["code"] == "input.month"


def test_a_period_that_runs_is_not_finalized(tell):
    tell("account", "add", "Acme", "--plan", "pro")
    draft = tell("invoice", "draft", "Acme")
    assert tell("invoice", "finalize", draft["id"], code=2)["error"]["code"] == "input.period_open"
    assert tell("invoice", "list", "Acme")["invoices"][0]["status"] == "draft"


def test_an_invoice_is_finalized_credited_exported_and_verified(shop, tell):
    account = tell("account", "add", "Acme", "--plan", "pro", "--language", "zh")["account"]
    serve(shop, account, [14])
    tell("account", "close", "Acme")
    final = tell("invoice", "finalize", tell("invoice", "draft", account)["id"])
    assert final["number"].endswith("000001")
    assert tell("invoice", "finalize", final["id"]) == final
    note = tell("invoice", "credit", final["number"], "0.50 CNY", "--reason", "courtesy")
    assert (note["kind"], note["total_minor"], note["corrects"]) == ("credit_note", -50, final["id"])
    assert tell("invoice", "void", final["id"], code=2)["error"]["code"] == "input.invoice_credited"
    for form, begin in (("pdf", b"%PDF"), ("html", b"<"), ("csv", "账单".encode())):
        file = shop / f"invoice.{form}"
        assert tell("invoice", "export", final["id"], "--format", form, "-o", str(file))["bytes"] > 100
        assert file.read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(begin)
    assert "北京示例公司" in (shop / "invoice.html").read_text(encoding="utf-8")
    assert len(tell("verify")["verified"]) >= 2


def test_credit_in_another_currency_is_refused(shop, tell):
    tell("account", "add", "Acme", "--plan", "pro")
    draft = tell("invoice", "draft", "Acme")
    error = tell("invoice", "credit", draft["id"], "1 EUR", "--reason", "x", code=2)["error"]
    assert error["code"] == "input.credit_currency"


# ---------------------------------------------------------------- verify


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("update audit set detail = '{}' where sequence = 1", "Audit line 1: changed"),
        ("delete from audit where sequence = 1", "Audit line 1: missing"),
        ("update usage_events set units = units + 1", "counter"),
    ],
)
def test_verify_finds_what_was_changed_in_the_books(shop, tell, change, words):
    serve(shop, tell("account", "add", "Acme", "--plan", "pro")["account"], [5])
    tell("usage")
    assert tell("verify")["verified"]
    database = opened(shop)
    with database.writing() as connection:
        connection.execute(text(change))
    database.close()
    error = tell("verify", code=1)["error"]
    assert error["code"] == "verify.differs"
    assert words in error["message"]


def test_where_only_the_service_is_installed_the_books_are_verified_all_the_same(shop, tell, capsys):
    tell("account", "add", "Acme", "--plan", "pro")
    light = typer.Typer()
    light.command()(verify_books.command)
    verb = typer.main.get_command(light)
    verb(["-C", str(shop), "--json"], standalone_mode=False)
    assert len(json.loads(capsys.readouterr().out)["verified"]) == 3
    with pytest.raises(EnvironmentFailure, match=r"tradewind\[train\]"):
        verb(["candidate", "-C", str(shop)], standalone_mode=False)


def test_verify_of_a_named_release_asks_no_books(shop, tell):
    tell("account", "add", "Acme")
    assert tell("verify", "candidate", code=2)["error"]["code"] == "input.release_unknown"


# ---------------------------------------------------------------- for people, and bad input


def test_people_get_tables(shop, say):
    say("account", "add", "Acme 公司", "--plan", "pro")
    say("key", "add", "Acme 公司")
    for words, holds in (
        (("account", "list"), "Acme 公司"),
        (("account", "show", "Acme 公司"), "pro"),
        (("key", "list", "Acme 公司"), "tw_live_"),
        (("plan", "list"), "299.00 CNY"),
        (("plan", "show", "pro"), "0.5 CNY"),
        (("plan", "dry-run", "--month", datetime.now(UTC).strftime("%Y-%m")), "Acme 公司"),
        (("usage",), "Acme 公司"),
        (("invoice", "draft", "Acme 公司"), "Total: 299.00 CNY"),
        (("invoice", "list"), "draft"),
        (("account", "cancel", "Acme 公司"), "pro"),
        (("account", "close", "Acme 公司"), "closed"),
    ):
        assert holds in say(*words), words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("account", "ad", "Acme"), "Did you mean add?"),
        (("key", "sining"), "Did you mean signing?"),
        (("invoice", "pay"), "Write one of: draft, finalize"),
        (("invoice", "show", "TW-2026-000001"), "There is no invoice"),
        (("account", "grant", "Acme", "much"), "is no amount"),
        (("key", "add", "Acme", "--expires", "soon"), "is no time"),
        (("account", "add", "Acme", "--email", "nobody"), "is no e-mail address"),
        (("usage", "--after", "x"), "Add --events FILE"),
    ],
)
def test_a_wrong_word_gets_one_clear_error(tell, words, expected):
    tell("account", "add", "Acme", "--plan", "pro")
    assert expected in tell(*words, code=2)["error"]["message"]


def test_a_folder_without_a_product_is_said_to_be_none(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TRADEWIND_DATABASE", raising=False)
    assert main(["account", "list", "-C", str(tmp_path)]) == 2
    assert "tradewind init" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_the_environments_fault(shop, monkeypatch, capsys):
    monkeypatch.setenv("TRADEWIND_DATABASE", "postgresql://tradewind:hunter2@127.0.0.1:1/none")
    assert main(["account", "list", "-C", str(shop), "--json"]) == 3
    out = capsys.readouterr()
    assert "hunter2" not in out.out + out.err


def test_the_verbs_need_neither_torch_nor_polars_nor_what_draws_pages():
    verbs = ("account", "key", "plan", "usage", "invoice", "verify_books")
    heavy = ("torch", "polars", "sklearn", "pyarrow", "onnx", "lightgbm", "transformers", "reportlab", "fastapi")
    script = (
        "import importlib, sys\n"
        f"for name in {verbs!r}: importlib.import_module('tradewind.cli.' + name)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_signing_key_is_made_as_before(shop, tell):
    made = tell("key", "signing")
    assert set(made) == {"private", "public", "fingerprint"}
    assert tell("key", "signing", code=2)["error"]["code"] == "input.key_exists"
