"""The scenario `fraud` as its README tells it: init, run, serve, decisions; workers die and no payment is forgotten."""

import os
import signal
import subprocess
import time

import httpx
import pytest

from tests.scenarios.story import tell

DAY = "2026-02-01T12"
FAST = ["train.epochs=6", "evaluate.bootstrap=50", "evaluate.baselines=false", "evaluate.examine=[actions, drift]"]


def _payment(number, **values):
    return {
        "id": f"t{number}", "at": f"{DAY}:{number // 60:02d}:{number % 60:02d}Z", "card": "card-0007",
        "device": "device-0007-0", "shop": "shop-003", "channel": "shop", "amount": 20.0,
    } | values  # fmt: skip


def _decide(client, payment):
    reply = client.post("/v1/decisions", json={"model": "card-fraud", "transaction": payment})
    assert reply.status_code == 200, reply.text
    return reply.json()


def _workers(client):
    """Process ids of those who hold the served port's log open: the children of the one that was started."""
    port = str(client.base_url.port)
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in found.splitlines()[1:]]
    mine = [int(pid) for pid, parent, _ in rows if int(parent) == os.getpid()]
    children = [int(pid) for pid, parent, args in rows if int(parent) in mine and "serve" in args]
    assert children, port
    return children


@pytest.mark.slow
def test_payments_are_decided_on_and_none_is_forgotten_when_workers_are_killed(run_scenario):
    bank = run_scenario("fraud", changes=FAST)
    assert all(gate["passed"] for gate in bank.outcome["gates"])
    with bank.served("--workers", "2") as client:
        first = _decide(client, _payment(0))
        assert (first["windows"]["card_n_1h"], first["usage"]) == (0, {"units": 1})
        taken = client.post("/v1/events", json={"model": "card-fraud", "events": [_payment(1), _payment(1)]}).json()
        assert (taken["taken"], taken["passed_over"]) == (1, 1)
        for number in range(2, 12):  # a connection each: both workers answer, and both know everything
            with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=20) as another:
                assert _decide(another, _payment(number))["windows"]["card_n_1h"] == number
        for worker in _workers(client):
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.2)
        with httpx.Client(
            base_url=client.base_url, headers=client.headers, timeout=20, transport=httpx.HTTPTransport(retries=20)
        ) as another:
            assert _decide(another, _payment(12))["windows"]["card_n_1h"] == 12
            decided = {}
            for number in range(13, 60):
                stolen = _payment(
                    number, device="device-x1", shop=f"shop-{number:03d}", channel="online", amount=4.0 * number
                )
                found = _decide(another, stolen)
                decided[found["decision"]] = found
    assert {"refuse", "review"} & decided.keys()
    assert all(found["reasons"] for action, found in decided.items() if action != "allow")
    if "review" in decided:
        taken = tell("reviews", "claim", decided["review"]["review"], "-C", str(bank.folder), "--json")["review"]
        tell("reviews", "close", taken["id"], "yes", "-C", str(bank.folder), "--json")
        output = bank.folder / "verdicts.jsonl"
        assert tell("reviews", "export", "-o", str(output), "-C", str(bank.folder), "--json")["rows"] == 1
