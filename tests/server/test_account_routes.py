"""Customers see their own and nobody else's; the operator's routes are the operator's; both over real sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import select

from tests.business.billing import Customer
from tests.server.running import running
from tradewind.business import accounts, conversations, credit, handovers, invoices, keys, plans
from tradewind.business.conversations import Content, New, Next
from tradewind.business.keys import SCOPES
from tradewind.business.tables import metadata
from tradewind.clock import milliseconds
from tradewind.money import Money
from tradewind.product.conversation import Conversation
from tradewind.server import account, admin
from tradewind.server.app import create_app
from tradewind.server.auth import Authenticator
from tradewind.server.dialogue.talk import Script
from tradewind.server.gate import OpenGate
from tradewind.server.talks import Talks
from tradewind.tariff import Plan

PLANS = {
    "free": Plan.model_validate({"monthly": "0 CNY", "included": 1000}),
    "pro": Plan.model_validate({"monthly": "299 CNY", "included": 10, "overage": "0.5 CNY"}),
    "small": Plan.model_validate({"monthly": "9 CNY", "included": 5, "overage": "0.5 CNY", "cap": 40}),
}
CUSTOMER_SCOPES = [scope for scope in SCOPES if scope != "operator"]
MONTH_S = 32 * 86_400


@dataclass(frozen=True)
class Tenant:
    """A customer with a bit of everything: key, member, usage, credit, a final invoice and a draft."""

    id: str
    secret: str
    key_id: str
    spare_key_id: str
    invoice_id: str
    number: str
    draft_id: str
    subscription_id: str
    member_id: str
    record_id: str
    conversation_id: str
    words: tuple[str, ...]  # what nobody else may read

    @property
    def ids(self):
        return {
            "account_id": self.id,
            "key_id": self.spare_key_id,
            "invoice_id": self.invoice_id,
            "member_id": self.member_id,
            "conversation_id": self.conversation_id,
            "review_id": "rev_nobody",
            "after": self.record_id,
        }


def a_conversation(database, vault, account_id, name):
    """One that a person holds, and a turn of which names its account's word."""
    new = New(account_id, "churn", "en", 365 * 86_400_000)
    made = conversations.begin(database, vault, new).conversation
    said, reply = Content("user", "message", f"I am {name}"), Content("assistant", "handoff", f"Hello {name}")
    then = Next(reply, queue="support")
    conversations.say(database, vault, made, request_id=f"req_{name}", said=said, then=then, keep_ms=365 * 86_400_000)
    handovers.take(database, made.id, holder=f"{name}-agent", actor="test")
    return made.id


def tenant(database, vault, clock, name, minor):
    """Money of this customer is odd enough to be found in any reply where it should not stand."""
    made = accounts.add(database, f"{name} GmbH", email=f"{name}@example.com", actor="test")
    terms = Plan.model_validate({"monthly": f"{minor}.17 CNY", "included": 10, "overage": "0.5 CNY"})
    subscription = plans.subscribe(database, made.id, plan=f"{name}-plan", terms=terms, actor="test")
    issued = keys.issue(database, made.id, name=f"{name}-key", scopes=CUSTOMER_SCOPES, actor="test")
    spare = keys.issue(database, made.id, name=f"{name}-spare", scopes=CUSTOMER_SCOPES, actor="test")
    member = accounts.add_member(database, made.id, email=f"boss@{name}.example.com", role="owner", actor="test")
    Customer(database, made).use(3)
    clock.advance(MONTH_S)
    draft = invoices.draft(database, made.id, period="2026-03", actor="test")
    final = invoices.finalize(database, draft.id, actor="test")
    record = f"{[Customer(database, made).use(units) for units in (4, 5)][-1]}:rows"
    second = invoices.draft(database, made.id, actor="test")
    credit.grant(database, made.id, amount=Money(minor, "CNY"), actor="test")
    clock.advance(-MONTH_S)
    talk = a_conversation(database, vault, made.id, name)
    return Tenant(
        id=made.id,
        secret=issued.secret,
        key_id=issued.key.id,
        spare_key_id=spare.key.id,
        invoice_id=final.id,
        number=final.number,
        draft_id=second.id,
        subscription_id=subscription.id,
        member_id=member.id,
        record_id=record,
        conversation_id=talk,
        words=(
            made.id, name, str(minor), issued.secret, issued.key.prefix, spare.key.prefix, issued.key.id, spare.key.id,
            final.id, final.number, second.id, subscription.id, member.id, record, talk,
        ),
    )  # fmt: skip


@pytest.fixture
def ann(database, vault, clock):
    return tenant(database, vault, clock, "aurora", 90_301)


@pytest.fixture
def ben(database, vault, clock, ann):
    made = tenant(database, vault, clock, "borealis", 70_507)
    clock.advance(MONTH_S)
    return made


@pytest.fixture
def server(shelf, database, vault):
    """The whole server with the routes of accounts; keys are looked up anew each time."""
    app = create_app(shelf, OpenGate(), extra_routers=[account.router, admin.router])
    state = app.rest.state
    state.database, state.plans, state.settle = database, PLANS, lambda: None
    state.authenticate = lambda header: Authenticator(database).access(header)
    script = Script("churn", Conversation())
    state.talks = Talks.of(app.desk, database, vault.folder, [script], environment={})
    with running(app) as address, httpx.Client(base_url=f"http://{address}", timeout=20) as client:
        yield client


@pytest.fixture
def call(server):
    def run(secret, method, path, status=200, **more):
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        reply = server.request(method, path, headers=headers, **more)
        assert reply.status_code == status, reply.text
        return reply.json() if "json" in reply.headers["content-type"] else reply

    return run


@pytest.fixture
def operator(database):
    return keys.issue(database, None, name="operator", scopes=["operator"], actor="test").secret


def routes(router):
    """Every method and path of a router."""
    return [(method, route.path) for route in router.routes for method in sorted(route.methods)]


# What each route that takes a body may be sent; a new route without one fails the tests below.
BODIES = {
    "/v1/keys": {"name": "x"},
    "/v1/keys/{key_id}/rotate": {"grace": "1h"},
    "/v1/members": {"email": "x@example.com"},
    "/v1/members/{member_id}": {"role": "viewer"},
    "/v1/consent": {"purpose": "training", "given": True},
    "/v1/conversations": {"model": "churn"},
    "/v1/conversations/{conversation_id}/messages": {"text": "hello"},
    "/v1/conversations/{conversation_id}/close": None,
    "/v1/conversations/{conversation_id}/feedback": {"score": "up", "place": 2},
    "/v1/handoffs/{conversation_id}/take": {"agent": "x"},
    "/v1/handoffs/{conversation_id}/reply": {"agent": "x", "text": "x"},
    "/v1/handoffs/{conversation_id}/give-back": {"agent": "x"},
    "/v1/handoffs/{conversation_id}/close": None,
    "/admin/v1/handoffs/{conversation_id}/take": {"agent": "x"},
    "/admin/v1/handoffs/{conversation_id}/reply": {"agent": "x", "text": "x"},
    "/admin/v1/handoffs/{conversation_id}/give-back": {"agent": "x"},
    "/admin/v1/handoffs/{conversation_id}/close": None,
    "/admin/v1/reviews/claim": {"product": "churn"},
    "/admin/v1/reviews/{review_id}/verdict": {"verdict": "x"},
    "/v1/credit/redeem": {"code": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"},
    "/admin/v1/accounts": {"name": "x"},
    "/admin/v1/accounts/{account_id}/close": None,
    "/admin/v1/accounts/{account_id}/members": {"email": "x@example.com"},
    "/admin/v1/accounts/{account_id}/members/{member_id}": {"role": "viewer"},
    "/admin/v1/accounts/{account_id}/consent": {"purpose": "training", "given": True},
    "/admin/v1/invoices/run": None,
    "/admin/v1/accounts/{account_id}/subscription": {"plan": "pro"},
    "/admin/v1/accounts/{account_id}/subscription/resume": None,
    "/admin/v1/accounts/{account_id}/keys": {"name": "x"},
    "/admin/v1/accounts/{account_id}/credit": {"amount": "1 CNY"},
    "/admin/v1/accounts/{account_id}/invoices": {},
    "/admin/v1/keys/{key_id}/rotate": {"grace": "1h"},
    "/admin/v1/invoices/{invoice_id}/finalize": {},
    "/admin/v1/invoices/{invoice_id}/void": None,
    "/admin/v1/invoices/{invoice_id}/credit-notes": {"amount": "1 CNY", "reason": "x"},
    "/admin/v1/codes": {"amount": "1 CNY"},
}


def filled(path, ids):
    return re.sub(r"\{(\w+)\}", lambda match: {**ids, "form": "pdf"}[match[1]], path)


def rows_of(database, account_id):
    """Everything that the database holds of an account."""
    found = {}
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            if "account_id" in table.c:
                where = table.c.account_id == account_id
                found[table.name] = sorted(map(repr, connection.execute(select(table).where(where)).all()))
    return found


# ---------------------------------------------------------------- no tenant sees another's anything


def test_no_route_shows_or_changes_another_customers_anything(server, database, ann, ben):
    before = rows_of(database, ann.id)
    walked = 0
    for method, path in routes(account.router):
        named = "{" in path
        names = (ann.invoice_id, ann.number, ann.draft_id)
        for more in [{"invoice_id": name} for name in (names if "{invoice_id}" in path else names[:1])]:
            target = filled(path, {**ann.ids, **more})
            body = BODIES[path] if method in ("POST", "PUT") else None
            for query in ({}, {"after": ann.record_id}, {"account_id": ann.id, "account": ann.id}):
                headers = {"authorization": f"Bearer {ben.secret}", "x-account-id": ann.id}
                reply = server.request(method, target, headers=headers, json=body, params=query)
                walked += 1
                if named:
                    assert reply.status_code in (403, 404), (method, target, reply.text)
                told = reply.content.replace(ann.record_id.encode(), b"") if "after" in query else reply.content
                for word in ann.words:
                    assert word.encode() not in told, (method, target, query, word)
    assert walked >= 100
    assert rows_of(database, ann.id) == before


def test_what_is_not_there_and_what_is_anothers_are_answered_alike(server, ann, ben):
    nobody = {
        "conversation_id": "cnv_nobody",
        "key_id": "key_nobody",
        "invoice_id": "inv_nobody",
        "member_id": "mem_nobody",
    }
    for method, path in routes(account.router):
        if "{" in path:
            said = []
            for ids in (ann.ids, nobody):
                headers = {"authorization": f"Bearer {ben.secret}"}
                reply = server.request(method, filled(path, ids), headers=headers, json=BODIES.get(path))
                said.append((reply.status_code, reply.json()["error"]))
            assert said[0] == said[1], (method, path)


def test_a_body_that_names_another_account_is_refused(server, database, ann, ben):
    before = rows_of(database, ann.id)
    for method, path in routes(account.router):
        if method == "POST":
            body = {**(BODIES[path] or {}), "account_id": ann.id, "account": ann.id}
            headers = {"authorization": f"Bearer {ben.secret}"}
            reply = server.request(method, filled(path, ben.ids), headers=headers, json=body)
            assert reply.status_code == 400, (path, reply.text)
    assert rows_of(database, ann.id) == before


def test_every_operators_route_refuses_a_customers_key_even_for_his_own_account(server, database, ann, ben):
    before = rows_of(database, ann.id), rows_of(database, ben.id)
    for method, path in routes(admin.router):
        body = BODIES[path] if method in ("POST", "PUT") else None
        for ids in (ann.ids, ben.ids):
            headers = {"authorization": f"Bearer {ben.secret}"}
            reply = server.request(method, filled(path, ids), headers=headers, json=body, params={"month": "2026-03"})
            assert reply.status_code == 403, (method, path, reply.text)
            assert reply.json()["error"]["code"] == "input.operator_only"
            assert not any(word in reply.text for word in ann.words)
    assert (rows_of(database, ann.id), rows_of(database, ben.id)) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_a_good_key_nothing_is_told(server, database, clock, ann):
    expired = keys.issue(
        database, ann.id, name="x", scopes=CUSTOMER_SCOPES, expires_ms=milliseconds(clock) + 1000, actor="test"
    )
    revoked = keys.issue(database, ann.id, name="x", scopes=CUSTOMER_SCOPES, actor="test")
    keys.revoke(database, revoked.key.id, actor="test")
    clock.advance(2)
    bad = (
        None,
        "Bearer nonsense",
        f"Bearer {ann.secret}x",
        f"Bearer {expired.secret}",
        f"Bearer {revoked.secret}",
        "Basic x",
    )
    for method, path in routes(account.router) + routes(admin.router):
        for header in bad:
            headers = {"authorization": header} if header else {}
            reply = server.request(method, filled(path, ann.ids), headers=headers, json=BODIES.get(path))
            assert reply.status_code == 401, (method, path, header, reply.text)
            assert not any(word in reply.text for word in (ann.id, "aurora", ann.secret, ann.number))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_does_what_its_scopes_say_and_no_more(server, database, ann):
    needs = {
        "/v1/usage": "usage",
        "/v1/keys": "keys",
        "/v1/members": "keys",
        "/v1/consent": "keys",
        "/v1/invoices": "invoices",
        "/v1/credit": "invoices",
        "/v1/conversations": "converse",
        "/v1/handoffs": "predict",
        "/v1/feedback": "predict",
        "/v1/account": "predict",
        "/v1/plans": "predict",
    }
    implied = {("predict", "converse")}  # who may predict may converse
    for scope in CUSTOMER_SCOPES:
        secret = keys.issue(database, ann.id, name=scope, scopes=[scope], actor="test").secret
        for method, path in routes(account.router):
            needed = next((need for begin, need in needs.items() if path.startswith(begin)), None)
            if needed in ("predict",) and scope != "converse" and path in ("/v1/account", "/v1/plans"):
                continue  # for every key that is kept secret
            if needed not in (None, scope) and (scope, needed) not in implied:
                headers = {"authorization": f"Bearer {secret}"}
                reply = server.request(method, filled(path, ann.ids), headers=headers, json=BODIES.get(path))
                assert (reply.status_code, reply.json()["error"]["code"]) == (403, "input.scope_missing"), (scope, path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_operators_key_opens_no_customers_route(server, operator, ann):
    for method, path in routes(account.router):
        headers = {"authorization": f"Bearer {operator}"}
        reply = server.request(method, filled(path, ann.ids), headers=headers, json=BODIES.get(path))
        assert reply.status_code == 403, (method, path, reply.text)


# ---------------------------------------------------------------- what a customer does


def test_usage_is_that_of_the_period_that_runs(call, ann, clock):
    now = call(ann.secret, "GET", "/v1/usage")
    assert (now["units"], now["requests"], now["by_meter"]) == (3, 1, {"rows": 3})
    assert (now["included"], now["included_remaining"], now["cap"], now["remaining"]) == (10, 7, None, None)
    assert now["period"]["start"].startswith("2026-03-10T12:00")
    clock.advance(MONTH_S)
    assert call(ann.secret, "GET", "/v1/usage")["units"] == 9


def test_records_come_in_pages_without_a_gap_or_a_double(call, ann):
    first = call(ann.secret, "GET", "/v1/usage/records?limit=2")
    rest = call(ann.secret, "GET", "/v1/usage/records", params={"after": first["next"]})
    assert [one["units"] for one in first["records"] + rest["records"]] == [3, 4, 5]
    assert rest["next"] is None


def test_a_customer_makes_rotates_and_revokes_his_keys(call, ann):
    made = call(
        ann.secret, "POST", "/v1/keys", 201, json={"name": "new", "scopes": ["usage", "keys"], "expires": "30d"}
    )
    assert call(made["key"], "GET", "/v1/usage")["units"] == 3
    assert call(made["key"], "GET", "/v1/invoices", 403)
    turned = call(ann.secret, "POST", f"/v1/keys/{made['id']}/rotate", 201, json={"grace": "none"})
    assert call(made["key"], "GET", "/v1/usage", 401)
    assert call(ann.secret, "POST", f"/v1/keys/{made['id']}/rotate", 409, json={"grace": "none"})
    call(ann.secret, "DELETE", f"/v1/keys/{turned['id']}")
    assert call(turned["key"], "GET", "/v1/usage", 401)["error"]["code"] == "input.key_revoked"
    listed = call(ann.secret, "GET", "/v1/keys")["keys"]
    assert made["key"] not in str(listed)
    states = {one["id"]: one["state"] for one in listed}
    assert (states[made["id"]], states[turned["id"]]) == ("expired", "revoked")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_makes_none_that_may_more_or_lives_longer(call, database, clock, ann):
    ends_ms = milliseconds(clock) + 3_600_000
    small = keys.issue(database, ann.id, name="x", scopes=["keys"], expires_ms=ends_ms, actor="test").secret
    for scopes in (["predict"], ["operator"], ["keys", "usage"], []):
        assert call(small, "POST", "/v1/keys", 403, json={"scopes": scopes})
    made = call(small, "POST", "/v1/keys", 201, json={"expires": "2y"})
    assert (made["scopes"], made["expires"][:13]) == (["keys"], "2026-03-10T13")
    assert call(small, "POST", f"/v1/keys/{ann.key_id}/rotate", 403, json={})


def test_invoices_are_read_as_data_and_as_files(call, ann):
    assert {one["status"] for one in call(ann.secret, "GET", "/v1/invoices")["invoices"]} == {"draft", "final"}
    assert call(ann.secret, "GET", f"/v1/invoices/{ann.number}")["id"] == ann.invoice_id
    for form, kind in (("html", "text/html"), ("pdf", "application/pdf"), ("csv", "text/csv")):
        reply = call(ann.secret, "GET", f"/v1/invoices/{ann.invoice_id}.{form}")
        assert reply.headers["content-type"].startswith(kind)
        assert f'filename="{ann.number}.{form}"' in reply.headers["content-disposition"]
        assert len(reply.content) > 100


def test_a_code_redeems_once_and_for_one_customer(call, database, ann, ben):
    (code,) = credit.issue_codes(database, Money(5000, "CNY"), actor="test")
    added = call(ann.secret, "POST", "/v1/credit/redeem", json={"code": code.code})
    assert (added["added"]["amount_minor"], added["credit"]["amount_minor"]) == (5000, 90_301 + 5000)
    for secret in (ann.secret, ben.secret):
        assert call(secret, "POST", "/v1/credit/redeem", 400, json={"code": code.code})
    assert call(ben.secret, "GET", "/v1/account")["credit"]["amount_minor"] == 70_507


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_customer_without_a_plan_still_reads_his_own(call, database):
    made = accounts.add(database, "Poor", actor="test")
    secret = keys.issue(database, made.id, name="x", scopes=CUSTOMER_SCOPES, actor="test").secret
    assert call(secret, "GET", "/v1/account")["subscription"] is None
    used = call(secret, "GET", "/v1/usage")
    assert (used["units"], used["remaining"], used["period"]) == (0, 0, None)
    assert set(call(secret, "GET", "/v1/plans")["plans"]) == set(PLANS)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/keys", {"expires": "soon"}),
        ("POST", "/v1/keys", {"name": ""}),
        ("POST", "/v1/keys", {"name": 5}),
        ("POST", "/v1/keys", {"unknown": 1}),
        ("POST", "/v1/keys", []),
        ("POST", "/v1/credit/redeem", b'{"code": "\\ud800"}'),
        ("POST", "/v1/keys", b'{"name": "a\\u0000"}'),
        ("POST", "/v1/keys", b'{"name": '),
        ("DELETE", "/v1/keys/key%00", None),
        ("GET", "/v1/invoices/%E0%A4%A", None),
        ("POST", "/v1/credit/redeem", {}),
        ("GET", "/v1/usage/records?limit=0", None),
        ("GET", "/v1/usage/records?limit=1e9", None),
        ("GET", "/v1/usage/records?after=%00", None),
    ],
)
def test_a_wrong_request_gets_one_clear_error(call, ann, method, path, body):
    more = {"content": body} if isinstance(body, bytes) else {"json": body}
    assert call(ann.secret, method, path, 400, **more)["error"]["message"]


# ---------------------------------------------------------------- what the operator does


def test_the_operator_runs_a_customers_whole_life(call, operator, clock, database):
    def ask(method, path, status=200, **more):
        return call(operator, method, f"/admin/v1{path}", status, **more)

    made = ask("POST", "/accounts", 201, json={"name": "Acme", "plan": "small", "language": "zh"})["account"]
    secret = ask("POST", f"/accounts/{made}/keys", 201, json={})["key"]
    usage = call(secret, "GET", "/v1/usage")
    assert (usage["cap"], usage["remaining"], usage["included"]) == (40, 40, 5)
    member = ask("POST", f"/accounts/{made}/members", 201, json={"email": "li@example.com"})["id"]
    assert ask("DELETE", f"/accounts/{made}/members/{member}")["removed"] == member
    ask("PUT", f"/accounts/{made}/subscription", json={"plan": "pro"})
    assert ask("DELETE", f"/accounts/{made}/subscription")["subscription"]["ends"]
    assert ask("POST", f"/accounts/{made}/subscription/resume")["subscription"]["ends"] is None
    ask("POST", f"/accounts/{made}/credit", 201, json={"amount": "3 CNY"})
    draft = ask("POST", f"/accounts/{made}/invoices", 201, json={})["id"]
    assert ask("POST", f"/invoices/{draft}/finalize", 409, json={})["error"]["code"] == "input.period_open"
    clock.advance(MONTH_S)
    final = ask("POST", f"/invoices/{draft}/finalize", json={})
    assert final["credit_minor"] == 300
    note = ask("POST", f"/invoices/{draft}/credit-notes", 201, json={"amount": "1 CNY", "reason": "courtesy"})
    assert note["total_minor"] == -100
    assert ask("GET", f"/invoices/{final['number']}.pdf").content.startswith(b"%PDF")
    key = ask("GET", f"/accounts/{made}/keys")["keys"][0]["id"]
    turned = ask("POST", f"/keys/{key}/rotate", 201, json={"grace": "none"})
    ask("DELETE", f"/keys/{turned['id']}")
    assert ask("GET", "/usage", params={"month": "2026-03"})["accounts"][0]["units"] == 0
    assert ask("GET", "/plans/dry-run", params={"month": "2026-03"})["customers"][0]["name"] == "Acme"
    assert len(ask("POST", "/codes", 201, json={"amount": "1 CNY", "count": 3})["codes"]) == 3
    assert ask("POST", f"/accounts/{made}/close")["closed"]
    assert call(secret, "GET", "/v1/usage", 401)


def test_the_audit_log_names_the_key_that_asked_and_holds_no_secret(call, operator, database):
    made = call(operator, "POST", "/admin/v1/accounts", 201, json={"name": "Acme", "plan": "pro"})["account"]
    secret = call(operator, "POST", f"/admin/v1/accounts/{made}/keys", 201, json={})["key"]
    log = call(operator, "GET", "/admin/v1/audit")["entries"]
    (mine,) = keys.keys_of(database, None)
    assert [one["actor"] for one in log if one["action"] == "account.add"] == [mine.id]
    assert secret not in str(log)
    page = call(operator, "GET", "/admin/v1/audit?limit=1")
    assert page["next"] == 1
    assert call(operator, "GET", f"/admin/v1/audit?after={page['next']}")["entries"] == log[1:]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/accounts/acc_nobody", None, 404),
        ("POST", "/accounts/acc_nobody/close", None, 404),
        ("GET", "/accounts/acc_nobody/usage", None, 404),
        ("POST", "/accounts/acc_nobody/invoices", {}, 404),
        ("GET", "/invoices/inv_nobody", None, 404),
        ("GET", "/invoices/inv_nobody.html", None, 404),
        ("DELETE", "/keys/key_nobody", None, 404),
        ("POST", "/accounts", {"name": "x", "plan": "pri"}, 400),
        ("POST", "/accounts", {"name": " "}, 400),
        ("POST", "/codes", {"amount": "free"}, 400),
        ("POST", "/codes", {"amount": "1 CNY", "count": 0}, 400),
        ("GET", "/usage?month=2026-13", None, 400),
        ("GET", "/plans/dry-run?month=x", None, 400),
        ("GET", "/audit?after=-1", None, 400),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_operator_too_gets_clear_errors(call, operator, method, path, body, status):
    assert call(operator, method, f"/admin/v1{path}", status, json=body)["error"]["message"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_route_stands_in_the_api_description(server):
    paths = server.get("/openapi.json").json()["paths"]
    for method, path in routes(account.router) + routes(admin.router):
        assert paths[path][method.lower()]["summary"]
