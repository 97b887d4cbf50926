"""Conversations as a customer, a person and an operator meet them: real processes, killed ones too, and the verbs."""

import json
import os
import signal

import httpx
import pytest

from tests.cli.test_serve import children, served, tell, wait_until_ready
from tests.server.talking import make_talking_release
from tradewind.artifacts import Workspace
from tradewind.business import consent
from tradewind.business.database import Database, default_url
from tradewind.cli.app import main
from tradewind.clock import SystemClock

PRODUCT = """\
product: helpdesk
task: classification
data: {source: rows.csv, target: intent}
serve:
  plans: {pro: {monthly: 9 CNY, included: 1000000, overage: 0.01 CNY}}
  answers:
    texts: {refund: {en: "Refunds take five days.", zh: "退款需要五天。"}, delivery: "Three days."}
  conversation: {handoff: {intents: [complaint]}, slots: {order: 'TW-\\d{6}'}}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    for name in ("TRADEWIND_DATABASE", "TRADEWIND_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tradewind.yaml").write_text(PRODUCT)
    make_talking_release(Workspace.of(tmp_path))
    return tmp_path


@pytest.fixture
def customer(shop, capsys):
    account = tell(capsys, "account", "add", "Ann", "--plan", "pro", "-C", str(shop))["account"]
    return account, {"authorization": f"Bearer {tell(capsys, 'key', 'add', account, '-C', str(shop))['key']}"}


def begin(client, headers):
    reply = client.post("/v1/conversations", json={"model": "helpdesk"}, headers=headers)
    assert reply.status_code == 201, reply.text
    return f"/v1/conversations/{reply.json()['id']}"


@pytest.mark.slow
def test_no_answered_message_is_lost_whichever_worker_is_killed(shop, customer, capsys):
    account, headers = customer
    answered = []
    with served(shop, "--workers", "2") as (process, client):
        talk = begin(client, headers)
        for number in range(8):
            if number % 4 == 3:
                os.kill(children(process.pid)[0], signal.SIGKILL)
            with httpx.Client(base_url=client.base_url, timeout=30, headers=headers) as fresh:
                wait_until_ready(fresh, process, shop)
                text = f"I want a refund, number {number}"
                try:
                    reply = fresh.post(f"{talk}/messages", json={"text": text})
                except httpx.TransportError:
                    continue  # the worker died under it: nothing was acknowledged
                assert reply.status_code == 200, reply.text
                answered.append((text, reply.json()["reply"]["text"]))
        with httpx.Client(base_url=client.base_url, timeout=30, headers=headers) as fresh:
            kept = fresh.get(talk).json()["messages"]
    assert len(answered) >= 5
    pairs = [(said["text"], reply["text"]) for said, reply in zip(kept[1::2], kept[2::2], strict=True)]
    assert set(answered) <= set(pairs)
    assert tell(capsys, "usage", "--account", account, "-C", str(shop))["units"] >= len(answered)


@pytest.mark.slow
def test_a_person_in_a_terminal_and_what_is_learnt_from_verdicts(shop, customer, capsys, tmp_path):
    account, headers = customer
    here = ("-C", str(shop))
    with served(shop) as (_, client):
        talk = begin(client, headers)
        told = client.post(f"{talk}/messages", json={"text": "I want a refund"}, headers=headers).json()
        client.post(f"{talk}/feedback", json={"score": "up", "place": told["reply"]["place"]}, headers=headers)
        client.post(f"{talk}/messages", json={"text": "human, it is about TW-123456"}, headers=headers)
        (waits,) = tell(capsys, "handoff", "list", *here)["handoffs"]
        assert waits["summary"]["slots"] == {"order": ["TW-123456"]}
        assert tell(capsys, "handoff", "take", waits["id"], "--agent", "Li", *here)["status"] == "held"
        assert main(["handoff", "take", waits["id"], "--agent", "Bo", *here]) == 2
        assert "has taken it" in capsys.readouterr().err
        tell(capsys, "handoff", "reply", waits["id"], "Hello, I am Li.", "--agent", "Li", *here)
        assert client.get(talk, headers=headers).json()["messages"][-1]["text"] == "Hello, I am Li."
        assert tell(capsys, "handoff", "back", waits["id"], "--agent", "Li", *here)["status"] == "open"
        assert len(tell(capsys, "handoff", "show", waits["id"], *here)["messages"]) == 6
        assert tell(capsys, "handoff", "close", waits["id"], *here)["status"] == "closed"
    rows = tmp_path / "out" / "rows.jsonl"
    assert tell(capsys, "feedback", "-o", str(rows), *here)["rows"] == 0
    database = Database.open(default_url(Workspace.of(shop).home), clock=SystemClock())
    consent.record(database, account, purpose="training", given=True, actor="test")
    database.close()
    told = tell(capsys, "feedback", "-o", str(rows), *here)
    assert (told["rows"], told["rate"], told["by"]["intent"]["refund"]["verdicts"]) == (1, 1.0, 1)
    (row,) = map(json.loads, rows.read_text().splitlines())
    assert (row["text"], row["intent"], row["verdict"]) == ("I want a refund", "refund", "good")
    assert main(["feedback", *here]) == 0
    assert "100 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("conversation: {confidence: 2}", "confidence"),
        ("conversation: {confidense: 0.5}", "Did you mean confidence?"),
        ("conversation: {clarify: 0.8}", "it would never ask"),
        ("conversation: {answer: {model: a, outside: {url: 'http://x/v1', model: m}}}", "exclude each other"),
        ("conversation: {answer: {outside: {url: 'x', model: m}}}", "outside.url"),
        ("conversation: {widget: {origins: ['https://shop.example/']}}", "is no origin"),
        ("conversation: {keep: never}", "without a memory"),
        ("conversation: {slots: {order: '('}}", "no regular expression"),
        ("conversation: {handoff: {words: []}, greeting: {}}", "there is no text"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_section_is_told_with_its_place(tmp_path, capsys, written, says):
    (tmp_path / "tradewind.yaml").write_text(
        f"product: helpdesk\ntask: classification\ndata: {{source: rows.csv, target: intent}}\nserve:\n  {written}\n"
    )
    assert main(["check", "-C", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "tradewind.yaml:5:" in said


def test_a_writer_that_is_not_served_is_told_at_start(shop, capsys):
    text = (shop / "tradewind.yaml").read_text().replace("{handoff:", "{answer: {model: helpdesk-writer}, handoff:")
    (shop / "tradewind.yaml").write_text(text)
    assert main(["serve", "-C", str(shop), "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "helpdesk-writer" in said
    assert "tradewind.yaml:8:" in said
